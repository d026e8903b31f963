// Forwarding of an ordinary call: the guest's behaviour of every role (protocol/marshal/roles.h), and the one
// function that encodes a row's arguments, sends the record as its mode says, and decodes the results. Runs
// in the guest program on the calling thread. Results come from the executor and are checked for size.
#pragma once

#include <array>
#include <utility>

#include "protocol/marshal/wire.h"
#include "shim/cuda/tables.h"
#include "shim/session/submit.h"

namespace vgpu::shim {

using protocol::Decoder;
using protocol::Encoder;
namespace roles = protocol::roles;

// What a call in the making knows beside its arguments.
struct Forwarding {
  Submission submission;
  bool perThread = false;    // the _ptsz and _ptds variants: stream 0 is the thread's own
  Stream* stream = nullptr;  // the stream argument, if there is one
};

// The stream that a program's value names; null: not a live stream.
Stream* resolveStream(const Submission& submission, CUstream stream, bool perThread);

template <class Role>
struct GuestRole;

template <>
struct GuestRole<roles::In> {
  template <class T>
  static CUresult encode(Forwarding&, Encoder& out, const T& value) {
    out.put(value);
    return CUDA_SUCCESS;
  }
};

template <>
struct GuestRole<roles::InPointee> {
  template <class T>
  static CUresult encode(Forwarding&, Encoder& out, const T* value) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    out.put(*value);
    return CUDA_SUCCESS;
  }
};

template <>
struct GuestRole<roles::Out> {
  template <class T>
  static CUresult encode(Forwarding&, Encoder&, T* value) {
    return value ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  template <class T>
  static void decode(Decoder& in, T* value) {
    const T result = in.get<T>();
    if (!in.failed()) *value = result;
  }
  template <class Argument>
  static constexpr size_t kReplyBytes = sizeof(std::remove_pointer_t<Argument>) + 8;
};

template <>
struct GuestRole<roles::OutOptional> {
  template <class T>
  static CUresult encode(Forwarding&, Encoder& out, T* value) {
    out.put(static_cast<uint8_t>(value != nullptr));
    return CUDA_SUCCESS;
  }
  template <class T>
  static void decode(Decoder& in, T* value) {
    const T result = in.get<T>();
    if (value && !in.failed()) *value = result;
  }
  template <class Argument>
  static constexpr size_t kReplyBytes = sizeof(std::remove_pointer_t<Argument>) + 8;
};

template <>
struct GuestRole<roles::Address> {
  static CUresult encode(Forwarding& forwarding, Encoder& out, CUdeviceptr address) {
    const auto allocation = forwarding.submission.session->allocations().find(address);
    if (!allocation) return CUDA_ERROR_INVALID_VALUE;
    // The host address of registered memory names its shadow on the device's side.
    const bool onHostSide = address - allocation->address >= allocation->sizeBytes;
    out.put<uint64_t>(onHostSide ? allocation->address + (address - allocation->host) : address);
    return CUDA_SUCCESS;
  }
};

template <>
struct GuestRole<roles::Name> {
  static CUresult encode(Forwarding&, Encoder& out, const char* name) {
    if (!name) return CUDA_ERROR_INVALID_VALUE;
    const size_t length = ::strnlen(name, protocol::kMaxNameBytes + 1);
    if (length > protocol::kMaxNameBytes) return CUDA_ERROR_NOT_FOUND;  // no object has such a name
    out.putString({name, length});
    return CUDA_SUCCESS;
  }
};

template <>
struct GuestRole<roles::Stream> {
  static CUresult encode(Forwarding& forwarding, Encoder& out, CUstream value) {
    Stream* stream = resolveStream(forwarding.submission, value, forwarding.perThread);
    if (!stream) return CUDA_ERROR_INVALID_HANDLE;
    if (!forwarding.stream) forwarding.stream = stream;
    out.put(stream->wire);
    return CUDA_SUCCESS;
  }
};

template <Kind kind>
struct GuestRole<roles::Use<kind>> {
  template <class T>
  static CUresult encode(Forwarding& forwarding, Encoder& out, T value) {
    if (!tableOf<kind>(*forwarding.submission.session).find((uint64_t)value))
      return CUDA_ERROR_INVALID_HANDLE;
    out.put((uint64_t)value);
    return CUDA_SUCCESS;
  }
};

template <Kind kind>
struct GuestRole<roles::New<kind>> {
  template <class T>
  static CUresult encode(Forwarding& forwarding, Encoder& out, T* value) {
    if (!value) return CUDA_ERROR_INVALID_VALUE;
    auto* object = new ObjectOf<kind>;
    object->handle = tableOf<kind>(*forwarding.submission.session).insert(object);
    if (!object->handle.wellFormed()) return CUDA_ERROR_OUT_OF_MEMORY;
    if constexpr (requires { object->context; }) object->context = forwarding.submission.context;
    *value = (T)object->handle.bits();
    out.put(object->handle.bits());
    return CUDA_SUCCESS;
  }
  // The executor refused: the handle was never live there.
  template <class T>
  static void undo(Forwarding& forwarding, T* value) {
    delete tableOf<kind>(*forwarding.submission.session).remove(Handle((uint64_t)*value));
    *value = T{};
  }
};

template <Kind kind>
struct GuestRole<roles::End<kind>> : GuestRole<roles::Use<kind>> {
  template <class T>
  static void finish(Forwarding& forwarding, T value) {
    tableOf<kind>(*forwarding.submission.session).remove(Handle((uint64_t)value));
  }
};

template <uint16_t number, class Indices>
struct ForwardImplementation;

template <uint16_t number, size_t... i>
struct ForwardImplementation<number, std::index_sequence<i...>> {
  using Row = protocol::Row<number>;
  template <size_t index>
  using Role = GuestRole<std::tuple_element_t<index, typename Row::Roles>>;

