// Modules and libraries: loading, globals, enumeration, linking.
#include <sys/mman.h>
#include <unistd.h>

#include <set>

#include "base/log.h"
#include "shim/cuda/capture.h"
#include "shim/cuda/coherence.h"
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/function.h"
#include "shim/cuda/image.h"

namespace vgpu::shim {
namespace {

void sayHowToBuildWithPtx() {
  log::error(
      "a module holds machine code only, for another GPU; build it with PTX too: nvcc -arch=compute_80, "
      "or -gencode arch=compute_80,code=compute_80");
}

// Sends the image and the message that loads it; the logs come back with the reply.
template <class Message>
CUresult load(const Submission& submission, uint16_t number, Message message, Bytes image, JitRequest& jit) {
  if (const CUresult status = sendImage(submission, image, message.blob); status != CUDA_SUCCESS)
    return status;
  message.hasOptions = 1;
  message.options = jit.wire;
  std::vector<std::byte> reply(sizeof(protocol::messages::LoadReply) + jit.logBytes());
  const Answer answer = call(submission, number, asBytes(message), reply);
  protocol::messages::LoadReply lengths{};
  if (answer.payloadBytes >= sizeof lengths) {
    std::memcpy(&lengths, reply.data(), sizeof lengths);
    jit.deliver(Bytes(reply).first(answer.payloadBytes).subspan(sizeof lengths), lengths.errorLogBytes,
                lengths.infoLogBytes);
  } else {
    jit.deliver({}, 0, 0);
  }
  if (answer.status == CUDA_ERROR_NO_BINARY_FOR_GPU) sayHowToBuildWithPtx();
  return answer.status;
}

CUresult loadModule(CUmodule* out, Bytes image, unsigned count, CUjit_option* options, void** values) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  JitRequest jit;
  if (const CUresult status = jit.read(count, options, values); status != CUDA_SUCCESS) return status;
  auto* module = new Module;
  module->context = submission.context;
  module->handle = submission.session->modules.insert(module);
  protocol::messages::ModuleLoad message{};
  message.module = module->handle.bits();
  const CUresult status = load(submission, protocol::call::ModuleLoad, message, image, jit);
  if (status != CUDA_SUCCESS) {
    delete submission.session->modules.remove(module->handle);
    return status;
  }
  *out = reinterpret_cast<CUmodule>(module->handle.bits());
  return CUDA_SUCCESS;
}

CUresult loadLibrary(CUlibrary* out, Bytes image, unsigned count, CUjit_option* options, void** values,
                     unsigned libraryCount, CUlibraryOption* libraryOptions, void** libraryValues) {
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  JitRequest jit;
  if (const CUresult status = jit.read(count, options, values); status != CUDA_SUCCESS) return status;
  protocol::messages::LibraryLoad message{};
  for (unsigned i = 0; i < libraryCount; ++i) {
    if (libraryOptions[i] == CU_LIBRARY_BINARY_IS_PRESERVED)
      message.preserveBinary = libraryValues[i] != nullptr;
  }
  auto* library = new Library;
  library->handle = submission.session->libraries.insert(library);
  message.library = library->handle.bits();
  const CUresult status = load(submission, protocol::call::LibraryLoad, message, image, jit);
  if (status != CUDA_SUCCESS) {
    delete submission.session->libraries.remove(library->handle);
    return status;
  }
  *out = reinterpret_cast<CUlibrary>(library->handle.bits());
  return CUDA_SUCCESS;
}

// A managed variable lies where the driver put it, and the program's host code uses that very address: the
// guest backs the pages with memory of its own, kept equal with the executor's.
bool takePages(uint64_t address, uint64_t sizeBytes) {
  static auto* mutex = new std::mutex;
  static auto* taken = new std::set<uint64_t>;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  std::lock_guard lock(*mutex);
  for (uint64_t at = address & ~(page - 1); at < address + sizeBytes; at += page) {
    if (taken->contains(at)) continue;
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    auto* place = reinterpret_cast<void*>(at);
    const bool inSession =
        Session::get()->addresses().contains(at);  // reserved by us: replaced, not taken from anybody
    const int flags = inSession ? (kFlags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED : kFlags;
    if (::mmap(place, page, PROT_READ | PROT_WRITE, flags, -1, 0) != place) return false;
    taken->insert(at);
  }
  return true;
}

void fetchInitialValue() {
  Submission submission;
  if (enterSession(submission) == CUDA_SUCCESS) pullFromDevice(submission);
}

// A global that the program has asked for becomes an allocation: it may be copied to and from.
CUresult enterGlobal(Session& session, std::mutex& mutex, std::vector<uint64_t>& globals, Allocation global) {
  std::lock_guard lock(mutex);
  if (session.allocations().find(global.address)) return CUDA_SUCCESS;
  if (global.kind == MemoryKind::Managed) {
    if (!takePages(global.address, global.sizeBytes)) return CUDA_ERROR_OUT_OF_MEMORY;
    global.coherence = makeCoherence(global);
    deviceHasWritten(global);  // its initial value comes from the module
  }
  session.allocations().insert(global);
  globals.push_back(global.address);
  return CUDA_SUCCESS;
}

void forgetGlobals(Session& session, const std::vector<uint64_t>& globals) {
  for (const uint64_t address : globals) session.allocations().remove(address);
}

template <uint16_t number, class Owner, class Value>
CUresult getGlobal(Owner* owner, Context* context, MemoryKind kind, CUdeviceptr* address, size_t* sizeBytes,
                   Value value, const char* name) {
  if (!address && !sizeBytes) return CUDA_ERROR_INVALID_VALUE;
  CUdeviceptr where = 0;
  size_t size = 0;
  const CUresult status = Forward<number>::call(&where, &size, value, name);
  if (status != CUDA_SUCCESS) return status;
  if (size) {
    const bool managed = kind == MemoryKind::Managed;
    const CUresult entered = enterGlobal(
        *Session::get(), owner->mutex, owner->globals,
        {.address = where, .sizeBytes = size, .kind = kind, .context = context, .host = managed ? where : 0});
    if (entered != CUDA_SUCCESS) return entered;
    if (managed) fetchInitialValue();
  }
  if (address) *address = where;
  if (sizeBytes) *sizeBytes = size;
  return CUDA_SUCCESS;
}

// The functions of a module or kernels of a library, by name, in the driver's order.
CUresult functionNames(const Submission& submission, uint64_t owner, size_t wanted,
                       std::vector<std::string>& names) {
  std::vector<std::byte> reply(64 * 1024);
  while (names.size() < wanted) {
    const protocol::messages::FunctionNames message{owner, static_cast<uint32_t>(names.size()), 0};
    const Answer answer = call(submission, protocol::call::FunctionNames, asBytes(message), reply);
    if (answer.status != CUDA_SUCCESS) return answer.status;
    protocol::messages::FunctionNamesReply part;
    if (answer.payloadBytes < sizeof part) return CUDA_ERROR_UNKNOWN;
    std::memcpy(&part, reply.data(), sizeof part);
    const auto* text = reinterpret_cast<const char*>(reply.data() + sizeof part);
    const auto* end = text + std::min<size_t>(part.usedBytes, answer.payloadBytes - sizeof part);
    if (part.count == 0) return CUDA_SUCCESS;
    for (uint32_t i = 0; i < part.count && text < end; ++i) {
      names.emplace_back(text, ::strnlen(text, static_cast<size_t>(end - text)));
      text += names.back().size() + 1;
    }
  }
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuModuleLoadDataEx(CUmodule* out, const void* image, unsigned count,
                                        CUjit_option* options, void** values) {
  if (!image) return CUDA_ERROR_INVALID_VALUE;
  std::vector<std::byte> gathered;
  return loadModule(out, imageBytes(image, gathered), count, options, values);
}
VGPU_EXPORT CUresult cuModuleLoadData(CUmodule* out, const void* image) {
  return cuModuleLoadDataEx(out, image, 0, nullptr, nullptr);
}
VGPU_EXPORT CUresult cuModuleLoadFatBinary(CUmodule* out, const void* image) {
  return cuModuleLoadDataEx(out, image, 0, nullptr, nullptr);
}

VGPU_EXPORT CUresult cuModuleLoad(CUmodule* out, const char* path) {
  std::vector<std::byte> bytes;
  if (const CUresult status = readFile(path, bytes); status != CUDA_SUCCESS) return status;
  return loadModule(out, bytes, 0, nullptr, nullptr);
}

VGPU_EXPORT CUresult cuModuleUnload(CUmodule value) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Module* module = submission.session->modules.find(value);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult status = refuseWhileCapturing(submission); status != CUDA_SUCCESS) return status;
  const CUresult status = Forward<call_number::cuModuleUnload>::call(value);
  if (status != CUDA_SUCCESS) return status;
  std::lock_guard lock(module->mutex);
  forgetGlobals(*submission.session, module->globals);
  for (auto& [name, function] : module->functions) submission.session->functions.remove(function->handle);
  return CUDA_SUCCESS;
}

// All code is compiled when it is first launched.
VGPU_EXPORT CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  if (!mode) return CUDA_ERROR_INVALID_VALUE;
  *mode = CU_MODULE_LAZY_LOADING;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* sizeBytes, CUmodule value,
                                          const char* name) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  Module* module = session->modules.find(value);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  return getGlobal<call_number::cuModuleGetGlobal_v2>(module, module->context, MemoryKind::Global, address,
                                                      sizeBytes, value, name);
}

