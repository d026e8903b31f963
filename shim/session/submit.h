// Sending records: the one path from an exported function to the channel. Announces the thread's context when
// it changed, waits in strict mode, keeps what the session learns from sequences and replies. Any thread.
// Replies come from the executor and are checked for size; their meaning is for the caller.
#pragma once

#include <cstring>
#include <span>

#include "protocol/calls/calls.h"
#include "shim/session/session.h"

namespace vgpu::shim {

using protocol::Mode;
using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

template <class T>
Bytes asBytes(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

struct Submission {
  Session* session = nullptr;
  ThreadState* thread = nullptr;
  Context* context = nullptr;  // current when the call was made; null where none is needed
};

// Tells the executor which context the thread has made current since it last heard.
CUresult announceContext(const Submission& submission);

// A session and an attached thread; error when there is none. Needs no current context.
inline CUresult enterSession(Submission& submission) {
  submission.session = Session::get();
  if (!submission.session) return CUDA_ERROR_NOT_INITIALIZED;
  submission.thread = &thisThread();
  if (submission.thread->inHostFunction) return CUDA_ERROR_NOT_PERMITTED;  // cuLaunchHostFunc
  if (!submission.thread->attach(*submission.session))
    return submission.session->channel().lost() ? kSessionLost : CUDA_ERROR_OUT_OF_MEMORY;
  if (submission.thread->announced == submission.thread->current()) [[likely]]
    return CUDA_SUCCESS;
  return announceContext(submission);
}
// The same, and a live current context that is announced to the executor; its sticky error is the answer.
inline CUresult enterContext(Submission& submission) {
  if (const CUresult status = enterSession(submission); status != CUDA_SUCCESS) return status;
  submission.context = submission.thread->current();
  if (!submission.context) return CUDA_ERROR_INVALID_CONTEXT;
  if (!submission.context->alive.load(std::memory_order_relaxed)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  return static_cast<CUresult>(submission.context->sticky.load(std::memory_order_relaxed));
}

// Posts a record (waits for its reply in strict mode). `sequence` gets its number.
CUresult post(const Submission& submission, uint16_t call, Bytes arguments, uint64_t* sequence = nullptr);
// The same with attached data of at most one slot.
CUresult postWithData(const Submission& submission, uint16_t call, Bytes arguments, Bytes data,
                      uint64_t* sequence = nullptr);

struct Answer {
  CUresult status = CUDA_SUCCESS;
  uint32_t payloadBytes = 0;
};
// Waits for the reply; a sticky status is kept in the context. Device output of what it waited for has been
// written.
Answer call(const Submission& submission, uint16_t call, Bytes arguments, MutableBytes payload = {});

// Takes note of a status that came from the executor.
CUresult note(const Submission& submission, CUresult status);
bool isSticky(CUresult status);

// A message row: post or call as its mode says. `Reply` must be what the executor answers with.
template <uint16_t number>
CUresult postMessage(const Submission& submission, const typename protocol::Row<number>::Arguments& arguments,
                     uint64_t* sequence = nullptr) {
  static_assert(protocol::Row<number>::kMode == Mode::Posted);
  return post(submission, number, asBytes(arguments), sequence);
}
template <uint16_t number>
CUresult callMessage(const Submission& submission,
                     const typename protocol::Row<number>::Arguments& arguments) {
  static_assert(protocol::Row<number>::kMode != Mode::Posted);
  return call(submission, number, asBytes(arguments)).status;
}
template <uint16_t number, class Reply>
CUresult callMessage(const Submission& submission, const typename protocol::Row<number>::Arguments& arguments,
                     Reply& reply) {
  static_assert(protocol::Row<number>::kMode != Mode::Posted);
  const Answer answer =
      call(submission, number, asBytes(arguments), std::as_writable_bytes(std::span(&reply, 1)));
  if (answer.status == CUDA_SUCCESS && answer.payloadBytes != sizeof reply) return CUDA_ERROR_UNKNOWN;
  return answer.status;
}

}  // namespace vgpu::shim
