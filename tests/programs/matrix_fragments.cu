// Matrix instructions: mma in every shape and type, ldmatrix, stmatrix and movmatrix. Which lane holds which
// element is what the figures of the PTX ISA say ("Matrix Fragments for mma..."); each row of the table below
// is such a figure in its own words. The host lays the matrices out by it and multiplies them itself; values
// are small integers, so that every sum is exact.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "tests/support/check.h"

enum class Kind { F16, BF16, TF32, F32, F64, E4M3, E5M2, S8, U8, S4, U4, B1, S32 };

static int bitsOf(Kind kind) {
  switch (kind) {
    case Kind::F64:
      return 64;
    case Kind::F16:
    case Kind::BF16:
      return 16;
    case Kind::E4M3:
    case Kind::E5M2:
    case Kind::S8:
    case Kind::U8:
      return 8;
    case Kind::S4:
    case Kind::U4:
      return 4;
    case Kind::B1:
      return 1;
    default:
      return 32;
  }
}

static uint64_t encode(Kind kind, int value) {
  const float number = float(value);
  const double wide = value;
  uint64_t bits = 0;
  switch (kind) {
    case Kind::F16: {
      const __half half = __float2half(number);
      std::memcpy(&bits, &half, 2);
      return bits;
    }
    case Kind::BF16: {
      const __nv_bfloat16 half = __float2bfloat16(number);
      std::memcpy(&bits, &half, 2);
      return bits;
    }
    case Kind::TF32:
    case Kind::F32:
      std::memcpy(&bits, &number, 4);
      return bits;
    case Kind::F64:
      std::memcpy(&bits, &wide, 8);
      return bits;
    case Kind::E4M3:
      return __nv_cvt_float_to_fp8(number, __NV_SATFINITE, __NV_E4M3);
    case Kind::E5M2:
      return __nv_cvt_float_to_fp8(number, __NV_SATFINITE, __NV_E5M2);
    case Kind::S32:
      return uint32_t(value);
    default:
      return uint64_t(value) & ((1u << bitsOf(kind)) - 1);
  }
}

// One lane's registers of a matrix, as 32-bit words.
struct Fragment {
  uint32_t words[32][16];
};

static void put(Fragment& fragment, Kind kind, int lane, int i, int value) {
  const int bits = bitsOf(kind);
  const uint64_t encoded = encode(kind, value);
  for (int part = 0; part < bits; part += 32) {
    const int at = i * bits + part;
    fragment.words[lane][at / 32] |= uint32_t(encoded >> part) << at % 32;
  }
}

using Place = int (*)(int group, int within, int i);  // groupID, threadID_in_group and i of the figures

struct Product {
  const char* name;
  int m, n, k;
  Kind a, b, sum;
  Place rowOfA, columnOfA, rowOfB;
};

template <int Width>
static int along(int, int t, int i) {
  return t * Width + i % Width;
}  // (threadID_in_group * Width) + i
static int single(int g, int, int) { return g; }
// groupID for i < Width, groupID + 8 otherwise, and so on for the following registers.
template <int Width>
static int twoRows(int g, int, int i) {
  return i / Width % 2 == 0 ? g : g + 8;
}
template <int Width>
static int twoColumns(int, int t, int i) {
  return t * Width + i % Width + (i < 2 * Width ? 0 : 4 * Width);
}
template <int Width>
static int twoBlocks(int, int t, int i) {
  return t * Width + i % Width + (i < Width ? 0 : 4 * Width);
}
static int columnOfDoubles(int, int t, int i) { return i % 2 == 0 ? i * 2 + t : i * 2 - 2 + t; }
static int rowOfDoubles(int, int t, int i) { return t + i * 4; }

#define F1(x) "r"(x[0])
#define F2(x) F1(x), "r"(x[1])
#define F4(x) F2(x), "r"(x[2]), "r"(x[3])
#define F8(x) F4(x), "r"(x[4]), "r"(x[5]), "r"(x[6]), "r"(x[7])
#define O2(x) "=r"(x[0]), "=r"(x[1])
#define O4(x) O2(x), "=r"(x[2]), "=r"(x[3])
#define O8(x) O4(x), "=r"(x[4]), "=r"(x[5]), "=r"(x[6]), "=r"(x[7])
#define MMA_211(name) \
  asm volatile("mma.sync.aligned." name " {%0,%1},{%2},{%3},{%4,%5};" : O2(d) : F1(a), F1(b), F2(c))
