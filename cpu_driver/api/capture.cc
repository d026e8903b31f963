// Stream capture, and the graphs that come of it: a graph that was captured can be counted, launched and
// destroyed. Building and changing graphs node by node is not supported.
#include "cpu_driver/runtime/capture.h"

#include "cpu_driver/api/entry.h"

using namespace vgpu::cpu;

namespace {

CUresult begin(CUstream handle, CUstreamCaptureMode mode) {
  return withStream(handle,
                    [&](Context&, Stream& stream) { return driver().captures().begin(stream, mode); });
}

CUresult info(CUstream handle, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return withStream(handle, [&](Context& context, Stream& stream) {
    if (!status) return CUDA_ERROR_INVALID_VALUE;
    uint64_t number = 0;
    *status = driver().captures().status(stream, &number);
    if (id) *id = number;
    if (stream.kind() == StreamKind::Legacy && driver().captures().any()) {
      return driver().captures().refuseContextWait(context);
    }
    return CUDA_SUCCESS;
  });
}

CUresult infoWithoutGraph(CUstream handle, CUstreamCaptureStatus* status, cuuint64_t* id, CUgraph* graph,
                          size_t* dependencies) {
  // The graph of a capture that goes on has no handle here; a program that asks for it cannot be served.
  CUstreamCaptureStatus found = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = info(handle, &found, id);
  if (status) *status = found;
  if (result != CUDA_SUCCESS || found != CU_STREAM_CAPTURE_STATUS_ACTIVE) return result;
  return graph || dependencies ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

template <class Body>
CUresult withGraph(CUgraph handle, Body&& body) {
  return withDriver([&]() -> CUresult {
    const auto graph = driver().graphs.share(handle);
    return graph ? body(graph) : CUDA_ERROR_INVALID_VALUE;
  });
}

}  // namespace

extern "C" {

CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) { return begin(stream, mode); }
CUresult cuStreamBeginCapture(CUstream stream) { return begin(stream, CU_STREAM_CAPTURE_MODE_GLOBAL); }

CUresult cuStreamEndCapture(CUstream handle, CUgraph* graph) {
  return withStream(handle, [&](Context&, Stream& stream) {
    if (!graph) return CUDA_ERROR_INVALID_VALUE;
    *graph = nullptr;
    std::shared_ptr<Graph> captured;
    const CUresult result = driver().captures().end(stream, &captured);
    if (result != CUDA_SUCCESS) return result;
    *graph = driver().graphs.insert(std::move(captured));
    return CUDA_SUCCESS;
  });
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  return info(stream, status, nullptr);
}

CUresult cuStreamGetCaptureInfo(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id) {
  return info(stream, status, id);
}

CUresult cuStreamGetCaptureInfo_v2(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** dependencies, size_t* count) {
  (void)dependencies;
  return infoWithoutGraph(stream, status, id, graph, count);
}

CUresult cuStreamGetCaptureInfo_v3(CUstream stream, CUstreamCaptureStatus* status, cuuint64_t* id,
                                   CUgraph* graph, const CUgraphNode** dependencies, const CUgraphEdgeData**,
                                   size_t* count) {
  (void)dependencies;
  return infoWithoutGraph(stream, status, id, graph, count);
}

CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* mode) {
  return withDriver([&] {
    if (!mode || *mode < CU_STREAM_CAPTURE_MODE_GLOBAL || *mode > CU_STREAM_CAPTURE_MODE_RELAXED) {
      return CUDA_ERROR_INVALID_VALUE;
    }
    std::swap(threadState().captureMode, *mode);
    return CUDA_SUCCESS;
  });
}

// Only the number: nodes have no handles.
CUresult cuGraphGetNodes(CUgraph handle, CUgraphNode* nodes, size_t* count) {
  return withGraph(handle, [&](const std::shared_ptr<Graph>& graph) {
    if (!count) return CUDA_ERROR_INVALID_VALUE;
    if (nodes) return CUDA_ERROR_NOT_SUPPORTED;
    *count = graph->nodes.size();
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphDestroy(CUgraph graph) {
  return withDriver([&] { return driver().graphs.remove(graph) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuGraphInstantiateWithFlags(CUgraphExec* executable, CUgraph handle, unsigned long long flags) {
  return withGraph(handle, [&](const std::shared_ptr<Graph>& graph) {
    if (!executable) return CUDA_ERROR_INVALID_VALUE;
    if ((flags & CUDA_GRAPH_INSTANTIATE_FLAG_DEVICE_LAUNCH) != 0) return CUDA_ERROR_NOT_SUPPORTED;
    *executable = driver().executableGraphs.insert(std::make_shared<ExecutableGraph>(ExecutableGraph{graph}));
    return CUDA_SUCCESS;
  });
}

// The operations in the order of their capture, which respects all their dependencies.
CUresult cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  return withStream(streamHandle, [&](Context&, Stream& stream) -> CUresult {
    const auto executable = driver().executableGraphs.share(handle);
    if (!executable) return CUDA_ERROR_INVALID_VALUE;
    return submit(stream, CU_GRAPH_NODE_TYPE_GRAPH, [executable](Stream& on) {
      for (const GraphNode& node : executable->graph->nodes) node.submit(on);
    });
  });
}

CUresult cuGraphUpload(CUgraphExec handle, CUstream streamHandle) {
  return withStream(streamHandle, [&](Context&, Stream&) {
    return driver().executableGraphs.find(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return withDriver(
      [&] { return driver().executableGraphs.remove(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

}  // extern "C"
