// What C++ in kernels compiles to: function pointers, virtual functions, the device heap, local
// arrays, switches, inline PTX, clocks, byte permutations, atomics of every width, early exits before
// barriers.
#include <cuda_runtime.h>

#include <new>

#include "tests/support/check.h"

struct Shape {
  __device__ virtual ~Shape() {}
  __device__ virtual float area() const = 0;
};
struct Square : Shape {
  float side;
  __device__ explicit Square(float s) : side(s) {}
  __device__ float area() const override { return side * side; }
};
struct Rectangle : Shape {
  float width, height;
  __device__ Rectangle(float w, float h) : width(w), height(h) {}
  __device__ float area() const override { return width * height; }
};

__global__ void areas(float* out) {
  const int i = threadIdx.x;
  Shape* shape =
      i % 2 ? static_cast<Shape*>(new Square(float(i))) : static_cast<Shape*>(new Rectangle(float(i), 2));
  out[i] = shape->area();
  delete shape;
}

__device__ int plus(int a, int b) { return a + b; }
__device__ int minus(int a, int b) { return a - b; }
__device__ int times(int a, int b) { return a * b; }
typedef int (*Operation)(int, int);
__device__ Operation operations[3] = {plus, minus, times};

__global__ void calls(int* out) { out[threadIdx.x] = operations[threadIdx.x % 3](int(threadIdx.x), 5); }

__global__ void heap(int* out) {
  int* list = static_cast<int*>(malloc(64 * sizeof(int)));
  if (!list) {
    out[threadIdx.x] = -1;
    return;
  }
  for (int i = 0; i < 64; ++i) list[i] = i * int(threadIdx.x);
  int sum = 0;
  for (int i = 0; i < 64; ++i) sum += list[i];
  free(list);
  out[threadIdx.x] = sum;
}

__global__ void localArrays(const int* indices, int* out) {
  int values[32];
  for (int i = 0; i < 32; ++i) values[i] = i * i;
  for (int i = 0; i < 32; ++i) values[indices[i] & 31] += i;
  out[threadIdx.x] = values[(threadIdx.x * 7) & 31];
}

__global__ void switches(int* out) {
  int value = int(threadIdx.x);
  switch (threadIdx.x % 9) {
    case 0:
      value += 10;
      break;
    case 1:
      value *= 3;
      break;
    case 2:
      value -= 7;  // falls through
    case 3:
      value ^= 0x55;
      break;
    case 4:
      value = ~value;
      break;
    case 5:
      value <<= 2;
      break;
    case 6:
      return;
    case 7:
      value = __brev(unsigned(value)) >> 24;
      break;
    default:
      value = -value;
  }
  out[threadIdx.x] = value;
}

static int switched(int thread, int before) {
  switch (thread % 9) {
    case 0:
      return thread + 10;
    case 1:
      return thread * 3;
    case 2:
      return (thread - 7) ^ 0x55;
    case 3:
      return thread ^ 0x55;
    case 4:
      return ~thread;
    case 5:
      return thread << 2;
    case 6:
      return before;
    case 7: {
      int reversed = 0;
      for (int bit = 0; bit < 8; ++bit) reversed |= ((thread >> bit) & 1) << (7 - bit);
      return reversed;
    }
    default:
      return -thread;
  }
}

__global__ void inlinePtx(unsigned* out) {
  unsigned lane, reversed, sum;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  asm volatile("brev.b32 %0, %1;" : "=r"(reversed) : "r"(lane));
  asm("{ .reg .u32 t; add.u32 t, %1, %2; mul.lo.u32 %0, t, 3; }" : "=r"(sum) : "r"(lane), "r"(reversed));
  out[threadIdx.x] = sum;
  const long long begin = clock64();
  unsigned long long nanoseconds;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds));
  if (clock64() < begin || nanoseconds == 0) out[threadIdx.x] = 0;
}

struct Atomics {
  int added, smallest, greatest, exchanged, swapped, bits;
  unsigned wrapped;
  float floats;
  double doubles;
  unsigned long long wide;
};

