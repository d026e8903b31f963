#include "cpu_driver/jit/flatten.h"

#include <llvm/BinaryFormat/ELF.h>
#include <llvm/Object/ELFObjectFile.h>

#include <cstring>
#include <map>
#include <string>

#include "cpu_driver/kernel/imports.h"

namespace vgpu::jit {
namespace {

using llvm::object::ELF64LEObjectFile;
using llvm::object::RelocationRef;
using llvm::object::SectionRef;
using llvm::object::SymbolRef;

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kStubBytes = 8;  // jmp *slot(%rip) and padding

Error bad(std::string cause) { return Error{"flatten object", std::move(cause), 0}; }
uint64_t alignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

template <class T>
T valueOr(llvm::Expected<T> expected, T fallback) {
  if (expected) return *expected;
  llvm::consumeError(expected.takeError());
  return fallback;
}

class Flattener {
 public:
  Flattener(const ELF64LEObjectFile& object, kernel::ImageHeader header) : object_(object), header_(header) {}

  Result<std::vector<std::byte>> run(const char* entry) {
    collectImports();
    if (!error_.empty()) return bad(error_);
    layOut();
    writeSections();
    writeStubs();
    for (const SectionRef& section : object_.sections()) relocate(section);
    findEntry(entry);
    if (!error_.empty()) return bad(error_);
    std::memcpy(blob_.data(), &header_, sizeof header_);
    return std::move(blob_);
  }

 private:
  static bool isCode(const SectionRef& section) { return section.isText(); }
  static bool isAllocated(const SectionRef& section) {
    return (llvm::object::ELFSectionRef(section).getFlags() & llvm::ELF::SHF_ALLOC) != 0 &&
           section.getSize() != 0;
  }
  static bool isWritable(const SectionRef& section) {
    return (llvm::object::ELFSectionRef(section).getFlags() & llvm::ELF::SHF_WRITE) != 0;
  }
  static std::string nameOf(const SectionRef& section) {
    return valueOr(section.getName(), llvm::StringRef("?")).str();
  }

  void collectImports() {
    for (const SymbolRef& symbol : object_.symbols()) {
      const uint32_t flags = valueOr(symbol.getFlags(), 0u);
      if ((flags & SymbolRef::SF_Undefined) == 0) continue;
      const std::string name = valueOr(symbol.getName(), llvm::StringRef()).str();
      if (name.empty()) continue;
      const auto number = kernel::importNumber(name);
      if (!number) {
        error_ = "generated code calls '" + name + "', which the driver does not have";
        return;
      }
      importSlot_.emplace(name, static_cast<uint32_t>(imports_.size()));
      imports_.push_back(*number);
    }
    for (const SectionRef& section : object_.sections()) {
      if (isAllocated(section) && isWritable(section) && !nameOf(section).starts_with(".data.rel.ro"))
        error_ = "generated code has a writable section " + nameOf(section);
    }
  }

  void layOut() {
    uint64_t at = alignUp(sizeof header_ + imports_.size() * sizeof(uint32_t), kPageBytes);
    header_.codeOffset = static_cast<uint32_t>(at);
    at = place(at, true);
    stubs_ = alignUp(at, kStubBytes);
    at = stubs_ + imports_.size() * kStubBytes;
    header_.codeBytes = static_cast<uint32_t>(at - header_.codeOffset);
    at = alignUp(at, kPageBytes);
    header_.constantsOffset = static_cast<uint32_t>(at);
    at = place(at, false);
    header_.constantsBytes = static_cast<uint32_t>(at - header_.constantsOffset);
    header_.totalBytes = static_cast<uint32_t>(at);
    header_.importTableOffset = static_cast<uint32_t>(alignUp(at, kPageBytes));
    header_.importCount = static_cast<uint32_t>(imports_.size());
    blob_.resize(at);
    if (!imports_.empty())
      std::memcpy(blob_.data() + sizeof header_, imports_.data(), imports_.size() * sizeof imports_[0]);
  }

  uint64_t place(uint64_t at, bool code) {
    for (const SectionRef& section : object_.sections()) {
      if (!isAllocated(section) || isCode(section) != code || nameOf(section) == ".eh_frame") continue;
      at = alignUp(at, section.getAlignment().value());
      sectionAt_[section.getIndex()] = at;
      at += section.getSize();
    }
    return at;
  }

  void writeSections() {
    for (const SectionRef& section : object_.sections()) {
      const auto found = sectionAt_.find(section.getIndex());
      if (found == sectionAt_.end() || section.isBSS()) continue;
      const llvm::StringRef contents = valueOr(section.getContents(), llvm::StringRef());
      std::memcpy(blob_.data() + found->second, contents.data(), contents.size());
    }
  }

