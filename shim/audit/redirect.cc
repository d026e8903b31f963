#include "shim/audit/redirect.h"

#include "shim/audit/base_library.h"
#include "shim/audit/system.h"

extern "C" void vgpuAuditLazy();

namespace vgpu::audit {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kNear = size_t{1} << 30;  // well within a jump's two gigabytes
constexpr uint32_t kJumpBytes = 5;         // jmp rel32
constexpr size_t kTrampolineBytes = 24;

// Memory near the module: slots that are written, then code that is not any more.
struct Trampolines {
  void (*lazy)();
  Trampolines* self;
  int version;
  size_t count;
  void* slots[kRowCount];
  uint16_t rows[kRowCount];
};

constexpr size_t roundUp(size_t size) { return (size + kPage - 1) / kPage * kPage; }
constexpr size_t kDataBytes = roundUp(sizeof(Trampolines));
constexpr size_t kCodeBytes = roundUp((kRowCount + 1) * kTrampolineBytes);

unsigned char* codeOf(Trampolines* trampolines) {
  return reinterpret_cast<unsigned char*>(trampolines) + kDataBytes;
}

unsigned char* trampoline(Trampolines* trampolines, size_t index) {
  return codeOf(trampolines) + (index + 1) * kTrampolineBytes;  // the first place is the common part's
}

// Below the module first: what grows upwards behind a program is its heap.
void* allocateNear(uintptr_t low, uintptr_t high) {
  constexpr size_t kStep = size_t{1} << 16;
  auto tryAt = [](uintptr_t address) -> void* {
    long got = systemCall(SYS_mmap, static_cast<long>(address), kDataBytes + kCodeBytes,
                          PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (isError(got)) return nullptr;
    if (static_cast<uintptr_t>(got) == address) return reinterpret_cast<void*>(got);
    systemCall(SYS_munmap, got, kDataBytes + kCodeBytes);  // a kernel that does not know the flag
    return nullptr;
  };
  uintptr_t below = (low - kDataBytes - kCodeBytes) / kPage * kPage;
  for (size_t step = kStep; step < kNear && below > step; step += step < kNear / 64 ? kStep : kNear / 64) {
    if (void* memory = tryAt(below - step)) return memory;
  }
  for (size_t step = kNear / 4; step < kNear; step += kNear / 64) {
    if (void* memory = tryAt((high + step) / kPage * kPage)) return memory;
  }
  return nullptr;
}

class CodeWriter {
 public:
  explicit CodeWriter(unsigned char* at) : at_(at) {}

  void byte(unsigned value) { *at_++ = static_cast<unsigned char>(value); }
  void word(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) byte((value >> shift) & 0xff);
  }
  // The distance of `target` from the end of this operand.
  template <class Pointee>
  void relative(const Pointee* target) {
    word(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(target) - reinterpret_cast<uintptr_t>(at_) - 4));
  }

 private:
  unsigned char* at_;
};

void writeCommon(Trampolines* trampolines) {
  CodeWriter code(codeOf(trampolines));
  code.byte(0xff), code.byte(0x35), code.relative(&trampolines->self);  // push trampolines
  code.byte(0xff), code.byte(0x25), code.relative(&trampolines->lazy);  // jmp vgpuAuditLazy
}

// jmp *slot; and behind it what the slot points at until it is filled: push index; jmp common.
void writeTrampoline(Trampolines* trampolines, size_t index) {
  unsigned char* at = trampoline(trampolines, index);
  CodeWriter code(at);
  code.byte(0xff), code.byte(0x25), code.relative(&trampolines->slots[index]);
  code.byte(0x68), code.word(static_cast<uint32_t>(index));
  code.byte(0xe9), code.relative(codeOf(trampolines));
  trampolines->slots[index] = at + 6;
}

