#include "mediator/executor/output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "protocol/calls/messages.h"

namespace vgpu::executor {

using protocol::events::EventKind;
using protocol::events::Output;

Result<OutputForwarder> OutputForwarder::prepare(const Driver& driver) {
  OutputForwarder forwarder;
  if (driver.vgpuCpuDriverSetOutput) return forwarder;
  for (int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errnoError("pipe for device output");
    forwarder.pipes_[static_cast<size_t>(fd) - 1] = UniqueFd(ends[0]);
    UniqueFd writing(ends[1]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    if (::dup2(writing.get(), fd) < 0) return errnoError("redirect device output");
  }
  return forwarder;
}

void OutputForwarder::start(const Driver& driver, transport::HostChannel& channel) {
  channel_ = &channel;
  if (driver.vgpuCpuDriverSetOutput) return driver.vgpuCpuDriverSetOutput(&OutputForwarder::take, this);
  // A driver that fills the pipe would block: somebody reads also while nobody waits.
  std::thread([this] {
    for (;;) {
      pollfd readable[2] = {{pipes_[0].get(), POLLIN, 0}, {pipes_[1].get(), POLLIN, 0}};
      if (::poll(readable, 2, -1) <= 0) continue;
      if ((readable[0].revents | readable[1].revents) & (POLLERR | POLLNVAL)) return;
      flush();
    }
  }).detach();
}

void OutputForwarder::take(int fd, const void* text, size_t sizeBytes, void* user) {
  static_cast<OutputForwarder*>(user)->post(fd, {static_cast<const std::byte*>(text), sizeBytes});
}

void OutputForwarder::post(int fd, std::span<const std::byte> text) {
  constexpr size_t kMostBytes = transport::kMaxEventBytes - sizeof(Output);
  std::array<std::byte, transport::kMaxEventBytes> event;
  while (!text.empty()) {
    const size_t bytes = std::min(text.size(), kMostBytes);
    const Output head{fd, 0};
    std::memcpy(event.data(), &head, sizeof head);
    std::memcpy(event.data() + sizeof head, text.data(), bytes);
    channel_->postEvent(static_cast<uint16_t>(EventKind::Output),
                        std::span(event).first(sizeof head + bytes));
    text = text.subspan(bytes);
  }
}

void OutputForwarder::flush() {
  if (!pipes_[0].valid()) return;
  std::lock_guard lock(mutex_);
  for (size_t which : {size_t{0}, size_t{1}}) drain(which);
}

void OutputForwarder::drain(size_t which) {
  std::array<std::byte, 4096> bytes;
  for (;;) {
    const ssize_t got = ::read(pipes_[which].get(), bytes.data(), bytes.size());
    if (got <= 0) return;
    post(static_cast<int>(which) + 1, std::span(bytes).first(static_cast<size_t>(got)));
  }
}

}  // namespace vgpu::executor