  uint64_t slotAt(uint32_t slot) const {
    return header_.importTableOffset + uint64_t{slot} * sizeof(uint64_t);
  }

  void writeStubs() {
    for (uint32_t i = 0; i < imports_.size(); ++i) {
      const uint64_t at = stubs_ + i * kStubBytes;
      const unsigned char jump[] = {0xff, 0x25};
      const auto distance = static_cast<int32_t>(slotAt(i) - (at + 6));
      std::memcpy(blob_.data() + at, jump, sizeof jump);
      std::memcpy(blob_.data() + at + 2, &distance, sizeof distance);
    }
  }

  // Where a symbol lies in the blob; imports: their stub, or their slot for an access through the table.
  bool locate(const SymbolRef& symbol, bool throughTable, uint64_t& at) {
    const std::string name = valueOr(symbol.getName(), llvm::StringRef()).str();
    if (const auto import = importSlot_.find(name); import != importSlot_.end() && !name.empty()) {
      at = throughTable ? slotAt(import->second) : stubs_ + import->second * kStubBytes;
      return true;
    }
    if (throughTable) return false;
    auto section = symbol.getSection();
    if (!section) {
      llvm::consumeError(section.takeError());
      return false;
    }
    if (*section == object_.section_end()) return false;
    const auto placed = sectionAt_.find((*section)->getIndex());
    if (placed == sectionAt_.end()) return false;
    at = placed->second + valueOr(symbol.getValue(), uint64_t{0});
    return true;
  }

  void relocate(const SectionRef& relocations) {
    auto target = relocations.getRelocatedSection();
    if (!target) return llvm::consumeError(target.takeError());
    if (*target == object_.section_end()) return;
    const auto placed = sectionAt_.find((*target)->getIndex());
    if (placed == sectionAt_.end()) return;
    for (const RelocationRef& relocation : relocations.relocations()) apply(relocation, placed->second);
  }

  void apply(const RelocationRef& relocation, uint64_t sectionAt) {
    const uint64_t type = relocation.getType(), at = sectionAt + relocation.getOffset();
    const int64_t addend = valueOr(llvm::object::ELFRelocationRef(relocation).getAddend(), int64_t{0});
    const bool throughTable = type == llvm::ELF::R_X86_64_GOTPCREL || type == llvm::ELF::R_X86_64_GOTPCRELX ||
                              type == llvm::ELF::R_X86_64_REX_GOTPCRELX;
    uint64_t symbol = 0;
    if (!locate(*relocation.getSymbol(), throughTable, symbol)) {
      error_ = "generated code refers to '" +
               valueOr(relocation.getSymbol()->getName(), llvm::StringRef("?")).str() +
               "' in a way that an image cannot hold";
      return;
    }
    const auto distance = static_cast<int64_t>(symbol) + addend - static_cast<int64_t>(at);
    if (type == llvm::ELF::R_X86_64_PC64) {
      std::memcpy(blob_.data() + at, &distance, sizeof distance);
    } else if (throughTable || type == llvm::ELF::R_X86_64_PC32 || type == llvm::ELF::R_X86_64_PLT32) {
      const auto narrow = static_cast<int32_t>(distance);
      std::memcpy(blob_.data() + at, &narrow, sizeof narrow);
    } else {
      error_ = "generated code has a relocation of type " + std::to_string(type);
    }
  }

  void findEntry(const char* entry) {
    for (const SymbolRef& symbol : object_.symbols()) {
      if (valueOr(symbol.getName(), llvm::StringRef()) != entry) continue;
      uint64_t at = 0;
      if (!locate(symbol, false, at)) break;
      header_.entryOffset = static_cast<uint32_t>(at - header_.codeOffset);
      return;
    }
    if (error_.empty()) error_ = std::string("no entry ") + entry;
  }

  const ELF64LEObjectFile& object_;
  kernel::ImageHeader header_;
  std::vector<std::byte> blob_;
  std::vector<uint32_t> imports_;
  std::map<std::string, uint32_t> importSlot_;
  std::map<uint64_t, uint64_t> sectionAt_;
  uint64_t stubs_ = 0;
  std::string error_;
};

}  // namespace

Result<std::vector<std::byte>> flatten(std::span<const char> object, const char* entry,
                                       kernel::ImageHeader header) {
  const llvm::MemoryBufferRef buffer(llvm::StringRef(object.data(), object.size()), "kernel");
  auto parsed = llvm::object::ObjectFile::createELFObjectFile(buffer);
  if (!parsed) return bad(llvm::toString(parsed.takeError()));
  const auto* elf = llvm::dyn_cast<ELF64LEObjectFile>(parsed->get());
  if (!elf) return bad("not a 64-bit object");
  return Flattener(*elf, header).run(entry);
}

}  // namespace vgpu::jit
