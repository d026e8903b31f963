#include "cpu_driver/api/transfer.h"

namespace vgpu::cpu {
namespace {

// Work that is done sooner than a worker wakes.
constexpr size_t kLightBytes = 64 * 1024;
// More than this is not kept aside for a stream that is busy; the call waits instead.
constexpr size_t kMostStagedBytes = size_t{64} << 20;

uintptr_t lastByte(const Layout& layout, size_t widthBytes, size_t height, size_t depth) {
  return (depth - 1) * layout.sliceBytes + (height - 1) * layout.pitchBytes + widthBytes;
}

CopyPlan dense(const CopyPlan& plan, std::byte* base) {
  CopyPlan to = plan;
  to.destination = {base, plan.widthBytes, plan.widthBytes * plan.height};
  return to;
}

void submitTo(Stream& stream, const CopyPlan& plan, bool light) {
  if (light) {
    stream.enqueueLight<CopyWork>(plan);
  } else {
    stream.enqueue<CopyWork>(plan);
  }
}

CUresult copyStaged(Stream& stream, const CopyPlan& plan) {
  std::vector<std::byte> staged(plan.bytes());
  runCopy(dense(plan, staged.data()));
  return submit(stream, CU_GRAPH_NODE_TYPE_MEMCPY,
                [plan, staged = std::move(staged)](Stream& on) { on.enqueueLight<CopyWork>(plan, staged); });
}

CUresult copyAndWait(Context& context, Stream& stream, const CopyPlan& plan) {
  const CUresult result =
      submit(stream, CU_GRAPH_NODE_TYPE_MEMCPY, [plan](Stream& on) { submitTo(on, plan, true); });
  if (result != CUDA_SUCCESS) return result;
  stream.waitAll();
  return context.surface();
}

}  // namespace

bool isKnown(const Side& side, size_t widthBytes, size_t height, size_t depth) {
  if (side.place == Place::Array) return true;
  const auto address = reinterpret_cast<uintptr_t>(side.layout.base);
  return driver().memory().addresses().covers(address, lastByte(side.layout, widthBytes, height, depth));
}

CUresult transfer(Context& context, Stream& stream, Side destination, Side source, size_t widthBytes,
                  size_t height, size_t depth, Waiting waiting) {
  if (widthBytes == 0 || height == 0 || depth == 0) return CUDA_SUCCESS;
  const bool knownDestination = isKnown(destination, widthBytes, height, depth);
  const bool knownSource = isKnown(source, widthBytes, height, depth);
  if (destination.place == Place::Device && !knownDestination) return CUDA_ERROR_INVALID_VALUE;
  if (source.place == Place::Device && !knownSource) return CUDA_ERROR_INVALID_VALUE;
  const CopyPlan plan{destination.layout, source.layout, widthBytes, height, depth};
  const bool captured = driver().captures().any() && capturing(stream);
  if (captured && waiting == Waiting::Synchronous) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  const bool small = plan.bytes() <= kLightBytes;
  if (captured || (waiting == Waiting::Asynchronous && knownDestination && knownSource)) {
    return submit(stream, CU_GRAPH_NODE_TYPE_MEMCPY,
                  [plan, small](Stream& on) { submitTo(on, plan, small); });
  }
  // Between device addresses the vendor's driver does not wait either.
  const bool onDevice = destination.place != Place::Host && source.place != Place::Host;
  if (onDevice && knownDestination && knownSource) {
    return submit(stream, CU_GRAPH_NODE_TYPE_MEMCPY,
                  [plan, small](Stream& on) { submitTo(on, plan, small); });
  }
  const bool mayStage = !knownSource && knownDestination && !stream.isIdle() &&
                        plan.bytes() <= (waiting == Waiting::Asynchronous ? kMostStagedBytes : kLightBytes);
  return mayStage ? copyStaged(stream, plan) : copyAndWait(context, stream, plan);
}

CUresult transferLinear(CUstream handle, Place to, uintptr_t destination, Place from, uintptr_t source,
                        size_t bytes, Waiting waiting) {
  const auto body = [&](Context& context) -> CUresult {
    Stream* stream = findStream(context, handle);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (bytes != 0 && (!destination || !source)) return CUDA_ERROR_INVALID_VALUE;
    const Side toSide{to, {reinterpret_cast<std::byte*>(destination), bytes, bytes}};
    const Side fromSide{from, {reinterpret_cast<std::byte*>(source), bytes, bytes}};
    return transfer(context, *stream, toSide, fromSide, bytes, 1, 1, waiting);
  };
  return waiting == Waiting::Synchronous ? withContextUncaptured(body) : withContext(body);
}

}  // namespace vgpu::cpu