#define MMA_421(name)                                                                 \
  asm volatile("mma.sync.aligned." name " {%0,%1,%2,%3},{%4,%5},{%6},{%7,%8,%9,%10};" \
               : O4(d)                                                                \
               : F2(a), F1(b), F4(c))
#define MMA_442(name)                                                                             \
  asm volatile("mma.sync.aligned." name " {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};" \
               : O4(d)                                                                            \
               : F4(a), F2(b), F4(c))
#define MMA_221(name) \
  asm volatile("mma.sync.aligned." name " {%0,%1},{%2,%3},{%4},{%5,%6};" : O2(d) : F2(a), F1(b), F2(c))
#define MMA_242(name)                                                             \
  asm volatile("mma.sync.aligned." name " {%0,%1},{%2,%3,%4,%5},{%6,%7},{%8,%9};" \
               : O2(d)                                                            \
               : F4(a), F2(b), F2(c))

struct Doubles {
  double a[8], b[4], c[4], d[4];
};

__device__ void multiplyDoubles(int which, Doubles& v) {
#if __CUDA_ARCH__ >= 800
  if (which == 0)
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1},{%2},{%3},{%4,%5};"
                 : "=d"(v.d[0]), "=d"(v.d[1])
                 : "d"(v.a[0]), "d"(v.b[0]), "d"(v.c[0]), "d"(v.c[1]));
#endif
#if __CUDA_ARCH__ >= 900
#define OUT "=d"(v.d[0]), "=d"(v.d[1]), "=d"(v.d[2]), "=d"(v.d[3])
#define IN "d"(v.c[0]), "d"(v.c[1]), "d"(v.c[2]), "d"(v.c[3])
  if (which == 1)
    asm volatile("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0,%1,%2,%3},{%4,%5},{%6},{%7,%8,%9,%10};"
                 : OUT
                 : "d"(v.a[0]), "d"(v.a[1]), "d"(v.b[0]), IN);
  if (which == 2)
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 "
        "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%10,%11,%12,%13};"
        : OUT
        : "d"(v.a[0]), "d"(v.a[1]), "d"(v.a[2]), "d"(v.a[3]), "d"(v.b[0]), "d"(v.b[1]), IN);
  if (which == 3)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0,%1,%2,%3},{%4,%5,%6,%7,%8,%9,%10,%11},"
        "{%12,%13,%14,%15},{%16,%17,%18,%19};"
        : OUT
        : "d"(v.a[0]), "d"(v.a[1]), "d"(v.a[2]), "d"(v.a[3]), "d"(v.a[4]), "d"(v.a[5]), "d"(v.a[6]),
          "d"(v.a[7]), "d"(v.b[0]), "d"(v.b[1]), "d"(v.b[2]), "d"(v.b[3]), IN);
#endif
}

