// Copies between pageable memory of the guest, whose bytes travel with the record, and memory of the session.
// An upload never keeps the guest waiting for a stream: it goes straight from the window slot while the
// stream is idle (or has nothing but such uploads before it), otherwise its bytes are staged and the slot is
// free at once.
#include "mediator/executor/handlers.h"

namespace vgpu::executor {
namespace {

using protocol::messages::BoxSide;
using protocol::messages::Place;

// Whether what the stream still has before it, if anything, are uploads that are about to end.
bool runsAtOnce(Execution& execution, StreamObject& stream, bool fromSlot) {
  if (stream.capturing) return false;
  if (fromSlot && stream.uploadEpoch == stream.context->epoch) return true;
  if (!execution.isIdle(stream)) return false;
  stream.uploadEpoch = stream.context->epoch;
  return true;
}

// An upload has begun, and is itself no reason not to begin the next in the same way.
void noteUpload(Execution& execution, StreamObject& stream, bool atOnce) {
  ++stream.sinceCheckpoint;
  if (!stream.busy) execution.markBusy(stream);
  ++stream.context->epoch;
  if (atOnce) stream.uploadEpoch = stream.context->epoch;
}

// The bytes of an upload, where the driver may read them until `after` is added: in the slot, or staged.
struct UploadSource {
  const std::byte* bytes = nullptr;
  StagingBlock* staging = nullptr;
};

void finishUpload(Execution& execution, Submission& s, StreamObject& stream, const UploadSource& source,
                  CUresult status) {
  if (source.staging) {
    Completion completion{.kind = Completion::Kind::GiveBackStaging,
                          .number = s.number,
                          .staging = source.staging,
                          .context = stream.context};
    if (status != CUDA_SUCCESS || execution.completions.add(stream.driver, completion) != CUDA_SUCCESS) {
      // Nobody tells when the copy is over: the block is not used again before the stream is.
      if (status == CUDA_SUCCESS) execution.driver.cuStreamSynchronize(stream.driver);
      execution.staging.giveBack(source.staging);
    }
    return execution.posted(s, status);
  }
  // Inline bytes belong to the record, which is over when we return.
  if (s.slot == transport::kNoSlot && status == CUDA_SUCCESS && !execution.isIdle(stream)) {
    execution.driver.cuStreamSynchronize(stream.driver);
  }
  if (s.slot != transport::kNoSlot && status == CUDA_SUCCESS && !execution.isIdle(stream)) {
    Completion completion{
        .kind = Completion::Kind::ReleaseSlot, .number = s.number, .slot = s.slot, .context = stream.context};
    if (execution.completions.add(stream.driver, completion) == CUDA_SUCCESS) {
      s.slotTaken = true;
    } else {
      execution.driver.cuStreamSynchronize(stream.driver);
    }
  }
  execution.posted(s, status);
}

// Decides where the bytes are read from. False: the operation is held.
bool chooseSource(Execution& execution, Submission& s, StreamObject& stream, UploadSource& source) {
  const bool direct = !s.replayed && execution.queues.admits(stream.queue) &&
                      runsAtOnce(execution, stream, s.slot != transport::kNoSlot);
  if (direct) {
    source.bytes = s.data.data();
    noteUpload(execution, stream, true);
    s.enqueued = true;
    return true;
  }
  const size_t bytes = s.data.size();
  if (!execution.beginWhen(stream, s, [&execution, bytes, &stream] {
        return execution.staging.mayHave(bytes, stream.context);
      }))
    return false;
  source.staging = execution.staging.take(bytes, stream.context);
  if (!source.staging) {  // as good as none: wait for the stream, then read in place
    execution.driver.cuStreamSynchronize(stream.driver);
    source.bytes = s.data.data();
    return true;
  }
  std::memcpy(source.staging->data, s.data.data(), bytes);
  source.bytes = source.staging->data;
  return true;
}

bool fitsStaging(Execution& execution, const Submission& s) {
  if (s.data.size() <= Staging::kLargestBytes) return true;
  execution.lie(s, "carries more data than a slot may hold");
  return false;
}

// Nothing is left to do; the driver is asked only whether the context has failed, as the copy would have
// been.
void finishInPlace(Execution& execution, Submission& s, StreamObject& stream) {
  const CUresult status = execution.driver.cuStreamQuery(stream.driver);
  s.enqueued = true;
  execution.posted(s, status == CUDA_ERROR_NOT_READY ? CUDA_SUCCESS : status);
}

}  // namespace

std::span<std::byte> uploadDestination(Execution& execution, Submission& s) {
  Decoder in(s.arguments);
  const auto message = in.get<protocol::messages::CopyUpload>();
  if (in.failed()) return {};
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (!stream || !execution.covers(s, message.destination, s.dataBytes)) return {};
  if (stream->capturing || !execution.queues.admits(stream->queue) || !execution.isIdle(*stream)) return {};
  void* place = execution.driver.vgpuCpuDriverHostAddress(message.destination, s.dataBytes);
  if (!place) return {};
  return {static_cast<std::byte*>(place), s.dataBytes};
}

void handleCopyUpload(Execution& execution, Submission& s, const protocol::messages::CopyUpload& message,
                      Decoder&) {
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (!stream) return execution.lied() ? void() : execution.posted(s, status);
  if (!fitsStaging(execution, s)) return;
  if (!execution.covers(s, message.destination, s.data.size()))
    return execution.posted(s, CUDA_ERROR_INVALID_VALUE);
  if (s.data.empty()) return execution.posted(s, CUDA_SUCCESS);
  if (s.inPlace) return finishInPlace(execution, s, *stream);
  UploadSource source;
  if (!chooseSource(execution, s, *stream, source)) return;
  status =
      execution.driver.cuMemcpyHtoDAsync_v2(message.destination, source.bytes, s.data.size(), stream->driver);
  finishUpload(execution, s, *stream, source, status);
}

namespace {

// Where a download's bytes go first: straight into the slot while the stream is idle, because a copy to
// pageable memory makes the driver wait for the stream (CUDA driver API, "API synchronization behavior"), and
// the dispatcher must not; otherwise to page-locked staging, from where they are copied when the copy is
// over.
struct DownloadTarget {
  std::byte* bytes = nullptr;
  StagingBlock* staging = nullptr;
};

// False: the operation is held.
bool chooseTarget(Execution& execution, Submission& s, StreamObject& stream, size_t bytes,
                  DownloadTarget& target) {
  const bool admitted = s.replayed || execution.mayBegin(stream);
  if (admitted && (stream.capturing || execution.isIdle(stream))) {
    target.bytes = execution.channel.slotMemory(s.to.slot).data();
    return execution.begin(stream, s);
  }
  if (bytes > Staging::kLargestBytes) {
    execution.lie(s, "wants more than a slot may hold");
    return false;
  }
  if (!execution.beginWhen(stream, s, [&execution, bytes, &stream] {
        return execution.staging.mayHave(bytes, stream.context);
      }))
    return false;
  target.staging = execution.staging.take(bytes, stream.context);
  target.bytes = target.staging ? target.staging->data : execution.channel.slotMemory(s.to.slot).data();
  return true;
}

// Answers a download whose copy was enqueued: now when it is over, otherwise when it will be.
void finishDownload(Execution& execution, Submission& s, StreamObject& stream, uint32_t bytes,
                    const DownloadTarget& target, CUresult status) {
  link::addOwned(execution.statistics.bytesToGuest, bytes);
  s.to.slotBytes = bytes;
  const Completion completion{.kind = Completion::Kind::FinishDownload,
                              .number = s.number,
                              .staging = target.staging,
                              .to = s.to,
                              .context = stream.context};
  if (status != CUDA_SUCCESS) {
    if (target.staging) execution.staging.giveBack(target.staging);
    execution.statistics.countError(s.number);
    return execution.channel.completeDownload(s.to, execution.settled(stream.context, status), 0);
  }
  if (!stream.capturing && execution.isIdle(stream)) {
    execution.flushOutput();
    return execution.completions.complete(completion, execution.driver.cuStreamQuery(stream.driver));
  }
  status = execution.completions.add(stream.driver, completion);
  if (status != CUDA_SUCCESS) execution.completions.complete(completion, status);
}

void refuseDownload(Execution& execution, Submission& s, CUresult status) {
  if (!execution.lied()) execution.reply(s, status);
}

}  // namespace

void handleCopyDownload(Execution& execution, Submission& s, const protocol::messages::CopyDownload& message,
                        Decoder&) {
  if (s.to.slot == transport::kNoSlot || message.sizeBytes > s.to.slotBytes)
    return execution.lie(s, "wants more than its slot holds");
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (!stream) return refuseDownload(execution, s, status);
  if (!execution.covers(s, message.source, message.sizeBytes))
    return refuseDownload(execution, s, CUDA_ERROR_INVALID_VALUE);
  if (message.sizeBytes == 0) return execution.reply(s, CUDA_SUCCESS);
  DownloadTarget target;
  if (!chooseTarget(execution, s, *stream, message.sizeBytes, target)) return;
  status =
      execution.driver.cuMemcpyDtoHAsync_v2(target.bytes, message.source, message.sizeBytes, stream->driver);
  finishDownload(execution, s, *stream, static_cast<uint32_t>(message.sizeBytes), target, status);
}

// ---- boxes

namespace {

uint64_t product(uint64_t a, uint64_t b) {
  uint64_t result;
  return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX : result;
}

// What one side of the box spans in memory, from its base on; UINT64_MAX where that overflows.
uint64_t spanBytes(const BoxSide& side, const protocol::messages::CopyBox& box) {
  const uint64_t slice = product(side.pitchBytes, side.rows);
  uint64_t last = 0;
  const uint64_t parts[] = {product(slice, side.z + box.depth - 1),
                            product(side.pitchBytes, side.y + box.height - 1), side.xBytes, box.widthBytes};
  for (const uint64_t part : parts) {
    if (__builtin_add_overflow(last, part, &last)) return UINT64_MAX;
  }
  return last;
}

struct Side {
  CUmemorytype type = CU_MEMORYTYPE_DEVICE;
  const void* host = nullptr;
  CUdeviceptr device = 0;
  CUarray array = nullptr;
  uint64_t pitchBytes = 0, rows = 0, xBytes = 0, y = 0, z = 0, level = 0;
};

bool resolveSide(Execution& execution, const Submission& s, const BoxSide& side,
                 const protocol::messages::CopyBox& box, const void* attached, Side& out, CUresult& status) {
  out = {.pitchBytes = side.pitchBytes,
         .rows = side.rows,
         .xBytes = side.xBytes,
         .y = side.y,
         .z = side.z,
         .level = side.level};
  switch (side.place) {
    case Place::Attached:
      if (!attached) {
        execution.lie(s, "has attached rows on the wrong side");
        return false;
      }
      out = {.type = CU_MEMORYTYPE_HOST, .host = attached, .pitchBytes = box.widthBytes, .rows = box.height};
      return true;
    case Place::Memory: {
      const bool shaped =
          side.pitchBytes >= box.widthBytes && side.y + box.height >= side.y && side.z + box.depth >= side.z;
      if (!shaped || !execution.covers(s, side.base, spanBytes(side, box))) status = CUDA_ERROR_INVALID_VALUE;
      out.device = side.base;
      return status == CUDA_SUCCESS;
    }
    case Place::Array: {
      const ArrayObject* array = execution.find<Kind::Array>(s, side.base);
      if (!array) status = CUDA_ERROR_INVALID_HANDLE;
      out.type = CU_MEMORYTYPE_ARRAY;
      if (array) out.array = array->driver;
      return array != nullptr;
    }
  }
  execution.lie(s, "names a place that does not exist");
  return false;
}

CUresult copyBox(Execution& execution, const Side& from, const Side& to,
                 const protocol::messages::CopyBox& box, CUstream stream) {
  CUDA_MEMCPY3D copy{};
  copy.srcXInBytes = from.xBytes;
  copy.srcY = from.y;
  copy.srcZ = from.z;
  copy.srcLOD = from.level;
  copy.srcMemoryType = from.type;
  copy.srcHost = from.host;
  copy.srcDevice = from.device;
  copy.srcArray = from.array;
  copy.srcPitch = from.pitchBytes;
  copy.srcHeight = from.rows;
  copy.dstXInBytes = to.xBytes;
  copy.dstY = to.y;
  copy.dstZ = to.z;
  copy.dstLOD = to.level;
  copy.dstMemoryType = to.type;
  copy.dstHost = const_cast<void*>(to.host);
  copy.dstDevice = to.device;
  copy.dstArray = to.array;
  copy.dstPitch = to.pitchBytes;
  copy.dstHeight = to.rows;
  copy.WidthInBytes = box.widthBytes;
  copy.Height = box.height;
  copy.Depth = box.depth;
  return execution.driver.cuMemcpy3DAsync_v2(&copy, stream);
}

bool isEmpty(const protocol::messages::CopyBox& box) {
  return box.widthBytes == 0 || box.height == 0 || box.depth == 0;
}
uint64_t boxBytes(const protocol::messages::CopyBox& box) {
  return product(product(box.widthBytes, box.height), box.depth);
}

}  // namespace

void handleCopyBox(Execution& execution, Submission& s, const protocol::messages::CopyBox& message,
                   Decoder&) {
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (!stream) return execution.lied() ? void() : execution.conclude(s, status);
  if (isEmpty(message)) return execution.conclude(s, CUDA_SUCCESS);
  const bool attached = message.source.place == Place::Attached;
  if (!fitsStaging(execution, s)) return;
  if (attached && boxBytes(message) != s.data.size())
    return execution.lie(s, "carries more or fewer rows than its box has");
  Side from, to;
  const void* placeholder = attached ? s.data.data() : nullptr;
  if (!resolveSide(execution, s, message.source, message, placeholder, from, status) ||
      !resolveSide(execution, s, message.destination, message, nullptr, to, status)) {
    return execution.lied() ? void() : execution.conclude(s, status);
  }
  if (!attached) {
    if (!execution.begin(*stream, s)) return;
    return execution.conclude(s, copyBox(execution, from, to, message, stream->driver));
  }
  UploadSource source;
  if (!chooseSource(execution, s, *stream, source)) return;
  from.host = source.bytes;
  finishUpload(execution, s, *stream, source, copyBox(execution, from, to, message, stream->driver));
}

void handleCopyBoxDownload(Execution& execution, Submission& s, const protocol::messages::CopyBox& message,
                           Decoder&) {
  if (s.to.slot == transport::kNoSlot || boxBytes(message) > s.to.slotBytes)
    return execution.lie(s, "wants more than its slot holds");
  if (message.destination.place != Place::Attached)
    return execution.lie(s, "has attached rows on the wrong side");
  CUresult status = CUDA_SUCCESS;
  StreamObject* stream = execution.stream(s, message.stream, status);
  if (!stream) return refuseDownload(execution, s, status);
  if (isEmpty(message)) return execution.reply(s, CUDA_SUCCESS);
  Side from, to;
  const uint64_t bytes = boxBytes(message);
  const std::byte placeholder{};
  if (!resolveSide(execution, s, message.source, message, nullptr, from, status) ||
      !resolveSide(execution, s, message.destination, message, &placeholder, to, status)) {
    return refuseDownload(execution, s, status);
  }
  DownloadTarget target;
  if (!chooseTarget(execution, s, *stream, bytes, target)) return;
  to.host = target.bytes;
  status = copyBox(execution, from, to, message, stream->driver);
  finishDownload(execution, s, *stream, static_cast<uint32_t>(bytes), target, status);
}

}  // namespace vgpu::executor
