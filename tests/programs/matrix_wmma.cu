// nvcuda::wmma: load, multiply, store in every shape, type and layout, with leading dimensions wider than the
// matrix; then a whole matrix product by tiles. Values are small integers, so that every sum is exact.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <mma.h>

#include <cstdint>
#include <vector>

#include "tests/support/check.h"

namespace wmma = nvcuda::wmma;
namespace experimental = nvcuda::wmma::experimental;

constexpr int kPad = 16;  // elements between lines, beyond the matrix

// What the elements are in memory, and how the host sees them.
struct Half {
  using Fragment = __half;
  using Memory = __half;
};
struct BFloat {
  using Fragment = __nv_bfloat16;
  using Memory = __nv_bfloat16;
};
struct Tf32 {
  using Fragment = wmma::precision::tf32;
  using Memory = float;
};
struct Double {
  using Fragment = double;
  using Memory = double;
};
struct Signed {
  using Fragment = signed char;
  using Memory = signed char;
};
struct Unsigned {
  using Fragment = unsigned char;
  using Memory = unsigned char;
};

template <class Layout>
__host__ __device__ constexpr bool byRows() {
  return std::is_same<Layout, wmma::row_major>::value;
}

// D = A x B + C, the sum stored by rows and by columns; the layout of C is that of A.
template <class T, class Sum, int M, int N, int K, class LayoutA, class LayoutB>
__global__ void multiply(const typename T::Memory* a, const typename T::Memory* b, const Sum* c, Sum* rows,
                         Sum* columns) {
#if __CUDA_ARCH__ >= 800
  wmma::fragment<wmma::matrix_a, M, N, K, typename T::Fragment, LayoutA> fa;
  wmma::fragment<wmma::matrix_b, M, N, K, typename T::Fragment, LayoutB> fb;
  wmma::fragment<wmma::accumulator, M, N, K, Sum> fc;
  wmma::load_matrix_sync(fa, a, (byRows<LayoutA>() ? K : M) + kPad);
  wmma::load_matrix_sync(fb, b, (byRows<LayoutB>() ? N : K) + kPad);
  wmma::load_matrix_sync(fc, c, (byRows<LayoutA>() ? N : M) + kPad,
                         byRows<LayoutA>() ? wmma::mem_row_major : wmma::mem_col_major);
  for (int i = 0; i < fc.num_elements; ++i) fc.x[i] = fc.x[i] + Sum(1);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::store_matrix_sync(rows, fc, N + kPad, wmma::mem_row_major);
  wmma::store_matrix_sync(columns, fc, M + kPad, wmma::mem_col_major);
#endif
}

static unsigned state = 7;
static int drawn() {
  state = state * 1664525u + 1013904223u;
  return int(state >> 24) % 7;
}

// A matrix as numbers, and as elements in device memory by rows or columns.
template <class T>
struct Matrix {
  Matrix(int rows, int columns, bool byRows)
      : rows(rows), columns(columns), byRows(byRows), line((byRows ? columns : rows) + kPad) {
    bytes = sizeof(T) * line * (byRows ? rows : columns);
    CHECK_CUDA(cudaMalloc(&device, bytes));
    CHECK_CUDA(cudaMemset(device, 0, bytes));
  }
  ~Matrix() { CHECK_CUDA(cudaFree(device)); }
  size_t at(int row, int column) const { return byRows ? row * line + column : column * line + row; }

  void draw() {
    std::vector<T> host(bytes / sizeof(T), T(99.0f));
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) {
        values.push_back(drawn());
        host[at(row, column)] = T(float(values.back()));
      }
    }
    CHECK_CUDA(cudaMemcpy(device, host.data(), bytes, cudaMemcpyHostToDevice));
  }
  std::vector<T> fetched() const {
    std::vector<T> host(bytes / sizeof(T));
    CHECK_CUDA(cudaMemcpy(host.data(), device, bytes, cudaMemcpyDeviceToHost));
    return host;
  }

  int rows, columns;
  bool byRows;
  size_t line, bytes;
  std::vector<int> values;
  T* device = nullptr;
};

