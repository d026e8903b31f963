// What the self-checking CUDA programs use: each prints one line, `ok ...` with exit code 0, or what differed
// with exit code 1. Runs in the program's own process and threads; owns nothing. No CUDA header is needed
// here: CHECK_CUDA wants <cuda_runtime.h> and CHECK_DRIVER <cuda.h> only where they are used.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace check {

// Prints where and what differed, and ends the program at once: other threads may hang in the driver.
[[noreturn]] __attribute__((format(printf, 3, 4))) inline void fail(const char* file, int line,
                                                                    const char* format, ...) {
  std::fprintf(stdout, "%s:%d: ", file, line);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stdout, format, arguments);
  va_end(arguments);
  std::fputc('\n', stdout);
  std::fflush(stdout);
  std::_Exit(1);
}

// The last statement of main: `return check::ok("vector_add: %d values", n);`
__attribute__((format(printf, 1, 2))) inline int ok(const char* format, ...) {
  std::fputs("ok ", stdout);
  va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stdout, format, arguments);
  va_end(arguments);
  std::fputc('\n', stdout);
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace check

#define CHECK_CUDA(call)                                                               \
  do {                                                                                 \
    const cudaError_t status_ = (call);                                                \
    if (status_ != cudaSuccess)                                                        \
      check::fail(__FILE__, __LINE__, "%s: %s (%s)", #call, cudaGetErrorName(status_), \
                  cudaGetErrorString(status_));                                        \
  } while (0)

#define CHECK_DRIVER(call)                                                                      \
  do {                                                                                          \
    const CUresult status_ = (call);                                                            \
    if (status_ != CUDA_SUCCESS) {                                                              \
      const char* name_ = nullptr;                                                              \
      cuGetErrorName(status_, &name_);                                                          \
      check::fail(__FILE__, __LINE__, "%s: %s (%d)", #call, name_ ? name_ : "?", int(status_)); \
    }                                                                                           \
  } while (0)

// EXPECT(condition, "format", values...): what differed, in the program's own words.
#define EXPECT(condition, ...)                                      \
  do {                                                              \
    if (!(condition)) check::fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)
