#include "mediator/link/session_assignment.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <limits>

#include "base/fd_passing.h"
#include "mediator/link/encoding.h"

namespace vgpu::link {
namespace {

constexpr uint64_t kAssignmentMagic = 0x316e6769'73736176;  // "vassign1"
constexpr uint64_t kReportMagic = 0x31747065'72767264;      // "drvrept1"
constexpr size_t kLongestText = 1024;
constexpr uint32_t kAny32 = std::numeric_limits<uint32_t>::max();

std::string shortened(const std::string& text) { return text.substr(0, kLongestText); }

}  // namespace

Status reportDriver(int controlSocket, const DriverReport& report) {
  Encoder out;
  out.word(kReportMagic);
  out.word(report.driverVersion);
  out.text(shortened(report.failure));
  const size_t count = std::min(report.devices.size(), kMaxReportedDevices);
  out.word(count);
  for (size_t i = 0; i < count; ++i) {
    const DeviceReport& device = report.devices[i];
    out.text(device.name.substr(0, 256));
    out.text(device.uuid.substr(0, 64));
    for (uint64_t value : {device.memoryBytes, uint64_t{device.computeMajor}, uint64_t{device.computeMinor},
                           uint64_t{device.multiprocessors}}) {
      out.word(value);
    }
  }
  return sendWithFds(controlSocket, out.bytes(), {});
}

Result<std::optional<DriverReport>> readDriverReport(int controlSocket) {
  const std::string operation = "read an executor's driver report";
  std::array<std::byte, kMaxControlMessageBytes> buffer;
  ssize_t got;
  do {
    got = ::recv(controlSocket, buffer.data(), buffer.size(), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return std::optional<DriverReport>();
  if (got < 0) return errnoError(operation);
  if (got == 0) return Error{operation, "the executor has ended"};

  Decoder in(std::span(buffer).first(static_cast<size_t>(got)));
  if (in.word() != kReportMagic) return Error{operation, "not a driver report of this version"};
  DriverReport report;
  report.driverVersion = static_cast<uint32_t>(in.word(kAny32));
  report.failure = in.text(kLongestText);
  const uint64_t count = in.word(kMaxReportedDevices);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    DeviceReport device;
    device.name = in.text(256);
    device.uuid = in.text(64);
    device.memoryBytes = in.word();
    device.computeMajor = static_cast<uint32_t>(in.word(kAny32));
    device.computeMinor = static_cast<uint32_t>(in.word(kAny32));
    device.multiprocessors = static_cast<uint32_t>(in.word(kAny32));
    report.devices.push_back(std::move(device));
  }
  if (!in.atEnd()) return Error{operation, "cut short, too long, or a value out of range"};
  return std::optional<DriverReport>(std::move(report));
}

Status assignSession(int controlSocket, const SessionAssignment& assignment, int guestSocket) {
  Encoder out;
  out.word(kAssignmentMagic);
  out.word(assignment.sessionId);
  out.word(static_cast<uint64_t>(assignment.socket));
  out.text(shortened(assignment.endpoint));
  out.word(assignment.peerUid);
  out.word(static_cast<uint32_t>(assignment.peerProcess));
  const int fds[] = {guestSocket};
  return sendWithFds(controlSocket, out.bytes(), fds);
}

Result<std::optional<AssignedSession>> receiveSession(int controlSocket) {
  const std::string operation = "receive a session from the mediator";
  std::array<std::byte, kMaxControlMessageBytes> buffer;
  Result<ReceivedMessage> message = receiveWithFds(controlSocket, buffer);
  if (!message) return message.error();
  if (message->sizeBytes == 0) return std::optional<AssignedSession>();

  Decoder in(std::span(buffer).first(message->sizeBytes));
  if (in.word() != kAssignmentMagic) return Error{operation, "another version of vgpu-mediator"};
  AssignedSession session;
  session.assignment.sessionId = in.word();
  session.assignment.socket = static_cast<GuestSocket>(in.word(static_cast<uint64_t>(GuestSocket::Tcp)));
  session.assignment.endpoint = in.text(kLongestText);
  session.assignment.peerUid = static_cast<uint32_t>(in.word(kAny32));
  session.assignment.peerProcess = static_cast<int32_t>(in.word(kAny32));
  if (!in.atEnd()) return Error{operation, "cut short, too long, or a value out of range"};
  if (message->fds.size() != 1) return Error{operation, "the guest's socket is missing"};
  session.guestSocket = std::move(message->fds[0]);
  return std::optional<AssignedSession>(std::move(session));
}

}  // namespace vgpu::link