template <class T, class Sum, int M, int N, int K, class LayoutA, class LayoutB>
static void checkLayout(const char* name) {
  Matrix<typename T::Memory> a(M, K, byRows<LayoutA>()), b(K, N, byRows<LayoutB>());
  Matrix<Sum> c(M, N, byRows<LayoutA>()), rows(M, N, true), columns(M, N, false);
  a.draw();
  b.draw();
  c.draw();
  multiply<T, Sum, M, N, K, LayoutA, LayoutB>
      <<<1, 32>>>(a.device, b.device, c.device, rows.device, columns.device);
  CHECK_CUDA(cudaGetLastError());
  const auto gotRows = rows.fetched(), gotColumns = columns.fetched();
  for (int row = 0; row < M; ++row) {
    for (int column = 0; column < N; ++column) {
      int sum = c.values[row * N + column] + 1;
      for (int k = 0; k < K; ++k) sum += a.values[row * K + k] * b.values[k * N + column];
      const double byRow = double(float(gotRows[rows.at(row, column)])),
                   byColumn = double(float(gotColumns[columns.at(row, column)]));
      EXPECT(byRow == sum && byColumn == sum, "%s %dx%dx%d: (%d, %d) is %g and %g instead of %d", name, M, N,
             K, row, column, byRow, byColumn, sum);
    }
  }
  for (int row = 0; row < M; ++row)
    EXPECT(float(gotRows[rows.at(row, N)]) == 0, "%s %dx%dx%d: wrote beyond row %d", name, M, N, K, row);
}

template <class T, class Sum, int M, int N, int K>
static void checkLayouts(const char* name) {
  checkLayout<T, Sum, M, N, K, wmma::row_major, wmma::row_major>(name);
  checkLayout<T, Sum, M, N, K, wmma::row_major, wmma::col_major>(name);
  checkLayout<T, Sum, M, N, K, wmma::col_major, wmma::row_major>(name);
  checkLayout<T, Sum, M, N, K, wmma::col_major, wmma::col_major>(name);
}

template <class T, class Sum>
static void checkShapes(const char* name) {
  checkLayouts<T, Sum, 16, 16, 16>(name);
  checkLayouts<T, Sum, 8, 32, 16>(name);
  checkLayouts<T, Sum, 32, 8, 16>(name);
}

// Elements of less than a byte: A by rows, B by columns, packed.
template <class Precision, int K, int Bits, bool IsBits>
__global__ void multiplyPacked(const uint32_t* a, const uint32_t* b, int* d) {
#if __CUDA_ARCH__ >= 800
  wmma::fragment<wmma::matrix_a, 8, 8, K, Precision, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 8, 8, K, Precision, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, 8, 8, K, int> fc;
  wmma::fill_fragment(fc, 3);
  wmma::load_matrix_sync(fa, a, 2 * K);
  wmma::load_matrix_sync(fb, b, 2 * K);
  if constexpr (IsBits) {
    wmma::bmma_sync(fc, fa, fb, fc, experimental::bmmaBitOpXOR);
  } else {
    wmma::mma_sync(fc, fa, fb, fc);
  }
  wmma::store_matrix_sync(d, fc, 8, wmma::mem_row_major);
#endif
}

