// Modules, libraries, functions, linking. Images arrive as blobs. Loading and linking run on a worker, beside
// the dispatcher: only the calling guest thread waits, and only it can know the handle before the reply.
#include <cstring>

#include "mediator/executor/handlers.h"
#include "mediator/executor/jit_options.h"

namespace vgpu::executor {
namespace {

using Payload = std::vector<std::byte>;
namespace messages = protocol::messages;

// The wrapper that nvcc puts around a fat binary (fatbinary_section.h) holds a pointer, which would be the
// guest's.
constexpr uint32_t kFatBinaryWrapper = 0x466243b1;

bool holdsPointers(std::span<const std::byte> image) {
  uint32_t magic = 0;
  if (image.size() >= sizeof magic) std::memcpy(&magic, image.data(), sizeof magic);
  return magic == kFatBinaryWrapper;
}

struct Beside {
  std::function<CUresult()> work;            // on a worker, in the guest thread's context
  std::function<void(CUresult)> finish;      // on the dispatcher, before the guest can use the outcome
  std::function<Payload(CUresult)> payload;  // on the worker, after the work; empty: none
};

void runBeside(Execution& execution, const Submission& s, Beside beside) {
  execution.workers.run([&execution, to = s.to, number = s.number, context = s.context,
                         beside = std::move(beside), since = now()] {
    execution.enterContext(context);
    const CUresult status = beside.work();
    execution.toDispatcher([finish = beside.finish, status] { finish(status); }, false);
    link::StatisticsPage& statistics = execution.statistics;
    if (status != CUDA_SUCCESS) statistics.calls[number].errors.fetch_add(1, std::memory_order_relaxed);
    link::LatencyCounters& latency = statistics.latency[static_cast<size_t>(link::CallClass::Compile)];
    const auto took = static_cast<uint64_t>(std::chrono::nanoseconds(now() - since).count());
    latency.sumNanoseconds.fetch_add(took, std::memory_order_relaxed);
    latency.buckets[link::latencyBucket(took)].fetch_add(1, std::memory_order_relaxed);
    execution.channel.reply(to, status, beside.payload ? beside.payload(status) : Payload());
  });
}

// LoadReply and the two logs.
Payload logsPayload(const JitArguments& jit) {
  const JitLogs logs = logsOf(jit);
  const messages::LoadReply lengths{static_cast<uint32_t>(logs.error.size()),
                                    static_cast<uint32_t>(logs.info.size())};
  Payload payload;
  for (const auto part :
       {std::as_bytes(std::span(&lengths, 1)), std::as_bytes(logs.error), std::as_bytes(logs.info)})
    payload.insert(payload.end(), part.begin(), part.end());
  return payload;
}

messages::JitOptions noOptions() {
  messages::JitOptions options;
  std::memset(&options, 0xff, sizeof options);
  options.errorLogBytes = options.infoLogBytes = 0;
  return options;
}

struct Loading {
  std::vector<std::byte> image;
  std::unique_ptr<JitArguments> jit;
  CUmodule module = nullptr;
  CUlibrary library = nullptr;
};

// The image that a load names; null after an answer.
std::shared_ptr<Loading> takeImage(Execution& execution, Submission& s, uint32_t blob, bool hasOptions,
                                   const messages::JitOptions& options) {
  auto image = execution.blobs.take(blob);
  const bool usable = image && !holdsPointers(*image);
  if (!usable) {
    execution.reply(s, image ? CUDA_ERROR_INVALID_IMAGE : CUDA_ERROR_OUT_OF_MEMORY);
    return nullptr;
  }
  auto loading = std::make_shared<Loading>();
  loading->image = std::move(*image);
  loading->jit = makeJitArguments(hasOptions ? options : noOptions());
  return loading;
}

}  // namespace

void handleBlobAppend(Execution& execution, Submission& s, const messages::BlobAppend& message, Decoder&) {
  switch (execution.blobs.append(message.blob, message.totalBytes, s.data)) {
    case Blobs::Append::Ok:
      return execution.posted(s, CUDA_SUCCESS);
    // The load that names the blob will fail for want of it: the error belongs there.
    case Blobs::Append::NoMemory:
      return execution.posted(s, CUDA_SUCCESS);
    case Blobs::Append::Lie:
      return execution.lie(s, "sends more of an image than it announced");
  }
}

void handleModuleLoad(Execution& execution, Submission& s, const messages::ModuleLoad& message, Decoder&) {
  if (!execution.isFree<Kind::Module>(s, message.module)) return;
  auto loading = takeImage(execution, s, message.blob, message.hasOptions != 0, message.options);
  if (!loading) return;
  const Handle handle(message.module);
  execution.objects.modules.reserve(handle);
  Beside beside;
  beside.work = [&driver = execution.driver, loading] {
    JitArguments& jit = *loading->jit;
    return driver.cuModuleLoadDataEx(&loading->module, loading->image.data(),
                                     static_cast<unsigned>(jit.options.size()), jit.options.data(),
                                     jit.values.data());
  };
  beside.finish = [&execution, loading, handle, context = s.context](CUresult status) {
    execution.objects.modules.unreserve(handle);
    if (status != CUDA_SUCCESS) return;
    execution.objects.modules.insert(handle,
                                     std::make_unique<ModuleObject>(ModuleObject{loading->module, context}));
  };
  beside.payload = [loading](CUresult) { return logsPayload(*loading->jit); };
  runBeside(execution, s, std::move(beside));
}

void handleLibraryLoad(Execution& execution, Submission& s, const messages::LibraryLoad& message, Decoder&) {
  if (!execution.isFree<Kind::Library>(s, message.library)) return;
  auto loading = takeImage(execution, s, message.blob, message.hasOptions != 0, message.options);
  if (!loading) return;
  const Handle handle(message.library);
  execution.objects.libraries.reserve(handle);
  Beside beside;
  // BINARY_IS_PRESERVED is a promise about the program's memory; ours goes after the load, so it is not
  // passed on.
  beside.work = [&driver = execution.driver, loading] {
    JitArguments& jit = *loading->jit;
    return driver.cuLibraryLoadData(&loading->library, loading->image.data(), jit.options.data(),
                                    jit.values.data(), static_cast<unsigned>(jit.options.size()), nullptr,
                                    nullptr, 0);
  };
  beside.finish = [&execution, loading, handle](CUresult status) {
    execution.objects.libraries.unreserve(handle);
    if (status != CUDA_SUCCESS) return;
    execution.objects.libraries.insert(handle,
                                       std::make_unique<LibraryObject>(LibraryObject{loading->library}));
  };
  beside.payload = [loading](CUresult) { return logsPayload(*loading->jit); };
  runBeside(execution, s, std::move(beside));
}

// ---- functions

namespace {

struct Name {
  char text[protocol::kMaxNameBytes + 1];
  bool read(Execution& execution, const Submission& s, Decoder& rest) {
    const auto name = rest.getString(protocol::kMaxNameBytes);
    if (rest.failed()) {
      execution.lie(s, "has no name, or one that is too long");
      return false;
    }
    text[name.copy(text, name.size())] = 0;
    return true;
  }
};

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
  Name name;
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
  Name name;
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

void handleLibraryGetModule(Execution& execution, Submission& s, const messages::LibraryGetModule& message,
                            Decoder&) {
  if (!execution.isFree<Kind::Module>(s, message.module)) return;
  const auto* library = execution.find<Kind::Library>(s, message.library);
  if (execution.lied()) return;
  if (!library) return execution.reply(s, CUDA_ERROR_INVALID_HANDLE);
  auto module = std::make_unique<ModuleObject>();
  module->context = s.context;
  const CUresult status = execution.driver.cuLibraryGetModule(&module->driver, library->driver);
  if (status == CUDA_SUCCESS) execution.objects.modules.insert(Handle(message.module), std::move(module));
  execution.reply(s, status);
}

namespace {

// All names of a module's functions or a library's kernels, in the driver's order.
CUresult namesOf(Execution& execution, const Submission& s, uint64_t owner, std::vector<std::string>& names) {
  const Driver& driver = execution.driver;
  unsigned count = 0;
  const auto note = [&](CUresult status, const char* name) {
    if (status == CUDA_SUCCESS && name) names.emplace_back(name);
    return status;
  };
  const char* name = nullptr;
  if (Handle(owner).kind() == Kind::Library) {
    const auto* library = execution.find<Kind::Library>(s, owner);
    if (!library) return CUDA_ERROR_INVALID_HANDLE;
    if (!driver.cuLibraryGetKernelCount || !driver.cuLibraryEnumerateKernels || !driver.cuKernelGetName)
      return CUDA_ERROR_NOT_SUPPORTED;
    CUresult status = driver.cuLibraryGetKernelCount(&count, library->driver);
    std::vector<CUkernel> kernels(count);
    if (status == CUDA_SUCCESS && count)
      status = driver.cuLibraryEnumerateKernels(kernels.data(), count, library->driver);
    for (size_t i = 0; i < count && status == CUDA_SUCCESS; ++i)
      status = note(driver.cuKernelGetName(&name, kernels[i]), name);
    return status;
  }
  const auto* module = execution.find<Kind::Module>(s, owner);
  if (!module) return CUDA_ERROR_INVALID_HANDLE;
  if (!driver.cuModuleGetFunctionCount || !driver.cuModuleEnumerateFunctions || !driver.cuFuncGetName)
    return CUDA_ERROR_NOT_SUPPORTED;
  CUresult status = driver.cuModuleGetFunctionCount(&count, module->driver);
  std::vector<CUfunction> functions(count);
  if (status == CUDA_SUCCESS && count)
    status = driver.cuModuleEnumerateFunctions(functions.data(), count, module->driver);
  for (size_t i = 0; i < count && status == CUDA_SUCCESS; ++i)
    status = note(driver.cuFuncGetName(&name, functions[i]), name);
  return status;
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

// ---- what forwarded rows need beside their roles

void rememberGlobal(Execution& execution, const Submission& s, bool managed, uint64_t address,
                    uint64_t sizeBytes, const void* owner) {
  MemoryBlock block;
  block.address = address;
  block.sizeBytes = sizeBytes;
  block.kind = MemoryKind::Global;
  block.context = s.context;
  block.owner = owner;
  block.managedGlobal = managed;
  execution.addresses.insert(std::move(block));  // known already where it was asked for before
}

void forgetCode(Execution& execution, const void* owner) {
  const auto isOwned = [owner](const FunctionObject& function) { return function.owner == owner; };
  execution.objects.functions.removeIf(isOwned);
  execution.objects.kernels.removeIf(isOwned);
  const auto ofOwner = [owner](const MemoryBlock& block) {
    return block.kind == MemoryKind::Global && block.owner == owner;
  };
  while (const MemoryBlock* block = execution.addresses.findIf(ofOwner))
    execution.addresses.remove(block->address);
}

// ---- linking

namespace {

LinkObject* enterLink(Execution& execution, Submission& s, uint64_t bits) {
  LinkObject* link = execution.find<Kind::Link>(s, bits);
  if (execution.lied()) return nullptr;
  if (!link || link->busy) {
    execution.reply(s, link ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE);
    return nullptr;
  }
  return link;
}

}  // namespace

void handleLinkCreate(Execution& execution, Submission& s, const messages::LinkCreate& message, Decoder&) {
  if (!execution.isFree<Kind::Link>(s, message.link)) return;
  auto link = std::make_unique<LinkObject>();
  link->context = s.context;
  link->arguments = makeJitArguments(message.options);
  JitArguments& jit = *link->arguments;
  const CUresult status = execution.driver.cuLinkCreate_v2(
      static_cast<unsigned>(jit.options.size()), jit.options.data(), jit.values.data(), &link->driver);
  if (status == CUDA_SUCCESS) execution.objects.links.insert(Handle(message.link), std::move(link));
  execution.reply(s, status);
}

void handleLinkAdd(Execution& execution, Submission& s, const messages::LinkAdd& message, Decoder& rest) {
  auto name = std::make_shared<Name>();
  if (!name->read(execution, s, rest)) return;
  LinkObject* link = enterLink(execution, s, message.link);
  if (!link) return;
  auto image = execution.blobs.take(message.blob);
  if (!image || holdsPointers(*image)) return execution.reply(s, CUDA_ERROR_INVALID_IMAGE);
  // PTX is text with its terminating zero; anything else says itself how long it is.
  size_t sizeBytes = image->size() - Blobs::kPaddingBytes;
  if (message.type == CU_JIT_INPUT_PTX && (*image)[sizeBytes - 1] != std::byte{0}) ++sizeBytes;
  link->busy = true;
  Beside beside;
  beside.work = [&driver = execution.driver, link, name, sizeBytes, type = message.type,
                 bytes = std::make_shared<std::vector<std::byte>>(std::move(*image))] {
    return driver.cuLinkAddData_v2(link->driver, static_cast<CUjitInputType>(type), bytes->data(), sizeBytes,
                                   name->text, 0, nullptr, nullptr);
  };
  beside.finish = [link](CUresult) { link->busy = false; };
  runBeside(execution, s, std::move(beside));
}

void handleLinkComplete(Execution& execution, Submission& s, const messages::LinkComplete& message,
                        Decoder&) {
  LinkObject* link = enterLink(execution, s, message.link);
  if (!link) return;
  link->busy = true;
  Beside beside;
  beside.work = [&driver = execution.driver, link] {
    void* image = nullptr;
    size_t sizeBytes = 0;
    const CUresult status = driver.cuLinkComplete(link->driver, &image, &sizeBytes);
    const auto* bytes = static_cast<const std::byte*>(image);
    if (status == CUDA_SUCCESS) link->image.assign(bytes, bytes + sizeBytes);
    return status;
  };
  beside.finish = [link](CUresult) { link->busy = false; };
  beside.payload = [link](CUresult) {
    const JitLogs logs = logsOf(*link->arguments);
    const messages::LinkCompleteReply reply{link->image.size(), static_cast<uint32_t>(logs.error.size()),
                                            static_cast<uint32_t>(logs.info.size())};
    const auto bytes = std::as_bytes(std::span(&reply, 1));
    return Payload(bytes.begin(), bytes.end());
  };
  runBeside(execution, s, std::move(beside));
}

void handleLinkRead(Execution& execution, Submission& s, const messages::LinkRead& message, Decoder&) {
  const LinkObject* link = enterLink(execution, s, message.link);
  if (!link) return;
  const JitLogs logs = logsOf(*link->arguments);
  std::span<const std::byte> from = link->image;
  if (message.what == 1) from = std::as_bytes(logs.error);
  if (message.what == 2) from = std::as_bytes(logs.info);
  const size_t most = s.to.slot == transport::kNoSlot ? transport::kReplyInlineBytes : s.to.slotBytes;
  if (message.what > 2 || message.offset > from.size() || message.sizeBytes > from.size() - message.offset ||
      message.sizeBytes > most) {
    return execution.reply(s, CUDA_ERROR_INVALID_VALUE);
  }
  execution.reply(s, CUDA_SUCCESS, from.subspan(message.offset, message.sizeBytes));
}

}  // namespace vgpu::executor
