// What the guest knows of the objects behind the program's handles: enough to refuse what the native call
// refuses at once, and to answer queries without asking the executor. Objects live as long as the process: a
// racing thread may still hold one whose handle was destroyed, and each is small.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "protocol/abi/cuda.h"
#include "protocol/calls/messages.h"
#include "protocol/marshal/handle.h"

namespace vgpu::shim {

using protocol::Handle;

struct Stream;

// An atomic that only grows: several threads report sequences, the largest counts.
class Newest {
 public:
  void raise(uint64_t sequence) {
    uint64_t seen = value_.load(std::memory_order_relaxed);
    while (seen < sequence && !value_.compare_exchange_weak(seen, sequence, std::memory_order_release,
                                                            std::memory_order_relaxed)) {
    }
  }
  // The same under the producers' lock of the channel, which hands sequences out in order.
  void raiseInOrder(uint64_t sequence) { value_.store(sequence, std::memory_order_release); }
  uint64_t get() const { return value_.load(std::memory_order_acquire); }

 private:
  std::atomic<uint64_t> value_{0};
};

struct Context {
  Handle handle;
  int device = 0;
  bool primary = false;
  unsigned flags = 0;
  uint64_t id = 0;
  std::atomic<bool> alive{true};
  std::atomic<int> sticky{CUDA_SUCCESS};  // once an asynchronous failure has surfaced, every call answers it
  std::atomic<bool> failed{
      false};           // the executor keeps a failure: nothing is over until a wait has asked for it
  Newest posted;        // last record of this context
  Newest synchronized;  // all up to here are known to be done
  Stream* legacy = nullptr;
};

enum class Capture : uint8_t { None, Active, Invalidated };

struct Stream {
  uint64_t wire = 0;  // the handle, or CUDA's value for a default stream
  Context* context = nullptr;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  std::atomic<uint32_t> slot{kNoSlotYet};  // where its retired number is published
  Newest posted, marked, done;
  std::atomic<bool> destroyed{false};  // its slot may be another stream's by now
  std::atomic<Capture> capture{Capture::None};
  CUstreamCaptureMode captureMode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  uint64_t captureId = 0;
  uint16_t capturingThread = 0;

  static constexpr uint32_t kNoSlotYet = ~0u;
  bool isLegacy() const { return wire == protocol::kLegacyStream; }
};

struct Event {
  Handle handle;
  Context* context = nullptr;
  unsigned flags = 0;
  std::atomic<uint64_t> recorded{0};  // sequence of the last record; 0: never recorded
  std::atomic<uint32_t> slot{Stream::kNoSlotYet};
  std::atomic<uint64_t> capturedIn{0};  // capture that recorded it last; 0: none
};

struct Module {
  Handle handle;
  Context* context = nullptr;
  std::mutex mutex;
  std::vector<uint64_t> globals;  // addresses entered in Allocations
  std::map<std::string, struct Function*> functions;
};

struct Library {
  Handle handle;
  std::mutex mutex;
  std::vector<uint64_t> globals;
  std::map<std::string, struct Function*> kernels;
};

// A function or a kernel: both can be launched.
struct Function {
  Handle handle;
  Context* context = nullptr;  // of a function; a kernel belongs to none
  Module* module = nullptr;
  Library* library = nullptr;
  Function* kernel = nullptr;  // of a function that came from a kernel
  std::string name;
  protocol::messages::FunctionInfo info{};
  std::vector<protocol::messages::Parameter> parameters;
  std::atomic<int> dynamicSharedLimit{48 *
                                      1024};  // raised by CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
  std::mutex mutex;
  std::map<Context*, Function*> perContext;  // of a kernel: cuKernelGetFunction
};

struct Array {
  Handle handle;
  Context* context = nullptr;
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
};

struct MipmappedArray {
  Handle handle;
  Context* context = nullptr;
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  unsigned levels = 0;
};

struct Link {
  Handle handle;
};

struct Graph {
  Handle handle;
};

struct Physical {
  Handle handle;
  uint64_t sizeBytes = 0;
  CUmemAllocationProp properties{};
};

}  // namespace vgpu::shim
