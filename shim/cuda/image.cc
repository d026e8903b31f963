#include "shim/cuda/image.h"

#include <elf.h>

#include <algorithm>
#include <cstdio>
#include <memory>

namespace vgpu::shim {
namespace {

// Layouts as found in what nvcc and clang emit; see docs/decisions on fat binaries.
struct FatWrapper {
  uint32_t magic, version;
  const void* body;
  const void* const* list;  // version 2: the objects that `body` was linked of, ended by null
};
struct FatHeader {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bodyBytes;
};
constexpr uint32_t kWrapperMagic = 0x466243b1, kBodyMagic = 0xba55ed50;

Bytes elfBytes(const std::byte* start) {
  Elf64_Ehdr header;
  std::memcpy(&header, start, sizeof header);
  uint64_t end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  end = std::max(end, header.e_phoff + uint64_t{header.e_phnum} * header.e_phentsize);
  for (unsigned i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, start + header.e_shoff + uint64_t{i} * header.e_shentsize, sizeof section);
    if (section.sh_type != SHT_NOBITS) end = std::max(end, section.sh_offset + section.sh_size);
  }
  return {start, end};
}

Bytes bodyBytes(const void* body) {
  FatHeader header;
  std::memcpy(&header, body, sizeof header);
  if (header.magic != kBodyMagic) return {};
  return {static_cast<const std::byte*>(body), header.headerBytes + header.bodyBytes};
}

Bytes wrapperBytes(const FatWrapper& wrapper, std::vector<std::byte>& gathered) {
  if (!wrapper.body) return {};
  const Bytes linked = bodyBytes(wrapper.body);
  if (wrapper.version != 2 || !wrapper.list || !*wrapper.list) return linked;
  gathered.assign(linked.begin(), linked.end());
  for (const void* const* entry = wrapper.list; *entry; ++entry) {
    const Bytes object = bodyBytes(*entry);
    if (object.empty()) return {};
    gathered.insert(gathered.end(), object.begin(), object.end());
  }
  return gathered;
}

}  // namespace

Bytes imageBytes(const void* image, std::vector<std::byte>& gathered) {
  const auto* start = static_cast<const std::byte*>(image);
  uint32_t magic;
  std::memcpy(&magic, start, sizeof magic);
  if (magic == kWrapperMagic) {
    FatWrapper wrapper;
    std::memcpy(&wrapper, start, sizeof wrapper);
    return wrapperBytes(wrapper, gathered);
  }
  if (magic == kBodyMagic) return bodyBytes(image);
  if (std::memcmp(start, ELFMAG, SELFMAG) == 0) return elfBytes(start);
  return {start,
          std::strlen(static_cast<const char*>(image)) + 1};  // PTX, zero-terminated (cuModuleLoadData)
}

CUresult sendImage(const Submission& submission, Bytes image, uint32_t& blob) {
  if (image.empty() || image.size() > protocol::kMaxImageBytes) return CUDA_ERROR_INVALID_IMAGE;
  blob = submission.session->nextBlob();
  const size_t pieceBytes = submission.session->channel().limits().slotBytes;
  const protocol::messages::BlobAppend message{blob, 0, image.size()};
  for (size_t offset = 0; offset < image.size(); offset += pieceBytes) {
    const Bytes piece = image.subspan(offset, std::min(pieceBytes, image.size() - offset));
    const CUresult status = postWithData(submission, protocol::call::BlobAppend, asBytes(message), piece);
    if (status != CUDA_SUCCESS) return status;
  }
  return CUDA_SUCCESS;
}

CUresult JitRequest::read(unsigned count, CUjit_option* options, void** values) {
  constexpr uint32_t kNotGiven = ~0u, kMostLogBytes = 64 * 1024;
  wire = {kNotGiven, kNotGiven, kNotGiven, kNotGiven, kNotGiven, kNotGiven, kNotGiven, kNotGiven, 0, 0};
  if (count && (!options || !values)) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    const auto number = static_cast<uint32_t>(reinterpret_cast<uint64_t>(values[i]));
    switch (options[i]) {
      case CU_JIT_MAX_REGISTERS:
        wire.maxRegisters = number;
        break;
      case CU_JIT_THREADS_PER_BLOCK:
        wire.threadsPerBlock = number;
        break;
      case CU_JIT_OPTIMIZATION_LEVEL:
        wire.optimizationLevel = number;
        break;
      case CU_JIT_TARGET:
        wire.target = number;
        break;
      case CU_JIT_FALLBACK_STRATEGY:
        wire.fallback = number;
        break;
      case CU_JIT_GENERATE_DEBUG_INFO:
        wire.generateDebugInfo = number;
        break;
      case CU_JIT_GENERATE_LINE_INFO:
        wire.generateLineInfo = number;
        break;
      case CU_JIT_LOG_VERBOSE:
        wire.logVerbose = number;
        break;
      case CU_JIT_ERROR_LOG_BUFFER:
        errorLog = static_cast<char*>(values[i]);
        break;
      case CU_JIT_INFO_LOG_BUFFER:
        infoLog = static_cast<char*>(values[i]);
        break;
      case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
        wire.errorLogBytes = std::min(number, kMostLogBytes);
        errorSize_ = &values[i];
        break;
      case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
        wire.infoLogBytes = std::min(number, kMostLogBytes);
        infoSize_ = &values[i];
        break;
      default:
        break;  // hints for a native compiler: caching, position independence, ...
    }
  }
  if (!errorLog) wire.errorLogBytes = 0;
  if (!infoLog) wire.infoLogBytes = 0;
  return CUDA_SUCCESS;
}

void JitRequest::deliver(Bytes logs, uint32_t errorBytes, uint32_t infoBytes) {
  errorBytes = std::min({errorBytes, wire.errorLogBytes, static_cast<uint32_t>(logs.size())});
  infoBytes = std::min({infoBytes, wire.infoLogBytes, static_cast<uint32_t>(logs.size()) - errorBytes});
  if (errorLog && wire.errorLogBytes) {
    std::memcpy(errorLog, logs.data(), errorBytes);
    errorLog[std::min(errorBytes, wire.errorLogBytes - 1)] = 0;
  }
  if (infoLog && wire.infoLogBytes) {
    std::memcpy(infoLog, logs.data() + errorBytes, infoBytes);
    infoLog[std::min(infoBytes, wire.infoLogBytes - 1)] = 0;
  }
  if (errorSize_) *errorSize_ = reinterpret_cast<void*>(uint64_t{errorBytes});
  if (infoSize_) *infoSize_ = reinterpret_cast<void*>(uint64_t{infoBytes});
}

CUresult readFile(const char* path, std::vector<std::byte>& bytes) {
  if (!path) return CUDA_ERROR_INVALID_VALUE;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path, "rbe"), &std::fclose);
  if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
  std::byte piece[64 * 1024];
  for (size_t got; (got = std::fread(piece, 1, sizeof piece, file.get())) > 0;) {
    if (bytes.size() + got > protocol::kMaxImageBytes) return CUDA_ERROR_INVALID_IMAGE;
    bytes.insert(bytes.end(), piece, piece + got);
  }
  bytes.push_back(std::byte{0});  // PTX is text
  return bytes.size() > 1 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
}

}  // namespace vgpu::shim
