// cp.async, mbarrier and the bulk copies, in their own words: groups, sources shorter than the destination,
// hints, arrivals of copies, transaction counts; from compute_90 on also cp.async.bulk both ways, st.async
// and the proxies' fences.
#include <cuda_runtime.h>

#include <cstdint>

#include "tests/support/check.h"

constexpr int kThreads = 128;

__device__ uint32_t shared(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ void waitFor(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\nmbarrier.test_wait.parity.shared.b64 done, [%0], %1;\n@done bra.uni "
      "over;\n"
      "bra.uni again;\nover:\n}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// Two groups in flight; the second copies 5 of 16 bytes, the rest is zero.
__global__ void groupsOfCopies(const int4* in, int4* out) {
  __shared__ int4 first[kThreads], second[kThreads];
  const int t = threadIdx.x;
  uint64_t policy;
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2;" ::"r"(shared(first + t)),
               "l"(in + t), "l"(policy));
  asm volatile("cp.async.commit_group;");
  asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared(second + t)),
               "l"(in + t), "r"(5));
  asm volatile("cp.async.commit_group;\ncp.async.wait_group 1;" ::: "memory");
  __syncthreads();
  out[t] = first[kThreads - 1 - t];
  asm volatile("cp.async.wait_all;" ::: "memory");
  __syncthreads();
  out[kThreads + t] = second[kThreads - 1 - t];
}

// Each thread's copies arrive at the barrier by themselves.
__global__ void arrivingCopies(const int* in, int* out) {
  __shared__ int tile[kThreads];
  __shared__ uint64_t barrier;
  const int t = threadIdx.x;
  if (t == 0) asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(shared(&barrier)), "r"(kThreads));
  __syncthreads();
  for (int phase = 0; phase < 3; ++phase) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared(tile + t)),
                 "l"(in + phase * kThreads + t));
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(shared(&barrier)) : "memory");
    waitFor(shared(&barrier), phase & 1);
    out[phase * kThreads + t] = tile[kThreads - 1 - t];
    __syncthreads();
  }
  if (t == 0) asm volatile("mbarrier.inval.shared.b64 [%0];" ::"r"(shared(&barrier)));
}

// One thread asks for bytes; all wait for them; then what was doubled goes back.
__global__ void bulkCopies(const int* in, int* out) {
#if __CUDA_ARCH__ >= 900
  __shared__ alignas(128) int tile[2][kThreads];
  __shared__ uint64_t barrier;
  __shared__ uint64_t stored;
  __shared__ uint64_t storedBarrier;
  const int t = threadIdx.x;
  if (t == 0) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared(&barrier)));
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared(&storedBarrier)));
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  for (int phase = 0; phase < 2; ++phase) {
    if (t == 0) {
      asm volatile(
          "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared(&barrier)),
          "r"(int(sizeof(tile)))
          : "memory");
      for (int half = 0; half < 2; ++half)
        asm volatile(
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                shared(tile[half])),
            "l"(in + (phase * 2 + half) * kThreads), "r"(int(sizeof(tile[0]))), "r"(shared(&barrier))
            : "memory");
    }
    waitFor(shared(&barrier), phase);
    for (int half = 0; half < 2; ++half) tile[half][t] *= 2;
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    if (t == 0) {
      asm volatile(
          "cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(out + phase * 2 * kThreads),
          "r"(shared(tile)), "r"(int(sizeof(tile)))
          : "memory");
      asm volatile("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group.read 0;" ::: "memory");
    }
    __syncthreads();
  }
  if (t == 1) {
    asm volatile(
        "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], 8;" ::"r"(shared(&storedBarrier))
        : "memory");
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(
                     shared(&stored)),
                 "l"(uint64_t{77}), "r"(shared(&storedBarrier))
                 : "memory");
  }
  waitFor(shared(&storedBarrier), 0);
  if (t == 2) out[0] += int(stored);
#endif
}

int main() {
  static int host[4 * kThreads], got[8 * kThreads];
  for (int i = 0; i < 4 * kThreads; ++i) host[i] = 1000003 * (i + 1);
  int *in, *out;
  CHECK_CUDA(cudaMalloc(&in, sizeof(host)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, host, sizeof(host), cudaMemcpyHostToDevice));

  groupsOfCopies<<<1, kThreads>>>(reinterpret_cast<int4*>(in), reinterpret_cast<int4*>(out));
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 4 * kThreads; ++i) {
    const int from = (kThreads - 1 - i / 4) * 4 + i % 4;
    const int cut = i % 4 == 0 ? host[from] : i % 4 == 1 ? host[from] & 0xff : 0;
    EXPECT(got[i] == host[from] && got[4 * kThreads + i] == cut,
           "copied %d: %#x and %#x instead of %#x and %#x", i, got[i], got[4 * kThreads + i], host[from],
           cut);
  }

  arrivingCopies<<<1, kThreads>>>(in, out);
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 3 * kThreads; ++i) {
    const int from = i / kThreads * kThreads + kThreads - 1 - i % kThreads;
    EXPECT(got[i] == host[from], "arrived %d: %d instead of %d", i, got[i], host[from]);
  }

  cudaFuncAttributes attributes;
  CHECK_CUDA(cudaFuncGetAttributes(&attributes, bulkCopies));
  if (attributes.ptxVersion >= 90) {
    bulkCopies<<<1, kThreads>>>(in, out);
    CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 4 * kThreads; ++i) {
      const int wanted = 2 * host[i] + (i == 0 ? 77 : 0);
      EXPECT(got[i] == wanted, "bulk copy %d: %d instead of %d", i, got[i], wanted);
    }
  }
  return check::ok("async_copy: groups, arrivals, bulk copies");
}
