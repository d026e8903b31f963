// Every row of the call table as one function. The only place where all forwarded rows are instantiated.
#include "mediator/executor/forwarded_call.h"

namespace vgpu::executor {
namespace {

using Handler = void (*)(Execution&, Submission&);

template <class Message, void (*handle)(Execution&, Submission&, const Message&, Decoder&)>
void dispatchMessage(Execution& execution, Submission& s) {
  Decoder in(s.arguments);
  const Message message = in.get<Message>();
  if (in.failed()) return execution.lie(s, "is cut short");
  handle(execution, s, message, in);
}

}  // namespace

Dispatch dispatchOf(uint16_t number) {
  switch (number) {
#define CALL(number, symbol, ...) \
  case number:                    \
    return &dispatchCall<number>;
#define MESSAGE(number, name, mode) \
  case number:                      \
    return &dispatchMessage<protocol::messages::name, &handle##name>;
#include "protocol/calls/table.inc"
    default:
      return nullptr;
  }
}

}  // namespace vgpu::executor
