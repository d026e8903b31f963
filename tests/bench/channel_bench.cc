// Measures the channel without CUDA against the floors of the same run: a guest process (this one) and an
// executor process that does nothing with the records but copy their data. Prints one line a figure; give
// names of carriers (memfd unix-stream tcp floors) to measure only those.
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/floors.h"
#include "transport/carrier/accept.h"
#include "transport/carrier/connect.h"
#include "transport/ring/copy.h"

namespace vgpu::bench {
namespace {

using namespace transport;
using Clock = std::chrono::steady_clock;

constexpr size_t kBulkBytes = size_t{64} << 20;
constexpr size_t kChunkBytes = 256 * 1024;

enum Call : uint16_t { kAnswer = 1, kNothing, kUpload, kDownload };

double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void show(const std::string& name, double value, double floor, const char* unit, double scale,
          const char* must) {
  std::printf("%-46s %10.3f %-8s floor %10.3f  ratio %6.2f  %s\n", name.c_str(), value * scale, unit,
              floor * scale, floor > 0 ? value / floor : 0, must);
  std::fflush(stdout);
}

// The executor: device memory is a buffer, a stream runs everything at once.
[[noreturn]] void execute(UniqueFd socket) {
  Result<PendingGuest> pending = transport::accept(std::move(socket));
  if (!pending) ::_exit(1);
  auto made = (*std::move(pending)).welcome({});
  if (!made) ::_exit(1);
  HostChannel& host = **made;
  std::vector<std::byte> device(kBulkBytes, std::byte{1});
  auto record = std::make_unique<IncomingRecord>();
  for (;;) {
    const Next next = host.next(*record);
    if (next == Next::Interrupted) continue;
    if (next != Next::Record) ::_exit(0);
    size_t offset = 0;
    if (record->arguments().size() >= sizeof offset)
      std::memcpy(&offset, record->arguments().data(), sizeof offset);
    switch (record->call()) {
      case kAnswer:
        host.reply(record->replyTo(), 0);
        break;
      case kUpload:
        copyOut(device.data() + offset, record->data().data(), record->data().size());
        if (record->slot() != kNoSlot) host.releaseSlot(record->slot());
        break;
      case kDownload:
        std::memcpy(host.slotMemory(record->slot()).data(), device.data() + offset, record->dataBytes());
        host.completeDownload(record->replyTo(), 0, record->dataBytes());
        break;
      default:
        break;
    }
  }
}

class Session {
 public:
  explicit Session(const std::string& carrier) {
    char folder[] = "/tmp/vgpu-bench-XXXXXX";
    folder_ = ::mkdtemp(folder);
    Endpoint endpoint =
        *parseEndpoint(carrier == "tcp" ? "tcp:127.0.0.1:0"
                                        : (carrier == "memfd" ? "unix:" : "unix-stream:") + folder_ + "/s");
    UniqueFd listener = *listenOn(endpoint);
    if (carrier == "tcp") endpoint.port = *boundPort(listener.get());
    executor_ = ::fork();
    if (executor_ == 0) {
      for (;;) {
        UniqueFd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (socket.valid()) execute(std::move(socket));
        ::usleep(500);
      }
    }
    Connected connected = connect(endpoint, {});
    if (!connected.channel) {
      std::fprintf(stderr, "%s\n", connected.error->message.c_str());
      std::exit(1);
    }
    guest = std::move(connected.channel);
    thread = *guest->attachThread();
  }
  ~Session() {
    guest.reset();
    ::kill(executor_, SIGKILL);
    ::waitpid(executor_, nullptr, 0);
    ::unlink((folder_ + "/s").c_str());
    ::rmdir(folder_.c_str());
  }
  void sync() { guest->call(kAnswer, thread, {}, {}); }

  std::unique_ptr<GuestChannel> guest;
  uint16_t thread = 0;

