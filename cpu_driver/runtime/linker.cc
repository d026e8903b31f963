#include "cpu_driver/runtime/linker.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "cpu_driver/runtime/fat_binary.h"

namespace vgpu::cpu {
namespace {

constexpr const char* kHeaderDirectives[] = {".version", ".target", ".address_size"};

bool isHeaderLine(std::string_view line) {
  const size_t begin = line.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return false;
  line.remove_prefix(begin);
  for (const char* directive : kHeaderDirectives)
    if (line.starts_with(directive)) return true;
  return false;
}

bool isIdentifierCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%';
}

std::string_view lastIdentifier(std::string_view text) {
  while (!text.empty() && !isIdentifierCharacter(text.back())) text.remove_suffix(1);
  size_t begin = text.size();
  while (begin > 0 && isIdentifierCharacter(text[begin - 1])) --begin;
  return text.substr(begin);
}

bool startsVariable(std::string_view line) {
  return line.starts_with(".global") || line.starts_with(".const") || line.starts_with(".shared");
}

std::string_view variableName(std::string_view line) {
  return lastIdentifier(line.substr(0, line.find_first_of("=;[")));
}

// The name in `.func (results) name(parameters)` or `.entry name(parameters)`.
std::string_view functionName(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_of(" \t"), line.size()));
  const size_t first = line.find_first_not_of(" \t");
  if (first != std::string_view::npos && line[first] == '(') line.remove_prefix(line.find(')') + 1);
  return lastIdentifier(line.substr(0, line.find_first_of("(;{")));
}

// Names that may be declared by several inputs (PTX ISA, "Linking Directives").
struct Names {
  std::set<std::string> own;  // each input's own: no linkage directive, or functions of which any will do
  std::set<std::string> weakVariables;  // the first definition counts for all
};

void addName(std::string_view line, Names& names) {
  constexpr std::string_view kWeak = ".weak ";
  const bool weak = line.starts_with(kWeak);
  if (weak) line.remove_prefix(kWeak.size());
  if (startsVariable(line)) (weak ? names.weakVariables : names.own).emplace(variableName(line));
  if (line.starts_with(".func") || line.starts_with(".entry")) names.own.emplace(functionName(line));
}

// Calls `visit(line)` for each line, without its end.
template <class Visit>
void eachLine(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Declarations at module scope begin their line in what compilers write.
Names namesOf(std::string_view text) {
  Names names;
  eachLine(text, [&](std::string_view line) { addName(line, names); });
  return names;
}

// The text without its header directives and without the weak variables that an earlier input defines; the
// lines stay, so that errors name the right ones.
std::string withoutRepetitions(std::string_view text, const Names& taken) {
  std::string out;
  bool dropping = false;
  eachLine(text, [&](std::string_view line) {
    Names declared;
    addName(line, declared);
    for (const std::string& name : declared.weakVariables) dropping |= taken.weakVariables.contains(name);
    if (!dropping && !isHeaderLine(line)) out += line;
    if (line.find(';') != std::string_view::npos) dropping = false;
    out += '\n';
  });
  return out;
}

// The text with `suffix` behind every use of the names.
std::string renamed(std::string_view text, const std::set<std::string>& names, const std::string& suffix) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && isIdentifierCharacter(text[end])) ++end;
    if (end == at) {
      out += text[at++];
      continue;
    }
    const std::string word(text.substr(at, end - at));
    out += word;
    if (names.contains(word)) out += suffix;
    at = end;
  }
  return out;
}

}  // namespace

std::string mergePtx(const std::vector<std::string>& inputs) {
  std::string merged;
  Names taken;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Names names = namesOf(inputs[i]);
    std::set<std::string> clashing;
    std::set_intersection(names.own.begin(), names.own.end(), taken.own.begin(), taken.own.end(),
                          std::inserter(clashing, clashing.end()));
    const std::string text = i == 0 ? inputs[i] + "\n" : withoutRepetitions(inputs[i], taken);
    merged += clashing.empty() ? text : renamed(text, clashing, "$input" + std::to_string(i));
    taken.own.merge(names.own);
    taken.weakVariables.merge(names.weakVariables);
  }
  return merged;
}

CUresult LinkState::fail(CUresult code, const std::string& reason) {
  options_.writeError(reason);
  return code;
}

CUresult LinkState::add(CUjitInputType type, std::string_view bytes, const char* name) {
  const std::string of = name && *name ? std::string(" (") + name + ")" : std::string();
  if (bytes.empty()) return CUDA_ERROR_INVALID_VALUE;
  if (type == CU_JIT_INPUT_FATBINARY) {
    auto images = fat_binary::parse(std::as_bytes(std::span(bytes.data(), bytes.size())));
    if (!images) return fail(CUDA_ERROR_INVALID_IMAGE, images.error().message());
    const auto chosen = fat_binary::choosePtx(*images, {90, 'a'});
    if (!chosen)
      return fail(CUDA_ERROR_NO_BINARY_FOR_GPU, "the fat binary" + of + " holds no PTX for this device");
    auto text = fat_binary::contents((*images)[*chosen]);
    if (!text) return fail(CUDA_ERROR_INVALID_IMAGE, text.error().message());
    inputs_.push_back(std::move(*text));
    return CUDA_SUCCESS;
  }
  if (type != CU_JIT_INPUT_PTX) {
    return fail(CUDA_ERROR_NO_BINARY_FOR_GPU,
                "input" + of + " is machine code or an intermediate form; give PTX");
  }
  inputs_.emplace_back(bytes.substr(0, bytes.find('\0')));
  return CUDA_SUCCESS;
}

CUresult LinkState::addFile(CUjitInputType type, const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(CUDA_ERROR_FILE_NOT_FOUND, std::string("cannot open ") + path);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return add(type, bytes, path);
}

CUresult LinkState::complete(void** image, size_t* sizeBytes) {
  if (inputs_.empty()) return CUDA_ERROR_INVALID_VALUE;
  linked_ = mergePtx(inputs_);
  std::shared_ptr<ModuleCode> code;
  const Failure failure = loadCodeFromText(linked_, &code);
  if (failure.code != CUDA_SUCCESS) return fail(failure.code, failure.log);
  *image = linked_.data();
  if (sizeBytes) *sizeBytes = linked_.size() + 1;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::cpu
