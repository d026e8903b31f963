// Stream capture: which streams are capturing, what their rules forbid meanwhile, and the graph that comes of
// it. Any thread; one lock for all captures of the process, not taken while there is none. A captured
// operation is kept as a function that submits it to a stream; a graph launch submits them in the order of
// their capture.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class Context;
class Stream;

struct GraphNode {
  CUgraphNodeType type;
  std::function<void(Stream&)> submit;
};

struct Graph {
  std::vector<GraphNode> nodes;
};

// What each stream of a capture has done that its holder comes after: numbers of operations.
using CaptureClock = std::map<const Stream*, uint64_t>;

struct Capture {
  uint64_t id = 0;
  CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
  std::thread::id thread;
  const Stream* origin = nullptr;
  const Context* context = nullptr;
  bool blocking = false;
  bool invalid = false;
  Graph graph;
  std::map<const Stream*, CaptureClock> clocks;  // of the streams that take part
};

// What an event recorded in a capture stands for.
struct CapturedRecord {
  std::weak_ptr<Capture> capture;
  CaptureClock clock;
};

class Captures {
 public:
  bool any() const { return active_.load(std::memory_order_relaxed) != 0; }

  CUresult begin(Stream& stream, CUstreamCaptureMode mode);
  CUresult end(Stream& stream, std::shared_ptr<Graph>* graph);
  CUstreamCaptureStatus status(const Stream& stream, uint64_t* id);

  // The rest only matter while any(). Each answers the code of the call that asks.
  // A call that might wait or use the legacy stream without saying so (cuMemAlloc, synchronous copies).
  CUresult refuseUnsafe();
  // A wait for or query of a stream.
  CUresult refuseWait(const Stream& stream);
  // A wait for the whole context, or work for the legacy stream.
  CUresult refuseContextWait(const Context& context);
  // Takes the operation into the stream's capture, if it has one.
  CUresult take(Stream& stream, CUgraphNodeType type, std::function<void(Stream&)> submit, bool* taken);
  // Events: recorded in a capture, or waited for by a stream that thereby joins it.
  CUresult recordEvent(Stream& stream, std::shared_ptr<CapturedRecord>* record);
  CUresult waitEvent(Stream& stream, const std::shared_ptr<CapturedRecord>& record, bool* taken);
  // The stream is being destroyed: its capture cannot end any more.
  void forget(const Stream& stream);

 private:
  std::shared_ptr<Capture> of(const Stream& stream) const;
  CUresult invalidateWhere(CUresult error, const std::function<bool(const Capture&)>& affected);

  std::atomic<int> active_{0};
  mutable std::mutex mutex_;
  uint64_t nextId_ = 1;
  std::vector<std::shared_ptr<Capture>> captures_;
};

}  // namespace vgpu::cpu
