#include "mediator/daemon/metrics.h"

#include <cmath>
#include <exception>
#include <limits>

#include "protocol/calls/names.h"

namespace vgpu::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

constexpr size_t kMostSessionSeries = 256;

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily made;
  made.name = name;
  made.help = help;
  made.type = type;
  return made;
}

void add(MetricFamily& to, uint64_t value, Labels labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  if (to.type == MetricType::Counter) metric.counter.value = static_cast<double>(value);
  if (to.type == MetricType::Gauge) metric.gauge.value = static_cast<double>(value);
  to.metric.push_back(std::move(metric));
}

MetricFamily single(const char* name, const char* help, MetricType type, uint64_t value) {
  MetricFamily made = family(name, help, type);
  add(made, value);
  return made;
}

// Numbers without a row are one label, so that an executor that lies cannot make thousands.
std::map<std::string, Totals::Call> callsByName(const Totals& totals) {
  std::map<std::string, Totals::Call> byName;
  for (const auto& [number, counted] : totals.calls) {
    const std::string_view name = protocol::callName(number);
    Totals::Call& sum = byName[name.empty() ? "unknown" : std::string(name)];
    sum.calls += counted.calls;
    sum.errors += counted.errors;
  }
  return byName;
}

void collectCalls(const Totals& totals, std::vector<MetricFamily>& out) {
  MetricFamily calls =
      family("vgpu_calls_total", "Calls that executors have taken, by call.", MetricType::Counter);
  MetricFamily errors =
      family("vgpu_call_errors_total", "Calls that ended in an error, by call.", MetricType::Counter);
  for (const auto& [name, counted] : callsByName(totals)) {
    add(calls, counted.calls, {{"call", name}});
    if (counted.errors != 0) add(errors, counted.errors, {{"call", name}});
  }
  out.push_back(std::move(calls));
  out.push_back(std::move(errors));
}

void collectBytes(const Totals& totals, std::vector<MetricFamily>& out) {
  MetricFamily bytes = family("vgpu_bytes_total", "Bytes of records and payload, by direction and carrier.",
                              MetricType::Counter);
  for (uint32_t c = 1; c < link::kSessionCarriers; ++c) {
    const char* carrier = nameOf(static_cast<link::SessionCarrier>(c));
    add(bytes, totals.bytesFromGuest[c], {{"direction", "from_guest"}, {"carrier", carrier}});
    add(bytes, totals.bytesToGuest[c], {{"direction", "to_guest"}, {"carrier", carrier}});
  }
  out.push_back(std::move(bytes));
}

void collectLatency(const Totals& totals, std::vector<MetricFamily>& out) {
  MetricFamily latency =
      family("vgpu_call_duration_seconds", "Time that an executor spent on a call, by class of call.",
             MetricType::Histogram);
  for (uint32_t c = 0; c < link::kCallClasses; ++c) {
    const link::LatencySample& sample = totals.latency[c];
    ClientMetric metric;
    metric.label = {{"class", nameOf(static_cast<link::CallClass>(c))}};
    uint64_t count = 0;
    for (uint32_t b = 0; b < link::kLatencyBuckets; ++b) {
      count += sample.buckets[b];
      const bool last = b + 1 == link::kLatencyBuckets;
      const double bound =
          last ? std::numeric_limits<double>::infinity() : std::ldexp(1e-9, static_cast<int>(b) + 8);
      metric.histogram.bucket.push_back({count, bound});
    }
    metric.histogram.sample_count = count;
    metric.histogram.sample_sum = static_cast<double>(sample.sumNanoseconds) * 1e-9;
    latency.metric.push_back(std::move(metric));
  }
  out.push_back(std::move(latency));
}

void collectLiving(const std::vector<SessionView>& living, std::vector<MetricFamily>& out) {
  MetricFamily allocated =
      family("vgpu_session_allocated_bytes", "Device memory that a session holds.", MetricType::Gauge);
  MetricFamily pinned = family("vgpu_session_pinned_bytes", "Pinned and managed memory that a session holds.",
                               MetricType::Gauge);
  uint64_t queued = 0, outstanding = 0;
  for (size_t i = 0; i < living.size(); ++i) {
    const auto& [identity, sample] = living[i];
    queued += sample.queueDepth;
    outstanding += sample.outstandingSubmissions;
    if (i >= kMostSessionSeries) continue;
    Labels labels = {{"session", std::to_string(identity.id)}, {"program", sample.program}};
    if (!identity.vgpu.empty()) labels.push_back({"vgpu", identity.vgpu});
    add(allocated, sample.allocatedBytes, labels);
    add(pinned, sample.pinnedBytes, labels);
  }
  out.push_back(std::move(allocated));
  out.push_back(std::move(pinned));
  out.push_back(single("vgpu_sessions", "Guest processes being served.", MetricType::Gauge, living.size()));
  out.push_back(single("vgpu_queue_depth", "Records decoded and not yet given to the driver.",
                       MetricType::Gauge, queued));
  out.push_back(single("vgpu_outstanding_submissions", "Submissions given to the driver and not complete.",
                       MetricType::Gauge, outstanding));
}

