// The few system calls and string functions that the auditor needs. It is loaded into every child of a
// program, so it links nothing: a libc of its own would cost each of them a second copy. All of it runs in
// the audited process, in whatever thread loads an object, under the dynamic linker's lock.
#pragma once

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

namespace vgpu::audit {

// Linux answers errors as small negative numbers.
inline long systemCall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) {
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  long result = number;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

inline bool isError(long result) { return result < 0 && result > -4096; }

inline long toArgument(const void* pointer) { return reinterpret_cast<long>(pointer); }

inline size_t length(const char* text) {
  size_t count = 0;
  while (text[count] != 0) ++count;
  return count;
}

inline bool equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

inline bool startsWith(const char* text, const char* prefix) {
  while (*prefix != 0 && *text == *prefix) ++text, ++prefix;
  return *prefix == 0;
}

// The part behind the last slash.
inline const char* baseName(const char* path) {
  const char* base = path;
  for (; *path != 0; ++path) {
    if (*path == '/') base = path + 1;
  }
  return base;
}

// A whole file, mapped to be read. Empty where it cannot be.
class MappedFile {
 public:
  explicit MappedFile(const char* path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const unsigned char* bytes() const { return bytes_; }
  size_t size() const { return size_; }

  // `count` records of one type at `offset`, or null where the file does not hold them all.
  template <class Record>
  const Record* at(uint64_t offset, uint64_t count = 1) const {
    bool fits =
        offset <= size_ && count <= (size_ - offset) / sizeof(Record) && offset % alignof(Record) == 0;
    return fits ? reinterpret_cast<const Record*>(bytes_ + offset) : nullptr;
  }

 private:
  const unsigned char* bytes_ = nullptr;
  size_t size_ = 0;
};

constexpr size_t kMaxPath = 4096;  // PATH_MAX: longer ones cannot be opened

// The folder that this library was loaded from, without a slash at its end; empty where /proc is not there.
const char* ownFolder();

// The path of a file in that folder, written to kMaxPath bytes; false where there is no such file.
bool ownFile(const char* name, char* path);

// One line on stderr, unless VGPU_LOG=off: "vgpu: ", the parts one behind another, a line's end.
void tell(const char* first, const char* second = "", const char* third = "");

}  // namespace vgpu::audit
