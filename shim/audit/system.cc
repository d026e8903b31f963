#include "shim/audit/system.h"

#include <linux/stat.h>

namespace vgpu::audit {
namespace {

// Reads a file of /proc in pieces and hands it out byte by byte: such files have no size to map.
class ByteReader {
 public:
  explicit ByteReader(const char* path)
      : descriptor_(systemCall(SYS_openat, AT_FDCWD, toArgument(path), O_RDONLY | O_CLOEXEC)) {}
  ~ByteReader() {
    if (!isError(descriptor_)) systemCall(SYS_close, descriptor_);
  }
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  // The next byte, or -1 at the end.
  int next() {
    if (position_ == end_) {
      if (isError(descriptor_)) return -1;
      long count = systemCall(SYS_read, descriptor_, toArgument(buffer_), sizeof buffer_);
      if (count <= 0) return -1;
      position_ = 0;
      end_ = static_cast<size_t>(count);
    }
    return buffer_[position_++];
  }

 private:
  long descriptor_;
  size_t position_ = 0;
  size_t end_ = 0;
  unsigned char buffer_[1024];
};

// A hexadecimal number and the byte behind it.
uintptr_t number(ByteReader& reader, int* behind) {
  uintptr_t value = 0;
  int byte = reader.next();
  for (;; byte = reader.next()) {
    if (byte >= '0' && byte <= '9') {
      value = value * 16 + static_cast<uintptr_t>(byte - '0');
    } else if (byte >= 'a' && byte <= 'f') {
      value = value * 16 + static_cast<uintptr_t>(byte - 'a' + 10);
    } else {
      *behind = byte;
      return value;
    }
  }
}

// The rest of the line; if it holds a path, that path.
void readPath(ByteReader& reader, char* path) {
  size_t count = 0;
  for (int byte = reader.next(); byte != '\n' && byte >= 0; byte = reader.next()) {
    bool inPath = count > 0 || byte == '/';
    if (inPath && count < kMaxPath - 1) path[count++] = static_cast<char>(byte);
  }
  path[count] = 0;
}

// Lines of /proc/self/maps: "start-end rights offset device inode   path".
void findFolder(char* path) {
  ByteReader reader("/proc/self/maps");
  auto here = reinterpret_cast<uintptr_t>(&findFolder);
  for (int behind = 0; behind >= 0;) {
    uintptr_t start = number(reader, &behind);
    if (behind < 0) break;
    uintptr_t end = number(reader, &behind);
    readPath(reader, path);
    if (here < start || here >= end) continue;
    const char* base = baseName(path);
    path[base > path ? base - path - 1 : 0] = 0;
    return;
  }
  path[0] = 0;
}

// From /proc, because a library without libc is told of no environment.
bool isSilent() {
  ByteReader reader("/proc/self/environ");
  const char* wanted = "VGPU_LOG=off";
  for (int byte = reader.next(); byte >= 0; byte = reader.next()) {
    const char* expected = wanted;
    while (byte > 0 && byte == *expected) byte = reader.next(), ++expected;
    if (byte <= 0 && *expected == 0) return true;
    while (byte > 0) byte = reader.next();
  }
  return false;
}

}  // namespace

MappedFile::MappedFile(const char* path) {
  long descriptor = systemCall(SYS_openat, AT_FDCWD, toArgument(path), O_RDONLY | O_CLOEXEC);
  if (isError(descriptor)) return;
  struct statx status;
  long stated =
      systemCall(SYS_statx, descriptor, toArgument(""), AT_EMPTY_PATH, STATX_SIZE, toArgument(&status));
  if (!isError(stated) && status.stx_size > 0) {
    auto size = static_cast<long>(status.stx_size);
    long mapped = systemCall(SYS_mmap, 0, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (!isError(mapped)) {
      bytes_ = reinterpret_cast<const unsigned char*>(mapped);
      size_ = static_cast<size_t>(size);
    }
  }
  systemCall(SYS_close, descriptor);
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) systemCall(SYS_munmap, toArgument(bytes_), static_cast<long>(size_));
}

const char* ownFolder() {
  static char folder[kMaxPath];
  static bool found = false;
  if (!found) findFolder(folder);
  found = true;
  return folder;
}

bool ownFile(const char* name, char* path) {
  size_t count = 0;
  for (const char* byte = ownFolder(); *byte != 0; ++byte) path[count++] = *byte;
  if (count == 0 || count + 1 + length(name) >= kMaxPath) return false;
  path[count++] = '/';
  for (; *name != 0; ++name) path[count++] = *name;
  path[count] = 0;
  return !isError(systemCall(SYS_faccessat, AT_FDCWD, toArgument(path), 0));
}

void tell(const char* first, const char* second, const char* third) {
  if (isSilent()) return;
  char line[1024];
  size_t count = 0;
  const char* parts[] = {"vgpu: ", first, second, third, "\n"};
  for (const char* part : parts) {
    for (; *part != 0 && count < sizeof line; ++part) line[count++] = *part;
  }
  systemCall(SYS_write, 2, toArgument(line), static_cast<long>(count));
}

}  // namespace vgpu::audit
