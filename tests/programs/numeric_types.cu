// Numbers: half and bfloat16, doubles, conversions and their rounding, integer edge cases, and the
// mathematical functions against the host's, within the errors that the CUDA programming guide states.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/support/check.h"

constexpr int kFloats = 24, kSamples = 4096;

__global__ void floatFunctions(const float* in, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float x = in[i], positive = fabsf(x) + 1e-3f;
  float* mine = out + i * kFloats;
  mine[0] = sinf(x);
  mine[1] = cosf(x);
  mine[2] = expf(x);
  mine[3] = logf(positive);
  mine[4] = sqrtf(positive);
  mine[5] = rsqrtf(positive);
  mine[6] = powf(positive, 1.7f);
  mine[7] = tanhf(x);
  mine[8] = atan2f(x, 2.0f);
  mine[9] = x / positive;
  mine[10] = fmodf(x, 3.0f);
  mine[11] = floorf(x);
  mine[12] = rintf(x);
  mine[13] = exp2f(x);
  mine[14] = log2f(positive);
  mine[15] = erff(x);
  mine[16] = cbrtf(x);
  mine[17] = fmaf(x, x, -1.0f);
  mine[18] = fminf(x, 0.5f) + fmaxf(x, -0.5f);
  mine[19] = truncf(x) + ceilf(x) + roundf(x);
  mine[20] = tanf(x);
  mine[21] = asinf(x / 11.0f);
  mine[22] = 1.0f / positive;
  mine[23] = hypotf(x, 3.0f);
}

static void onHost(float x, double* wanted) {
  const double positive = std::fabs(x) + 1e-3f, v = x;
  const double values[kFloats] = {std::sin(v),
                                  std::cos(v),
                                  std::exp(v),
                                  std::log(positive),
                                  std::sqrt(positive),
                                  1 / std::sqrt(positive),
                                  std::pow(positive, double(1.7f)),
                                  std::tanh(v),
                                  std::atan2(v, 2),
                                  v / positive,
                                  std::fmod(v, 3),
                                  std::floor(v),
                                  std::rint(v),
                                  std::exp2(v),
                                  std::log2(positive),
                                  std::erf(v),
                                  std::cbrt(v),
                                  v * v - 1,
                                  std::min(v, 0.5) + std::max(v, -0.5),
                                  std::trunc(v) + std::ceil(v) + std::round(v),
                                  std::tan(v),
                                  std::asin(double(x / 11.0f)),
                                  1 / positive,
                                  std::hypot(v, 3.0)};
  std::copy(values, values + kFloats, wanted);
}

static void checksFloats() {
  float *in, *out, host[kSamples];
  static float got[kSamples * kFloats];
  for (int i = 0; i < kSamples; ++i) host[i] = -10.0f + 20.0f * float(i) / kSamples;
  CHECK_CUDA(cudaMalloc(&in, sizeof(host)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, host, sizeof(host), cudaMemcpyHostToDevice));
  floatFunctions<<<kSamples / 128, 128>>>(in, out);
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < kSamples; ++i) {
    double wanted[kFloats];
    onHost(host[i], wanted);
    for (int k = 0; k < kFloats; ++k) {
      const double error = std::fabs(got[i * kFloats + k] - wanted[k]);
      EXPECT(error <= 2e-6 * std::fabs(wanted[k]) + 2e-6, "function %d of %.9g is %.9g instead of %.9g", k,
             host[i], got[i * kFloats + k], wanted[k]);
    }
  }
}

__global__ void fastFunctions(float x, float* out) {
  out[0] = __sinf(x);
  out[1] = __expf(x);
  out[2] = __logf(x);
  out[3] = __fdividef(x, 3.0f);
  out[4] = __powf(x, 2.5f);
  out[5] = __saturatef(x);
  out[6] = __frcp_rn(x);
  out[7] = __fsqrt_rz(x);
}

__global__ void doubleFunctions(double x, double* out) {
  out[0] = sin(x);
  out[1] = exp(x);
  out[2] = log(x);
  out[3] = sqrt(x);
  out[4] = pow(x, 3.3);
  out[5] = x / 3;
  out[6] = fma(x, x, -x);
  out[7] = tgamma(x);
  out[8] = rsqrt(x);
  out[9] = erf(x / 4);
}

