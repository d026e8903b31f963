#include "transport/ring/fork_registry.h"

#include <pthread.h>

#include <mutex>

namespace vgpu::transport {

struct ForkRegistry {
  // Never destroyed: programs fork after static destructors have begun.
  static ForkRegistry& get() {
    static ForkRegistry* registry = new ForkRegistry;
    return *registry;
  }
  ForkRegistry() {
    pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); },
                   [] {
                     for (ForkSensitive* one = get().first; one; one = one->next_) one->inForkedChild();
                     get().mutex.unlock();
                   });
  }
  std::mutex mutex;
  ForkSensitive* first = nullptr;
};

ForkSensitive::ForkSensitive() {
  ForkRegistry& registry = ForkRegistry::get();
  const std::lock_guard lock(registry.mutex);
  next_ = registry.first;
  registry.first = this;
}

ForkSensitive::~ForkSensitive() {
  ForkRegistry& registry = ForkRegistry::get();
  const std::lock_guard lock(registry.mutex);
  for (ForkSensitive** link = &registry.first; *link; link = &(*link)->next_) {
    if (*link != this) continue;
    *link = next_;
    return;
  }
}

}  // namespace vgpu::transport