void collectVgpus(const std::vector<VgpuView>& vgpus, std::vector<MetricFamily>& out) {
  MetricFamily info = family("vgpu_info", "What a vGPU is.", MetricType::Gauge);
  MetricFamily limit = family("vgpu_memory_limit_bytes", "Device memory that a vGPU has.", MetricType::Gauge);
  MetricFamily used =
      family("vgpu_memory_used_bytes", "Device memory that the sessions of a vGPU hold.", MetricType::Gauge);
  MetricFamily healthy = family("vgpu_healthy", "Whether a vGPU is in order: 1, or 0.", MetricType::Gauge);
  MetricFamily sessions = family("vgpu_sessions_on_vgpu", "Guest processes on a vGPU.", MetricType::Gauge);
  for (const VgpuView& view : vgpus) {
    const Labels labels = {{"vgpu", view.slice.name}};
    add(info, 1,
        {{"vgpu", view.slice.name},
         {"gpu", std::to_string(view.slice.gpu)},
         {"gpu_uuid", view.gpuUuid},
         {"profile", view.slice.profile},
         {"share_percent", std::to_string(view.slice.sharePercent)}});
    add(limit, view.slice.memoryBytes, labels);
    add(used, view.usedBytes, labels);
    add(healthy, view.unhealthy.empty() ? 1 : 0, labels);
    add(sessions, view.sessions, labels);
  }
  for (MetricFamily* each : {&info, &limit, &used, &healthy, &sessions}) out.push_back(std::move(*each));
}

}  // namespace

std::vector<MetricFamily> Metrics::Collect() const {
  std::vector<SessionView> living;
  const Totals totals = sessions_.totals(living);
  std::vector<MetricFamily> out;
  collectLiving(living, out);
  collectVgpus(vgpus_.list(), out);
  collectCalls(totals, out);
  collectBytes(totals, out);
  collectLatency(totals, out);
  out.push_back(single("vgpu_sessions_started_total", "Sessions that have begun.", MetricType::Counter,
                       totals.sessionsStarted));
  out.push_back(single("vgpu_executor_restarts_total",
                       "Executors that crashed, were killed or did not start.", MetricType::Counter,
                       totals.executorRestarts));
  out.push_back(single("vgpu_rejected_records_total", "Records that broke a rule and ended their session.",
                       MetricType::Counter, totals.rejectedRecords));
  out.push_back(single("vgpu_unsupported_calls_total", "Calls answered CUDA_ERROR_NOT_SUPPORTED.",
                       MetricType::Counter, totals.unknownCalls));
  out.push_back(single("vgpu_asynchronous_errors_total", "Errors that came after their call had returned.",
                       MetricType::Counter, totals.asyncErrors));
  MetricFamily refused =
      family("vgpu_sessions_refused_total", "Guests turned away, by reason.", MetricType::Counter);
  for (uint32_t r = 0; r < kRefusals; ++r)
    add(refused, totals.refused[r], {{"reason", nameOf(static_cast<Refusal>(r))}});
  out.push_back(std::move(refused));
  return out;
}

std::string metricsReference() {
  std::string out =
      "# Metrics of vgpu-mediator\n\n"
      "<!-- Made by `vgpu-mediator --metrics-reference`; a test compares. -->\n\n"
      "Served over HTTP at `metrics.address` (see [configuration](configuration.md)), path `/metrics`. "
      "Counters are of all\n"
      "sessions since the mediator's start, also of those that have ended; series of a session end with it. "
      "The mediator\n"
      "believes an executor's counters only upwards and no faster than a machine could count.\n\n"
      "| metric | type | meaning |\n| --- | --- | --- |\n";
  SessionTable none;
  const VgpuTable noVgpus;
  for (const MetricFamily& each : Metrics(none, noVgpus).Collect()) {
    const char* type = each.type == MetricType::Counter ? "counter"
                       : each.type == MetricType::Gauge ? "gauge"
                                                        : "histogram";
    out += "| `" + each.name + "` | " + type + " | " + each.help + " |\n";
  }
  return out;
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& address,
                                                            SessionTable& sessions, const VgpuTable& vgpus) {
  auto server = std::make_unique<MetricsServer>();
  server->metrics_ = std::make_shared<Metrics>(sessions, vgpus);
  try {
    server->exposer_ = std::make_unique<prometheus::Exposer>(address, 1);
    server->exposer_->RegisterCollectable(server->metrics_);
  } catch (const std::exception& exception) {
    return Error{"serve metrics at " + address,
                 std::string(exception.what()) + " (is the address in use? see metrics.address)"};
  }
  return server;
}

int MetricsServer::port() const { return exposer_->GetListeningPorts().at(0); }

}  // namespace vgpu::daemon
