#include "cpu_driver/ptx/opcode_table.h"

#include "base/check.h"

namespace vgpu::ptx {
namespace {

// The words of a row's column, one by one.
template <class Take>
void forEachWord(std::string_view text, Take take) {
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    if (end != 0) take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

void readTypes(OpcodeInfo& info, std::string_view types) {
  info.anyTypes = types == "*";
  if (info.anyTypes) return;
  size_t list = 0;
  forEachWord(types, [&](std::string_view word) {
    if (word == "/") {
      list = 1;
      return;
    }
    Type type = typeNamed(word);
    CHECK(type != Type::None);
    info.types[list].set(size_t(type));
    info.typeCount = uint8_t(list + 1);
  });
}

void readSignature(OpcodeInfo& info, std::string_view signature) {
  if (signature.starts_with('*')) {
    info.typesOptional = true;
    if (signature.size() < 4) return;
    info.least = uint8_t(signature[1] - '0');
    info.most = uint8_t(signature[3] - '0');
    return;
  }
  info.patterned = true;
  bool optional = false;
  forEachWord(signature, [&](std::string_view word) {
    if (word == "?") {
      optional = true;
      return;
    }
    OperandPattern pattern;
    pattern.optional = optional;
    pattern.paired = word[0] == '|';
    if (pattern.paired) word.remove_prefix(1);
    pattern.role = word[0];
    pattern.type = word[1];
    info.operands.push_back(pattern);
  });
}

OpcodeInfo read(std::string_view handler, std::string_view modifiers, std::string_view types,
                std::string_view signature) {
  OpcodeInfo info;
  info.refused = handler == "refused";
  forEachWord(modifiers, [&](std::string_view word) {
    Modifier modifier = modifierNamed(word);
    CHECK(modifier != Modifier::None);
    info.modifiers.set(size_t(modifier));
  });
  readTypes(info, types);
  readSignature(info, signature);
  return info;
}

}  // namespace

const OpcodeInfo& infoOf(Opcode opcode) {
  static const std::vector<OpcodeInfo> table = {
      OpcodeInfo{},
#define PTX_OPCODE(id, spelling, handler, modifiers, types, signature) \
  read(#handler, modifiers, types, signature),
#include "cpu_driver/ptx/opcodes.inc"
#undef PTX_OPCODE
  };
  return table[size_t(opcode)];
}

}  // namespace vgpu::ptx
