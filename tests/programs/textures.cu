// Texture objects over linear memory, pitched memory and arrays: fetches, addressing modes, filters,
// conversions.
#include <cuda_runtime.h>

#include <cmath>
#include <vector>

#include "tests/support/check.h"

constexpr int kWidth = 37, kHeight = 21, kDepth = 5;

__global__ void fetch1d(cudaTextureObject_t texture, float* out, int count) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < count) out[i] = tex1Dfetch<float>(texture, i);
}

__global__ void sample2d(cudaTextureObject_t texture, const float2* where, float* out, int count) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < count) out[i] = tex2D<float>(texture, where[i].x, where[i].y);
}

__global__ void sampleColour(cudaTextureObject_t texture, const float2* where, float4* out, int count) {
  const int i = threadIdx.x + blockIdx.x * blockDim.x;
  if (i < count) out[i] = tex2D<float4>(texture, where[i].x, where[i].y);
}

__global__ void sample3d(cudaTextureObject_t texture, int* out) {
  const int x = threadIdx.x, y = threadIdx.y, z = threadIdx.z;
  out[(z * blockDim.y + y) * blockDim.x + x] = tex3D<int>(texture, x + 0.5f, y + 0.5f, z + 0.5f);
}

static cudaTextureObject_t textureOf(const cudaResourceDesc& resource, cudaTextureAddressMode address,
                                     cudaTextureFilterMode filter, cudaTextureReadMode read,
                                     bool normalized) {
  cudaTextureDesc description{};
  for (cudaTextureAddressMode& mode : description.addressMode) mode = address;
  description.filterMode = filter;
  description.readMode = read;
  description.normalizedCoords = normalized;
  cudaTextureObject_t texture = 0;
  CHECK_CUDA(cudaCreateTextureObject(&texture, &resource, &description, nullptr));
  return texture;
}

// The texel at integer coordinates under an addressing mode, as the programming guide defines it.
static float texel(const std::vector<float>& image, int x, int y, cudaTextureAddressMode address) {
  if (address == cudaAddressModeBorder && (x < 0 || y < 0 || x >= kWidth || y >= kHeight)) return 0;
  if (address == cudaAddressModeWrap) {
    x = (x % kWidth + kWidth) % kWidth;
    y = (y % kHeight + kHeight) % kHeight;
  }
  x = x < 0 ? 0 : x >= kWidth ? kWidth - 1 : x;
  y = y < 0 ? 0 : y >= kHeight ? kHeight - 1 : y;
  return image[y * kWidth + x];
}

static float sampled(const std::vector<float>& image, float2 where, cudaTextureAddressMode address,
                     bool linear) {
  if (!linear) return texel(image, int(std::floor(where.x)), int(std::floor(where.y)), address);
  const float left = std::floor(where.x - 0.5f), top = std::floor(where.y - 0.5f);
  const float fx = where.x - 0.5f - left, fy = where.y - 0.5f - top;
  const int x = int(left), y = int(top);
  return (1 - fx) * (1 - fy) * texel(image, x, y, address) + fx * (1 - fy) * texel(image, x + 1, y, address) +
         (1 - fx) * fy * texel(image, x, y + 1, address) + fx * fy * texel(image, x + 1, y + 1, address);
}

static void samplesArray(const std::vector<float>& image, const cudaResourceDesc& resource) {
  std::vector<float2> where;
  for (int i = 0; i < 900; ++i) where.push_back({float(i % 60) * 0.75f - 4, float(i % 41) * 0.625f - 2});
  float2* deviceWhere;
  float* deviceOut;
  CHECK_CUDA(cudaMalloc(&deviceWhere, where.size() * sizeof(float2)));
  CHECK_CUDA(cudaMalloc(&deviceOut, where.size() * sizeof(float)));
  std::vector<float> out(where.size());
  for (const bool normalized : {false, true}) {
    for (const auto address : {cudaAddressModeClamp, cudaAddressModeBorder, cudaAddressModeWrap}) {
      if (address == cudaAddressModeWrap && !normalized) continue;  // wrap wants normalized coordinates
      for (const bool linear : {false, true}) {
        std::vector<float2> given = where;
        if (normalized)
          for (float2& at : given) at = {at.x / kWidth, at.y / kHeight};
        CHECK_CUDA(
            cudaMemcpy(deviceWhere, given.data(), given.size() * sizeof(float2), cudaMemcpyHostToDevice));
        const auto texture = textureOf(resource, address, linear ? cudaFilterModeLinear : cudaFilterModePoint,
                                       cudaReadModeElementType, normalized);
        sample2d<<<8, 128>>>(texture, deviceWhere, deviceOut, int(where.size()));
        CHECK_CUDA(cudaMemcpy(out.data(), deviceOut, out.size() * sizeof(float), cudaMemcpyDeviceToHost));
        for (size_t i = 0; i < out.size(); ++i) {
          // A point exactly between two texels may fall to either once its coordinate was divided.
          const bool between = normalized && !linear &&
                               (where[i].x == std::floor(where[i].x) || where[i].y == std::floor(where[i].y));
          const float wanted = sampled(image, where[i], address, linear);
          const float tolerance = linear ? 0.3f : 0;  // filter weights have 8 fractional bits
          EXPECT(between || std::fabs(out[i] - wanted) <= tolerance,
                 "mode %d %s %s at %g, %g: %g instead of %g", int(address), linear ? "linear" : "point",
                 normalized ? "normalized" : "texels", where[i].x, where[i].y, out[i], wanted);
        }
        CHECK_CUDA(cudaDestroyTextureObject(texture));
      }
    }
  }
  CHECK_CUDA(cudaFree(deviceWhere));
  CHECK_CUDA(cudaFree(deviceOut));
}

