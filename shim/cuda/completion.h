// What the guest knows without asking: whether a stream, an event or a context is done with what was posted.
// Any thread. Retired numbers are published by the executor; a lie of the executor harms only its own
// session.
#pragma once

#include "shim/session/submit.h"

namespace vgpu::shim {

enum class Progress { Done, Running, Unknown };

// The sequence numbers of the stream that are known to be retired; posts a mark when what was posted last has
// none yet.
Progress streamProgress(const Submission& submission, Stream& stream);
Progress eventProgress(const Submission& submission, const Event& event);

// Whether all up to `sequence` in the stream is known to be over, without a record. Also of a stream that was
// destroyed.
bool isRetired(const Submission& submission, const Stream& stream, uint64_t sequence);
// Has the executor publish what the stream retires, if that is not under way: a later isRetired may know
// more. Does nothing for a default stream that is not the calling thread's.
void askWhatRetires(const Submission& submission, Stream& stream);

// Where the stream's retired number is published; kNoSlotYet when there is no place left.
uint32_t retiredSlot(const Submission& submission, Stream& stream);

// A program that polls would never learn of a failure, because a failed context retires nothing: every so
// often a query has to ask. True when it is this thread's time to ask.
bool timeToAsk();

// The stream is destroyed: its slot may be another's from here on.
void retireStream(Session& session, Stream& stream);

// All that was posted in the stream up to now is done.
void streamDone(Stream& stream, uint64_t sequence);

}  // namespace vgpu::shim
