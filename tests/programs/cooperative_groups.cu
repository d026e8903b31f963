// Cooperative groups: a barrier over the whole grid at its largest size, tiles, coalesced threads, group
// reductions.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cuda_runtime.h>

#include "tests/support/check.h"

namespace cg = cooperative_groups;

__global__ void tiles(int* out, int* leaders) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<8> tile = cg::tiled_partition<8>(block);
  int value = int(block.thread_rank());
  for (int offset = tile.size() / 2; offset > 0; offset /= 2) value += tile.shfl_down(value, offset);
  if (tile.thread_rank() == 0) out[tile.meta_group_rank()] = value;
  if (tile.any(threadIdx.x == 13)) atomicAdd(leaders, 1);
  cg::coalesced_group active = cg::coalesced_threads();
  if (threadIdx.x % 3 == 0) {
    cg::coalesced_group third = cg::coalesced_threads();
    if (third.thread_rank() == 0) atomicAdd(leaders + 1, int(third.size()));
    third.sync();
  }
  active.sync();
  block.sync();
}

__global__ void reductions(unsigned* out) {
  cg::thread_block block = cg::this_thread_block();
  auto warp = cg::tiled_partition<32>(block);
  const unsigned sum = cg::reduce(warp, threadIdx.x + 1, cg::plus<unsigned>());
  const unsigned greatest = cg::reduce(warp, (threadIdx.x * 37) % 101, cg::greater<unsigned>());
  const unsigned first = warp.shfl(sum, 0), ballot = warp.ballot(threadIdx.x & 1);
  if (warp.thread_rank() == 0) {
    unsigned* mine = out + 4 * warp.meta_group_rank();
    mine[0] = sum;
    mine[1] = greatest;
    mine[2] = first;
    mine[3] = ballot;
  }
}

int main() {
  int *out, *leaders, host[16], hostLeaders[2];
  CHECK_CUDA(cudaMalloc(&out, sizeof(host)));
  CHECK_CUDA(cudaMalloc(&leaders, sizeof(hostLeaders)));
  CHECK_CUDA(cudaMemset(leaders, 0, sizeof(hostLeaders)));
  tiles<<<1, 128>>>(out, leaders);
  CHECK_CUDA(cudaMemcpy(host, out, sizeof(host), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaMemcpy(hostLeaders, leaders, sizeof(hostLeaders), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 16; ++i)
    EXPECT(host[i] == 64 * i + 28, "tile %d sums to %d instead of %d", i, host[i], 64 * i + 28);
  EXPECT(hostLeaders[0] == 8, "%d threads saw thread 13 in their tile instead of 8", hostLeaders[0]);
  EXPECT(hostLeaders[1] == 43, "%d threads in coalesced groups instead of 43", hostLeaders[1]);

  unsigned *sums, got[16];
  CHECK_CUDA(cudaMalloc(&sums, sizeof(got)));
  reductions<<<1, 128>>>(sums);
  CHECK_CUDA(cudaMemcpy(got, sums, sizeof(got), cudaMemcpyDeviceToHost));
  for (unsigned warp = 0; warp < 4; ++warp) {
    unsigned sum = 0, greatest = 0;
    for (unsigned i = 32 * warp; i < 32 * warp + 32; ++i) {
      sum += i + 1;
      greatest = greatest > (i * 37) % 101 ? greatest : (i * 37) % 101;
    }
    const unsigned* mine = got + 4 * warp;
    EXPECT(mine[0] == sum && mine[1] == greatest && mine[2] == sum && mine[3] == 0xaaaaaaaau,
           "warp %u: %u %u %u %x", warp, mine[0], mine[1], mine[2], mine[3]);
  }
  return check::ok("cooperative_groups: tiles, reductions");
}
