#include "shim/cuda/coherence.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "shim/cuda/completion.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

// Work that may write the memory for as long as its stream has not retired it.
struct Writer {
  Stream* stream;
  uint64_t sequence;
};

}  // namespace

constinit std::atomic<size_t> allocationsThatExistTwice{0};

struct Coherence {
  uint64_t host = 0, device = 0, sizeBytes = 0;
  std::vector<std::byte> twin;  // what both sides last agreed on
  std::mutex mutex;
  // Whether the device may have written since the bytes were fetched last, or may still write.
  bool deviceMayHaveWritten = false;
  std::vector<Writer> writers;  // the newest of each stream

  std::byte* hostBytes() const { return reinterpret_cast<std::byte*>(host); }
};

namespace {

constexpr size_t kWordBytes =
    4;  // changes are found and sent in words: a neighbour's word is never overwritten
constexpr size_t kPieceBytes = 64 * 1024;

constinit SharedState<std::vector<std::shared_ptr<Coherence>>> registry;

std::vector<std::shared_ptr<Coherence>> everything() {
  if (allocationsThatExistTwice.load(std::memory_order_acquire) == 0) return {};
  return *registry.lock();
}

size_t wordEnd(size_t offset, size_t sizeBytes) { return std::min(offset + kWordBytes, sizeBytes); }

// Calls `changed(begin, end)` for each run of words in [begin, end) where the two differ.
template <class Changed>
void eachDifference(const std::byte* left, const std::byte* right, size_t begin, size_t end,
                    Changed&& changed) {
  for (size_t piece = begin; piece < end; piece += kPieceBytes) {
    const size_t pieceEnd = std::min(piece + kPieceBytes, end);
    if (std::memcmp(left + piece, right + piece, pieceEnd - piece) == 0) continue;
    for (size_t at = piece; at < pieceEnd;) {
      size_t next = wordEnd(at, pieceEnd);
      if (std::memcmp(left + at, right + at, next - at) == 0) {
        at = next;
        continue;
      }
      const size_t start = at;
      while (at < pieceEnd && std::memcmp(left + at, right + at, (next = wordEnd(at, pieceEnd)) - at) != 0)
        at = next;
      changed(start, at);
    }
  }
}

CUresult push(const Submission& submission, Coherence& memory, size_t begin, size_t end) {
  std::lock_guard lock(memory.mutex);
  CUresult status = CUDA_SUCCESS;
  eachDifference(memory.hostBytes(), memory.twin.data(), begin, end, [&](size_t from, size_t to) {
    std::memcpy(memory.twin.data() + from, memory.hostBytes() + from, to - from);
    const CUresult sent = postWithData(submission, protocol::call::WriteHost,
                                       asBytes(protocol::messages::WriteHost{memory.device + from}),
                                       Bytes(memory.twin.data() + from, to - from));
    if (status == CUDA_SUCCESS) status = sent;
  });
  return status;
}

void takeOver(Coherence& memory, size_t offset, Bytes fresh) {
  std::byte* agreed = memory.twin.data() + offset;
  eachDifference(fresh.data(), agreed, 0, fresh.size(), [&](size_t from, size_t to) {
    std::memcpy(memory.hostBytes() + offset + from, fresh.data() + from, to - from);
    std::memcpy(agreed + from, fresh.data() + from, to - from);
  });
}

void addWriter(Coherence& memory, Stream& stream) {
  const Writer writer{&stream, stream.posted.get()};
  std::lock_guard lock(memory.mutex);
  memory.deviceMayHaveWritten = true;
  for (Writer& known : memory.writers) {
    if (known.stream != writer.stream) continue;
    known.sequence = std::max(known.sequence, writer.sequence);
    return;
  }
  memory.writers.push_back(writer);
}

// The wait that has ended was for one stream or event: what others still write has to be fetched again after
// them. What is over before the fetch begins is in it.
void forgetFinishedWriters(const Submission& submission, Coherence& memory) {
  std::erase_if(memory.writers,
                [&](const Writer& writer) { return isRetired(submission, *writer.stream, writer.sequence); });
  memory.deviceMayHaveWritten = !memory.writers.empty();
  for (const Writer& writer : memory.writers) askWhatRetires(submission, *writer.stream);
}

void pull(const Submission& submission, Coherence& memory) {
  std::lock_guard lock(memory.mutex);
  if (!memory.deviceMayHaveWritten) return;
  forgetFinishedWriters(submission, memory);
  transport::GuestChannel& channel = submission.session->channel();
  std::vector<std::byte> fresh(std::min<uint64_t>(memory.sizeBytes, channel.limits().slotBytes));
  for (size_t offset = 0; offset < memory.sizeBytes; offset += fresh.size()) {
    const size_t count = std::min<size_t>(fresh.size(), memory.sizeBytes - offset);
    const protocol::messages::ReadHost message{memory.device + offset, count};
    const auto download = channel.beginDownload(protocol::call::ReadHost, submission.thread->id(),
                                                asBytes(message), std::span(fresh).first(count));
    const transport::Reply reply = channel.finishDownload(download);
    if (reply.lost || reply.status != CUDA_SUCCESS || reply.payloadBytes != count) return;
    takeOver(memory, offset, Bytes(fresh).first(count));
  }
}

}  // namespace

std::shared_ptr<Coherence> makeCoherence(const Allocation& allocation) {
  auto memory = std::make_shared<Coherence>();
  memory->host = allocation.host;
  memory->device = allocation.address;
  memory->sizeBytes = allocation.sizeBytes;
  memory->twin.resize(allocation.sizeBytes);
  // The executor's side begins as zeros. Where the host's does not, the first push sends what differs from
  // them.
  const auto all = registry.lock();
  all->push_back(memory);
  allocationsThatExistTwice.store(all->size(), std::memory_order_release);
  return memory;
}

void dropCoherence(const Allocation& allocation) {
  if (!allocation.coherence) return;
  const auto all = registry.lock();
  std::erase(*all, allocation.coherence);
  allocationsThatExistTwice.store(all->size(), std::memory_order_release);
}

CUresult pushAllToDevice(const Submission& submission) {
  for (const auto& memory : everything()) {
    const CUresult status = push(submission, *memory, 0, memory->sizeBytes);
    if (status != CUDA_SUCCESS) return status;
  }
  return CUDA_SUCCESS;
}

CUresult pushRange(const Submission& submission, const Allocation& allocation, uint64_t host,
                   uint64_t sizeBytes) {
  const uint64_t begin = host - allocation.host;
  return push(submission, *allocation.coherence, begin, begin + sizeBytes);
}

void deviceHasWritten(const Allocation& allocation) {
  std::lock_guard lock(allocation.coherence->mutex);
  allocation.coherence->deviceMayHaveWritten = true;
}

void deviceWillWrite(const Allocation& allocation, Stream& stream) {
  addWriter(*allocation.coherence, stream);
}

void deviceWillWriteInAny(Stream& stream) {
  for (const auto& memory : everything()) addWriter(*memory, stream);
}

void pullFromDevice(const Submission& submission) {
  for (const auto& memory : everything()) pull(submission, *memory);
}

}  // namespace vgpu::shim
