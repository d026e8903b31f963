#include "cpu_driver/runtime/linker.h"

#include <fstream>
#include <iterator>

#include "cpu_driver/runtime/fat_binary.h"

namespace vgpu::cpu {
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
  std::shared_ptr<ModuleCode> code;
  Failure failure = linkTexts(inputs_, &linked_);
  if (failure.code == CUDA_SUCCESS) failure = loadCodeFromText(linked_, &code);
  if (failure.code != CUDA_SUCCESS) return fail(failure.code, failure.log);
  *image = linked_.data();
  if (sizeBytes) *sizeBytes = linked_.size() + 1;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::cpu
