#include "mediator/executor/stream_queue.h"

#include <gmock/gmock.h>

#include <memory>
#include <set>
#include <string>

namespace vgpu::executor {
namespace {

using ::testing::ElementsAre;

// Holds the streams it is told to hold.
class HoldingAdmission final : public Admission {
 public:
  bool mayStart(const StreamQueue& stream) override { return !held.contains(&stream); }
  std::set<const StreamQueue*> held;
};

class StreamQueuesTest : public ::testing::Test {
 protected:
  StreamQueuesTest() {
    for (StreamQueue* queue : {&legacy, &a, &b}) queue->group = &group;
    legacy.isLegacy = true;
    nonBlocking.group = &group;
    nonBlocking.isBlocking = false;
    group.legacy = &legacy;
  }

  // As the executor does: straight on where that is admitted, held otherwise.
  void submit(StreamQueue& queue, const std::string& name, std::function<bool()> ready = {}) {
    if (queues.admits(queue) && (!ready || ready())) {
      started.push_back(name);
      return;
    }
    HeldOperation operation;
    operation.start = [this, name] { started.push_back(name); };
    operation.ready = std::move(ready);
    operation.sizeBytes = 100;
    queues.hold(queue, std::move(operation));
  }

  HoldingAdmission admission;
  StreamQueues queues{admission};
  StreamGroup group;
  StreamQueue legacy, a, b, nonBlocking;
  std::vector<std::string> started;
};

TEST_F(StreamQueuesTest, OneStreamIsHeldWhileOthersGoOn) {
  admission.held.insert(&a);
  submit(a, "a1");
  submit(b, "b1");
  submit(a, "a2");
  submit(nonBlocking, "n1");
  EXPECT_THAT(started, ElementsAre("b1", "n1"));
  EXPECT_EQ(queues.heldOperations(), 2u);
  EXPECT_EQ(queues.heldBytes(), 200u);

  admission.held.clear();
  queues.pump();
  EXPECT_THAT(started, ElementsAre("b1", "n1", "a1", "a2"));
  EXPECT_FALSE(queues.anyHeld());
  EXPECT_EQ(queues.heldBytes(), 0u);
}

TEST_F(StreamQueuesTest, WhatFollowsAHeldOperationIsHeldToo) {
  admission.held.insert(&a);
  submit(a, "a1");
  admission.held.clear();
  submit(a, "a2");
  EXPECT_THAT(started, ElementsAre()) << "a2 must not overtake a1";
  queues.pump();
  EXPECT_THAT(started, ElementsAre("a1", "a2"));
}

TEST_F(StreamQueuesTest, TheLegacyStreamFollowsWhatBlockingStreamsHold) {
  admission.held.insert(&a);
  submit(a, "a1");
  submit(legacy, "legacy");
  submit(b, "b1");
  submit(nonBlocking, "n1");
  EXPECT_THAT(started, ElementsAre("n1")) << "b follows the legacy stream, which follows a";
  admission.held.clear();
  queues.pump();
  EXPECT_THAT(started, ElementsAre("n1", "a1", "legacy", "b1"));
}

TEST_F(StreamQueuesTest, BlockingStreamsFollowTheLegacyStreamOnlyFromThenOn) {
  admission.held.insert(&legacy);
  admission.held.insert(&a);
  submit(a, "a1");
  submit(legacy, "legacy");
  submit(a, "a2");
  admission.held.erase(&a);
  queues.pump();
  EXPECT_THAT(started, ElementsAre("a1")) << "a1 was there before the legacy operation, a2 came after it";
  admission.held.clear();
  queues.pump();
  EXPECT_THAT(started, ElementsAre("a1", "legacy", "a2"));
}

TEST_F(StreamQueuesTest, AnOperationWaitsForWhatItIsReadyAfter) {
  bool recorded = false;
  admission.held.insert(&a);
  submit(a, "record");
  submit(b, "wait", [&] { return recorded; });
  submit(b, "after");
  EXPECT_THAT(started, ElementsAre());
  admission.held.clear();
  queues.pump();
  EXPECT_THAT(started, ElementsAre("record"));
  recorded = true;
  queues.pump();
  EXPECT_THAT(started, ElementsAre("record", "wait", "after"));
}

TEST_F(StreamQueuesTest, AHostFunctionHoldsItsStreamUntilItHasReturned) {
  HeldOperation function;
  function.untilDone = true;
  function.start = [this] { started.push_back("function"); };
  queues.hold(a, std::move(function));
  queues.pump();
  submit(a, "a1");
  submit(b, "b1");
  submit(legacy, "legacy");
  EXPECT_THAT(started, ElementsAre("function", "b1"));
  queues.finish(a);
  EXPECT_THAT(started, ElementsAre("function", "b1", "a1", "legacy"));
}

TEST_F(StreamQueuesTest, AWaitBeginsWhenAllThatItCoversHasStarted) {
  admission.held = {&a, &b};
  submit(a, "a1");
  submit(b, "b1");
  bool reached = false;
  queues.afterHeld([&](const StreamQueue& queue) { return queue.group == &group; }, [&] { reached = true; });
  submit(a, "a2");
  admission.held = {&b};
  queues.pump();
  EXPECT_FALSE(reached);
  admission.held = {&a};
  queues.pump();
  EXPECT_TRUE(reached);
  EXPECT_THAT(started, ElementsAre("a1", "a2", "b1"));
}

TEST_F(StreamQueuesTest, AWaitThatCoversNothingHeldBeginsAtOnce) {
  admission.held = {&a};
  submit(a, "a1");
  bool reached = false;
  queues.afterHeld([&](const StreamQueue& queue) { return &queue == &b; }, [&] { reached = true; });
  EXPECT_TRUE(reached);
}

TEST_F(StreamQueuesTest, AStartMayEndItsOwnStream) {
  auto doomed = std::make_unique<StreamQueue>();
  doomed->group = &group;
  admission.held.insert(doomed.get());
  submit(*doomed, "d1");
  HeldOperation end;
  end.marker = true;
  end.start = [&] { doomed.reset(); };
  queues.hold(*doomed, std::move(end));
  admission.held.clear();
  queues.pump();
  EXPECT_THAT(started, ElementsAre("d1"));
  EXPECT_FALSE(queues.anyHeld());
}

}  // namespace
}  // namespace vgpu::executor
