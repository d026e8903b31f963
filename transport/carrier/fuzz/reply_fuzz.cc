// The byte stream of a hostile host against a real guest channel that waits for a reply, a download and
// events.
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "transport/carrier/stream_guest_channel.h"

using namespace vgpu;
using namespace vgpu::transport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 0;
  UniqueFd host(pair[0]);
  const ChannelLimits limits{.threads = 16, .streams = 16, .slots = 4, .slotBytes = 8192};
  const auto guest = makeStreamGuestChannel(UniqueFd(pair[1]), limits);
  std::array<std::byte, 100> downloaded, payload;
  const Download download = guest->beginDownload(1, 0, {}, downloaded);  // sequence 1, slot 0
  size = std::min<size_t>(size, 100'000);
  if (::send(host.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return 0;
  ::shutdown(host.get(), SHUT_WR);
  const Reply reply = guest->call(1, 0, {}, payload);  // sequence 2, slot 1
  CHECK(reply.lost || reply.payloadBytes <= payload.size());
  const Reply finished = guest->finishDownload(download);
  CHECK(finished.lost || finished.payloadBytes <= downloaded.size());
  Event event;
  while (guest->waitEvent(event) == Wait::Ready) CHECK(event.bytes.size() <= kMaxEventBytes);
  return 0;
}
