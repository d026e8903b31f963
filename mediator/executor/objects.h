// What the session's handles stand for in the executor: the driver's objects and what the dispatcher keeps
// beside them. Dispatcher thread only, except ContextObject::keptError and LoadedCode that only one worker at
// a time fills. Objects belong to the tables; a ContextObject lives as long as the session, because waits on
// other threads name it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "mediator/executor/memory_budget.h"
#include "mediator/executor/object_table.h"
#include "mediator/executor/stream_queue.h"
#include "protocol/abi/cuda.h"

namespace vgpu::executor {

struct ContextObject;

// Every so many operations of a stream an event is recorded behind them; at most kCheckpoints of those groups
// are with the driver. NVIDIA's driver blocks its caller when about 1,024 launches are queued: we hold the
// stream before that.
constexpr uint32_t kCheckpointOperations = 256;
constexpr size_t kCheckpoints = 3;

struct StreamObject {
  Handle handle;  // not well formed: a default stream of its context
  CUstream driver = nullptr;
  ContextObject* context = nullptr;
  StreamQueue queue;
  bool busy = false;         // has been given work since it was last seen idle
  bool capturing = false;    // queries would spoil the capture
  uint64_t uploadEpoch = 0;  // of its context, when it was last known to hold nothing but uploads
  uint32_t waits = 0;        // waits of other threads that name it
  bool ended = false;        // destroyed by the guest; goes when waits is 0
  uint32_t sinceCheckpoint = 0;
  std::array<CUevent, kCheckpoints> checkpoints{};
  uint32_t checkpointsSet = 0, checkpointsPassed = 0;
  bool checkpointAwaited = false;
};

struct EventObject {
  CUevent driver = nullptr;
  ContextObject* context = nullptr;
  std::shared_ptr<const bool> recordHeld;  // true while its latest record is held back
  uint32_t waits = 0;
  bool ended = false;
};

struct ContextObject {
  Handle handle;
  CUcontext driver = nullptr;  // null: not retained, or destroyed
  int device = 0;
  bool primary = false;
  bool waitsForMemory = false;  // strict mode: a stream waits for a value that the program may write later
  std::atomic<int> keptError{CUDA_SUCCESS};  // first failure of posted work, for the next call that waits
  StreamGroup group;
  StreamObject legacy;
  std::vector<std::unique_ptr<StreamObject>> perThread;  // by guest thread, made on demand
  std::vector<StreamObject*> busy;                       // streams with StreamObject::busy
  uint64_t epoch = 1;                                    // counts operations other than uploads
};

struct ModuleObject {
  CUmodule driver = nullptr;
  ContextObject* context = nullptr;
};

struct LibraryObject {
  CUlibrary driver = nullptr;
};

// A function or a kernel; both can be launched.
struct FunctionObject {
  CUfunction driver = nullptr;
  uint32_t parameterBytes = 0;
  bool parametersKnown = false;
  const void* owner = nullptr;  // ModuleObject or LibraryObject
};

struct ArrayObject {
  CUarray driver = nullptr;
  SharedMemoryShare share;  // none: a level of a mipmapped array
  ContextObject* context = nullptr;
};

struct MipmappedObject {
  CUmipmappedArray driver = nullptr;
  SharedMemoryShare share;
  ContextObject* context = nullptr;
};

struct PhysicalObject {
  CUmemGenericAllocationHandle driver = 0;
  SharedMemoryShare share;
};

// JIT options as the driver wants them, with the logs' memory.
struct JitArguments {
  std::vector<CUjit_option> options;
  std::vector<void*> values;
  std::vector<char> errorLog, infoLog;
};

struct LinkObject {
  CUlinkState driver = nullptr;
  ContextObject* context = nullptr;
  std::unique_ptr<JitArguments> arguments;  // the driver writes logs there as long as the link lives
  std::vector<std::byte> image;
  bool busy = false;  // a worker is at it
};

struct GraphObject {
  CUgraph driver = nullptr;
};

template <Kind kind>
struct ObjectOf;
template <>
struct ObjectOf<Kind::Context> {
  using Type = ContextObject;
  using Driver = CUcontext;
};
template <>
struct ObjectOf<Kind::Stream> {
  using Type = StreamObject;
  using Driver = CUstream;
};
template <>
struct ObjectOf<Kind::Event> {
  using Type = EventObject;
  using Driver = CUevent;
};
template <>
struct ObjectOf<Kind::Module> {
  using Type = ModuleObject;
  using Driver = CUmodule;
};
template <>
struct ObjectOf<Kind::Function> {
  using Type = FunctionObject;
  using Driver = CUfunction;
};
template <>
struct ObjectOf<Kind::Library> {
  using Type = LibraryObject;
  using Driver = CUlibrary;
};
template <>
struct ObjectOf<Kind::Kernel> {
  using Type = FunctionObject;
  using Driver = CUkernel;
};
template <>
struct ObjectOf<Kind::Array> {
  using Type = ArrayObject;
  using Driver = CUarray;
};
template <>
struct ObjectOf<Kind::MipmappedArray> {
  using Type = MipmappedObject;
  using Driver = CUmipmappedArray;
};
template <>
struct ObjectOf<Kind::Link> {
  using Type = LinkObject;
  using Driver = CUlinkState;
};
template <>
struct ObjectOf<Kind::Graph> {
  using Type = GraphObject;
  using Driver = CUgraph;
};
template <>
struct ObjectOf<Kind::Physical> {
  using Type = PhysicalObject;
  using Driver = CUmemGenericAllocationHandle;
};

template <Kind kind>
using Table = ObjectTable<typename ObjectOf<kind>::Type, kind>;

struct Objects {
  Table<Kind::Context> contexts;
  Table<Kind::Stream> streams;
  Table<Kind::Event> events;
  Table<Kind::Module> modules;
  Table<Kind::Function> functions;
  Table<Kind::Library> libraries;
  Table<Kind::Kernel> kernels;
  Table<Kind::Array> arrays;
  Table<Kind::MipmappedArray> mipmappedArrays;
  Table<Kind::Link> links;
  Table<Kind::Graph> graphs;
  Table<Kind::Physical> physicals;

  template <Kind kind>
  Table<kind>& table() {
    if constexpr (kind == Kind::Context)
      return contexts;
    else if constexpr (kind == Kind::Stream)
      return streams;
    else if constexpr (kind == Kind::Event)
      return events;
    else if constexpr (kind == Kind::Module)
      return modules;
    else if constexpr (kind == Kind::Function)
      return functions;
    else if constexpr (kind == Kind::Library)
      return libraries;
    else if constexpr (kind == Kind::Kernel)
      return kernels;
    else if constexpr (kind == Kind::Array)
      return arrays;
    else if constexpr (kind == Kind::MipmappedArray)
      return mipmappedArrays;
    else if constexpr (kind == Kind::Graph)
      return graphs;
    else if constexpr (kind == Kind::Link)
      return links;
    else
      return physicals;
  }
};

}  // namespace vgpu::executor