bool protect(uintptr_t start, uintptr_t end, int rights) {
  start = start / kPage * kPage;
  end = (end + kPage - 1) / kPage * kPage;
  return !isError(systemCall(SYS_mprotect, static_cast<long>(start), static_cast<long>(end - start), rights));
}

bool patchable(const StaticRuntime& runtime) {
  for (size_t i = 0; i < runtime.count; ++i) {
    bool alias = i > 0 && runtime.functions[i].address == runtime.functions[i - 1].address;
    if (!alias && runtime.functions[i].room < kJumpBytes) return false;
  }
  return true;
}

Trampolines* makeTrampolines(const StaticRuntime& runtime, uintptr_t low, uintptr_t high) {
  auto* trampolines = static_cast<Trampolines*>(allocateNear(low, high));
  if (trampolines == nullptr) return nullptr;
  trampolines->lazy = vgpuAuditLazy;
  trampolines->self = trampolines;
  trampolines->version = runtime.version;
  trampolines->count = runtime.count;
  writeCommon(trampolines);
  for (size_t i = 0; i < runtime.count; ++i) {
    trampolines->rows[i] = runtime.functions[i].row;
    writeTrampoline(trampolines, i);
  }
  auto code = reinterpret_cast<uintptr_t>(codeOf(trampolines));
  return protect(code, code + kCodeBytes, PROT_READ | PROT_EXEC) ? trampolines : nullptr;
}

// What a program gets whose libcudart cannot be loaded: cudaErrorInsufficientDriver, and a text where it
// wants one.
long unavailable() { return 35; }
const char* unavailableText() { return "vgpu's CUDA runtime could not be loaded"; }

void* fallback(const char* name) {
  bool wantsText = equal(name, "cudaGetErrorName") || equal(name, "cudaGetErrorString");
  return wantsText ? reinterpret_cast<void*>(unavailableText) : reinterpret_cast<void*>(unavailable);
}

void* loadRuntime(int version) {
  char path[kMaxPath];
  const char* reason = "it is not beside libvgpu-audit.so";
  bool there = ownFile(version == 12 ? "libcudart.so.12" : "libcudart.so.13", path);
  void* library = there ? loadForProgram(path, &reason) : nullptr;
  if (library == nullptr) tell("the CUDA runtime cannot be replaced: ", reason);
  return library;
}

}  // namespace

bool redirect(const link_map* map, const StaticRuntime& runtime) {
  if (!patchable(runtime)) return false;
  uintptr_t low = map->l_addr + runtime.functions[0].address;
  uintptr_t high = map->l_addr + runtime.functions[runtime.count - 1].address + kJumpBytes;
  if (high - low > kNear) return false;
  Trampolines* trampolines = makeTrampolines(runtime, low, high);
  if (trampolines == nullptr || !protect(low, high, PROT_READ | PROT_WRITE)) return false;
  for (size_t i = 0; i < runtime.count; ++i) {
    CodeWriter code(reinterpret_cast<unsigned char*>(map->l_addr + runtime.functions[i].address));
    code.byte(0xe9), code.relative(trampoline(trampolines, i));
  }
  return protect(low, high, PROT_READ | PROT_EXEC);
}

}  // namespace vgpu::audit

// Called by vgpuAuditLazy, from whatever thread came first; two at once fill the slots with the same.
extern "C" __attribute__((visibility("hidden"))) void* vgpuAuditResolve(vgpu::audit::Trampolines* trampolines,
                                                                        size_t index) {
  using namespace vgpu::audit;
  void* library = loadRuntime(trampolines->version);
  void* target = nullptr;
  for (size_t i = 0; i < trampolines->count; ++i) {
    const char* name = rowName(trampolines->rows[i]);
    void* found = library != nullptr ? symbolOf(library, name) : nullptr;
    if (found == nullptr) found = fallback(name);
    if (i == index) target = found;
    __atomic_store_n(&trampolines->slots[i], found, __ATOMIC_RELEASE);
  }
  return target;
}