// The instructions, in the order of the table; those that the target of this build lacks do nothing.
__device__ void multiply(int which, const uint32_t* a, const uint32_t* b, const uint32_t* c, uint32_t* d) {
#if __CUDA_ARCH__ >= 800
  switch (which) {
    case 0:
      MMA_421("m16n8k8.row.col.f32.f16.f16.f32");
      break;
    case 1:
      MMA_221("m16n8k8.row.col.f16.f16.f16.f16");
      break;
    case 2:
      MMA_442("m16n8k16.row.col.f32.f16.f16.f32");
      break;
    case 3:
      MMA_242("m16n8k16.row.col.f16.f16.f16.f16");
      break;
    case 4:
      MMA_421("m16n8k8.row.col.f32.bf16.bf16.f32");
      break;
    case 5:
      MMA_442("m16n8k16.row.col.f32.bf16.bf16.f32");
      break;
    case 6:
      MMA_421("m16n8k4.row.col.f32.tf32.tf32.f32");
      break;
    case 7:
      MMA_442("m16n8k8.row.col.f32.tf32.tf32.f32");
      break;
    case 8:
      MMA_211("m8n8k16.row.col.s32.s8.s8.s32");
      break;
    case 9:
      MMA_421("m16n8k16.row.col.s32.s8.u8.s32");
      break;
    case 10:
      MMA_442("m16n8k32.row.col.satfinite.s32.u8.s8.s32");
      break;
    case 11:
      MMA_211("m8n8k32.row.col.s32.s4.s4.s32");
      break;
    case 12:
      MMA_421("m16n8k32.row.col.s32.u4.s4.s32");
      break;
    case 13:
      MMA_442("m16n8k64.row.col.s32.s4.u4.s32");
      break;
    case 14:
      MMA_211("m8n8k128.row.col.s32.b1.b1.s32.and.popc");
      break;
    case 15:
      MMA_421("m16n8k128.row.col.s32.b1.b1.s32.and.popc");
      break;
    case 16:
      MMA_442("m16n8k256.row.col.s32.b1.b1.s32.and.popc");
      break;
#if __CUDA_ARCH__ >= 890
    case 17:
      MMA_442("m16n8k32.row.col.f32.e4m3.e4m3.f32");
      break;
    case 18:
      MMA_442("m16n8k32.row.col.f32.e5m2.e4m3.f32");
      break;
#endif
    default:
      break;
  }
#endif
}

static const Product kProducts[] = {
    {"m16n8k8 f16", 16, 8, 8, Kind::F16, Kind::F16, Kind::F32, twoRows<2>, along<2>, along<2>},
    {"m16n8k8 f16, sum f16", 16, 8, 8, Kind::F16, Kind::F16, Kind::F16, twoRows<2>, along<2>, along<2>},
    {"m16n8k16 f16", 16, 8, 16, Kind::F16, Kind::F16, Kind::F32, twoRows<2>, twoColumns<2>, twoBlocks<2>},
    {"m16n8k16 f16, sum f16", 16, 8, 16, Kind::F16, Kind::F16, Kind::F16, twoRows<2>, twoColumns<2>,
     twoBlocks<2>},
    {"m16n8k8 bf16", 16, 8, 8, Kind::BF16, Kind::BF16, Kind::F32, twoRows<2>, along<2>, along<2>},
    {"m16n8k16 bf16", 16, 8, 16, Kind::BF16, Kind::BF16, Kind::F32, twoRows<2>, twoColumns<2>, twoBlocks<2>},
    {"m16n8k4 tf32", 16, 8, 4, Kind::TF32, Kind::TF32, Kind::F32, twoRows<1>, along<1>, along<1>},
    {"m16n8k8 tf32", 16, 8, 8, Kind::TF32, Kind::TF32, Kind::F32, twoRows<1>, twoColumns<1>, twoBlocks<1>},
    {"m8n8k16 s8", 8, 8, 16, Kind::S8, Kind::S8, Kind::S32, single, along<4>, along<4>},
    {"m16n8k16 s8 u8", 16, 8, 16, Kind::S8, Kind::U8, Kind::S32, twoRows<4>, along<4>, along<4>},
    {"m16n8k32 u8 s8", 16, 8, 32, Kind::U8, Kind::S8, Kind::S32, twoRows<4>, twoColumns<4>, twoBlocks<4>},
    {"m8n8k32 s4", 8, 8, 32, Kind::S4, Kind::S4, Kind::S32, single, along<8>, along<8>},
    {"m16n8k32 u4 s4", 16, 8, 32, Kind::U4, Kind::S4, Kind::S32, twoRows<8>, along<8>, along<8>},
    {"m16n8k64 s4 u4", 16, 8, 64, Kind::S4, Kind::U4, Kind::S32, twoRows<8>, twoColumns<8>, twoBlocks<8>},
    {"m8n8k128 b1", 8, 8, 128, Kind::B1, Kind::B1, Kind::S32, single, along<32>, along<32>},
    {"m16n8k128 b1", 16, 8, 128, Kind::B1, Kind::B1, Kind::S32, twoRows<32>, along<32>, along<32>},
    {"m16n8k256 b1", 16, 8, 256, Kind::B1, Kind::B1, Kind::S32, twoRows<32>, twoColumns<32>, twoBlocks<32>},
    {"m16n8k32 e4m3", 16, 8, 32, Kind::E4M3, Kind::E4M3, Kind::F32, twoRows<4>, twoColumns<4>, twoBlocks<4>},
    {"m16n8k32 e5m2 e4m3", 16, 8, 32, Kind::E5M2, Kind::E4M3, Kind::F32, twoRows<4>, twoColumns<4>,
     twoBlocks<4>}};
