#include "cpu_driver/runtime/module_code.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "cpu_driver/ptx/link.h"
#include "cpu_driver/runtime/device.h"
#include "cpu_driver/runtime/fat_binary.h"

namespace vgpu::cpu {
namespace {

constexpr char kElfMagic[] = "\177ELF";

Failure onlyMachineCode() {
  Failure failure{
      CUDA_ERROR_NO_BINARY_FOR_GPU,
      "this image holds machine code only, and the CPU driver compiles PTX: build with PTX for compute "
      "capability 9.0 or earlier (nvcc -arch=compute_80, or -gencode arch=compute_80,code=compute_80)"};
  log::error("cpu driver: no kernel image for this device", {{"reason", failure.log}});
  return failure;
}

Failure invalidImage(std::string reason) { return {CUDA_ERROR_INVALID_IMAGE, std::move(reason)}; }

Failure noFittingPtx() {
  return {CUDA_ERROR_NO_BINARY_FOR_GPU, "the fat binary holds no PTX for compute capability 9.0 or earlier"};
}

// The newest fitting PTX of a container; `holdsPtx`, where none fits: whether there is newer.
Failure choose(std::span<const std::byte> container, std::string* text, bool* holdsPtx = nullptr) {
  auto images = fat_binary::parse(container);
  if (!images) return invalidImage(images.error().message());
  const auto chosen = fat_binary::choosePtx(*images, {kArchitecture, 'a'});
  if (!chosen) {
    const auto is = [&](auto kind) { return std::any_of(images->begin(), images->end(), kind); };
    const bool newer = is([](const auto& image) { return image.isPtx(); });
    if (holdsPtx) *holdsPtx = newer;
    return !newer && is([](const auto& image) { return image.isElf(); }) ? onlyMachineCode() : noFittingPtx();
  }
  auto contents = fat_binary::contents((*images)[*chosen]);
  if (!contents) return invalidImage(contents.error().message());
  *text = std::move(*contents);
  return {};
}

bool isEmpty(std::span<const std::byte> container) {
  auto images = fat_binary::parse(container);
  return images && images->empty();
}

// Of separate compilation the objects are linked here: what nvlink made of them is machine code, or nothing.
Failure linkObjects(const std::vector<std::span<const std::byte>>& objects, std::string* text) {
  std::vector<std::string> texts;
  for (const auto& object : objects) {
    std::string one;
    bool newer = false;
    const Failure failure = choose(object, &one, &newer);
    if (failure.code == CUDA_SUCCESS) {
      texts.push_back(std::move(one));
    } else if (!newer && !isEmpty(object)) {
      return failure;
    }
    // Every such program has the device runtime among its objects, with PTX that is newer than this device.
    // What needs it (kernels that launch kernels) misses its functions by name.
  }
  return texts.empty() ? noFittingPtx() : linkTexts(texts, text);
}

}  // namespace

Failure linkTexts(std::span<const std::string> texts, std::string* linked) {
  auto result = ptx::link(texts);
  if (const auto* diagnostic = std::get_if<ptx::Diagnostic>(&result))
    return {CUDA_ERROR_INVALID_PTX, diagnostic->message()};
  *linked = std::move(std::get<std::string>(result));
  return {};
}

ModuleCode::ModuleCode(std::shared_ptr<const ptx::Module> module) : module_(std::move(module)) {
  const auto digest = std::make_shared<ModuleDigest>(module_);
  const auto& functions = module_->functions();
  for (uint32_t i = 0; i < functions.size(); ++i) {
    if (functions[i].kernel && functions[i].defined)
      kernels_.push_back(std::make_shared<KernelCode>(module_, digest, i));
  }
}

std::shared_ptr<KernelCode> ModuleCode::kernel(std::string_view name) const {
  for (const auto& kernel : kernels_)
    if (kernel->name() == name) return kernel;
  return nullptr;
}

Failure ptxOfImage(const void* image, std::string* text) {
  if (fat_binary::isWrapper(image)) {
    auto wrapped = fat_binary::unwrap(image);
    if (!wrapped) return invalidImage(wrapped.error().message());
    return wrapped->objects.empty() ? choose(wrapped->module, text) : linkObjects(wrapped->objects, text);
  }
  if (fat_binary::isContainer(image)) {
    auto container = fat_binary::containerAt(image);
    return container ? choose(*container, text) : invalidImage(container.error().message());
  }
  if (std::memcmp(image, kElfMagic, 4) == 0) return onlyMachineCode();
  *text = static_cast<const char*>(image);
  return {};
}

Failure loadCodeFromText(std::string_view text, std::shared_ptr<ModuleCode>* code) {
  auto loaded = ptx::load(text);
  if (const auto* diagnostic = std::get_if<ptx::Diagnostic>(&loaded)) {
    return {CUDA_ERROR_INVALID_PTX, diagnostic->message()};
  }
  auto module = std::get<std::shared_ptr<const ptx::Module>>(loaded);
  if (module->targetNumber() > kArchitecture) {
    return {CUDA_ERROR_NO_BINARY_FOR_GPU, "the PTX is for " + std::string(module->target()) +
                                              ", which is newer than this device's compute capability 9.0"};
  }
  *code = std::make_shared<ModuleCode>(std::move(module));
  return {};
}

Failure loadCode(const void* image, std::shared_ptr<ModuleCode>* code) {
  std::string text;
  Failure failure = ptxOfImage(image, &text);
  return failure.code == CUDA_SUCCESS ? loadCodeFromText(text, code) : failure;
}

Failure loadCodeFromFile(const char* path, std::shared_ptr<ModuleCode>* code) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {CUDA_ERROR_FILE_NOT_FOUND, std::string("cannot open ") + path};
  std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  // A file may be shorter than what it claims to be; in memory its container's size is checked against
  // nothing.
  bytes.append(sizeof(uint64_t), '\0');
  if (fat_binary::isContainer(bytes.data())) {
    std::string text;
    Failure failure = choose(std::as_bytes(std::span(bytes.data(), bytes.size())), &text);
    return failure.code == CUDA_SUCCESS ? loadCodeFromText(text, code) : failure;
  }
  if (bytes.starts_with(kElfMagic)) return onlyMachineCode();
  return loadCodeFromText(std::string_view(bytes).substr(0, bytes.find('\0')), code);
}

}  // namespace vgpu::cpu
