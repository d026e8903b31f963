// The executor's side of every row: forwarded ones from their roles (forwarded_call.h), ours by one named
// function each, in files by noun (handlers_*.cc). They run on the dispatcher thread with the guest thread's
// context current. Arguments come from the guest: `rest` has what follows the fixed part of a message.
#pragma once

#include "mediator/executor/execution.h"

namespace vgpu::executor {

using protocol::Decoder;

#define MESSAGE(number, name, mode)                                                               \
  void handle##name(Execution& execution, Submission& s, const protocol::messages::name& message, \
                    Decoder& rest);
#include "protocol/calls/table.inc"

// What every row is entered by: decodes, then calls its handler.
using Dispatch = void (*)(Execution& execution, Submission& s);
// The rows of the table (dispatch_table.cc); null for a number that none has.
Dispatch dispatchOf(uint16_t number);

// Blocking rows that only wait, or wait by themselves; all others act when their context is idle.
constexpr bool isPlainWait(uint16_t number) {
  namespace call = protocol::call;
  return number == call::cuCtxSynchronize || number == call::cuStreamSynchronize ||
         number == call::cuEventSynchronize || number == call::CopyDownload ||
         number == call::CopyBoxDownload || number == call::ReadHost;
}

// Where the data of a CopyUpload may be received, because it would be copied there as soon as it has come;
// empty: it must wait for its stream, or the driver's memory is not the processor's to write.
std::span<std::byte> uploadDestination(Execution& execution, Submission& s);

// ---- what forwarded rows need beside their roles
CUresult reserveForMapping(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes);
void noteMapping(Execution& execution, const Submission& s, uint64_t address, uint64_t sizeBytes,
                 SharedMemoryShare share, bool mapped);
CUresult unmapRange(Execution& execution, uint64_t address, uint64_t sizeBytes);
void awaitBriefly(const Execution& execution, CUevent event);
void destroyContext(Execution& execution, Submission& s, Handle handle);
void rememberGlobal(Execution& execution, const Submission& s, bool managed, uint64_t address,
                    uint64_t sizeBytes, const void* owner);
// Functions and globals of a module or library that is about to be unloaded.
void forgetCode(Execution& execution, const void* owner);

// Frees what the context's allocations hold (handlers_memory.cc).
void releaseMemoryOf(Execution& execution, ContextObject& context);

}  // namespace vgpu::executor
