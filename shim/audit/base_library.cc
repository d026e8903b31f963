#include "shim/audit/base_library.h"

#include <dlfcn.h>

#include "shim/audit/system.h"

namespace vgpu::audit {
namespace {

const link_map* libc = nullptr;
const link_map* libdl = nullptr;

// The parts of an object's dynamic section that a look-up needs.
struct Dynamic {
  const Elf64_Sym* symbols = nullptr;
  const char* text = nullptr;
  const uint32_t* hash = nullptr;
};

// glibc has added the base to these by the time that anyone looks.
template <class Pointee>
const Pointee* tableAt(const link_map* map, uint64_t value) {
  return reinterpret_cast<const Pointee*>(value < map->l_addr ? value + map->l_addr : value);
}

Dynamic dynamicOf(const link_map* map) {
  Dynamic dynamic;
  for (const Elf64_Dyn* entry = map->l_ld; entry->d_tag != DT_NULL; ++entry) {
    if (entry->d_tag == DT_SYMTAB) dynamic.symbols = tableAt<Elf64_Sym>(map, entry->d_un.d_ptr);
    if (entry->d_tag == DT_STRTAB) dynamic.text = tableAt<char>(map, entry->d_un.d_ptr);
    if (entry->d_tag == DT_GNU_HASH) dynamic.hash = tableAt<uint32_t>(map, entry->d_un.d_ptr);
  }
  return dynamic;
}

uint32_t gnuHash(const char* name) {
  uint32_t value = 5381;
  for (; *name != 0; ++name) value = value * 33 + static_cast<unsigned char>(*name);
  return value;
}

// The layout of DT_GNU_HASH: count of buckets, first symbol, words and shift of the filter, filter, buckets,
// chains.
void* find(const link_map* map, const char* name) {
  if (map == nullptr) return nullptr;
  Dynamic dynamic = dynamicOf(map);
  if (dynamic.symbols == nullptr || dynamic.text == nullptr || dynamic.hash == nullptr) return nullptr;
  uint32_t bucketCount = dynamic.hash[0];
  uint32_t firstSymbol = dynamic.hash[1];
  const uint32_t* buckets = dynamic.hash + 4 + size_t{dynamic.hash[2]} * 2;
  const uint32_t* chains = buckets + bucketCount;
  uint32_t wanted = gnuHash(name);
  uint32_t index = bucketCount != 0 ? buckets[wanted % bucketCount] : 0;
  if (index < firstSymbol) return nullptr;
  for (;; ++index) {
    uint32_t hash = chains[index - firstSymbol];
    const Elf64_Sym& symbol = dynamic.symbols[index];
    bool same = (hash | 1) == (wanted | 1) && equal(dynamic.text + symbol.st_name, name);
    if (same && symbol.st_shndx != SHN_UNDEF) return reinterpret_cast<void*>(map->l_addr + symbol.st_value);
    if ((hash & 1) != 0) return nullptr;
  }
}

template <class Signature>
Signature* function(const char* name) {
  void* address = find(libc, name);
  if (address == nullptr) address = find(libdl, name);
  return reinterpret_cast<Signature*>(address);
}

}  // namespace

void noteObject(const link_map* map) {
  const char* base = baseName(map->l_name);
  if (equal(base, "libc.so.6")) libc = map;
  if (equal(base, "libdl.so.2")) libdl = map;
}

void* loadForProgram(const char* path, const char** reason) {
  auto* open = function<void*(Lmid_t, const char*, int)>("dlmopen");
  auto* lastError = function<char*()>("dlerror");
  if (open == nullptr) {
    *reason = "the program's C library has no dlmopen";
    return nullptr;
  }
  void* library = open(LM_ID_BASE, path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) *reason = lastError != nullptr ? lastError() : "it could not be loaded";
  return library;
}

void* symbolOf(void* library, const char* name) {
  auto* find = function<void*(void*, const char*)>("dlsym");
  return find != nullptr ? find(library, name) : nullptr;
}

}  // namespace vgpu::audit
