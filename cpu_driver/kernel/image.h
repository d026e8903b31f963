// A kernel's image: one flat, position-independent blob of machine code, and its loader. No LLVM is needed to
// load one. Made by libvgpu-jit.so, kept in the cache, loaded by the driver on any thread; LoadedImage owns
// the mapping. A blob may come from a cache file, so all of it is checked before use; what the code itself
// does was checked by nobody, which is why cache entries are bound to their key by hash and the directory
// belongs to one tenant.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "cpu_driver/kernel/abi.h"

namespace vgpu::kernel {

enum class Form : uint32_t { Auto, Loops, Fibers };
const char* formName(Form form);

constexpr uint32_t kImageMagic = 0x4a50'4756;  // "VGPJ"

enum ImageFlags : uint32_t {
  kImageSpins = 1,        // a thread may wait for another block: keep several blocks resident
  kImageExactChecks = 2,  // accesses are checked by HostServices::accessible
};

// The blob: header, imports (u32 each), [page] code, [page] constants, then a table of import addresses the
// loader fills.
struct ImageHeader {
  uint32_t magic = kImageMagic;
  uint32_t abiVersion = kAbiVersion;
  uint32_t form = 0;  // Form::Loops or Form::Fibers
  uint32_t flags = 0;
  uint32_t totalBytes = 0;  // of the blob
  uint32_t codeOffset = 0;  // multiples of the page size
  uint32_t codeBytes = 0;
  uint32_t constantsOffset = 0;
  uint32_t constantsBytes = 0;
  uint32_t importTableOffset = 0;  // u64 each, page aligned, not stored in the blob
  uint32_t importCount = 0;        // ids follow this header
  uint32_t entryOffset = 0;        // into the code
  uint32_t stackBytes = 0;         // fibers: of the deepest known frame's locals, beside the runner's reserve
  uint32_t scratchBytes = 0;       // loops: of a block
  uint32_t staticSharedBytes = 0;  // also where dynamic shared memory begins
  Dim3 blockDim{0, 0, 0};          // what it is specialised for; 0: any
  uint32_t steps = 0;              // instructions that a thread executes at most; 0: no bound is known
};

class LoadedImage {
 public:
  const ImageHeader& header() const { return header_; }
  Form form() const { return static_cast<Form>(header_.form); }
  // void (*)(BlockContext*) for loops, void (*)(ThreadContext*) for fibers.
  const void* entry() const { return mapping_.data() + header_.codeOffset + header_.entryOffset; }
  bool contains(uintptr_t codeAddress) const;
  ~LoadedImage();

 private:
  friend Result<std::shared_ptr<LoadedImage>> loadImage(std::span<const std::byte>);
  LoadedImage() = default;
  ImageHeader header_;
  Mapping mapping_;
};

// Maps the blob, binds its imports, makes code executable and registers it with the fault handler's ranges.
Result<std::shared_ptr<LoadedImage>> loadImage(std::span<const std::byte> blob);

}  // namespace vgpu::kernel
