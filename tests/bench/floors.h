// Floors: what this machine can do at best, measured without any code of the product, in the same run as the
// figures that are divided by them. Each function starts the threads it needs, takes well below a second, and
// returns a median of many short batches. On a machine with one processor the spinning floors mean nothing
// and are not a number.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace vgpu::bench {

// R0: there and back over one shared cache line each way, both sides spinning. Seconds.
double pingPong();
// The same with a 64-byte record that carries its own sequence. Seconds.
double recordPingPong();
// What a producer spends on a 192-byte record in a ring whose consumer is awake; several threads share a
// lock. Seconds of a thread's own time.
double ringRecord(int threads);
// How many such records get through in a second.
double ringRate(int threads);

// M0 and NT0: glibc's memcpy and the widest non-temporal stores, 64 MiB. Bytes a second.
double memcpyBandwidth();
double streamedCopyBandwidth();

enum class Socket { Unix, Tcp };
// One byte there and back, both sides polling. Seconds.
double socketPingPong(Socket kind);
// 256 KiB writes and reads into one buffer. Bytes a second.
double socketBandwidth(Socket kind);

// Waking a thread that sleeps on another processor and sleeping until it answers. (On one processor it is
// several times cheaper, but a program and its executor both spin, and so live apart.) Seconds.
double futexWakeAndAnswer();
// S0: one system call. Seconds.
double systemCall();

// For figures that are measured the same way.
double median(std::vector<double> values);
double percentile(std::vector<double> values, double fraction);

// A figure and its floor, measured in turns: the machine's speed changes from second to second where others
// share it.
struct InTurns {
  double figure, floor;
};
template <class Measure, class Floor>
InTurns inTurns(Measure&& measure, Floor&& floor) {
  constexpr int kRounds = 5;
  std::vector<double> figures, floors;
  for (int round = 0; round < kRounds; ++round) {
    floors.push_back(floor());
    figures.push_back(measure());
  }
  return {median(figures), median(floors)};
}

}  // namespace vgpu::bench
