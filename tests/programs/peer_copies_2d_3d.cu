// Copies of every shape: rows with pitches, boxes, arrays, between host and device and within the device, to
// a peer.
#include <cuda_runtime.h>

#include <cstring>
#include <vector>

#include "tests/support/check.h"

constexpr size_t kWidth = 100, kHeight = 37, kDepth = 5;

static std::vector<unsigned char> pattern(size_t bytes, int seed) {
  std::vector<unsigned char> data(bytes);
  for (size_t i = 0; i < bytes; ++i) data[i] = static_cast<unsigned char>(i * 31 + size_t(seed) + i / 251);
  return data;
}

static void copiesRows() {
  const auto source = pattern(kWidth * kHeight, 1);
  unsigned char *device, *second;
  size_t pitch = 0, secondPitch = 0;
  CHECK_CUDA(cudaMallocPitch(&device, &pitch, kWidth, kHeight));
  CHECK_CUDA(cudaMallocPitch(&second, &secondPitch, kWidth + 300, kHeight + 2));
  EXPECT(pitch >= kWidth && pitch % 32 == 0, "pitch %zu", pitch);
  CHECK_CUDA(cudaMemset2D(second, secondPitch, 0xee, kWidth + 300, kHeight + 2));
  CHECK_CUDA(cudaMemcpy2D(device, pitch, source.data(), kWidth, kWidth, kHeight, cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy2DAsync(second + 7 + secondPitch, secondPitch, device, pitch, kWidth, kHeight,
                               cudaMemcpyDeviceToDevice, 0));
  std::vector<unsigned char> got((kWidth + 300) * (kHeight + 2));
  CHECK_CUDA(cudaMemcpy2D(got.data(), kWidth + 300, second, secondPitch, kWidth + 300, kHeight + 2,
                          cudaMemcpyDeviceToHost));
  for (size_t row = 0; row < kHeight + 2; ++row) {
    for (size_t column = 0; column < kWidth + 300; ++column) {
      const bool inside = row >= 1 && row <= kHeight && column >= 7 && column < 7 + kWidth;
      const int wanted = inside ? source[(row - 1) * kWidth + column - 7] : 0xee;
      const int is = got[row * (kWidth + 300) + column];
      EXPECT(is == wanted, "row %zu column %zu is %d instead of %d", row, column, is, wanted);
    }
  }
  CHECK_CUDA(cudaFree(device));
  CHECK_CUDA(cudaFree(second));
}

static void copiesBoxes() {
  const auto source = pattern(kWidth * kHeight * kDepth, 2);
  cudaPitchedPtr box;
  CHECK_CUDA(cudaMalloc3D(&box, make_cudaExtent(kWidth, kHeight, kDepth)));
  CHECK_CUDA(cudaMemset3D(box, 0x11, make_cudaExtent(kWidth, kHeight, kDepth)));
  cudaMemcpy3DParms in{};
  in.srcPtr = make_cudaPitchedPtr(const_cast<unsigned char*>(source.data()), kWidth, kWidth, kHeight);
  in.dstPtr = box;
  in.srcPos = make_cudaPos(10, 3, 1);
  in.dstPos = make_cudaPos(20, 5, 2);
  in.extent = make_cudaExtent(50, 20, 3);
  in.kind = cudaMemcpyHostToDevice;
  CHECK_CUDA(cudaMemcpy3D(&in));
  std::vector<unsigned char> got(kWidth * kHeight * kDepth);
  cudaMemcpy3DParms out{};
  out.srcPtr = box;
  out.dstPtr = make_cudaPitchedPtr(got.data(), kWidth, kWidth, kHeight);
  out.extent = make_cudaExtent(kWidth, kHeight, kDepth);
  out.kind = cudaMemcpyDeviceToHost;
  CHECK_CUDA(cudaMemcpy3DAsync(&out));
  CHECK_CUDA(cudaStreamSynchronize(0));
  for (size_t z = 0; z < kDepth; ++z) {
    for (size_t y = 0; y < kHeight; ++y) {
      for (size_t x = 0; x < kWidth; ++x) {
        const bool inside = z >= 2 && z < 5 && y >= 5 && y < 25 && x >= 20 && x < 70;
        const int wanted = inside ? source[((z - 1) * kHeight + y - 2) * kWidth + x - 10] : 0x11;
        const int is = got[(z * kHeight + y) * kWidth + x];
        EXPECT(is == wanted, "box at %zu %zu %zu is %d instead of %d", x, y, z, is, wanted);
      }
    }
  }
  CHECK_CUDA(cudaFree(box.ptr));
}

static void copiesArrays() {
  const auto source = pattern(64 * 16 * sizeof(float), 3);
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
  cudaArray_t first, second;
  CHECK_CUDA(cudaMallocArray(&first, &format, 64, 16));
  CHECK_CUDA(cudaMallocArray(&second, &format, 64, 16));
  CHECK_CUDA(cudaMemcpy2DToArray(first, 0, 0, source.data(), 256, 256, 16, cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy2DArrayToArray(second, 0, 0, first, 0, 0, 256, 16, cudaMemcpyDeviceToDevice));
  std::vector<unsigned char> got(source.size());
  CHECK_CUDA(cudaMemcpy2DFromArray(got.data(), 256, second, 0, 0, 256, 16, cudaMemcpyDeviceToHost));
  EXPECT(got == source, "what came back from the arrays differs");
  cudaExtent extent;
  cudaChannelFormatDesc gotFormat;
  unsigned flags = 0;
  CHECK_CUDA(cudaArrayGetInfo(&gotFormat, &extent, &flags, first));
  EXPECT(extent.width == 64 && extent.height == 16 && extent.depth == 0 && gotFormat.x == 32,
         "array of %zu x %zu x %zu", extent.width, extent.height, extent.depth);
  CHECK_CUDA(cudaFreeArray(first));
  CHECK_CUDA(cudaFreeArray(second));
}

static void copiesToPeer() {
  const auto source = pattern(100'001, 4);
  unsigned char *first, *second;
  CHECK_CUDA(cudaMalloc(&first, source.size()));
  CHECK_CUDA(cudaMalloc(&second, source.size()));
  CHECK_CUDA(cudaMemcpy(first, source.data(), source.size(), cudaMemcpyDefault));
  CHECK_CUDA(cudaMemcpyPeer(second, 0, first, 0, source.size()));
  std::vector<unsigned char> got(source.size());
  CHECK_CUDA(cudaMemcpy(got.data(), second, got.size(), cudaMemcpyDefault));
  EXPECT(got == source, "the peer's copy differs");
  int access = 1;
  CHECK_CUDA(cudaDeviceCanAccessPeer(&access, 0, 0));
  EXPECT(access == 0, "a device is its own peer");
  CHECK_CUDA(cudaMemcpyPeerAsync(first + 1, 0, second, 0, source.size() - 1, 0));
  CHECK_CUDA(cudaMemcpy(got.data(), first, got.size(), cudaMemcpyDeviceToHost));
  EXPECT(std::memcmp(got.data() + 1, source.data(), source.size() - 1) == 0,
         "the asynchronous peer copy differs");
  CHECK_CUDA(cudaMemset(first, 0xab, 1000));
  CHECK_CUDA(cudaMemcpy(got.data(), first, 1001, cudaMemcpyDeviceToHost));
  EXPECT(got[0] == 0xab && got[999] == 0xab && got[1000] == source[999], "memset of 1000 bytes");
}

int main() {
  copiesRows();
  copiesBoxes();
  copiesArrays();
  copiesToPeer();
  return check::ok("peer_copies_2d_3d: rows, boxes, arrays, peer");
}