VGPU_EXPORT CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned count, CUmodule value) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Module* module = submission.session->modules.find(value);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  if (!functions || count == 0) return CUDA_ERROR_INVALID_VALUE;
  std::vector<std::string> names;
  if (const CUresult status = functionNames(submission, module->handle.bits(), count, names);
      status != CUDA_SUCCESS)
    return status;
  for (unsigned i = 0; i < count && i < names.size(); ++i) {
    Function* function;
    if (const CUresult status = getFunction(submission, *module, names[i].c_str(), function);
        status != CUDA_SUCCESS)
      return status;
    functions[i] = functionHandle(*function);
  }
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLibraryLoadData(CUlibrary* out, const void* code, CUjit_option* options, void** values,
                                       unsigned count, CUlibraryOption* libraryOptions, void** libraryValues,
                                       unsigned libraryCount) {
  if (!code) return CUDA_ERROR_INVALID_VALUE;
  std::vector<std::byte> gathered;
  return loadLibrary(out, imageBytes(code, gathered), count, options, values, libraryCount, libraryOptions,
                     libraryValues);
}

VGPU_EXPORT CUresult cuLibraryLoadFromFile(CUlibrary* out, const char* path, CUjit_option* options,
                                           void** values, unsigned count, CUlibraryOption* libraryOptions,
                                           void** libraryValues, unsigned libraryCount) {
  std::vector<std::byte> bytes;
  if (const CUresult status = readFile(path, bytes); status != CUDA_SUCCESS) return status;
  return loadLibrary(out, bytes, count, options, values, libraryCount, libraryOptions, libraryValues);
}

