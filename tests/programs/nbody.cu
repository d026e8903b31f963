// All pairs of bodies, with a tile of them in shared memory: rsqrt, fused multiply-adds, float4 loads.
#include <cuda_runtime.h>

#include <cmath>
#include <vector>

#include "tests/support/check.h"

constexpr int kBodies = 1024, kTile = 128;
constexpr float kSoftening = 0.01f;

__global__ void accelerate(const float4* bodies, float4* accelerations) {
  __shared__ float4 tile[kTile];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float4 me = bodies[i];
  float3 sum = {0, 0, 0};
  for (int begin = 0; begin < kBodies; begin += kTile) {
    tile[threadIdx.x] = bodies[begin + threadIdx.x];
    __syncthreads();
#pragma unroll 8
    for (int j = 0; j < kTile; ++j) {
      const float dx = tile[j].x - me.x, dy = tile[j].y - me.y, dz = tile[j].z - me.z;
      const float inverse = rsqrtf(dx * dx + dy * dy + dz * dz + kSoftening);
      const float strength = tile[j].w * inverse * inverse * inverse;
      sum.x += dx * strength;
      sum.y += dy * strength;
      sum.z += dz * strength;
    }
    __syncthreads();
  }
  accelerations[i] = make_float4(sum.x, sum.y, sum.z, 0);
}

__global__ void advance(float4* bodies, float4* velocities, const float4* accelerations, float step) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  velocities[i].x += accelerations[i].x * step;
  velocities[i].y += accelerations[i].y * step;
  velocities[i].z += accelerations[i].z * step;
  bodies[i].x += velocities[i].x * step;
  bodies[i].y += velocities[i].y * step;
  bodies[i].z += velocities[i].z * step;
}

static void advanceOnHost(std::vector<float4>& bodies, std::vector<float4>& velocities, float step) {
  std::vector<double> sums(3 * kBodies, 0.0);
  for (int i = 0; i < kBodies; ++i) {
    for (int j = 0; j < kBodies; ++j) {
      const double dx = bodies[j].x - bodies[i].x, dy = bodies[j].y - bodies[i].y,
                   dz = bodies[j].z - bodies[i].z;
      const double inverse = 1 / std::sqrt(dx * dx + dy * dy + dz * dz + kSoftening);
      const double strength = bodies[j].w * inverse * inverse * inverse;
      sums[3 * i] += dx * strength;
      sums[3 * i + 1] += dy * strength;
      sums[3 * i + 2] += dz * strength;
    }
  }
  for (int i = 0; i < kBodies; ++i) {
    float* velocity = &velocities[i].x;
    float* place = &bodies[i].x;
    for (int axis = 0; axis < 3; ++axis) {
      velocity[axis] += float(sums[3 * i + axis]) * step;
      place[axis] += velocity[axis] * step;
    }
  }
}

int main() {
  std::vector<float4> bodies(kBodies), velocities(kBodies, float4{0, 0, 0, 0});
  for (int i = 0; i < kBodies; ++i) {
    const float angle = 0.37f * float(i), radius = 1 + 0.002f * float(i);
    bodies[i] = {radius * std::cos(angle), radius * std::sin(angle), 0.1f * float(i % 7), 1.0f / kBodies};
  }
  const size_t bytes = kBodies * sizeof(float4);
  float4 *deviceBodies, *deviceVelocities, *accelerations;
  CHECK_CUDA(cudaMalloc(&deviceBodies, bytes));
  CHECK_CUDA(cudaMalloc(&deviceVelocities, bytes));
  CHECK_CUDA(cudaMalloc(&accelerations, bytes));
  CHECK_CUDA(cudaMemcpy(deviceBodies, bodies.data(), bytes, cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemset(deviceVelocities, 0, bytes));
  constexpr float kStep = 0.01f;
  for (int step = 0; step < 3; ++step) {
    accelerate<<<kBodies / kTile, kTile>>>(deviceBodies, accelerations);
    advance<<<kBodies / kTile, kTile>>>(deviceBodies, deviceVelocities, accelerations, kStep);
    advanceOnHost(bodies, velocities, kStep);
  }
  CHECK_CUDA(cudaGetLastError());
  std::vector<float4> got(kBodies);
  CHECK_CUDA(cudaMemcpy(got.data(), deviceBodies, bytes, cudaMemcpyDeviceToHost));
  double energy = 0;
  for (int i = 0; i < kBodies; ++i) {
    const float error = std::fabs(got[i].x - bodies[i].x) + std::fabs(got[i].y - bodies[i].y) +
                        std::fabs(got[i].z - bodies[i].z);
    EXPECT(error < 1e-4f, "body %d is off by %g", i, error);
    energy += got[i].x * got[i].x + got[i].y * got[i].y;
  }
  return check::ok("nbody: %d bodies, second moment %.4f", kBodies, energy / kBodies);
}
