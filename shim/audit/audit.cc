// libvgpu-audit.so, loaded by LD_AUDIT into a program and its children. Two things: names and paths of
// NVIDIA's libcuda and libcudart resolve to ours, whoever asks for them and by whatever path; and NVIDIA's
// runtime where it is linked into a module is redirected to our libcudart (see redirect.h). In a process that
// has neither it only looks: it keeps nothing, prints nothing and changes nothing. It is told of objects
// under the dynamic linker's lock, before anything of them has run. No answer is given anywhere to NVIDIA's
// check that a driver is genuine.
#include <link.h>

#include "shim/audit/base_library.h"
#include "shim/audit/names.h"
#include "shim/audit/redirect.h"
#include "shim/audit/static_runtime.h"
#include "shim/audit/system.h"

namespace vgpu::audit {
namespace {

// What a library may be asked for by, and the name that ours has in our folder.
struct Replacement {
  const char* asked;
  const char* ours;
};

constexpr Replacement kReplacements[] = {
    {"libcuda.so.1", "libcuda.so.1"},
    {"libcuda.so", "libcuda.so.1"},
    {"libcudart.so.12", "libcudart.so.12"},
    {"libcudart.so.13", "libcudart.so.13"},
};

// Also the files that the links point to: libcudart.so.12.9.79, libcuda.so.580.65.06; and the copies in
// Python wheels whose names carry a hash: libcudart-9335f6a2.so.12.
bool isAsked(const char* base, const char* asked) {
  bool isRuntime = startsWith(asked, "libcudart");
  while (*asked != 0 && *base == *asked) ++base, ++asked;
  if (isRuntime && *base == '-' && startsWith(asked, ".so.")) {
    while (*base != 0 && *base != '.') ++base;
    while (*asked != 0 && *base == *asked) ++base, ++asked;
  }
  bool isVersion = *base == '.' && base[1] >= '0' && base[1] <= '9';
  return *asked == 0 && (*base == 0 || isVersion);
}

// The row of kReplacements for a file's name, or kNoRow.
size_t replacementOf(const char* path) {
  const char* base = baseName(path);
  if (!startsWith(base, "libcuda")) return kNoRow;
  for (size_t row = 0; row < sizeof kReplacements / sizeof kReplacements[0]; ++row) {
    if (isAsked(base, kReplacements[row].asked)) return row;
  }
  return kNoRow;
}

// A path that ends in a toolkit's libcudart.so does not say which version it is, but what it links to does.
size_t replacementBehindLink(const char* path) {
  char target[kMaxPath];
  if (!equal(baseName(path), "libcudart.so")) return kNoRow;
  long size = systemCall(SYS_readlinkat, AT_FDCWD, toArgument(path), toArgument(target), sizeof target - 1);
  if (isError(size)) return kNoRow;
  target[size] = 0;
  return replacementOf(target);
}

// Our counterpart of a library, or null. The answer stays valid as long as the process.
char* replacement(const char* name) {
  static char paths[sizeof kReplacements / sizeof kReplacements[0]][kMaxPath];
  size_t row = replacementOf(name);
  if (row == kNoRow) row = replacementBehindLink(name);
  if (row == kNoRow) return nullptr;
  return ownFile(kReplacements[row].ours, paths[row]) ? paths[row] : nullptr;
}

// The program itself has no name here.
const char* fileOf(const link_map* map) { return map->l_name[0] != 0 ? map->l_name : "/proc/self/exe"; }

// Our own libcudart defines the same functions, and keeps them.
bool isOurs(const char* path) {
  const char* folder = ownFolder();
  return folder[0] != 0 && startsWith(path, folder) && path[length(folder)] == '/';
}

void examine(const link_map* map) {
  static StaticRuntime runtime;  // too large for the stack of a thread; the linker's lock is held
  const char* path = fileOf(map);
  MappedFile file(path);
  if (file.bytes() == nullptr || !findStaticRuntime(file, &runtime) || isOurs(path)) return;
  if (!redirect(map, runtime)) {
    tell("the CUDA runtime linked into ", map->l_name[0] != 0 ? map->l_name : "the program",
         " cannot be replaced: link with -cudart shared");
  }
}

}  // namespace
}  // namespace vgpu::audit

#define VGPU_AUDIT_EXPORT extern "C" __attribute__((visibility("default")))

// Every version of the interface has what is used of it here.
VGPU_AUDIT_EXPORT unsigned la_version(unsigned version) { return version; }

VGPU_AUDIT_EXPORT char* la_objsearch(const char* name, uintptr_t*, unsigned) {
  char* ours = vgpu::audit::replacement(name);
  return ours != nullptr ? ours : const_cast<char*>(name);
}

VGPU_AUDIT_EXPORT unsigned la_objopen(link_map* map, Lmid_t space, uintptr_t*) {
  if (space == LM_ID_BASE) {
    vgpu::audit::noteObject(map);
    vgpu::audit::examine(map);
  }
  return 0;  // bindings are of no interest
}
