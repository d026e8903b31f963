#include "shim/cuda/function.h"

#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/cuda/occupancy.h"

namespace vgpu::shim {
namespace {

using protocol::messages::FunctionInfo;
using protocol::messages::Parameter;

// What the executor answers when a function is resolved: FunctionInfo, then its parameters.
CUresult readInfo(Function& function, Bytes reply) {
  if (reply.size() < sizeof function.info) return CUDA_ERROR_UNKNOWN;
  std::memcpy(&function.info, reply.data(), sizeof function.info);
  const Bytes rest = reply.subspan(sizeof function.info);
  const uint32_t count = function.info.parameterCount;
  if (rest.size() != size_t{count} * sizeof(Parameter) ||
      function.info.parameterBytes > protocol::kMaxAttachedParameterBytes)
    return CUDA_ERROR_UNKNOWN;
  function.parameters.resize(count);
  std::memcpy(function.parameters.data(), rest.data(), rest.size());
  for (const Parameter& parameter : function.parameters) {
    const bool inside = parameter.offset <= function.info.parameterBytes &&
                        parameter.sizeBytes <= function.info.parameterBytes - parameter.offset;
    if (!inside) return CUDA_ERROR_UNKNOWN;
  }
  const int limit = function.info.attributes[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES];
  if (limit > 0) function.dynamicSharedLimit.store(limit);
  return CUDA_SUCCESS;
}

// Asks for a function under the handle of `function`; `message` is followed by the name.
template <class Message>
CUresult resolve(const Submission& submission, uint16_t number, const Message& message, std::string_view name,
                 Function& function) {
  std::array<std::byte, sizeof(Message) + protocol::kMaxNameBytes + 8> space;
  Encoder arguments(space);
  arguments.put(message);
  arguments.putString(name);
  std::vector<std::byte> reply(sizeof(FunctionInfo) + 4096 * sizeof(Parameter));
  const Answer answer = call(submission, number, arguments.bytes(), reply);
  if (answer.status != CUDA_SUCCESS) return answer.status;
  return readInfo(function, Bytes(reply).first(answer.payloadBytes));
}

CUresult checkName(const char* name, std::string_view& out) {
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  out = {name, ::strnlen(name, protocol::kMaxNameBytes + 1)};
  return out.size() > protocol::kMaxNameBytes || out.empty() ? CUDA_ERROR_NOT_FOUND : CUDA_SUCCESS;
}

// A function that is made known: entered in its table, resolved, or taken out again.
template <class Table, class Message>
CUresult make(const Submission& submission, Table& table, uint16_t number, Message message,
              uint64_t Message::* handle, std::string_view name, Function*& out) {
  auto* function = new Function;
  function->name = name;
  function->handle = table.insert(function);
  if (!function->handle.wellFormed()) return CUDA_ERROR_OUT_OF_MEMORY;
  message.*handle = function->handle.bits();
  const CUresult status = resolve(submission, number, message, name, *function);
  if (status != CUDA_SUCCESS) {
    delete table.remove(function->handle);
    return status;
  }
  out = function;
  return CUDA_SUCCESS;
}

CUresult findFunction(CUfunction value, Function*& function) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  function = session->functions.find(value);
  if (!function) function = session->kernels.find(value);
  return function ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult findKernel(CUkernel value, Function*& kernel) {
  Session* session = Session::get();
  if (!session) return CUDA_ERROR_NOT_INITIALIZED;
  kernel = session->kernels.find(value);
  return kernel ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult parameterInfo(const Function& function, size_t index, size_t* offset, size_t* sizeBytes) {
  if (!offset || index >= function.parameters.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = function.parameters[index].offset;
  if (sizeBytes) *sizeBytes = function.parameters[index].sizeBytes;
  return CUDA_SUCCESS;
}

void attributeChanged(Function& function, CUfunction_attribute attribute, int value) {
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) function.dynamicSharedLimit.store(value);
  forgetOccupancy(function);
}

}  // namespace

CUresult getFunction(const Submission& submission, Module& module, const char* name, Function*& out) {
  std::string_view text;
  if (const CUresult status = checkName(name, text); status != CUDA_SUCCESS) return status;
  std::lock_guard lock(module.mutex);
  if (auto known = module.functions.find(std::string(text)); known != module.functions.end()) {
    out = known->second;
    return CUDA_SUCCESS;
  }
  protocol::messages::ModuleGetFunction message{module.handle.bits(), 0};
  const CUresult status = make(submission, submission.session->functions, protocol::call::ModuleGetFunction,
                               message, &protocol::messages::ModuleGetFunction::function, text, out);
  if (status != CUDA_SUCCESS) return status;
  out->context = module.context;
  out->module = &module;
  module.functions[out->name] = out;
  return CUDA_SUCCESS;
}

CUresult getKernel(const Submission& submission, Library& library, const char* name, Function*& out) {
  std::string_view text;
  if (const CUresult status = checkName(name, text); status != CUDA_SUCCESS) return status;
  std::lock_guard lock(library.mutex);
  if (auto known = library.kernels.find(std::string(text)); known != library.kernels.end()) {
    out = known->second;
    return CUDA_SUCCESS;
  }
  protocol::messages::LibraryGetKernel message{library.handle.bits(), 0};
  const CUresult status = make(submission, submission.session->kernels, protocol::call::LibraryGetKernel,
                               message, &protocol::messages::LibraryGetKernel::kernel, text, out);
  if (status != CUDA_SUCCESS) return status;
  out->library = &library;
  library.kernels[out->name] = out;
  return CUDA_SUCCESS;
}

CUresult functionOfKernel(const Submission& submission, Function& kernel, Function*& out) {
  std::lock_guard lock(kernel.mutex);
  Function*& known = kernel.perContext[submission.context];
  if (known && submission.session->functions.find(known->handle.bits()) == known) {
    out = known;
    return CUDA_SUCCESS;
  }
  protocol::messages::KernelGetFunction message{kernel.handle.bits(), 0};
  const CUresult status = make(submission, submission.session->functions, protocol::call::KernelGetFunction,
                               message, &protocol::messages::KernelGetFunction::function, kernel.name, out);
  if (status != CUDA_SUCCESS) return status;
  out->context = submission.context;
  out->kernel = &kernel;
  out->dynamicSharedLimit.store(kernel.dynamicSharedLimit.load());
  known = out;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuModuleGetFunction(CUfunction* out, CUmodule value, const char* name) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Module* module = submission.session->modules.find(value);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  Function* function;
  const CUresult status = getFunction(submission, *module, name, function);
  if (status == CUDA_SUCCESS) *out = functionHandle(*function);
  return status;
}

VGPU_EXPORT CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary value, const char* name) {
  Submission submission;
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  Library* library = submission.session->libraries.find(value);
  if (!library) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  Function* kernel;
  const CUresult status = getKernel(submission, *library, name, kernel);
  if (status == CUDA_SUCCESS) *out = kernelHandle(*kernel);
  return status;
}

VGPU_EXPORT CUresult cuKernelGetFunction(CUfunction* out, CUkernel value) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  Function* kernel = submission.session->kernels.find(value);
  if (!kernel) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  Function* function;
  const CUresult status = functionOfKernel(submission, *kernel, function);
  if (status == CUDA_SUCCESS) *out = functionHandle(*function);
  return status;
}

