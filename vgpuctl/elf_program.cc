#include "vgpuctl/elf_program.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstring>
#include <span>
#include <string_view>

#include "base/mapping.h"
#include "base/unique_fd.h"

namespace vgpu::vgpuctl {
namespace {

// A file's bytes, of which only what lies inside is ever looked at.
class Image {
 public:
  explicit Image(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> range(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) return {};
    return bytes_.subspan(static_cast<size_t>(offset), static_cast<size_t>(size));
  }
  template <class T>
  bool read(uint64_t offset, T& into) const {
    const auto from = range(offset, sizeof(T));
    if (from.size() != sizeof(T)) return false;
    std::memcpy(&into, from.data(), sizeof(T));
    return true;
  }
  // The zero-terminated text at `offset` of `table`.
  static std::string_view text(std::span<const std::byte> table, uint64_t offset) {
    if (offset >= table.size()) return {};
    const auto* begin = reinterpret_cast<const char*>(table.data()) + offset;
    return {begin, ::strnlen(begin, table.size() - static_cast<size_t>(offset))};
  }

 private:
  std::span<const std::byte> bytes_;
};

void readSegments(const Image& image, const Elf64_Ehdr& header, ElfProgram& program) {
  for (uint32_t i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    if (!image.read(header.e_phoff + uint64_t{i} * sizeof segment, segment)) return;
    if (segment.p_type == PT_INTERP)
      program.interpreter = Image::text(image.range(segment.p_offset, segment.p_filesz), 0);
  }
}

void readNeeded(const Image& image, const Elf64_Shdr& dynamic, std::span<const std::byte> strings,
                ElfProgram& program) {
  for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= dynamic.sh_size; at += sizeof(Elf64_Dyn)) {
    Elf64_Dyn entry;
    if (!image.read(dynamic.sh_offset + at, entry) || entry.d_tag == DT_NULL) return;
    if (entry.d_tag == DT_NEEDED) program.libraries.emplace_back(Image::text(strings, entry.d_un.d_val));
  }
}

void readSymbols(const Image& image, const Elf64_Shdr& table, std::span<const std::byte> strings,
                 ElfProgram& program) {
  program.hasSymbols = true;
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    if (!image.read(table.sh_offset + at, symbol)) return;
    if (symbol.st_shndx == SHN_UNDEF) continue;
    const std::string_view name = Image::text(strings, symbol.st_name);
    if (name == "cudaLaunchKernel" || name == "__cudaRegisterFatBinary") program.hasStaticRuntime = true;
  }
}

void readSections(const Image& image, const Elf64_Ehdr& header, ElfProgram& program) {
  const auto section = [&](uint32_t index, Elf64_Shdr& into) {
    return index < header.e_shnum && image.read(header.e_shoff + uint64_t{index} * sizeof into, into);
  };
  Elf64_Shdr names;
  if (!section(header.e_shstrndx, names)) return;
  const auto nameTable = image.range(names.sh_offset, names.sh_size);
  for (uint32_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr each, strings;
    if (!section(i, each)) return;
    if (Image::text(nameTable, each.sh_name) == ".nv_fatbin") program.hasDeviceCode = true;
    if (!section(each.sh_link, strings)) continue;
    const auto stringTable = image.range(strings.sh_offset, strings.sh_size);
    if (each.sh_type == SHT_DYNAMIC) readNeeded(image, each, stringTable, program);
    if (each.sh_type == SHT_SYMTAB) readSymbols(image, each, stringTable, program);
  }
}

}  // namespace

Result<ElfProgram> readElfProgram(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return errnoError("open " + path);
  struct stat status;
  if (::fstat(file.get(), &status) < 0) return errnoError("look at " + path);
  ElfProgram program;
  if (!S_ISREG(status.st_mode) || status.st_size < EI_NIDENT) return program;
  Result<Mapping> mapping = mapShared(file.get(), 0, static_cast<size_t>(status.st_size), PROT_READ);
  if (!mapping) return mapping.error();
  const Image image(mapping->bytes());
  unsigned char identity[EI_NIDENT];
  image.read(0, identity);
  if (std::memcmp(identity, ELFMAG, SELFMAG) != 0) return program;
  program.isElf = true;
  program.is64Bit = identity[EI_CLASS] == ELFCLASS64;
  Elf64_Ehdr header;
  if (!program.is64Bit || !image.read(0, header)) return program;
  program.isX86 = header.e_machine == EM_X86_64;
  readSegments(image, header, program);
  readSections(image, header, program);
  return program;
}

}  // namespace vgpu::vgpuctl
