// One thread captures a stream while another allocates: what each capture mode allows to whom, and how an
// unsafe call ends a capture.
#include <cuda_runtime.h>

#include <thread>

#include "tests/support/check.h"

__global__ void add(int* data, int value) { atomicAdd(data, value); }

static cudaError_t onAnotherThread(cudaError_t (*call)()) {
  cudaError_t result = cudaSuccess;
  std::thread([&] { result = call(); }).join();
  return result;
}

static cudaError_t allocate() {
  void* memory = nullptr;
  const cudaError_t result = cudaMalloc(&memory, 1 << 20);
  cudaGetLastError();
  return result == cudaSuccess ? cudaFree(memory) : result;
}

static void expect(const char* what, cudaError_t got, cudaError_t wanted) {
  std::printf("%s: %s\n", what, cudaGetErrorName(got));
  EXPECT(got == wanted, "%s: %s instead of %s", what, cudaGetErrorName(got), cudaGetErrorName(wanted));
}

static cudaStreamCaptureStatus statusOf(cudaStream_t stream) {
  cudaStreamCaptureStatus status;
  CHECK_CUDA(cudaStreamIsCapturing(stream, &status));
  return status;
}

int main() {
  int* counter;
  CHECK_CUDA(cudaMalloc(&counter, sizeof(int)));
  CHECK_CUDA(cudaMemset(counter, 0, sizeof(int)));
  cudaStream_t stream;
  CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  add<<<1, 1, 0, stream>>>(counter, 1);
  CHECK_CUDA(cudaStreamSynchronize(stream));
  cudaGraph_t graph = nullptr;

  // A capture of this thread's own leaves other threads free; what it captures does not run.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  EXPECT(statusOf(stream) == cudaStreamCaptureStatusActive, "status is %d", int(statusOf(stream)));
  add<<<1, 1, 0, stream>>>(counter, 100);
  expect("launch into the capture", cudaGetLastError(), cudaSuccess);
  expect("thread-local: another thread allocates", onAnotherThread(allocate), cudaSuccess);
  expect("thread-local: end", cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT(graph != nullptr, "the capture gave no graph");
  CHECK_CUDA(cudaGraphDestroy(graph));
  EXPECT(statusOf(stream) == cudaStreamCaptureStatusNone, "status is %d", int(statusOf(stream)));

  // Its own thread may not allocate; that ends the capture.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  expect("thread-local: its own thread allocates", allocate(), cudaErrorStreamCaptureUnsupported);
  expect("thread-local: end after that", cudaStreamEndCapture(stream, &graph),
         cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();

  // A global one forbids it to every thread.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  expect("global: another thread allocates", onAnotherThread(allocate), cudaErrorStreamCaptureUnsupported);
  expect("global: end after that", cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();

  // A relaxed one forbids nothing.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
  expect("relaxed: its own thread allocates", allocate(), cudaSuccess);
  expect("relaxed: another thread allocates", onAnotherThread(allocate), cudaSuccess);
  expect("relaxed: end", cudaStreamEndCapture(stream, &graph), cudaSuccess);
  CHECK_CUDA(cudaGraphDestroy(graph));

  // Waiting for a stream that captures, and for the event of a capture, is refused.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  expect("wait for the capturing stream", cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
  expect("end after that", cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
  EXPECT(cudaStreamEndCapture(stream, &graph) != cudaSuccess, "a capture that never began was ended");
  cudaGetLastError();

  // Another thread may not end a capture that is not relaxed.
  CHECK_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  cudaError_t elsewhere = cudaSuccess;
  std::thread([&] {
    cudaGraph_t other = nullptr;
    elsewhere = cudaStreamEndCapture(stream, &other);
  }).join();
  expect("end on another thread", elsewhere, cudaErrorStreamCaptureWrongThread);
  cudaStreamEndCapture(stream, &graph);
  cudaGetLastError();

  add<<<1, 1, 0, stream>>>(counter, 1);
  CHECK_CUDA(cudaStreamSynchronize(stream));
  int value = 0;
  CHECK_CUDA(cudaMemcpy(&value, counter, sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT(value == 2, "counter is %d instead of 2: a captured launch ran", value);
  return check::ok("capture_allocate: three modes");
}