static void checksFastAndDouble() {
  float *fast, gotFast[8];
  double *doubles, got[10];
  const double x = 1.375;
  CHECK_CUDA(cudaMalloc(&fast, sizeof(gotFast)));
  CHECK_CUDA(cudaMalloc(&doubles, sizeof(got)));
  fastFunctions<<<1, 1>>>(float(x), fast);
  doubleFunctions<<<1, 1>>>(x, doubles);
  CHECK_CUDA(cudaMemcpy(gotFast, fast, sizeof(gotFast), cudaMemcpyDeviceToHost));
  CHECK_CUDA(cudaMemcpy(got, doubles, sizeof(got), cudaMemcpyDeviceToHost));
  const double fastWanted[8] = {std::sin(x),      std::exp(x), std::log(x), x / 3,
                                std::pow(x, 2.5), 1,           1 / x,       std::sqrt(x)};
  for (int i = 0; i < 8; ++i) {
    EXPECT(std::fabs(gotFast[i] - fastWanted[i]) < 1e-5, "fast function %d is %.9g instead of %.9g", i,
           gotFast[i], fastWanted[i]);
  }
  const double wanted[10] = {std::sin(x),      std::exp(x),    std::log(x),        std::sqrt(x),
                             std::pow(x, 3.3), x / 3,          std::fma(x, x, -x), std::tgamma(x),
                             1 / std::sqrt(x), std::erf(x / 4)};
  for (int i = 0; i < 10; ++i) {
    EXPECT(std::fabs(got[i] - wanted[i]) <= 1e-14 * std::fabs(wanted[i]),
           "double function %d is %.17g instead of %.17g", i, got[i], wanted[i]);
  }
}

__global__ void halves(const float* in, float* out) {
  const int i = threadIdx.x;
  const __half a = __float2half(in[i]), b = __float2half(0.333f);
  const __half2 both = __hfma2(__half2{a, b}, __half2{b, a}, __half2{b, b});
  const __nv_bfloat16 wide = __float2bfloat16(in[i]);
  out[4 * i] = __half2float(__hadd(a, b));
  out[4 * i + 1] = __low2float(both) + __high2float(both);
  out[4 * i + 2] = __bfloat162float(__hmul(wide, wide));
  out[4 * i + 3] = __half2float(hsqrt(__habs(a))) + float(__hlt(a, b));
}

static void checksHalves() {
  float *in, *out, host[64], got[256];
  for (int i = 0; i < 64; ++i) host[i] = float(i - 32) / 7;
  CHECK_CUDA(cudaMalloc(&in, sizeof(host)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, host, sizeof(host), cudaMemcpyHostToDevice));
  halves<<<1, 64>>>(in, out);
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 64; ++i) {
    const float a = __half2float(__float2half(host[i])), b = __half2float(__float2half(0.333f));
    const float sum = __half2float(__float2half(a + b)), fused = 2 * __half2float(__float2half(a * b + b));
    const float wide = __bfloat162float(__float2bfloat16(host[i]));
    const float square = __bfloat162float(__float2bfloat16(wide * wide));
    EXPECT(got[4 * i] == sum && got[4 * i + 2] == square,
           "half sum %g instead of %g, bfloat square %g instead of %g", got[4 * i], sum, got[4 * i + 2],
           square);
    EXPECT(std::fabs(got[4 * i + 1] - fused) <= 2e-3f * (1 + std::fabs(fused)), "half fma %g instead of %g",
           got[4 * i + 1], fused);
    const float root = std::sqrt(std::fabs(a)) + float(a < b);
    EXPECT(std::fabs(got[4 * i + 3] - root) <= 2e-3f * (1 + root), "half root %g instead of %g",
           got[4 * i + 3], root);
  }
}

__global__ void conversions(const float* in, long long* out) {
  const float x = in[threadIdx.x];
  long long* mine = out + threadIdx.x * 8;
  mine[0] = __float2int_rz(x);
  mine[1] = __float2int_rn(x);
  mine[2] = __float2int_ru(x);
  mine[3] = __float2int_rd(x);
  mine[4] = __float2uint_rz(x);
  mine[5] = __float2ll_rz(x);
  mine[6] = static_cast<signed char>(__float2int_rz(x));
  mine[7] = __float_as_int(x * 1.0f);
}

