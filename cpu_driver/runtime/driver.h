// The driver of this process: everything that lives as long as it does, made by cuInit and never destroyed,
// because programs call CUDA from static destructors. Any thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "cpu_driver/runtime/capture.h"
#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/event.h"
#include "cpu_driver/runtime/handle_table.h"
#include "cpu_driver/runtime/library.h"
#include "cpu_driver/runtime/linker.h"
#include "cpu_driver/runtime/memory.h"
#include "cpu_driver/runtime/memory_pool.h"
#include "cpu_driver/runtime/module.h"
#include "cpu_driver/runtime/texture.h"
#include "cpu_driver/runtime/virtual_memory.h"
#include "cpu_driver/runtime/worker_pool.h"

namespace vgpu::cpu {

// A graph that can be launched: what a capture recorded.
struct ExecutableGraph {
  std::shared_ptr<const Graph> graph;
};

class Driver {
 public:
  explicit Driver(std::unique_ptr<Arena> arena);

  WorkerPool& pool() { return pool_; }
  Memory& memory() { return memory_; }
  VirtualMemory& virtualMemory() { return virtualMemory_; }
  Captures& captures() { return captures_; }
  MemoryPools& pools() { return pools_; }

  // Null for what is no live context. A destroyed context is still found as long as its shell is asked for.
  Context* findContext(CUcontext handle) { return contexts_.find(handle); }
  CUcontext createContext(unsigned flags);
  CUresult destroyContext(CUcontext handle);
  CUresult retainPrimary(CUcontext* handle);
  CUresult releasePrimary();
  CUresult resetPrimary();
  CUresult setPrimaryFlags(unsigned flags);
  void primaryState(unsigned* flags, bool* active);

  HandleTable<Stream, CUstream, 0x51> streams;
  HandleTable<Event, CUevent, 0x52> events;
  HandleTable<Module, CUmodule, 0x53> modules;
  HandleTable<Function, CUfunction, 0x54> functions;
  HandleTable<Library, CUlibrary, 0x55> libraries;
  HandleTable<Kernel, CUkernel, 0x56> kernels;
  HandleTable<LinkState, CUlinkState, 0x57> links;
  HandleTable<Array, CUarray, 0x58> arrays;
  HandleTable<MipmappedArray, CUmipmappedArray, 0x59> mipmaps;
  HandleTable<Texture, CUtexObject, 0x5b> textures;
  HandleTable<Surface, CUsurfObject, 0x5c> surfaces;
  HandleTable<Graph, CUgraph, 0x5d> graphs;
  HandleTable<ExecutableGraph, CUgraphExec, 0x5e> executableGraphs;

 private:
  CUcontext insertContext(unsigned flags, bool primary);
  void endContext(std::shared_ptr<Context> context);

  WorkerPool pool_;
  Memory memory_;
  VirtualMemory virtualMemory_;
  Captures captures_;
  MemoryPools pools_;
  HandleTable<Context, CUcontext, 0x50> contexts_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Context>> shells_;
  CUcontext primary_ = nullptr;
  unsigned primaryReferences_ = 0;
  unsigned primaryFlags_ = 0;
};

// Initialises the driver; an error stays the answer.
CUresult initialise();
// Null before initialise() has succeeded, and in a child that was forked without exec.
inline std::atomic<Driver*> theDriver{nullptr};
// Whether calls may be made; false in a child that was forked without exec, as natively.
inline bool initialised() { return theDriver.load(std::memory_order_acquire) != nullptr; }
// After initialise() succeeded.
inline Driver& driver() { return *theDriver.load(std::memory_order_acquire); }

}  // namespace vgpu::cpu