constexpr int kFirstOfFp8 = 17;

static const Product kDoubleProducts[] = {
    {"m8n8k4 f64", 8, 8, 4, Kind::F64, Kind::F64, Kind::F64, single, along<1>, along<1>},
    {"m16n8k4 f64", 16, 8, 4, Kind::F64, Kind::F64, Kind::F64, twoRows<1>, along<1>, along<1>},
    {"m16n8k8 f64", 16, 8, 8, Kind::F64, Kind::F64, Kind::F64, twoRows<1>, twoColumns<1>, twoBlocks<1>},
    {"m16n8k16 f64", 16, 8, 16, Kind::F64, Kind::F64, Kind::F64, twoRows<1>, columnOfDoubles, rowOfDoubles}};

__global__ void product(int which, const Fragment* a, const Fragment* b, const Fragment* c, Fragment* d) {
  const int lane = threadIdx.x;
  uint32_t sum[4] = {};
  multiply(which, a->words[lane], b->words[lane], c->words[lane], sum);
  for (int i = 0; i < 4; ++i) d->words[lane][i] = sum[i];
}

__global__ void productOfDoubles(int which, const Fragment* a, const Fragment* b, const Fragment* c,
                                 Fragment* d) {
  const int lane = threadIdx.x;
  Doubles v;
  memcpy(v.a, a->words[lane], sizeof(v.a));
  memcpy(v.b, b->words[lane], sizeof(v.b));
  memcpy(v.c, c->words[lane], sizeof(v.c));
  multiplyDoubles(which, v);
  memcpy(d->words[lane], v.d, sizeof(v.d));
}

static unsigned state = 12345;
static int drawn(Kind kind) {
  state = state * 1664525u + 1013904223u;
  const int value = int(state >> 20);
  switch (kind) {
    case Kind::B1:
      return value & 1;
    case Kind::U4:
      return value & 15;
    case Kind::S4:
      return (value & 15) - 8;
    case Kind::U8:
      return value & 255;
    case Kind::S8:
      return (value & 255) - 128;
    case Kind::F16:
    case Kind::E4M3:
      return value % 9 - 4;
    case Kind::E5M2:
      return value % 5 - 2;
    default:
      return value % 41 - 20;
  }
}

struct Fragments {
  Fragment a, b, c, d;
};

static Fragments* device;

static void checkProduct(const Product& p, const std::function<void()>& launch) {
  std::vector<int> a(p.m * p.k), b(p.k * p.n), c(p.m * p.n);
  for (int& value : a) value = drawn(p.a);
  for (int& value : b) value = drawn(p.b);
  for (int& value : c) value = drawn(Kind::S32);
  static Fragments host;
  host = {};
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane >> 2, t = lane % 4;
    for (int i = 0; i < p.m * p.k / 32; ++i)
      put(host.a, p.a, lane, i, a[p.rowOfA(g, t, i) * p.k + p.columnOfA(g, t, i)]);
    for (int i = 0; i < p.k * p.n / 32; ++i) put(host.b, p.b, lane, i, b[p.rowOfB(g, t, i) * p.n + g]);
    for (int i = 0; i < p.m * p.n / 32; ++i)
      put(host.c, p.sum, lane, i, c[(i < 2 ? g : g + 8) * p.n + t * 2 + (i & 1)]);
  }
  CHECK_CUDA(cudaMemcpy(device, &host, sizeof(host), cudaMemcpyHostToDevice));
  launch();
  CHECK_CUDA(cudaGetLastError());
  Fragment got;
  CHECK_CUDA(cudaMemcpy(&got, &device->d, sizeof(got), cudaMemcpyDeviceToHost));
  for (int lane = 0; lane < 32; ++lane) {
    Fragment wanted = {};
    for (int i = 0; i < p.m * p.n / 32; ++i) {
      const int row = i < 2 ? lane >> 2 : (lane >> 2) + 8, column = lane % 4 * 2 + (i & 1);
      int sum = c[row * p.n + column];
      for (int k = 0; k < p.k; ++k) sum += a[row * p.k + k] * b[k * p.n + column];
      put(wanted, p.sum, lane, i, sum);
    }
    const int words = p.m * p.n / 32 * bitsOf(p.sum) / 32;
    for (int word = 0; word < words; ++word)
      EXPECT(got.words[lane][word] == wanted.words[lane][word],
             "%s: lane %d register %d is %#x instead of %#x", p.name, lane, word, got.words[lane][word],
             wanted.words[lane][word]);
  }
}