// Out of range saturates and NaN gives zero, where C leaves both undefined.
static void checksConversions() {
  const float values[8] = {1.5f,   -2.5f, 3e9f, -3e9f, 1e20f, std::numeric_limits<float>::quiet_NaN(),
                           300.7f, -0.4f};
  const long long wanted[8][6] = {
      {1, 2, 2, 1, 1, 1},
      {-2, -2, -2, -3, 0, -2},
      {2147483647, 2147483647, 2147483647, 2147483647, 3000000000, 3000000000},
      {-2147483648ll, -2147483648ll, -2147483648ll, -2147483648ll, 0, -3000000000ll},
      {2147483647, 2147483647, 2147483647, 2147483647, 4294967295ll, 9223372036854775807ll},
      {0, 0, 0, 0, 0, std::numeric_limits<long long>::min()},
      {300, 301, 301, 300, 300, 300},
      {0, 0, 0, -1, 0, 0}};
  float* in;
  long long *out, got[64];
  CHECK_CUDA(cudaMalloc(&in, sizeof(values)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, values, sizeof(values), cudaMemcpyHostToDevice));
  conversions<<<1, 8>>>(in, out);
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 8; ++i) {
    for (int k = 0; k < 6; ++k) {
      EXPECT(got[8 * i + k] == wanted[i][k], "conversion %d of %g is %lld instead of %lld", k, values[i],
             got[8 * i + k], wanted[i][k]);
    }
  }
  EXPECT(got[8 * 6 + 6] == 44, "300 as a signed byte is %lld", got[8 * 6 + 6]);
}

__global__ void integers(const int* in, long long* out) {
  const int a = in[0], b = in[1], zero = in[2], smallest = in[3];
  out[0] = a / b;
  out[1] = a % b;
  out[2] = static_cast<unsigned>(a) / 7u;
  out[3] = static_cast<long long>(a) * b * 1000000007ll;
  out[4] = (static_cast<long long>(a) << 35) / 12345;
  out[5] = __mul24(a, b);
  out[6] = __mulhi(smallest, b);
  out[7] = abs(smallest + 1) + min(a, b) + max(a, zero);
  out[8] = static_cast<unsigned>(a) >> (b & 31) | static_cast<unsigned>(a << 3);
  out[9] = static_cast<short>(a) * static_cast<unsigned char>(b);
}

static void checksIntegers() {
  const int values[4] = {-1000003, 37, 0, std::numeric_limits<int>::min()};
  const int a = values[0], b = values[1], smallest = values[3];
  const long long wanted[10] = {a / b,
                                a % b,
                                static_cast<unsigned>(a) / 7u,
                                static_cast<long long>(a) * b * 1000000007ll,
                                static_cast<long long>(a) * (1ll << 35) / 12345,
                                a * b,
                                static_cast<int>(static_cast<long long>(smallest) * b >> 32),
                                std::numeric_limits<int>::max() + (a < b ? a : b) + 0,
                                static_cast<unsigned>(a) >> (b & 31) | static_cast<unsigned>(a) << 3,
                                static_cast<short>(a) * static_cast<unsigned char>(b)};
  int* in;
  long long *out, got[10];
  CHECK_CUDA(cudaMalloc(&in, sizeof(values)));
  CHECK_CUDA(cudaMalloc(&out, sizeof(got)));
  CHECK_CUDA(cudaMemcpy(in, values, sizeof(values), cudaMemcpyHostToDevice));
  integers<<<1, 1>>>(in, out);
  CHECK_CUDA(cudaMemcpy(got, out, sizeof(got), cudaMemcpyDeviceToHost));
  for (int i = 0; i < 10; ++i)
    EXPECT(got[i] == wanted[i], "integer %d is %lld instead of %lld", i, got[i], wanted[i]);
}

int main() {
  checksFloats();
  checksFastAndDouble();
  checksHalves();
  checksConversions();
  checksIntegers();
  return check::ok("numeric_types: floats, doubles, halves, conversions, integers");
}