static void samplesArrays() {
  std::vector<float> image(kWidth * kHeight);
  for (size_t i = 0; i < image.size(); ++i) image[i] = float((i * 7) % 31);
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<float>();
  cudaArray_t array;
  CHECK_CUDA(cudaMallocArray(&array, &format, kWidth, kHeight));
  CHECK_CUDA(cudaMemcpy2DToArray(array, 0, 0, image.data(), kWidth * sizeof(float), kWidth * sizeof(float),
                                 kHeight, cudaMemcpyHostToDevice));
  cudaResourceDesc resource{};
  resource.resType = cudaResourceTypeArray;
  resource.res.array.array = array;
  samplesArray(image, resource);
  CHECK_CUDA(cudaFreeArray(array));
}

static void fetchesLinearMemory() {
  std::vector<float> values(1000), out(1000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i) * 0.25f;
  float *device, *deviceOut;
  CHECK_CUDA(cudaMalloc(&device, values.size() * sizeof(float)));
  CHECK_CUDA(cudaMalloc(&deviceOut, values.size() * sizeof(float)));
  CHECK_CUDA(cudaMemcpy(device, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice));
  cudaResourceDesc resource{};
  resource.resType = cudaResourceTypeLinear;
  resource.res.linear.devPtr = device;
  resource.res.linear.desc = cudaCreateChannelDesc<float>();
  resource.res.linear.sizeInBytes = values.size() * sizeof(float);
  const auto texture =
      textureOf(resource, cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, false);
  fetch1d<<<8, 128>>>(texture, deviceOut, 1000);
  CHECK_CUDA(cudaMemcpy(out.data(), deviceOut, out.size() * sizeof(float), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 1000; ++i)
    EXPECT(out[i] == values[i], "fetch %d gave %g instead of %g", i, out[i], values[i]);
  CHECK_CUDA(cudaDestroyTextureObject(texture));
  CHECK_CUDA(cudaFree(device));
  CHECK_CUDA(cudaFree(deviceOut));
}

// Bytes read as fractions of 255 from pitched memory.
static void convertsPitchedBytes() {
  uchar4* pixels;
  size_t pitch = 0;
  CHECK_CUDA(cudaMallocPitch(&pixels, &pitch, 16 * sizeof(uchar4), 8));
  std::vector<uchar4> host(16 * 8);
  for (int i = 0; i < 128; ++i)
    host[i] = {static_cast<unsigned char>(i), static_cast<unsigned char>(255 - i), 51, 255};
  CHECK_CUDA(cudaMemcpy2D(pixels, pitch, host.data(), 16 * sizeof(uchar4), 16 * sizeof(uchar4), 8,
                          cudaMemcpyHostToDevice));
  cudaResourceDesc resource{};
  resource.resType = cudaResourceTypePitch2D;
  resource.res.pitch2D = {pixels, cudaCreateChannelDesc<uchar4>(), 16, 8, pitch};
  const auto texture =
      textureOf(resource, cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeNormalizedFloat, false);
  std::vector<float2> where(128);
  for (int i = 0; i < 128; ++i) where[i] = {float(i % 16) + 0.5f, float(i / 16) + 0.5f};
  float2* deviceWhere;
  float4* deviceOut;
  CHECK_CUDA(cudaMalloc(&deviceWhere, sizeof(float2) * 128));
  CHECK_CUDA(cudaMalloc(&deviceOut, sizeof(float4) * 128));
  CHECK_CUDA(cudaMemcpy(deviceWhere, where.data(), sizeof(float2) * 128, cudaMemcpyHostToDevice));
  sampleColour<<<1, 128>>>(texture, deviceWhere, deviceOut, 128);
  std::vector<float4> out(128);
  CHECK_CUDA(cudaMemcpy(out.data(), deviceOut, sizeof(float4) * 128, cudaMemcpyDeviceToHost));
  for (int i = 0; i < 128; ++i) {
    const bool right = std::fabs(out[i].x - float(i) / 255) < 1e-6f &&
                       std::fabs(out[i].y - float(255 - i) / 255) < 1e-6f &&
                       std::fabs(out[i].z - 0.2f) < 1e-6f && out[i].w == 1.0f;
    EXPECT(right, "pixel %d is %g %g %g %g", i, out[i].x, out[i].y, out[i].z, out[i].w);
  }
  CHECK_CUDA(cudaDestroyTextureObject(texture));
  CHECK_CUDA(cudaFree(pixels));
}

static void samplesVolume() {
  constexpr int kX = 8, kY = 4;
  std::vector<int> volume(kX * kY * kDepth), out(volume.size());
  for (size_t i = 0; i < volume.size(); ++i) volume[i] = int(i * i) - 100;
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<int>();
  cudaArray_t array;
  CHECK_CUDA(cudaMalloc3DArray(&array, &format, make_cudaExtent(kX, kY, kDepth)));
  cudaMemcpy3DParms copy{};
  copy.srcPtr = make_cudaPitchedPtr(volume.data(), kX * sizeof(int), kX, kY);
  copy.dstArray = array;
  copy.extent = make_cudaExtent(kX, kY, kDepth);
  copy.kind = cudaMemcpyHostToDevice;
  CHECK_CUDA(cudaMemcpy3D(&copy));
  cudaResourceDesc resource{};
  resource.resType = cudaResourceTypeArray;
  resource.res.array.array = array;
  const auto texture =
      textureOf(resource, cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, false);
  int* deviceOut;
  CHECK_CUDA(cudaMalloc(&deviceOut, out.size() * sizeof(int)));
  sample3d<<<1, dim3(kX, kY, kDepth)>>>(texture, deviceOut);
  CHECK_CUDA(cudaMemcpy(out.data(), deviceOut, out.size() * sizeof(int), cudaMemcpyDeviceToHost));
  for (size_t i = 0; i < out.size(); ++i)
    EXPECT(out[i] == volume[i], "voxel %zu is %d instead of %d", i, out[i], volume[i]);
  CHECK_CUDA(cudaDestroyTextureObject(texture));
  CHECK_CUDA(cudaFreeArray(array));
}

// Colours are decoded before they are filtered; the fourth channel is none.
static void decodesSrgb() {
  constexpr int kColours = 256;
  std::vector<uchar4> image(kColours);
  for (int i = 0; i < kColours; ++i) image[i] = make_uchar4(i, 255 - i, i / 2, i);
  const cudaChannelFormatDesc format = cudaCreateChannelDesc<uchar4>();
  cudaArray_t array;
  CHECK_CUDA(cudaMallocArray(&array, &format, kColours, 1));
  CHECK_CUDA(cudaMemcpy2DToArray(array, 0, 0, image.data(), sizeof(uchar4) * kColours,
                                 sizeof(uchar4) * kColours, 1, cudaMemcpyHostToDevice));
  cudaResourceDesc resource{};
  resource.resType = cudaResourceTypeArray;
  resource.res.array.array = array;
  cudaTextureDesc description{};
  description.readMode = cudaReadModeNormalizedFloat;
  description.filterMode = cudaFilterModeLinear;
  description.sRGB = 1;
  for (cudaTextureAddressMode& mode : description.addressMode) mode = cudaAddressModeClamp;
  cudaTextureObject_t texture = 0;
  CHECK_CUDA(cudaCreateTextureObject(&texture, &resource, &description, nullptr));

  // Every colour, then halfway between every two.
  std::vector<float2> where;
  for (int i = 0; i < kColours; ++i) where.push_back({i + 0.5f, 0.5f});
  for (int i = 0; i + 1 < kColours; ++i) where.push_back({i + 1.0f, 0.5f});
  const int count = int(where.size());
  float2* places;
  float4* colours;
  CHECK_CUDA(cudaMalloc(&places, count * sizeof(float2)));
  CHECK_CUDA(cudaMalloc(&colours, count * sizeof(float4)));
  CHECK_CUDA(cudaMemcpy(places, where.data(), count * sizeof(float2), cudaMemcpyHostToDevice));
  sampleColour<<<(count + 127) / 128, 128>>>(texture, places, colours, count);
  std::vector<float4> got(count);
  CHECK_CUDA(cudaMemcpy(got.data(), colours, count * sizeof(float4), cudaMemcpyDeviceToHost));

  const auto linear = [](int byte) {
    const double v = byte / 255.0;
    return v <= 0.04045 ? v / 12.92 : std::pow((v + 0.055) / 1.055, 2.4);
  };
  for (int i = 0; i < count; ++i) {
    const int a = i < kColours ? i : i - kColours, b = i < kColours ? a : a + 1;
    const double red = (linear(image[a].x) + linear(image[b].x)) / 2;
    const double green = (linear(image[a].y) + linear(image[b].y)) / 2;
    const double alpha = (image[a].w + image[b].w) / 2.0 / 255;
    EXPECT(std::fabs(got[i].x - red) < 2e-3 && std::fabs(got[i].y - green) < 2e-3 &&
               std::fabs(got[i].w - alpha) < 1e-4,
           "colour %d: %f %f %f instead of %f %f %f", i, got[i].x, got[i].y, got[i].w, red, green, alpha);
  }
  CHECK_CUDA(cudaDestroyTextureObject(texture));
  CHECK_CUDA(cudaFreeArray(array));
  CHECK_CUDA(cudaFree(places));
  CHECK_CUDA(cudaFree(colours));
}

int main() {
  fetchesLinearMemory();
  samplesArrays();
  convertsPitchedBytes();
  samplesVolume();
  decodesSrgb();
  return check::ok("textures: linear, array, pitched, volume, sRGB");
}