__global__ void atomics(Atomics* all) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(&all->added, i);
  atomicMin(&all->smallest, 100 - i);
  atomicMax(&all->greatest, i * 2);
  atomicExch(&all->exchanged, 5);
  atomicCAS(&all->swapped, 0, 9);
  atomicOr(&all->bits, 1 << (i % 20));
  atomicInc(&all->wrapped, 99);
  atomicAdd(&all->floats, 0.5f);
  atomicAdd(&all->doubles, 0.25);
  atomicAdd(&all->wide, 1ull << 33);
}

// Half of the threads leave; the barrier waits for those that are left.
__global__ void leavesEarly(int* out) {
  __shared__ int shared[128];
  if (threadIdx.x >= 64) return;
  shared[threadIdx.x] = int(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}

__global__ void barriersCount(int* out) {
  const int all = __syncthreads_count(threadIdx.x % 3 == 0);
  const int any = __syncthreads_or(threadIdx.x == 77), each = __syncthreads_and(threadIdx.x < 1000);
  out[threadIdx.x] = all * 100 + (any != 0) * 10 + (each != 0);
}

__global__ void bits(const unsigned* in, unsigned* out) {
  const unsigned x = in[threadIdx.x], y = in[threadIdx.x + 1];
  out[threadIdx.x] = __popc(x) + __clz(int(y)) * 100 + __ffs(int(x)) * 10000 + __byte_perm(x, y, 0x5140) +
                     __umulhi(x, y) + __funnelshift_l(x, y, 7) + __vadd4(x, y) + __dp4a(int(x), int(y), 3) +
                     __usad(x, y, 1);
}

static unsigned bitsOnHost(unsigned x, unsigned y) {
  const unsigned bytes[8] = {x & 255, x >> 8 & 255, x >> 16 & 255, x >> 24,
                             y & 255, y >> 8 & 255, y >> 16 & 255, y >> 24};
  const unsigned permuted = bytes[0] | bytes[4] << 8 | bytes[1] << 16 | bytes[5] << 24;
  unsigned added = 0;
  int dot = 3;
  for (int i = 0; i < 4; ++i) {
    added |= ((bytes[i] + bytes[4 + i]) & 255) << (8 * i);
    dot += int(static_cast<signed char>(bytes[i])) * int(static_cast<signed char>(bytes[4 + i]));
  }
  return unsigned(__builtin_popcount(x)) + (y ? unsigned(__builtin_clz(y)) : 32) * 100 +
         unsigned(__builtin_ffs(int(x))) * 10000 + permuted + unsigned((unsigned long long)x * y >> 32) +
         (y << 7 | x >> 25) + added + unsigned(dot) + (x > y ? x - y : y - x) + 1;
}

template <typename T>
struct Buffer {
  T* device;
  T host[256];
  Buffer() {
    CHECK_CUDA(cudaMalloc(&device, sizeof(host)));
    CHECK_CUDA(cudaMemset(device, 0, sizeof(host)));
  }
  ~Buffer() { cudaFree(device); }
  void fetch() { CHECK_CUDA(cudaMemcpy(host, device, sizeof(host), cudaMemcpyDeviceToHost)); }
};

static void checksObjects() {
  Buffer<float> floats;
  areas<<<1, 64>>>(floats.device);
  floats.fetch();
  for (int i = 0; i < 64; ++i) {
    const float wanted = i % 2 ? float(i * i) : float(2 * i);
    EXPECT(floats.host[i] == wanted, "area %d is %g instead of %g", i, floats.host[i], wanted);
  }
  Buffer<int> out;
  calls<<<1, 96>>>(out.device);
  out.fetch();
  for (int i = 0; i < 96; ++i) {
    const int wanted = i % 3 == 0 ? i + 5 : i % 3 == 1 ? i - 5 : i * 5;
    EXPECT(out.host[i] == wanted, "call %d gave %d instead of %d", i, out.host[i], wanted);
  }
  heap<<<1, 128>>>(out.device);
  out.fetch();
  for (int i = 0; i < 128; ++i)
    EXPECT(out.host[i] == 2016 * i, "the heap gave %d instead of %d", out.host[i], 2016 * i);
}

static void checksControl() {
  Buffer<int> indices, out;
  int wanted[32];
  for (int i = 0; i < 32; ++i) wanted[i] = i * i;
  for (int i = 0; i < 32; ++i) wanted[i * 5 & 31] += i;
  for (int i = 0; i < 32; ++i) indices.host[i] = i * 5;
  CHECK_CUDA(cudaMemcpy(indices.device, indices.host, sizeof(indices.host), cudaMemcpyHostToDevice));
  localArrays<<<1, 64>>>(indices.device, out.device);
  out.fetch();
  for (int i = 0; i < 64; ++i)
    EXPECT(out.host[i] == wanted[i * 7 & 31], "local array gave %d instead of %d", out.host[i],
           wanted[i * 7 & 31]);
  CHECK_CUDA(cudaMemset(out.device, 0, sizeof(out.host)));
  switches<<<1, 256>>>(out.device);
  out.fetch();
  for (int i = 0; i < 256; ++i)
    EXPECT(out.host[i] == switched(i, 0), "switch %d gave %d instead of %d", i, out.host[i], switched(i, 0));
  leavesEarly<<<1, 128>>>(out.device);
  out.fetch();
  for (int i = 0; i < 64; ++i) EXPECT(out.host[i] == 63 - i, "after the early exit %d is %d", i, out.host[i]);
  barriersCount<<<1, 256>>>(out.device);
  out.fetch();
  for (int i = 0; i < 256; ++i)
    EXPECT(out.host[i] == 8611, "barrier with a count gave %d instead of 8611", out.host[i]);
}

static void checksBits() {
  Buffer<unsigned> in, out;
  unsigned state = 99;
  for (unsigned& word : in.host) word = state = state * 1664525u + 1013904223u;
  in.host[8] = 0;
  CHECK_CUDA(cudaMemcpy(in.device, in.host, sizeof(in.host), cudaMemcpyHostToDevice));
  bits<<<1, 255>>>(in.device, out.device);
  out.fetch();
  for (int i = 0; i < 255; ++i) {
    const unsigned wanted = bitsOnHost(in.host[i], in.host[i + 1]);
    EXPECT(out.host[i] == wanted, "bits of %#x and %#x: %#x instead of %#x", in.host[i], in.host[i + 1],
           out.host[i], wanted);
  }
  inlinePtx<<<1, 64>>>(out.device);
  out.fetch();
  for (unsigned i = 0; i < 64; ++i) {
    const unsigned lane = i % 32;
    unsigned reversed = 0;
    for (int bit = 0; bit < 32; ++bit) reversed |= (lane >> bit & 1) << (31 - bit);
    EXPECT(out.host[i] == (lane + reversed) * 3, "inline PTX gave %#x instead of %#x", out.host[i],
           (lane + reversed) * 3);
  }
}

static void checksAtomics() {
  Atomics start{}, got{};
  start.smallest = 1000;
  Atomics* device;
  CHECK_CUDA(cudaMalloc(&device, sizeof(Atomics)));
  CHECK_CUDA(cudaMemcpy(device, &start, sizeof(Atomics), cudaMemcpyHostToDevice));
  atomics<<<10, 100>>>(device);
  CHECK_CUDA(cudaMemcpy(&got, device, sizeof(Atomics), cudaMemcpyDeviceToHost));
  EXPECT(got.added == 499500 && got.smallest == -899 && got.greatest == 1998, "add %d min %d max %d",
         got.added, got.smallest, got.greatest);
  EXPECT(got.exchanged == 5 && got.swapped == 9 && got.bits == 0xfffff, "exch %d cas %d or %#x",
         got.exchanged, got.swapped, got.bits);
  EXPECT(got.wrapped == 0 && got.floats == 500 && got.doubles == 250, "inc %u float %g double %g",
         got.wrapped, got.floats, got.doubles);
  EXPECT(got.wide == 1000ull << 33, "64 bits: %llu", got.wide);
}

int main() {
  checksObjects();
  checksControl();
  checksBits();
  checksAtomics();
  return check::ok("device_features: objects, control, bits, atomics");
}
