// Doorbell: how one side sleeps until the other has something for it. A sleeper arms a 32-bit word in the
// shared mapping (not 0), fences, looks again, sleeps while the word keeps that value; whoever has something
// for it clears the word and rings. Carriers differ in how: futexes on shared memory, or a device's doorbell
// register and interrupt. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "transport/ring/shared_word.h"

namespace vgpu::transport {

class Doorbell {
 public:
  virtual ~Doorbell() = default;
  // Sleeps while *word is `armed`, at most `timeout`. May return early; the caller looks again.
  virtual void sleep(uint32_t* word, uint32_t armed, std::chrono::nanoseconds timeout) = 0;
  // Wakes everyone who sleeps on the word. The word was cleared before.
  virtual void ring(uint32_t* word) = 0;

  // Clears and rings a word that was seen armed.
  void wake(uint32_t* word) {
    storeRelaxed(word, uint32_t{0});
    ring(word);
  }
  void wakeIfArmed(uint32_t* word) {
    if (__builtin_expect(loadRelaxed(word) != 0, 0)) wake(word);
  }
};

// Futexes on memory that both processes map.
class FutexDoorbell final : public Doorbell {
 public:
  void sleep(uint32_t* word, uint32_t armed, std::chrono::nanoseconds timeout) override;
  void ring(uint32_t* word) override;
};

}  // namespace vgpu::transport
