// One-dimensional copies: how the places of source and destination decide the way. Any thread.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

// What the native function promises of its two pointers.
enum class Endpoint : uint8_t { Device, Host, Any };

struct CopyRequest {
  uint64_t destination = 0, source = 0;
  size_t sizeBytes = 0;
  Endpoint to = Endpoint::Any, from = Endpoint::Any;
  CUstream stream = nullptr;
  bool perThread = false;
  bool asynchronous = false;
};

CUresult copy(const CopyRequest& request);

// Pageable bytes to the session's memory, in stream order; they are staged when this returns.
CUresult upload(const Submission& submission, Stream& stream, uint64_t destination, Bytes bytes);
// The session's memory to pageable bytes; waits for the stream.
CUresult download(const Submission& submission, Stream& stream, MutableBytes into, uint64_t source);

}  // namespace vgpu::shim