// Four products of 8 x 8 x 4, lanes 4q to 4q + 3 and 16 more do the q-th.
__global__ void quadPairs(const __half* a, const __half* b, const float* c, float* d) {
  const int lane = threadIdx.x, quad = lane % 16 / 4, low = lane % 4, upper = lane < 16 ? 0 : 4;
  uint32_t fa[2], fb[2];
  float fc[8], fd[8];
  for (int i = 0; i < 4; ++i) {
    reinterpret_cast<__half*>(fa)[i] =
        a[quad * 32 + (low + upper) * 4 + i];  // row = %laneid % 4 (+ 4), col = i
    reinterpret_cast<__half*>(fb)[i] =
        b[quad * 32 + i * 8 + low + upper];  // row = i, col = %laneid % 4 (+ 4)
  }
  const auto place = [&](int i) {
    const int row = (lane & 1) + (i & 2) + upper, column = (i & 4) + (lane & 2) + (i & 1);
    return quad * 64 + row * 8 + column;
  };
  for (int i = 0; i < 8; ++i) fc[i] = c[place(i)];
  asm volatile(
      "mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7},{%8,%9},{%10,%11},"
      "{%12,%13,%14,%15,%16,%17,%18,%19};"
      : "=f"(fd[0]), "=f"(fd[1]), "=f"(fd[2]), "=f"(fd[3]), "=f"(fd[4]), "=f"(fd[5]), "=f"(fd[6]), "=f"(fd[7])
      : F2(fa), F2(fb), "f"(fc[0]), "f"(fc[1]), "f"(fc[2]), "f"(fc[3]), "f"(fc[4]), "f"(fc[5]), "f"(fc[6]),
        "f"(fc[7]));
  for (int i = 0; i < 8; ++i) d[place(i)] = fd[i];
}

static void checkQuadPairs() {
  static __half a[128], b[128];
  static float c[256], got[256];
  for (__half& value : a) value = __float2half(float(drawn(Kind::F16)));
  for (__half& value : b) value = __float2half(float(drawn(Kind::F16)));
  for (float& value : c) value = float(drawn(Kind::F32));
  char* memory;
  CHECK_CUDA(cudaMalloc(&memory, 4096));
  CHECK_CUDA(cudaMemcpy(memory, a, sizeof(a), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(memory + 512, b, sizeof(b), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(memory + 1024, c, sizeof(c), cudaMemcpyHostToDevice));
  auto* sums = reinterpret_cast<float*>(memory + 1024);
  quadPairs<<<1, 32>>>(reinterpret_cast<__half*>(memory), reinterpret_cast<__half*>(memory + 512), sums,
                       sums + 256);
  CHECK_CUDA(cudaMemcpy(got, sums + 256, sizeof(got), cudaMemcpyDeviceToHost));
  for (int at = 0; at < 256; ++at) {
    const int quad = at / 64, row = at % 64 / 8, column = at % 8;
    float sum = c[at];
    for (int k = 0; k < 4; ++k)
      sum += __half2float(a[quad * 32 + row * 4 + k]) * __half2float(b[quad * 32 + k * 8 + column]);
    EXPECT(got[at] == sum, "m8n8k4 f16: %d is %g instead of %g", at, got[at], sum);
  }
}

// Four matrices of 8 x 8 through shared memory: loaded, loaded transposed, transposed between registers,
// stored. Two warps, so that the second one's memory is not the first one's.
__global__ void moves(const uint16_t* in, uint32_t* out) {
  __shared__ __align__(16) uint16_t tile[2][32][8];
  __shared__ __align__(16) uint16_t stored[2][32][8];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  for (int i = 0; i < 8; ++i) tile[warp][lane][i] = in[warp * 256 + lane * 8 + i];
  __syncwarp();
  const auto row = static_cast<uint32_t>(__cvta_generic_to_shared(tile[warp][lane]));
  uint32_t r[4], t[4], moved;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : O4(r) : "r"(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];" : O2(t) : "r"(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(t[2]) : "r"(row));
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(moved) : "r"(r[0]));
#if __CUDA_ARCH__ >= 900
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(stored[warp][lane]));
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(to), F4(r)
               : "memory");
