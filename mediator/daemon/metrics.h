// /metrics: the session table as Prometheus families. Runs on the metrics server's threads; holds no state of
// its own. Labels have bounded values: calls by their names in the table ("unknown" for any other number),
// sessions only while they live and only the first 256 of them.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <prometheus/metric_family.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "mediator/daemon/session_table.h"
#include "mediator/daemon/vgpu_table.h"

namespace vgpu::daemon {

class Metrics : public prometheus::Collectable {
 public:
  Metrics(SessionTable& sessions, const VgpuTable& vgpus) : sessions_(sessions), vgpus_(vgpus) {}
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  SessionTable& sessions_;
  const VgpuTable& vgpus_;
};

// docs/metrics.md.
std::string metricsReference();

// Serves them at "HOST:PORT"; port 0 takes a free one.
class MetricsServer {
 public:
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address, SessionTable& sessions,
                                                      const VgpuTable& vgpus);
  int port() const;

 private:
  std::shared_ptr<Metrics> metrics_;
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace vgpu::daemon
