// Device printf: every conversion, what the host would print, delivered before the synchronising call
// returns.
#include <cuda_runtime.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/check.h"

__global__ void conversions(const char* text) {
  printf("plain\n");
  printf("%d %i %5d|%-5d|%05d %+d\n", -1, 2, 3, 4, 5, 6);
  printf("%u %x %X %o %#x\n", 4000000000u, 0xbeefu, 0xbeefu, 8u, 255u);
  printf("%lld %llu %lx %zu\n", -1234567890123ll, 1234567890123ull, 0x123456789abcdeful, size_t(77));
  printf("%f %.3f %10.2f|%e %g %a\n", 1.5, 2.0f / 3, 3.14159, 12345.678, 0.0001, 1.0);
  printf("%c%c %s %s %10s|%-4s|%.2s\n", 'o', 'k', "literal", text, "right", "l", "cut");
  printf("100%% %*d %p\n", 6, 42, (void*)0x1234);
}

__global__ void fromEveryThread() { printf("thread %d of block %d\n", threadIdx.x, blockIdx.x); }

__global__ void returnsCount(int* out) {
  out[0] = printf("two %d %d\n", 1, 2);
  out[1] = printf("none\n");
}

// What the given work prints to standard output, which a file takes for that time.
template <typename Work>
static std::string captured(Work work) {
  char name[] = "/tmp/device_printf.XXXXXX";
  const int file = mkstemp(name);
  EXPECT(file >= 0, "no temporary file");
  unlink(name);
  std::fflush(stdout);
  const int saved = dup(1);
  dup2(file, 1);
  work();
  std::fflush(stdout);
  dup2(saved, 1);
  close(saved);
  std::string text(size_t(lseek(file, 0, SEEK_END)), '\0');
  EXPECT(pread(file, text.data(), text.size(), 0) == ssize_t(text.size()), "short read");
  close(file);
  return text;
}

int main() {
  char* text;
  CHECK_CUDA(cudaMallocManaged(&text, 16));
  for (int i = 0; i < 8; ++i) text[i] = "managed"[i];
  const std::string got = captured([&] {
    conversions<<<1, 1>>>(text);
    CHECK_CUDA(cudaDeviceSynchronize());
  });
  const std::string wanted =
      "plain\n"
      "-1 2     3|4    |00005 +6\n"
      "4000000000 beef BEEF 10 0xff\n"
      "-1234567890123 1234567890123 123456789abcdef 77\n"
      "1.500000 0.667       3.14|1.234568e+04 0.0001 0x1p+0\n"
      "ok literal managed      right|l   |cu\n"
      "100%     42 0x1234\n";
  EXPECT(got == wanted, "printed:\n%sinstead of:\n%s", got.c_str(), wanted.c_str());

  const std::string many = captured([] {
    fromEveryThread<<<4, 64>>>();
    CHECK_CUDA(cudaDeviceSynchronize());
  });
  std::vector<std::string> lines, expected;
  for (size_t begin = 0, end; (end = many.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(many.substr(begin, end - begin));
  }
  for (int block = 0; block < 4; ++block) {
    for (int thread = 0; thread < 64; ++thread) {
      expected.push_back("thread " + std::to_string(thread) + " of block " + std::to_string(block));
    }
  }
  std::sort(lines.begin(), lines.end());
  std::sort(expected.begin(), expected.end());
  EXPECT(lines == expected, "%zu lines from 256 threads, first: %s", lines.size(),
         lines.empty() ? "" : lines[0].c_str());

  int *counts, host[2];
  CHECK_CUDA(cudaMalloc(&counts, sizeof(host)));
  const std::string last = captured([&] {
    returnsCount<<<1, 1>>>(counts);
    CHECK_CUDA(cudaMemcpy(host, counts, sizeof(host), cudaMemcpyDeviceToHost));
  });
  EXPECT(last == "two 1 2\nnone\n", "printed: %s", last.c_str());
  EXPECT(host[0] == 2 && host[1] == 0, "printf returned %d and %d: the number of arguments", host[0],
         host[1]);
  return check::ok("device_printf: %zu lines", lines.size() + 9);
}
