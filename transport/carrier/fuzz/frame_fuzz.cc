// The byte stream of a hostile guest, from its handshake's end on, against a real host channel over a socket
// pair.
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "transport/carrier/stream_host_channel.h"

using namespace vgpu;
using namespace vgpu::transport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 0;
  UniqueFd guest(pair[0]);
  const ChannelLimits limits{.threads = 16, .streams = 16, .slots = 4, .slotBytes = 8192};
  auto host = *makeStreamHostChannel(UniqueFd(pair[1]), limits);
  size = std::min<size_t>(size, 100'000);
  if (::send(guest.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return 0;
  ::shutdown(guest.get(), SHUT_WR);
  const auto record = std::make_unique<IncomingRecord>();
  while (host->next(*record) == Next::Record) {
    CHECK(record->arguments().size() <= kMaxArgumentBytes && record->dataBytes() <= limits.slotBytes);
    if (record->attachment() == Attachment::Download) {
      if (record->call() % 2)
        host->reply(record->replyTo(), 0, record->arguments());
      else
        host->completeDownload(record->replyTo(), 0, record->dataBytes());
    } else if (record->slot() != kNoSlot && record->call() % 3) {
      host->releaseSlot(record->slot());
    }
  }
  return 0;
}
