// The kernels of pattern_bench: what CUDA programs are made of.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

namespace vgpu::bench {

constexpr int kWide = 256;  // threads a block

__device__ float warpSum(float value) {
  for (int offset = 16; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

__device__ float warpMax(float value) {
  for (int offset = 16; offset > 0; offset /= 2)
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  return value;
}

__device__ float blockSum(float value) {
  __shared__ float partial[32];
  value = warpSum(value);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < blockDim.x / 32 ? partial[threadIdx.x % 32] : 0;
  value = warpSum(value);
  __syncthreads();
  return value;
}

__device__ float blockMax(float value) {
  __shared__ float partial[32];
  value = warpMax(value);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = value;
  __syncthreads();
  value = threadIdx.x % 32 < blockDim.x / 32 ? partial[threadIdx.x % 32] : -INFINITY;
  value = warpMax(value);
  __syncthreads();
  return value;
}

__global__ void sumByShuffles(const float* values, size_t count, float* sums) {
  __shared__ float partial[8];
  float sum = 0;
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x)
    sum += values[i];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 8) {
    sum = partial[threadIdx.x];
    for (int offset = 4; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffu, sum, offset);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
  }
}

// Each block sums 2 * kWide values, in a tree through shared memory.
__global__ void sumByTree(const float* values, float* sums, unsigned count) {
  __shared__ float tree[kWide];
  const unsigned i = blockIdx.x * kWide * 2 + threadIdx.x;
  float mine = i < count ? values[i] : 0;
  if (i + kWide < count) mine += values[i + kWide];
  tree[threadIdx.x] = mine;
  __syncthreads();
  for (unsigned step = kWide / 2; step > 0; step >>= 1) {
    if (threadIdx.x < step) tree[threadIdx.x] += tree[threadIdx.x + step];
    __syncthreads();
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = tree[0];
}

__global__ void softmax(const float* in, float* out, int columns) {
  const float* from = in + size_t(blockIdx.x) * columns;
  float* to = out + size_t(blockIdx.x) * columns;
  float largest = -INFINITY;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) largest = fmaxf(largest, from[i]);
  largest = blockMax(largest);
  float sum = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += __expf(from[i] - largest);
  sum = blockSum(sum);
  for (int i = threadIdx.x; i < columns; i += blockDim.x) to[i] = __expf(from[i] - largest) / sum;
}

__global__ void normalize(const float* in, float* out, int columns) {
  const float* from = in + size_t(blockIdx.x) * columns;
  float sum = 0, squares = 0;
  for (int i = threadIdx.x; i < columns; i += blockDim.x) {
    const float value = from[i];
    sum += value;
    squares += value * value;
  }
  sum = blockSum(sum);
  squares = blockSum(squares);
  const float mean = sum / columns, scale = rsqrtf(squares / columns - mean * mean + 1e-5f);
  for (int i = threadIdx.x; i < columns; i += blockDim.x)
    out[size_t(blockIdx.x) * columns + i] = (from[i] - mean) * scale;
}

__global__ void histogram(const unsigned* values, unsigned* counts, size_t count) {
  __shared__ unsigned mine[256];
  mine[threadIdx.x] = 0;
  __syncthreads();
  for (size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x)
    atomicAdd(&mine[values[i] & 255], 1u);
  __syncthreads();
  atomicAdd(&counts[threadIdx.x], mine[threadIdx.x]);
}

// 32 x 32 tiles, a block of 32 x 8; padded against bank conflicts, which a processor does not have.
__global__ void transpose(const float* in, float* out, int side) {
  __shared__ float tile[32][33];
  int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) tile[threadIdx.y + j][threadIdx.x] = in[size_t(y + j) * side + x];
  __syncthreads();
  x = blockIdx.y * 32 + threadIdx.x, y = blockIdx.x * 32 + threadIdx.y;
  for (int j = 0; j < 32; j += 8) out[size_t(y + j) * side + x] = tile[threadIdx.x][threadIdx.y + j];
}

__global__ void stencil(const float* in, float* out, int side) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x < 1 || y < 1 || x >= side - 1 || y >= side - 1) return;
  const int at = y * side + x;
  out[at] = 0.2f * (in[at] + in[at - 1] + in[at + 1] + in[at - side] + in[at + side]);
}

// The same with a tile and its edges in shared memory.
__global__ void stencilTiled(const float* in, float* out, int side) {
  __shared__ float tile[18][34];
  const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
  const int tx = threadIdx.x + 1, ty = threadIdx.y + 1, at = y * side + x;
  tile[ty][tx] = in[at];
  if (threadIdx.x == 0 && x > 0) tile[ty][0] = in[at - 1];
  if (threadIdx.x == 31 && x + 1 < side) tile[ty][33] = in[at + 1];
  if (threadIdx.y == 0 && y > 0) tile[0][tx] = in[at - side];
  if (threadIdx.y == 15 && y + 1 < side) tile[17][tx] = in[at + side];
  __syncthreads();
  if (x < 1 || y < 1 || x >= side - 1 || y >= side - 1) return;
  out[at] = 0.2f * (tile[ty][tx] + tile[ty][tx - 1] + tile[ty][tx + 1] + tile[ty - 1][tx] + tile[ty + 1][tx]);
}

// Running sums of runs of 256 values, by shuffles.
__global__ void scan(const float* in, float* out) {
  __shared__ float warps[8];
  const size_t i = size_t(blockIdx.x) * kWide + threadIdx.x;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  float value = in[i];
  for (int offset = 1; offset < 32; offset *= 2) {
    const float below = __shfl_up_sync(0xffffffffu, value, offset);
    if (lane >= offset) value += below;
  }
  if (lane == 31) warps[warp] = value;
  __syncthreads();
  for (int before = 0; before < warp; ++before) value += warps[before];
  out[i] = value;
}

__global__ void saxpy(float factor, const float* x, float* y, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = factor * x[i] + y[i];
}

__global__ void multiply(const float* a, const float* b, float* c, int side) {
  __shared__ float tileA[16][16], tileB[16][16];
  const int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
  float sum = 0;
  for (int step = 0; step < side; step += 16) {
    tileA[threadIdx.y][threadIdx.x] = a[row * side + step + threadIdx.x];
    tileB[threadIdx.y][threadIdx.x] = b[(step + threadIdx.y) * side + column];
    __syncthreads();
    for (int k = 0; k < 16; ++k) sum += tileA[threadIdx.y][k] * tileB[k][threadIdx.x];
    __syncthreads();
  }
  c[row * side + column] = sum;
}

// A thread a row.
__global__ void sparse(const int* starts, const int* columns, const float* values, const float* x, float* y,
                       int rows) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  float sum = 0;
  for (int i = starts[row]; i < starts[row + 1]; ++i) sum += values[i] * x[columns[i]];
  y[row] = sum;
}

__global__ void accelerate(const float4* bodies, float4* out, int count) {
  __shared__ float4 tile[128];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float4 me = bodies[i];
  float3 sum = {0, 0, 0};
  for (int begin = 0; begin < count; begin += 128) {
    tile[threadIdx.x] = bodies[begin + threadIdx.x];
    __syncthreads();
    for (int j = 0; j < 128; ++j) {
      const float dx = tile[j].x - me.x, dy = tile[j].y - me.y, dz = tile[j].z - me.z;
      const float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + 0.01f);
      const float strength = tile[j].w * inverse * inverse * inverse;
      sum.x += dx * strength;
      sum.y += dy * strength;
      sum.z += dz * strength;
    }
    __syncthreads();
  }
  out[i] = make_float4(sum.x, sum.y, sum.z, 0);
}

}  // namespace vgpu::bench
