// Says whose CUDA runtime it was linked with. Ours refuses graphs before it looks for a driver; NVIDIA's
// looks first. The constructor stands for the registration of kernels, which comes before main.
#include <cuda_runtime_api.h>

namespace {

bool isOurs() {
  cudaGraph_t graph = nullptr;
  return cudaGraphCreate(&graph, 0) == cudaErrorNotSupported;
}

bool inConstructor = false;

[[gnu::constructor]] void construct() { inConstructor = isOurs(); }

}  // namespace

// 0: the vendor's; otherwise the version that ours was compiled against.
extern "C" __attribute__((visibility("default"))) int WHICH_RUNTIME() {
  int version = 0;
  cudaRuntimeGetVersion(&version);
  return isOurs() && inConstructor ? version : 0;
}