VGPU_EXPORT CUresult cuLibraryUnload(CUlibrary value) {
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  Library* library = submission.session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult status = Forward<call_number::cuLibraryUnload>::call(value);
  if (status != CUDA_SUCCESS) return status;
  std::lock_guard lock(library->mutex);
  forgetGlobals(*submission.session, library->globals);
  for (auto& [name, kernel] : library->kernels) {
    submission.session->kernels.remove(kernel->handle);
    for (auto& [context, function] : kernel->perContext)
      submission.session->functions.remove(function->handle);
  }
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLibraryGetModule(CUmodule* out, CUlibrary value) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Library* library = submission.session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto* module = new Module;
  module->context = submission.context;
  module->handle = submission.session->modules.insert(module);
  const CUresult status =
      callMessage<call_number::LibraryGetModule>(submission, {library->handle.bits(), module->handle.bits()});
  if (status != CUDA_SUCCESS) {
    delete submission.session->modules.remove(module->handle);
    return status;
  }
  *out = reinterpret_cast<CUmodule>(module->handle.bits());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuLibraryGetGlobal(CUdeviceptr* address, size_t* sizeBytes, CUlibrary value,
                                        const char* name) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  Library* library = session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  return getGlobal<call_number::cuLibraryGetGlobal>(library, thisThread().current(), MemoryKind::Global,
                                                    address, sizeBytes, value, name);
}

VGPU_EXPORT CUresult cuLibraryGetManaged(CUdeviceptr* address, size_t* sizeBytes, CUlibrary value,
                                         const char* name) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  Library* library = session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  return getGlobal<call_number::cuLibraryGetManaged>(library, thisThread().current(), MemoryKind::Managed,
                                                     address, sizeBytes, value, name);
}

VGPU_EXPORT CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned count, CUlibrary value) {
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  Library* library = submission.session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (!kernels || count == 0) return CUDA_ERROR_INVALID_VALUE;
  std::vector<std::string> names;
  if (const CUresult status = functionNames(submission, library->handle.bits(), count, names);
      status != CUDA_SUCCESS)
    return status;
  for (unsigned i = 0; i < count && i < names.size(); ++i) {
    Function* kernel;
    if (const CUresult status = getKernel(submission, *library, names[i].c_str(), kernel);
        status != CUDA_SUCCESS)
      return status;
    kernels[i] = kernelHandle(*kernel);
  }
  return CUDA_SUCCESS;
}