template <class Precision, int K, int Bits, bool IsBits>
static void checkPacked(const char* name) {
  constexpr int kWords = 2 * K * Bits / 32;  // of a line, every second half of which is not looked at
  uint32_t a[8][kWords], b[8][kWords];
  for (auto* matrix : {&a, &b}) {
    for (auto& line : *matrix) {
      for (uint32_t& word : line) word = state = state * 1664525u + 1013904223u;
    }
  }
  uint32_t* device;
  CHECK_CUDA(cudaMalloc(&device, 8192));
  CHECK_CUDA(cudaMemcpy(device, a, sizeof(a), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(device + 1024, b, sizeof(b), cudaMemcpyHostToDevice));
  int* sums = reinterpret_cast<int*>(device + 512);
  multiplyPacked<Precision, K, Bits, IsBits><<<1, 32>>>(device, device + 1024, sums);
  int got[64];
  CHECK_CUDA(cudaMemcpy(got, sums, sizeof(got), cudaMemcpyDeviceToHost));
  for (int row = 0; row < 8; ++row) {
    for (int column = 0; column < 8; ++column) {
      int sum = 3;
      for (int k = 0; k < K; ++k) {
        const uint32_t x = a[row][k * Bits / 32] >> k * Bits % 32,
                       y = b[column][k * Bits / 32] >> k * Bits % 32;
        sum += IsBits ? int((x ^ y) & 1) : (int(x << 28) >> 28) * (int(y << 28) >> 28);
      }
      EXPECT(got[row * 8 + column] == sum, "%s: (%d, %d) is %d instead of %d", name, row, column,
             got[row * 8 + column], sum);
    }
  }
  CHECK_CUDA(cudaFree(device));
}

// C = A x B by tiles of 16 x 16 through shared memory; four warps a block, each with four tiles of the
// result.
constexpr int kSize = 128, kTile = 64;
__global__ void product(const __half* a, const __half* b, float* c) {
  __shared__ __align__(32) __half tileA[kTile][16], tileB[16][kTile];
  const int warp = threadIdx.x / 32, row = blockIdx.y * kTile, column = blockIdx.x * kTile;
#if __CUDA_ARCH__ >= 700
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sums[4];
  for (auto& sum : sums) wmma::fill_fragment(sum, 0.0f);
  for (int k = 0; k < kSize; k += 16) {
    for (int i = threadIdx.x; i < kTile * 16; i += blockDim.x) {
      tileA[i / 16][i % 16] = a[(row + i / 16) * kSize + k + i % 16];
      tileB[i / kTile][i % kTile] = b[(k + i / kTile) * kSize + column + i % kTile];
    }
    __syncthreads();
    wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> fa;
    wmma::load_matrix_sync(fa, tileA[warp * 16], 16);
    for (int n = 0; n < 4; ++n) {
      wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
      wmma::load_matrix_sync(fb, &tileB[0][n * 16], kTile);
      wmma::mma_sync(sums[n], fa, fb, sums[n]);
    }
    __syncthreads();
  }
  for (int n = 0; n < 4; ++n)
    wmma::store_matrix_sync(c + (row + warp * 16) * kSize + column + n * 16, sums[n], kSize,
                            wmma::mem_row_major);
#endif
}

static void checkWholeProduct() {
  static __half a[kSize * kSize], b[kSize * kSize];
  static float got[kSize * kSize];
  for (__half& value : a) value = __float2half(float(drawn()));
  for (__half& value : b) value = __float2half(float(drawn()));
  __half* device;
  float* sums;
  CHECK_CUDA(cudaMalloc(&device, 2 * sizeof(a)));
  CHECK_CUDA(cudaMalloc(&sums, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(device, a, sizeof(a), cudaMemcpyHostToDevice));
  CHECK_CUDA(cudaMemcpy(device + kSize * kSize, b, sizeof(b), cudaMemcpyHostToDevice));
  product<<<dim3(kSize / kTile, kSize / kTile), 128>>>(device, device + kSize * kSize, sums);
  CHECK_CUDA(cudaMemcpy(got, sums, sizeof(got), cudaMemcpyDeviceToHost));
  for (int row = 0; row < kSize; ++row) {
    for (int column = 0; column < kSize; ++column) {
      float sum = 0;
      for (int k = 0; k < kSize; ++k)
        sum += __half2float(a[row * kSize + k]) * __half2float(b[k * kSize + column]);
      EXPECT(got[row * kSize + column] == sum, "product (%d, %d) is %g instead of %g", row, column,
             got[row * kSize + column], sum);
    }
  }
}

int main() {
  checkShapes<Half, float>("half, sum float");
  checkShapes<Half, __half>("half");
  checkShapes<BFloat, float>("bfloat16");
  checkShapes<Signed, int>("signed char");
  checkShapes<Unsigned, int>("unsigned char");
  checkLayouts<Tf32, float, 16, 16, 8>("tf32");
  checkLayouts<Double, double, 8, 8, 4>("double");
  checkPacked<experimental::precision::s4, 32, 4, false>("s4");
  checkPacked<experimental::precision::b1, 128, 1, true>("b1");
  checkWholeProduct();
  return check::ok("matrix_wmma: every shape, type and layout, and a product of %d x %d", kSize, kSize);
}
