#include "mediator/daemon/event_loop.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <vector>

namespace vgpu::daemon {
namespace {

using namespace std::chrono_literals;

struct Readable {
  UniqueFd fd{::eventfd(1, EFD_CLOEXEC)};
};

TEST(EventLoop, CallsWhatIsReadable) {
  auto loop = *EventLoop::make();
  Readable event;
  int calls = 0;
  ASSERT_TRUE(loop.watch(event.fd.get(), [&] {
    if (++calls == 3) loop.stop();
  }));
  loop.run();
  EXPECT_EQ(calls, 3);
}

TEST(EventLoop, ACallbackMayForgetItselfAndOthers) {
  auto loop = *EventLoop::make();
  Readable first, second;
  int calls = 0;
  for (Readable* event : {&first, &second}) {
    ASSERT_TRUE(loop.watch(event->fd.get(), [&] {
      ++calls;
      loop.forget(first.fd.get());
      loop.forget(second.fd.get());
    }));
  }
  loop.after(20ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(calls, 1);
}

TEST(EventLoop, TimersComeInTheirOrder) {
  auto loop = *EventLoop::make();
  std::vector<int> order;
  loop.after(10ms, [&] { order.push_back(2); });
  loop.after(1ms, [&] { order.push_back(1); });
  loop.after(20ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST(EventLoop, ACancelledTimerDoesNotCome) {
  auto loop = *EventLoop::make();
  bool came = false;
  const auto timer = loop.after(1ms, [&] { came = true; });
  loop.cancel(timer);
  loop.cancel(timer);
  loop.after(10ms, [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(came);
}

TEST(EventLoop, ATimerMaySetTheNext) {
  auto loop = *EventLoop::make();
  int rounds = 0;
  std::function<void()> next = [&] {
    if (++rounds == 3) return loop.stop();
    loop.after(1ms, next);
  };
  loop.after(0ms, next);
  loop.run();
  EXPECT_EQ(rounds, 3);
}

}  // namespace
}  // namespace vgpu::daemon
