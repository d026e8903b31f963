#include "shim/session/submit.h"

#include "shim/session/event_thread.h"

namespace vgpu::shim {

CUresult announceContext(const Submission& submission) {
  ThreadState& thread = *submission.thread;
  Context* context = thread.current();
  const protocol::messages::ThreadContext message{context ? context->handle.bits() : 0};
  const CUresult status = postMessage<protocol::call::ThreadContext>(submission, message);
  if (status == CUDA_SUCCESS) thread.announced = context;
  return status;
}

bool isSticky(CUresult status) {
  switch (status) {
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_ECC_UNCORRECTABLE:
      return true;
    default:
      return false;
  }
}

CUresult note(const Submission& submission, CUresult status) {
  if (submission.context && isSticky(status))
    submission.context->sticky.store(status, std::memory_order_relaxed);
  return status;
}

namespace {

CUresult sent(const Submission& submission, uint64_t number, uint64_t* sequence) {
  if (number == 0) return kSessionLost;
  if (sequence) *sequence = number;
  if (submission.context) submission.context->posted.raise(number);
  return CUDA_SUCCESS;
}

// In strict mode everything posted is over when the call returns, and its sequence is 0; except work behind a
// host function that has not returned, whose sequence comes with the reply.
CUresult strictAnswer(const Submission& submission, const transport::Reply& reply, uint64_t number,
                      uint64_t* sequence) {
  if (reply.lost) return kSessionLost;
  const bool goesOn = reply.payloadBytes == sizeof number;
  if (sequence) *sequence = goesOn ? number : 0;
  if (goesOn && submission.context) submission.context->posted.raise(number);
  settleEvents(*submission.session);
  return note(submission, static_cast<CUresult>(reply.status));
}

}  // namespace

CUresult post(const Submission& submission, uint16_t call, Bytes arguments, uint64_t* sequence) {
  transport::GuestChannel& channel = submission.session->channel();
  const uint16_t thread = submission.thread->id();
  if (submission.session->strict()) [[unlikely]] {
    uint64_t number = 0;
    const auto reply = channel.call(call | protocol::kWantsReply, thread, arguments,
                                    std::as_writable_bytes(std::span(&number, 1)));
    return strictAnswer(submission, reply, number, sequence);
  }
  return sent(submission, channel.post(call, thread, arguments), sequence);
}

CUresult postWithData(const Submission& submission, uint16_t call, Bytes arguments, Bytes data,
                      uint64_t* sequence) {
  transport::GuestChannel& channel = submission.session->channel();
  const uint16_t thread = submission.thread->id();
  if (submission.session->strict()) [[unlikely]] {
    uint64_t number = 0;
    const auto reply = channel.callWithData(call | protocol::kWantsReply, thread, arguments, data,
                                            std::as_writable_bytes(std::span(&number, 1)));
    return strictAnswer(submission, reply, number, sequence);
  }
  return sent(submission, channel.postWithData(call, thread, arguments, data), sequence);
}

Answer call(const Submission& submission, uint16_t call, Bytes arguments, MutableBytes payload) {
  const transport::Reply reply =
      submission.session->channel().call(call, submission.thread->id(), arguments, payload);
  if (reply.lost) return {kSessionLost, 0};
  settleEvents(*submission.session);
  const auto status = static_cast<CUresult>(reply.status);
  // Only a failure that stays makes every later call fail; any other has been told now.
  if (submission.context && status != CUDA_SUCCESS)
    submission.context->failed.store(false, std::memory_order_release);
  return {note(submission, status), reply.payloadBytes};
}

}  // namespace vgpu::shim
