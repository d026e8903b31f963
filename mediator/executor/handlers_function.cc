// Functions of modules and kernels of libraries: found by name, described once, listed.
#include <cstring>

#include "mediator/executor/handlers.h"
#include "mediator/executor/received_name.h"

namespace vgpu::executor {
namespace {

using Payload = std::vector<std::byte>;
namespace messages = protocol::messages;

// CUDA allows 32,764 bytes of parameters, so there cannot be more of them.
constexpr size_t kMostParameters = 32764;

template <class GetParameter>
std::vector<messages::Parameter> parametersOf(GetParameter get, bool& known) {
  std::vector<messages::Parameter> parameters;
  known = true;
  for (size_t i = 0; i < kMostParameters; ++i) {
    size_t offset = 0, sizeBytes = 0;
    const CUresult status = get(i, &offset, &sizeBytes);
    if (status == CUDA_ERROR_NOT_SUPPORTED) known = false;
    if (status != CUDA_SUCCESS) break;
    parameters.push_back({static_cast<uint32_t>(offset), static_cast<uint32_t>(sizeBytes)});
  }
  return parameters;
}

// FunctionInfo and the parameters, as the reply has them; fills in what launches are checked by.
template <class GetAttribute>
Payload describe(FunctionObject& function, const std::vector<messages::Parameter>& parameters,
                 GetAttribute getAttribute) {
  messages::FunctionInfo info{};
  info.parameterCount = static_cast<uint32_t>(parameters.size());
  for (const auto& parameter : parameters)
    info.parameterBytes = std::max(info.parameterBytes, parameter.offset + parameter.sizeBytes);
  for (uint32_t i = 0; i < messages::kFunctionAttributes; ++i) {
    int value = 0;
    if (getAttribute(&value, static_cast<CUfunction_attribute>(i)) == CUDA_SUCCESS)
      info.attributes[i] = value;
  }
  function.parameterBytes = info.parameterBytes;
  Payload payload(sizeof info + parameters.size() * sizeof(messages::Parameter));
  std::memcpy(payload.data(), &info, sizeof info);
  if (!parameters.empty())
    std::memcpy(payload.data() + sizeof info, parameters.data(),
                parameters.size() * sizeof(messages::Parameter));
  return payload;
}

Payload describeFunction(const Driver& driver, FunctionObject& function) {
  function.parametersKnown = driver.cuFuncGetParamInfo != nullptr;
  std::vector<messages::Parameter> parameters;
  if (function.parametersKnown) {
    parameters = parametersOf(
        [&](size_t i, size_t* offset, size_t* sizeBytes) {
          return driver.cuFuncGetParamInfo(function.driver, i, offset, sizeBytes);
        },
        function.parametersKnown);
  }
  return describe(function, parameters, [&](int* value, CUfunction_attribute attribute) {
    return driver.cuFuncGetAttribute(value, attribute, function.driver);
  });
}

Payload describeKernel(const Driver& driver, FunctionObject& kernel, CUdevice device) {
  const auto object = reinterpret_cast<CUkernel>(kernel.driver);
  kernel.parametersKnown = driver.cuKernelGetParamInfo != nullptr;
  std::vector<messages::Parameter> parameters;
  if (kernel.parametersKnown) {
    parameters = parametersOf(
        [&](size_t i, size_t* offset, size_t* sizeBytes) {
          return driver.cuKernelGetParamInfo(object, i, offset, sizeBytes);
        },
        kernel.parametersKnown);
  }
  return describe(kernel, parameters, [&](int* value, CUfunction_attribute attribute) {
    return driver.cuKernelGetAttribute(value, attribute, object, device);
  });
}

template <Kind kind>
void insertFunction(Execution& execution, Submission& s, uint64_t bits, const FunctionObject& function,
                    const Payload& payload) {
  execution.objects.table<kind>().insert(Handle(bits), std::make_unique<FunctionObject>(function));
  execution.reply(s, CUDA_SUCCESS, payload);
}

}  // namespace

void handleModuleGetFunction(Execution& execution, Submission& s, const messages::ModuleGetFunction& message,
                             Decoder& rest) {
  ReceivedName name;
  if (!name.read(execution, s, rest) || !execution.isFree<Kind::Function>(s, message.function)) return;
  const auto* module = execution.find<Kind::Module>(s, message.module);
  if (execution.lied()) return;
  if (!module) return execution.reply(s, CUDA_ERROR_INVALID_HANDLE);
  FunctionObject function;
  function.owner = module;
  const CUresult status = execution.driver.cuModuleGetFunction(&function.driver, module->driver, name.text);
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  const Payload payload = describeFunction(execution.driver, function);
  insertFunction<Kind::Function>(execution, s, message.function, function, payload);
}

void handleLibraryGetKernel(Execution& execution, Submission& s, const messages::LibraryGetKernel& message,
                            Decoder& rest) {
  ReceivedName name;
  if (!name.read(execution, s, rest) || !execution.isFree<Kind::Kernel>(s, message.kernel)) return;
  const auto* library = execution.find<Kind::Library>(s, message.library);
  if (execution.lied()) return;
  if (!library) return execution.reply(s, CUDA_ERROR_INVALID_HANDLE);
  CUkernel kernel = nullptr;
  const CUresult status = execution.driver.cuLibraryGetKernel(&kernel, library->driver, name.text);
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  FunctionObject function;
  function.driver = reinterpret_cast<CUfunction>(kernel);
  function.owner = library;
  const Payload payload = describeKernel(execution.driver, function, s.context ? s.context->device : 0);
  insertFunction<Kind::Kernel>(execution, s, message.kernel, function, payload);
}

void handleKernelGetFunction(Execution& execution, Submission& s, const messages::KernelGetFunction& message,
                             Decoder&) {
  if (!execution.isFree<Kind::Function>(s, message.function)) return;
  const auto* kernel = execution.find<Kind::Kernel>(s, message.kernel);
  if (execution.lied()) return;
  if (!kernel) return execution.reply(s, CUDA_ERROR_INVALID_HANDLE);
  FunctionObject function;
  function.owner = kernel->owner;
  const CUresult status =
      execution.driver.cuKernelGetFunction(&function.driver, reinterpret_cast<CUkernel>(kernel->driver));
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  const Payload payload = describeFunction(execution.driver, function);
  insertFunction<Kind::Function>(execution, s, message.function, function, payload);
}

namespace {

// The names of what `owner` holds, in the driver's order. NOT_SUPPORTED where the driver lacks one of the
// calls.
template <class Object, class Owner, class Count, class List, class NameOf>
CUresult namesIn(Owner owner, Count count, List list, NameOf nameOf, std::vector<std::string>& names) {
  if (!count || !list || !nameOf) return CUDA_ERROR_NOT_SUPPORTED;
  unsigned found = 0;
  CUresult status = count(&found, owner);
  std::vector<Object> objects(found);
  if (status == CUDA_SUCCESS && found) status = list(objects.data(), found, owner);
  for (size_t i = 0; i < found && status == CUDA_SUCCESS; ++i) {
    const char* name = nullptr;
    status = nameOf(&name, objects[i]);
    if (status == CUDA_SUCCESS && name) names.emplace_back(name);
  }
  return status;
}

// All names of a module's functions or a library's kernels.
CUresult namesOf(Execution& execution, const Submission& s, uint64_t owner, std::vector<std::string>& names) {
  const Driver& driver = execution.driver;
  if (Handle(owner).kind() == Kind::Library) {
    const auto* library = execution.find<Kind::Library>(s, owner);
    if (!library) return CUDA_ERROR_INVALID_HANDLE;
    return namesIn<CUkernel>(library->driver, driver.cuLibraryGetKernelCount,
                             driver.cuLibraryEnumerateKernels, driver.cuKernelGetName, names);
  }
  const auto* module = execution.find<Kind::Module>(s, owner);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  return namesIn<CUfunction>(module->driver, driver.cuModuleGetFunctionCount,
                             driver.cuModuleEnumerateFunctions, driver.cuFuncGetName, names);
}

}  // namespace

void handleFunctionNames(Execution& execution, Submission& s, const messages::FunctionNames& message,
                         Decoder&) {
  std::vector<std::string> names;
  const CUresult status = namesOf(execution, s, message.owner, names);
  if (execution.lied()) return;
  if (status != CUDA_SUCCESS) return execution.reply(s, status);
  messages::FunctionNamesReply reply{0, static_cast<uint32_t>(names.size()), 0};
  Payload payload(sizeof reply);
  for (size_t i = message.first; i < names.size(); ++i) {
    const size_t bytes = names[i].size() + 1;
    if (payload.size() + bytes > s.to.slotBytes) break;
    payload.resize(payload.size() + bytes);
    std::memcpy(payload.data() + payload.size() - bytes, names[i].c_str(), bytes);
    ++reply.count;
    reply.usedBytes += static_cast<uint32_t>(bytes);
  }
  std::memcpy(payload.data(), &reply, sizeof reply);
  execution.reply(s, CUDA_SUCCESS, payload);
}

}  // namespace vgpu::executor
