// Modules, libraries, linking. Images arrive as blobs. Loading and linking run on a worker, beside
// the dispatcher: only the calling guest thread waits, and only it can know the handle before the reply.
#include <cstring>

#include "mediator/executor/handlers.h"
#include "mediator/executor/jit_options.h"
#include "mediator/executor/module_image.h"
#include "mediator/executor/received_name.h"

namespace vgpu::executor {
namespace {

using Payload = std::vector<std::byte>;
namespace messages = protocol::messages;

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
  ModuleImage image;
  std::unique_ptr<JitArguments> jit;
  CUmodule module = nullptr;
  CUlibrary library = nullptr;
};

// The image that a load names; null after an answer.
std::shared_ptr<Loading> takeImage(Execution& execution, Submission& s, uint32_t blob, bool hasOptions,
                                   const messages::JitOptions& options) {
  auto image = execution.blobs.take(blob);
  const bool usable = image && !ModuleImage::holdsPointers(*image);
  if (!usable) {
    execution.reply(s, image ? CUDA_ERROR_INVALID_IMAGE : CUDA_ERROR_OUT_OF_MEMORY);
    return nullptr;
  }
  auto loading = std::make_shared<Loading>();
  loading->image = ModuleImage(std::move(*image), Blobs::kPaddingBytes);
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
    return driver.cuModuleLoadDataEx(&loading->module, loading->image.forDriver(),
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
    return driver.cuLibraryLoadData(&loading->library, loading->image.forDriver(), jit.options.data(),
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
  auto name = std::make_shared<ReceivedName>();
  if (!name->read(execution, s, rest)) return;
  LinkObject* link = enterLink(execution, s, message.link);
  if (!link) return;
  auto image = execution.blobs.take(message.blob);
  if (!image || ModuleImage::holdsPointers(*image)) return execution.reply(s, CUDA_ERROR_INVALID_IMAGE);
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
