#include "protocol/abi/errors.h"

namespace vgpu::protocol {

const char* errorName(CUresult error) {
  switch (error) {
#define ERROR_TEXT(name, text) \
  case name:                   \
    return #name;
#include "protocol/abi/errors.inc"
#undef ERROR_TEXT
    default:
      return nullptr;
  }
}

const char* errorText(CUresult error) {
  switch (error) {
#define ERROR_TEXT(name, text) \
  case name:                   \
    return text;
#include "protocol/abi/errors.inc"
#undef ERROR_TEXT
    default:
      return nullptr;
  }
}

}  // namespace vgpu::protocol
