#include "shim/audit/static_runtime.h"

#include <elf.h>

namespace vgpu::audit {
namespace {

// More room than a patch needs is not told apart.
constexpr uint32_t kMaxRoom = 64;

struct Symbols {
  const Elf64_Sym* first = nullptr;
  size_t count = 0;
  const char* text = nullptr;
  size_t textBytes = 0;

  // A name that ends within the table, or an empty one.
  const char* name(const Elf64_Sym& symbol) const {
    return symbol.st_name < textBytes ? text + symbol.st_name : "";
  }
};

bool isDefined(const Elf64_Sym& symbol) {
  return symbol.st_shndx != SHN_UNDEF && symbol.st_shndx < SHN_LORESERVE && symbol.st_value != 0;
}

const Elf64_Ehdr* header(const MappedFile& file) {
  const auto* elf = file.at<Elf64_Ehdr>(0);
  bool readable = elf != nullptr && elf->e_ident[EI_MAG0] == ELFMAG0 && elf->e_ident[EI_MAG1] == ELFMAG1 &&
                  elf->e_ident[EI_MAG2] == ELFMAG2 && elf->e_ident[EI_MAG3] == ELFMAG3 &&
                  elf->e_ident[EI_CLASS] == ELFCLASS64 && elf->e_machine == EM_X86_64 &&
                  elf->e_shentsize == sizeof(Elf64_Shdr);
  return readable ? elf : nullptr;
}

bool findSymbols(const MappedFile& file, Symbols* symbols) {
  const Elf64_Ehdr* elf = header(file);
  if (elf == nullptr) return false;
  const auto* sections = file.at<Elf64_Shdr>(elf->e_shoff, elf->e_shnum);
  if (sections == nullptr) return false;
  for (size_t i = 0; i < elf->e_shnum; ++i) {
    const Elf64_Shdr& table = sections[i];
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= elf->e_shnum) continue;
    const Elf64_Shdr& strings = sections[table.sh_link];
    symbols->count = table.sh_size / sizeof(Elf64_Sym);
    symbols->first = file.at<Elf64_Sym>(table.sh_offset, symbols->count);
    symbols->text = file.at<char>(strings.sh_offset, strings.sh_size);
    symbols->textBytes = strings.sh_size;
    bool ends = symbols->text != nullptr && strings.sh_size > 0 && symbols->text[strings.sh_size - 1] == 0;
    return symbols->first != nullptr && ends;
  }
  return false;
}

// The runtime's own names begin so; everything else is passed by quickly.
bool mayBeRuntime(const Symbols& symbols, const Elf64_Sym& symbol) {
  if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || !isDefined(symbol)) return false;
  const char* name = symbols.name(symbol);
  return startsWith(name, "cuda") || startsWith(name, "__cuda");
}

// Which of two runtimes it is shows in a function that only that one has.
int versionOf(const Symbols& symbols) {
  for (size_t i = 0; i < symbols.count; ++i) {
    if (!mayBeRuntime(symbols, symbols.first[i])) continue;
    const char* name = symbols.name(symbols.first[i]);
    if (equal(name, "cudaMemGetMemPool")) return 13;
    if (equal(name, "cudaGetDeviceProperties_v2")) return 12;
  }
  return 0;
}

void sortByAddress(Function* functions, size_t count) {
  for (size_t i = 1; i < count; ++i) {  // nearly in order as it is
    Function moved = functions[i];
    size_t at = i;
    for (; at > 0 && functions[at - 1].address > moved.address; --at) functions[at] = functions[at - 1];
    functions[at] = moved;
  }
}

// The last function that begins before `address`, or null.
Function* functionBefore(StaticRuntime* runtime, uint64_t address) {
  size_t low = 0;
  size_t high = runtime->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (runtime->functions[middle].address < address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low == 0 ? nullptr : &runtime->functions[low - 1];
}

void measureRoom(const Symbols& symbols, StaticRuntime* runtime) {
  for (size_t i = 0; i < symbols.count; ++i) {
    const Elf64_Sym& symbol = symbols.first[i];
    if (!isDefined(symbol)) continue;
    Function* function = functionBefore(runtime, symbol.st_value);
    if (function == nullptr) continue;
    uint64_t distance = symbol.st_value - function->address;
    if (distance < function->room) function->room = static_cast<uint32_t>(distance);
  }
}

}  // namespace

bool findStaticRuntime(const MappedFile& file, StaticRuntime* runtime) {
  Symbols symbols;
  if (!findSymbols(file, &symbols)) return false;
  runtime->version = versionOf(symbols);
  runtime->count = 0;
  if (runtime->version == 0) return false;
  for (size_t i = 0; i < symbols.count && runtime->count < kRowCount; ++i) {
    const Elf64_Sym& symbol = symbols.first[i];
    if (!mayBeRuntime(symbols, symbol)) continue;
    size_t row = findRow(symbols.name(symbol));
    if (row == kNoRow || !rowIn(row, runtime->version)) continue;
    runtime->functions[runtime->count++] = {symbol.st_value, kMaxRoom, static_cast<uint16_t>(row)};
  }
  sortByAddress(runtime->functions, runtime->count);
  measureRoom(symbols, runtime);
  return runtime->count != 0;
}

}  // namespace vgpu::audit
