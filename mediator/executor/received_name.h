// A name that a message ends with, as the driver takes it: with a terminating zero. Its bytes are the
// guest's; its length is checked here. Dispatcher thread.
#pragma once

#include "mediator/executor/handlers.h"

namespace vgpu::executor {

struct ReceivedName {
  char text[protocol::kMaxNameBytes + 1];

  // False after the session has been ended for a lie.
  bool read(Execution& execution, const Submission& s, Decoder& rest) {
    const auto name = rest.getString(protocol::kMaxNameBytes);
    if (rest.failed()) {
      execution.lie(s, "has no name, or one that is too long");
      return false;
    }
    text[name.copy(text, name.size())] = 0;
    return true;
  }
};

}  // namespace vgpu::executor
