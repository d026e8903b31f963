// Module images as programs hand them over: how long they are, and how they travel. Any thread. The bytes are
// the program's own; only their extent is found here, the executor's driver judges the rest.
#pragma once

#include <vector>

#include "shim/session/submit.h"

namespace vgpu::shim {

// The bytes of an image: a fat binary's wrapper or body, an ELF file, or PTX text. Empty: none of these. A
// wrapper of separate compilation names several bodies; they are gathered one behind the other in `gathered`.
Bytes imageBytes(const void* image, std::vector<std::byte>& gathered);

// Sends the image; the blob is used up by the call that names it.
CUresult sendImage(const Submission& submission, Bytes image, uint32_t& blob);

// JIT options of cuModuleLoadDataEx, cuLinkCreate and cuLibraryLoadData.
struct JitRequest {
  protocol::messages::JitOptions wire{};
  char* errorLog = nullptr;
  char* infoLog = nullptr;
  CUresult read(unsigned count, CUjit_option* options, void** values);
  size_t logBytes() const { return size_t{wire.errorLogBytes} + wire.infoLogBytes; }
  // Hands the logs to the program and tells how much of them there is, as the native call does in the option
  // values.
  void deliver(Bytes logs, uint32_t errorBytes, uint32_t infoBytes);

 private:
  void** errorSize_ = nullptr;
  void** infoSize_ = nullptr;
};

// Reads a file for the calls that take a path; FILE_NOT_FOUND.
CUresult readFile(const char* path, std::vector<std::byte>& bytes);

}  // namespace vgpu::shim