#else
  for (int m = 0; m < 4; ++m) {
    stored[warp][m * 8 + lane % 4 * 2][lane / 4] = uint16_t(r[m]);
    stored[warp][m * 8 + lane % 4 * 2 + 1][lane / 4] = uint16_t(r[m] >> 16);
  }
#endif
  __syncwarp();
  uint32_t* mine = out + threadIdx.x * 12;
  for (int i = 0; i < 4; ++i) mine[i] = r[i];
  for (int i = 0; i < 3; ++i) mine[4 + i] = t[i];
  mine[7] = moved;
  for (int i = 0; i < 4; ++i) mine[8 + i] = reinterpret_cast<uint32_t*>(stored[warp][lane])[i];
}

static void checkMoves() {
  static uint16_t in[512];
  static uint32_t got[64 * 12];
  for (int i = 0; i < 512; ++i) in[i] = uint16_t(i * 77 + 5);
  char* memory;
  CHECK_CUDA(cudaMalloc(&memory, 8192));
  CHECK_CUDA(cudaMemcpy(memory, in, sizeof(in), cudaMemcpyHostToDevice));
  moves<<<1, 64>>>(reinterpret_cast<uint16_t*>(memory), reinterpret_cast<uint32_t*>(memory + 4096));
  CHECK_CUDA(cudaMemcpy(got, memory + 4096, sizeof(got), cudaMemcpyDeviceToHost));
  for (int thread = 0; thread < 64; ++thread) {
    const int lane = thread % 32, row = lane / 4, column = lane % 4 * 2;
    const auto at = [&](int m, int r, int c) { return uint32_t(in[thread / 32 * 256 + m * 64 + r * 8 + c]); };
    const auto pair = [&](int m) { return at(m, row, column) | at(m, row, column + 1) << 16; };
    const auto across = [&](int m) { return at(m, column, row) | at(m, column + 1, row) << 16; };
    const uint32_t wanted[8] = {pair(0), pair(1), pair(2), pair(3), across(0), across(1), pair(0), across(0)};
    for (int i = 0; i < 8; ++i)
      EXPECT(got[thread * 12 + i] == wanted[i], "thread %d value %d is %#x instead of %#x", thread, i,
             got[thread * 12 + i], wanted[i]);
    for (int i = 0; i < 4; ++i) {
      const uint32_t stored = at(lane / 8, i * 2, lane % 8) | at(lane / 8, i * 2 + 1, lane % 8) << 16;
      EXPECT(got[thread * 12 + 8 + i] == stored, "row %d of the stored matrices: %#x instead of %#x", lane,
             got[thread * 12 + 8 + i], stored);
    }
  }
}

int main() {
  CHECK_CUDA(cudaMalloc(&device, sizeof(Fragments)));
  cudaFuncAttributes attributes;
  CHECK_CUDA(cudaFuncGetAttributes(&attributes, product));
  const int count = attributes.ptxVersion >= 89 ? int(std::size(kProducts)) : kFirstOfFp8;
  for (int i = 0; i < count; ++i) {
    checkProduct(kProducts[i],
                 [i] { product<<<1, 32>>>(i, &device->a, &device->b, &device->c, &device->d); });
  }
  const int doubles = attributes.ptxVersion >= 90 ? 4 : 1;
  for (int i = 0; i < doubles; ++i) {
    checkProduct(kDoubleProducts[i],
                 [i] { productOfDoubles<<<1, 32>>>(i, &device->a, &device->b, &device->c, &device->d); });
  }
  checkQuadPairs();
  checkMoves();
  return check::ok("matrix_fragments: every shape and type of mma, ldmatrix, stmatrix, movmatrix");
}
