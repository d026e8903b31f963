// Result<T>: the outcome of an operation on the environment (a file, a socket, a mapping).
// An Error names the operation and its cause, so that the line that is finally printed can be acted on.
// Any thread; owns what it carries. Not for CUDA's codes (they keep CUDA's meaning), nor for our own
// invariants (CHECK).
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace vgpu {

struct Error {
  std::string operation;  // what was tried, with the object's name: "connect /run/vgpu/mediator.sock"
  std::string cause;      // why it failed, and the remedy where there is one
  int code = 0;           // errno, or 0 where there was none

  std::string message() const { return operation + ": " + cause; }
};

// The current errno as an Error of `operation`.
Error errnoError(std::string operation);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

struct Done {};
using Status = Result<Done>;
inline Status success() { return Status(Done{}); }

}  // namespace vgpu
