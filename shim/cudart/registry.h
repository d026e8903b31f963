// What compiled programs register before main: fat binaries, the kernels and variables in them by the address
// of their host stand-ins. A fat binary is loaded as one driver library when something of it is first used;
// kernels and variables are looked up in it then. The images stay the program's memory. Any thread.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "shim/cudart/abi.h"
#include "shim/cudart/pointer_table.h"

namespace vgpu::cudart {

struct Variable;

// One fat binary. The handle that registration hands out points to it.
struct Binary {
  void* self = nullptr;           // __cudaRegisterFatBinary's callers may read through the handle
  const void* wrapper = nullptr;  // null once unregistered
  std::mutex mutex;               // guards loading and the list
  std::atomic<CUlibrary> library{nullptr};
  cudaError_t failure = cudaSuccess;  // of loading; kept, as natively
  std::vector<Variable*> managed;
};

// One kernel: of a fat binary by its host stub, or of a library by its handle.
struct Kernel {
  Binary* binary = nullptr;  // null: the handle came from a library call
  const char* name = nullptr;
  std::atomic<CUkernel> handle{nullptr};
};

// One __device__, __constant__ or __managed__ variable. Its address holds in one context and one epoch.
struct Variable {
  Binary* binary = nullptr;
  const char* name = nullptr;
  size_t size = 0;
  void** managedPointer = nullptr;  // the program's pointer to managed memory, set when the binary is loaded
  std::mutex mutex;
  CUcontext context = nullptr;
  unsigned epoch = 0;
  CUdeviceptr address = 0;
};

class Registry {
 public:
  constexpr Registry() = default;

  Binary* addBinary(const void* wrapper);
  void removeBinary(Binary* binary);
  void addKernel(Binary* binary, const void* hostFunction, const char* name);
  void addVariable(Binary* binary, const void* hostVariable, const char* name, size_t size,
                   void** managedPointer);

  // A kernel handle from a library call, which the runtime's functions take in place of a host function.
  void addHandle(CUkernel handle);

  // The driver's handle for what a caller names as a function. cudaErrorInvalidDeviceFunction for an address
  // that nobody registered; else what loading its fat binary said. Needs a context.
  cudaError_t kernel(const void* function, CUkernel* handle);

  // The same as a function of the current context.
  cudaError_t function(const void* function, CUfunction* handle);

  // Address in the current context, and size. cudaErrorInvalidSymbol for an address that nobody registered.
  cudaError_t variable(const void* symbol, CUdeviceptr* address, size_t* size);

  // Loads a fat binary now; sets the program's managed pointers.
  cudaError_t load(Binary* binary);

 private:
  cudaError_t resolve(Kernel& kernel, CUkernel* handle);
  void placeManaged(Variable* variable, CUlibrary library);

  std::mutex mutex_;  // writers of the tables
  PointerTable<Kernel> kernels_;
  PointerTable<Variable> variables_;
};

extern constinit Registry registry;

}  // namespace vgpu::cudart
