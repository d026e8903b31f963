// HostRole: the executor's behaviour of every role of the call table (protocol/marshal/roles.h). One object
// an argument holds its private copy while the driver runs. Runs on the dispatcher; what decode() reads is
// the guest's.
#pragma once

#include <cstring>
#include <memory>

#include "mediator/executor/execution.h"
#include "protocol/marshal/roles.h"

namespace vgpu::executor {

using protocol::Decoder;
using protocol::Encoder;
namespace roles = protocol::roles;

// What decoding finds out beside the arguments.
struct Binding {
  Execution& execution;
  Submission& submission;
  CUresult status = CUDA_SUCCESS;  // why the driver must not be called
  StreamObject* stream = nullptr;
  EventObject* event = nullptr;
  const void* code = nullptr;         // the module or library
  SharedMemoryShare share = nullptr;  // of what the call makes, or maps
};

template <class Role, class Argument>
struct HostRole;

// The members that most roles do not need.
struct PlainRole {
  void encode(Encoder&) const {}
  void finish(Binding&) {}  // after success
};

// A vendor's enumeration is kept as the number that came: whether it is one of its values is the driver's to
// say.
template <class T>
struct Stored {
  using Type = T;
};
template <class T>
  requires std::is_enum_v<T>
struct Stored<T> {
  using Type = std::underlying_type_t<T>;
};

template <class T>
struct HostRole<roles::In, T> : PlainRole {
  Stored<T>::Type value{};
  void decode(Decoder& in, Binding&) { value = in.get<typename Stored<T>::Type>(); }
  T pass() { return static_cast<T>(value); }
};

template <class T>
struct HostRole<roles::InPointee, T*> : PlainRole {
  std::remove_const_t<T> value{};
  void decode(Decoder& in, Binding&) { value = in.get<std::remove_const_t<T>>(); }
  T* pass() { return &value; }
};

template <class T>
struct HostRole<roles::Out, T*> : PlainRole {
  T value{};
  void decode(Decoder&, Binding&) {}
  T* pass() { return &value; }
  void encode(Encoder& out) const { out.put(value); }
};

template <class T>
struct HostRole<roles::OutOptional, T*> : PlainRole {
  T value{};
  bool wanted = false;
  void decode(Decoder& in, Binding&) { wanted = in.get<uint8_t>() != 0; }
  T* pass() { return wanted ? &value : nullptr; }
  void encode(Encoder& out) const { out.put(value); }
};

template <>
struct HostRole<roles::Address, CUdeviceptr> : PlainRole {
  uint64_t value = 0;
  void decode(Decoder& in, Binding& binding) {
    value = in.get<uint64_t>();
    if (!in.failed() && !binding.execution.covers(binding.submission, value, 1))
      binding.status = CUDA_ERROR_INVALID_VALUE;
  }
  CUdeviceptr pass() { return value; }
};

template <>
struct HostRole<roles::Name, const char*> : PlainRole {
  char text[protocol::kMaxNameBytes + 1];
  void decode(Decoder& in, Binding&) {
    const auto name = in.getString(protocol::kMaxNameBytes);
    text[name.copy(text, name.size())] = 0;
  }
  const char* pass() { return text; }
};

inline CUresult deadHandle(Kind kind) {
  return kind == Kind::Context ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE;
}

template <Kind kind>
struct HostRole<roles::Use<kind>, typename ObjectOf<kind>::Driver> : PlainRole {
  using Driver = ObjectOf<kind>::Driver;
  Driver value{};
  void decode(Decoder& in, Binding& binding) {
    const uint64_t bits = in.get<uint64_t>();
    if (in.failed()) return;
    auto* object = lookUp(bits, binding);
    if (!object) {
      if (binding.status == CUDA_SUCCESS) binding.status = deadHandle(kind);
      return;
    }
    if constexpr (kind == Kind::Stream) binding.stream = object;
    if constexpr (kind == Kind::Event) binding.event = object;
    if constexpr (kind == Kind::Physical) binding.share = object->share;
    if constexpr (kind == Kind::Module || kind == Kind::Library) binding.code = object;
    value = (Driver)object->driver;
  }
  Driver pass() { return value; }

 private:
  static auto* lookUp(uint64_t bits, Binding& binding) {
    if constexpr (kind == Kind::Stream) {
      return binding.execution.stream(binding.submission, bits, binding.status);
    } else if constexpr (kind == Kind::Function) {
      return binding.execution.function(binding.submission, bits);
    } else {
      return binding.execution.find<kind>(binding.submission, bits);
    }
  }
};

template <Kind kind>
struct HostRole<roles::New<kind>, typename ObjectOf<kind>::Driver*> : PlainRole {
  using Object = ObjectOf<kind>::Type;
  ObjectOf<kind>::Driver value{};
  Handle handle;
  Object* made = nullptr;
  void decode(Decoder& in, Binding& binding) {
    handle = Handle(in.get<uint64_t>());
    if (!in.failed()) binding.execution.isFree<kind>(binding.submission, handle.bits());
  }
  ObjectOf<kind>::Driver* pass() { return &value; }
  void finish(Binding& binding) {
    auto object = std::make_unique<Object>();
    object->driver = (decltype(object->driver))value;
    if constexpr (requires { object->context; }) object->context = binding.submission.context;
    if constexpr (requires { object->handle; }) object->handle = handle;
    if constexpr (requires { object->share; }) object->share = std::move(binding.share);
    made = &binding.execution.objects.table<kind>().insert(handle, std::move(object));
  }
};

template <Kind kind>
struct HostRole<roles::End<kind>, typename ObjectOf<kind>::Driver> : PlainRole {
  using Driver = ObjectOf<kind>::Driver;
  Driver value{};
  Handle handle;
  void decode(Decoder& in, Binding& binding) {
    handle = Handle(in.get<uint64_t>());
    if (in.failed()) return;
    auto* object = binding.execution.find<kind>(binding.submission, handle.bits());
    if (!object) {
      binding.status = deadHandle(kind);
    } else {
      value = (Driver)object->driver;
    }
  }
  Driver pass() { return value; }
  void finish(Binding& binding) { binding.execution.objects.table<kind>().remove(handle); }
};

}  // namespace vgpu::executor