 private:
  std::string folder_;
  pid_t executor_ = 0;
};

struct RoundTrip {
  double p50, p99;
};

RoundTrip roundTrip(Session& session, int count) {
  for (int i = 0; i < 1000; ++i) session.sync();
  std::vector<double> times;
  std::vector<double> batches;
  for (int b = 0; b < count / 100; ++b) {
    const auto start = Clock::now();
    for (int i = 0; i < 100; ++i) session.sync();
    batches.push_back(secondsSince(start) / 100);
  }
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    session.sync();
    times.push_back(secondsSince(start));
  }
  return {median(batches), percentile(times, 0.99)};
}

double threadSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

constexpr size_t kLaunchBytes = 192 - sizeof(RecordHeader);

void postLaunch(Session& session, uint16_t thread, const std::byte* arguments) {
  session.guest->post(kNothing, thread, kLaunchBytes,
                      [&](std::byte* into, uint64_t) { std::memcpy(into, arguments, kLaunchBytes); });
}

double postCost(Session& session, int threads) {
  const std::byte arguments[kLaunchBytes] = {};
  const int each = 1200 / threads;
  std::vector<double> times;
  for (int batch = 0; batch < 200; ++batch) {
    std::vector<double> own(static_cast<size_t>(threads));
    const auto produce = [&](int index) {
      const double start = threadSeconds();
      for (int i = 0; i < each; ++i) postLaunch(session, session.thread, arguments);
      own[static_cast<size_t>(index)] = (threadSeconds() - start) / each;
    };
    session.sync();
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(produce, i);
    produce(0);
    for (std::thread& other : others) other.join();
    session.sync();
    times.insert(times.end(), own.begin(), own.end());
  }
  return median(times);
}

double postRate(Session& session, int threads) {
  const std::byte arguments[kLaunchBytes] = {};
  constexpr int kRecords = 40'000;
  std::vector<double> rates;
  for (int batch = 0; batch < 15; ++batch) {
    const auto start = Clock::now();
    const auto produce = [&] {
      for (int i = 0; i < kRecords / threads; ++i) postLaunch(session, session.thread, arguments);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(produce);
    produce();
    for (std::thread& other : others) other.join();
    session.sync();
    rates.push_back(kRecords / secondsSince(start));
  }
  return median(rates);
}

double uploadBandwidth(Session& session) {
  std::vector<std::byte> source(kBulkBytes, std::byte{3});
  std::vector<double> times;
  for (int batch = 0; batch < 9; ++batch) {
    const auto start = Clock::now();
    for (size_t offset = 0; offset < kBulkBytes; offset += kChunkBytes)
      session.guest->postWithData(kUpload, session.thread, std::as_bytes(std::span(&offset, 1)),
                                  std::span(source).subspan(offset, kChunkBytes));
    session.sync();
    times.push_back(secondsSince(start));
  }
  return kBulkBytes / median(times);
}

double downloadBandwidth(Session& session) {
  std::vector<std::byte> target(kBulkBytes);
  std::vector<double> times;
  for (int batch = 0; batch < 9; ++batch) {
    const auto start = Clock::now();
    std::deque<Download> inFlight;
    for (size_t offset = 0; offset < kBulkBytes; offset += kChunkBytes) {
      if (inFlight.size() == kDownloadsInFlight) {
        session.guest->finishDownload(inFlight.front());
        inFlight.pop_front();
      }
      inFlight.push_back(session.guest->beginDownload(kDownload, session.thread,
                                                      std::as_bytes(std::span(&offset, 1)),
                                                      std::span(target).subspan(offset, kChunkBytes)));
    }
    for (const Download& download : inFlight) session.guest->finishDownload(download);
    times.push_back(secondsSince(start));
  }
  return kBulkBytes / median(times);
}

double afterIdle(Session& session) {
  std::vector<double> times;
  for (int i = 0; i < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    const auto start = Clock::now();
    session.sync();
    times.push_back(secondsSince(start));
  }
  return median(times);
}

void measureMemfd() {
  Session session("memfd");
  const RoundTrip trip = roundTrip(session, 40'000);
  const double r0 = pingPong();
  show("waiting call", trip.p50, r0, "us", 1e6, "must 4, aim 2");
  show("waiting call, p99", trip.p99, r0, "us", 1e6, "must 6");
  show("waiting call after idle", afterIdle(session), futexWakeAndAnswer(), "us", 1e6, "must 1.25");
  for (const int threads : {1, 2, 8}) {
    show("posted record, " + std::to_string(threads) + " threads", postCost(session, threads),
         ringRecord(threads), "ns", 1e9, "must 3, aim 2");
    show("posted records a second, " + std::to_string(threads) + " threads", postRate(session, threads),
         ringRate(threads), "M/s", 1e-6, "must 0.4, aim 0.7");
  }
  const double nt0 = streamedCopyBandwidth();
  show("host to device", uploadBandwidth(session), nt0, "GB/s", 1e-9, "must 0.75");
  show("device to host", downloadBandwidth(session), nt0, "GB/s", 1e-9, "must 0.7");
  std::vector<std::unique_ptr<Session>> idle;
  for (int i = 0; i < 64; ++i) idle.push_back(std::make_unique<Session>("memfd"));
  show("waiting call beside 64 idle sessions", roundTrip(session, 20'000).p50, roundTrip(session, 20'000).p50,
       "us", 1e6, "");
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  getrusage(RUSAGE_SELF, &after);
  const auto spent = static_cast<double>(after.ru_utime.tv_usec + after.ru_stime.tv_usec -
                                         before.ru_utime.tv_usec - before.ru_stime.tv_usec) *
                     1e-6;
  std::printf("%-46s %10.3f ms in 2 s (this side)\n", "64 idle sessions", spent * 1e3);
  idle.clear();
  show("the same without them", roundTrip(session, 20'000).p50, r0, "us", 1e6, "");
}

void measureStream(const std::string& carrier) {
  const Socket kind = carrier == "tcp" ? Socket::Tcp : Socket::Unix;
  Session session(carrier);
  const RoundTrip trip = roundTrip(session, 10'000);
  show(carrier + " waiting call", trip.p50, socketPingPong(kind), "us", 1e6, "must 1.3");
  show(carrier + " host to device", uploadBandwidth(session), socketBandwidth(kind), "GB/s", 1e-9,
       "must 0.9");
  show(carrier + " device to host", downloadBandwidth(session), socketBandwidth(kind), "GB/s", 1e-9,
       "must 0.9");
  show(carrier + " posted record", postCost(session, 1), ringRecord(1), "ns", 1e9, "");
  show(carrier + " posted records a second", postRate(session, 1), ringRate(1), "M/s", 1e-6, "");
}

void measureFloors() {
  std::printf("R0 %.3f us, record R0 %.3f us, S0 %.0f ns, futex %.1f us\n", pingPong() * 1e6,
              recordPingPong() * 1e6, systemCall() * 1e9, futexWakeAndAnswer() * 1e6);
  std::printf("M0 %.2f GB/s, NT0 %.2f GB/s\n", memcpyBandwidth() * 1e-9, streamedCopyBandwidth() * 1e-9);
}

}  // namespace
}  // namespace vgpu::bench

int main(int count, char** arguments) {
  const std::vector<std::string> all = {"floors", "memfd", "unix-stream", "tcp"};
  const std::vector<std::string> wanted =
      count > 1 ? std::vector<std::string>(arguments + 1, arguments + count) : all;
  for (const std::string& one : wanted) {
    if (one == "floors") vgpu::bench::measureFloors();
    if (one == "memfd") vgpu::bench::measureMemfd();
    if (one == "unix-stream" || one == "tcp") vgpu::bench::measureStream(one);
  }
}
