// Submission: one record on its way through the dispatcher, as a view of a private copy. HeldSubmission owns
// the copy when the record cannot run now. Argument bytes are the guest's, private and unchecked; data may
// lie in a window slot, where the guest can still write to it. Dispatcher thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "transport/ring/host_channel.h"

namespace vgpu::executor {

struct ContextObject;

struct Submission {
  uint16_t number = 0;
  uint16_t thread = 0;
  uint64_t sequence = 0;
  std::span<const std::byte> arguments;
  std::span<const std::byte> data;     // of an upload
  uint32_t dataBytes = 0;              // of an upload, or what a download wants
  uint16_t slot = transport::kNoSlot;  // of an upload that lies in a window slot: somebody must release it
  transport::ReplyTo to;
  bool wantsReply = false;           // of a posted row: strict mode
  bool slotTaken = false;            // whoever took the slot releases it
  bool replayed = false;             // was held back, and may go to the driver now
  bool inPlace = false;              // of an upload: its data was received where the upload puts it
  bool covered = false;              // of a blocking row: what it waits for is over
  bool enqueued = false;             // gave work to a stream: in strict mode there is something to wait for
  ContextObject* context = nullptr;  // current for the guest thread when the record came

  static Submission of(const transport::IncomingRecord& record) {
    Submission s;
    s.number = record.call();
    s.thread = record.thread();
    s.sequence = record.sequence();
    s.arguments = record.arguments();
    s.dataBytes = record.dataBytes();
    s.to = record.replyTo();
    if (record.attachment() == transport::Attachment::Upload) {
      s.data = record.data();
      s.slot = record.slot();
    }
    return s;
  }
};

struct HeldSubmission {
  Submission submission;
  std::vector<std::byte> arguments, data;
};

}  // namespace vgpu::executor
