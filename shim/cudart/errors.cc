#include "shim/cudart/errors.h"

#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

// These leave the context, and so the process, unable to go on: every later call fails with the same code.
bool isSticky(cudaError_t error) {
  switch (error) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorExternalDevice:
      return true;
    default:
      return false;
  }
}

struct ErrorRow {
  int number;
  const char* name;
  const char* text;
};

constexpr ErrorRow kErrors[] = {
#define ERROR(number, name, text) {number, #name, text},
#include "shim/cudart/errors.inc"
};

const ErrorRow* find(int number) {
  for (const ErrorRow& row : kErrors) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

}  // namespace

// Since CUDA 10.1 both enumerations give the same condition the same number.
cudaError_t toRuntime(CUresult result) {
  if (result == CUDA_SUCCESS) [[likely]] {
    return cudaSuccess;
  }
  return find(static_cast<int>(result)) != nullptr ? static_cast<cudaError_t>(result) : cudaErrorUnknown;
}

void keepError(cudaError_t error) {
  if (error == cudaErrorNotReady || isSticky(thread.lastError)) return;
  thread.lastError = error;
}

cudaError_t peekError() { return thread.lastError; }

cudaError_t takeError() {
  cudaError_t error = thread.lastError;
  if (!isSticky(error)) thread.lastError = cudaSuccess;
  return error;
}

void forgetError() { thread.lastError = cudaSuccess; }

int recordNotSupported();  // for refused.cc, which knows no vendor types
int recordNotSupported() { return record(unloading() ? cudaErrorCudartUnloading : cudaErrorNotSupported); }

}  // namespace vgpu::cudart

extern "C" {

cudaError_t cudaGetLastError() { return vgpu::cudart::takeError(); }

cudaError_t cudaPeekAtLastError() { return vgpu::cudart::peekError(); }

const char* cudaGetErrorName(cudaError_t error) {
  const auto* row = vgpu::cudart::find(static_cast<int>(error));
  return row != nullptr ? row->name : "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  const auto* row = vgpu::cudart::find(static_cast<int>(error));
  return row != nullptr ? row->text : "unrecognized error code";
}

}  // extern "C"
