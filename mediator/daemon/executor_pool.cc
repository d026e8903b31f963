#include "mediator/daemon/executor_pool.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace vgpu::daemon {
namespace {

using namespace std::chrono_literals;
constexpr auto kPrestartDelay = 100ms;
constexpr std::chrono::milliseconds kFirstBackoff = 500ms, kLongestBackoff = 60s;

}  // namespace

void ExecutorPool::configure(const Configuration& configuration) {
  configuration_ = configuration;
  backoff_ = 0ms;
  if (!waiting_) return;
  const Placement placement = waitingFor_;
  dropWaiting();
  prestartLater(placement);
}

Result<ExecutorProcess> ExecutorPool::take(const Placement& placement) {
  if (waiting_ && waitingFor_ == placement) {
    if (!reported_) onReport();
  }
  if (waiting_ && waitingFor_ == placement) {
    loop_.forget(waiting_->pidfd());
    loop_.forget(waiting_->control());
    ExecutorProcess taken = std::move(*waiting_);
    waiting_.reset();
    return taken;
  }
  dropWaiting();
  return launchExecutor(configuration_, installation_, placement);
}

void ExecutorPool::prestartLater(const Placement& placement) {
  // One that is due stays due: sessions in quick succession would otherwise put it off for ever.
  if (timer_ != 0 || !configuration_.prestart) return;
  timer_ = loop_.after(kPrestartDelay, [this, placement] { prestartNow(placement); });
}

void ExecutorPool::prestartNow(const Placement& placement) {
  loop_.cancel(std::exchange(timer_, 0));
  if (waiting_ || stopped_) return;
  waitingFor_ = placement;
  Result<ExecutorProcess> started = launchExecutor(configuration_, installation_, placement);
  if (!started) return retryAfterFailure(started.error().message());
  waiting_.emplace(std::move(*started));
  reported_ = false;
  Status watched = loop_.watch(waiting_->pidfd(), [this] { onDeath(); });
  if (watched) watched = loop_.watch(waiting_->control(), [this] { onReport(); });
  if (!watched) {
    log::warning("an executor cannot be watched", {{"reason", watched.error().message()}});
    dropWaiting();
  }
}

void ExecutorPool::onReport() {
  const auto report = link::readDriverReport(waiting_->control());
  if (report && !report.value()) return;  // not yet
  loop_.forget(waiting_->control());      // it says this once; its end shows at the pidfd
  if (!report) return;
  reported_ = true;
  backoff_ = 0ms;
  link::DriverReport driver = *report.value();
  // On a vGPU it sees one GPU; what there is beside that is known from others.
  if (!waitingFor_.vgpu && driver.failure.empty()) devices_ = driver.devices;
  if (waitingFor_.vgpu && driver.failure.empty() && !devices_.empty()) driver.devices = devices_;
  if (!driver.failure.empty() && driver.failure != table_.driver().failure) {
    log::error("the driver does not work", {{"reason", driver.failure}});
  }
  table_.setDriver(driver);
  vgpus_.setDriver(driver);
  if (!configuration_.prestart) dropWaiting();  // it was only asked what there is
}

void ExecutorPool::onDeath() {
  const int pidfd = waiting_->pidfd();
  const auto end = waiting_->reap();
  if (!end) return;
  loop_.forget(pidfd);
  dropWaiting();
  table_.countExecutorRestart();
  retryAfterFailure(end->text());
}

void ExecutorPool::retryAfterFailure(const std::string& reason) {
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLongestBackoff);
  log::error("an executor did not start", {{"reason", reason}, {"next_try_ms", backoff_.count()}});
  loop_.cancel(std::exchange(timer_, 0));
  if (configuration_.prestart)
    timer_ = loop_.after(backoff_, [this, placement = waitingFor_] { prestartNow(placement); });
}

void ExecutorPool::dropWaiting() {
  if (!waiting_) return;
  loop_.forget(waiting_->pidfd());
  loop_.forget(waiting_->control());
  waiting_.reset();
}

void ExecutorPool::stop() {
  stopped_ = true;
  loop_.cancel(timer_);
  dropWaiting();
}

}  // namespace vgpu::daemon