VGPU_EXPORT CUresult cuKernelGetLibrary(CUlibrary* out, CUkernel value) {
  Function* kernel;
  if (const CUresult status = findKernel(value, kernel); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  *out = reinterpret_cast<CUlibrary>(kernel->library->handle.bits());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuKernelGetName(const char** name, CUkernel value) {
  Function* kernel;
  if (const CUresult status = findKernel(value, kernel); status != CUDA_SUCCESS) return status;
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  *name = kernel->name.c_str();
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuFuncGetName(const char** name, CUfunction value) {
  Function* function;
  if (const CUresult status = findFunction(value, function); status != CUDA_SUCCESS) return status;
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  *name = function->name.c_str();
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuFuncGetModule(CUmodule* out, CUfunction value) {
  Function* function;
  if (const CUresult status = findFunction(value, function); status != CUDA_SUCCESS) return status;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  if (!function->module)
    return CUDA_ERROR_NOT_SUPPORTED;  // of a library: cuLibraryGetModule names its module
  *out = reinterpret_cast<CUmodule>(function->module->handle.bits());
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuFuncGetParamInfo(CUfunction value, size_t index, size_t* offset, size_t* sizeBytes) {
  Function* function;
  const CUresult status = findFunction(value, function);
  return status == CUDA_SUCCESS ? parameterInfo(*function, index, offset, sizeBytes) : status;
}

VGPU_EXPORT CUresult cuKernelGetParamInfo(CUkernel value, size_t index, size_t* offset, size_t* sizeBytes) {
  Function* kernel;
  const CUresult status = findKernel(value, kernel);
  return status == CUDA_SUCCESS ? parameterInfo(*kernel, index, offset, sizeBytes) : status;
}

VGPU_EXPORT CUresult cuFuncSetAttribute(CUfunction value, CUfunction_attribute attribute, int number) {
  Function* function;
  if (const CUresult status = findFunction(value, function); status != CUDA_SUCCESS) return status;
  const CUresult status = Forward<call_number::cuFuncSetAttribute>::call(value, attribute, number);
  if (status != CUDA_SUCCESS) return status;
  attributeChanged(*function, attribute, number);
  // Launching the kernel launches this function.
  if (function->kernel) attributeChanged(*function->kernel, attribute, number);
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int number, CUkernel value,
                                          CUdevice device) {
  Function* kernel;
  if (const CUresult status = findKernel(value, kernel); status != CUDA_SUCCESS) return status;
  const CUresult status = Forward<call_number::cuKernelSetAttribute>::call(attribute, number, value, device);
  if (status != CUDA_SUCCESS) return status;
  attributeChanged(*kernel, attribute, number);
  std::lock_guard lock(kernel->mutex);
  for (auto& [context, function] : kernel->perContext) attributeChanged(*function, attribute, number);
  return CUDA_SUCCESS;
}
