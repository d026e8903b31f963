// Stream capture, as far as its rules concern the guest: which calls are refused while a capture goes on, and
// which end it in error (CUDA programming guide, "Prohibited and Unhandled Operations";
// cuThreadExchangeStreamCaptureMode in cuda.h). Any thread.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

// For calls that are unsafe while capturing (allocation, synchronous copies, queries of a capturing stream,
// ...): STREAM_CAPTURE_UNSUPPORTED when the thread's mode forbids the call now; the captures concerned are
// invalidated.
CUresult refuseWhileCapturing(const Submission& submission);

// For waiting on, or querying, this very stream: never allowed while it captures.
CUresult refuseIfCapturing(Stream& stream);

// For work on the legacy stream while a blocking stream of the context captures: STREAM_CAPTURE_IMPLICIT.
CUresult refuseLegacyDuringCapture(const Submission& submission, const Stream& stream);

}  // namespace vgpu::shim