  template <class Arguments>
  static CUresult run(Forwarding& forwarding, const Arguments& arguments) {
    std::array<std::byte, protocol::kMaxNameBytes + 512> space;
    Encoder out(space);
    CUresult status = CUDA_SUCCESS;
    size_t encoded = 0;
    ((status == CUDA_SUCCESS ? (status = Role<i>::encode(forwarding, out, std::get<i>(arguments)), ++encoded)
                             : 0),
     ...);
    if (status == CUDA_SUCCESS) status = send(forwarding, out.bytes(), arguments);
    if (status != CUDA_SUCCESS) {
      (undo<i>(forwarding, arguments, i < encoded), ...);
    } else {
      (finish<i>(forwarding, arguments), ...);
    }
    return status;
  }

 private:
  template <class Arguments>
  static CUresult send(Forwarding& forwarding, Bytes bytes, const Arguments& arguments) {
    if constexpr (Row::kMode == Mode::Posted) {
      uint64_t sequence = 0;
      const CUresult status = post(forwarding.submission, number, bytes, &sequence);
      if (forwarding.stream) forwarding.stream->posted.raise(sequence);
      return status;
    } else {
      std::array<std::byte, replyBytes<Arguments>() + 8> reply;
      const Answer answer =
          call(forwarding.submission, number, bytes, std::span(reply).first(replyBytes<Arguments>()));
      if (answer.status != CUDA_SUCCESS) return answer.status;
      Decoder in(std::span<const std::byte>(reply).first(answer.payloadBytes));
      (decode<i>(in, arguments), ...);
      return in.failed() ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS;
    }
  }

  template <class Arguments>
  static constexpr size_t replyBytes() {
    return (replyBytesOf<i, std::tuple_element_t<i, Arguments>>() + ... + 0);
  }
  template <size_t index, class Argument>
  static constexpr size_t replyBytesOf() {
    if constexpr (requires { Role<index>::template kReplyBytes<Argument>; })
      return Role<index>::template kReplyBytes<Argument>;
    return 0;
  }
  template <size_t index, class Arguments>
  static void decode(Decoder& in, const Arguments& arguments) {
    if constexpr (requires { Role<index>::decode(in, std::get<index>(arguments)); })
      Role<index>::decode(in, std::get<index>(arguments));
  }
  template <size_t index, class Arguments>
  static void undo(Forwarding& forwarding, const Arguments& arguments, bool wasEncoded) {
    if constexpr (requires { Role<index>::undo(forwarding, std::get<index>(arguments)); }) {
      if (wasEncoded && std::get<index>(arguments)) Role<index>::undo(forwarding, std::get<index>(arguments));
    }
  }
  template <size_t index, class Arguments>
  static void finish(Forwarding& forwarding, const Arguments& arguments) {
    if constexpr (requires { Role<index>::finish(forwarding, std::get<index>(arguments)); })
      Role<index>::finish(forwarding, std::get<index>(arguments));
  }
};

// Rows that natively need no current context.
bool needsContext(uint16_t number);

template <uint16_t number, bool perThread, class... Arguments>
CUresult forwardArguments(Arguments... arguments) {
  Forwarding forwarding{.submission = {}, .perThread = perThread};
  const CUresult status =
      needsContext(number) ? enterContext(forwarding.submission) : enterSession(forwarding.submission);
  if (status != CUDA_SUCCESS) return status;
  if (!forwarding.submission.session->hasRow(number)) return CUDA_ERROR_NOT_SUPPORTED;
  return ForwardImplementation<number, std::index_sequence_for<Arguments...>>::run(
      forwarding, std::tuple<Arguments...>(arguments...));
}

// Forward<row>::call has exactly the vendor function's type.
template <uint16_t number, bool perThread = false, class Function = protocol::Row<number>::VendorFunction>
struct Forward;
template <uint16_t number, bool perThread, class... Arguments>
struct Forward<number, perThread, CUresult(Arguments...)> {
  static CUresult call(Arguments... arguments) {
    return forwardArguments<number, perThread, Arguments...>(arguments...);
  }
};

}  // namespace vgpu::shim
