#include "mediator/executor/testing/fake_driver.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace vgpu::executor {
namespace {

FakeDriver* theDriver = nullptr;

// A function of any type that succeeds and does nothing; results that it should fill are zeroed by the
// caller.
template <class Function>
struct Agreeing;
template <class... Arguments>
struct Agreeing<CUresult (*)(Arguments...)> {
  static CUresult call(Arguments...) { return CUDA_SUCCESS; }
};

template <class T>
CUresult make(T* out) {
  *out = reinterpret_cast<T>(FakeDriver::get().addObject());
  return CUDA_SUCCESS;
}

CUresult launch(CUfunction, unsigned gridX, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                CUstream stream, void**, void**) {
  FakeDriver& fake = FakeDriver::get();
  if (const CUresult failure = fake.takeLaunchFailure(); failure != CUDA_SUCCESS) return failure;
  fake.enqueue(stream, [gridX] { FakeDriver::get().note("launch " + std::to_string(gridX)); });
  return CUDA_SUCCESS;
}

CUresult copy(void* to, const void* from, size_t bytes, CUstream stream) {
  FakeDriver::get().enqueue(stream, [=] {
    std::memcpy(to, from, bytes);
    FakeDriver::get().note("copy");
  });
  return CUDA_SUCCESS;
}

CUresult addCallback(CUstream stream, CUstreamCallback callback, void* user, unsigned) {
  FakeDriver::get().enqueue(stream, [=] { callback(stream, FakeDriver::get().status(), user); });
  return CUDA_SUCCESS;
}

CUresult noted(CUstream stream, const char* what) {
  FakeDriver::get().enqueue(stream, [what] { FakeDriver::get().note(what); });
  return CUDA_SUCCESS;
}

CUresult reserveAddresses(CUdeviceptr* out, size_t bytes, size_t, CUdeviceptr wanted, unsigned long long) {
  void* got = ::mmap(reinterpret_cast<void*>(wanted), bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  *out = reinterpret_cast<CUdeviceptr>(got);
  return CUDA_SUCCESS;
}

CUresult mapMemory(CUdeviceptr address, size_t bytes, size_t, CUmemGenericAllocationHandle,
                   unsigned long long) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  auto* place = reinterpret_cast<void*>(address);
  return ::mmap(place, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0) == place ? CUDA_SUCCESS
                                                                              : CUDA_ERROR_OUT_OF_MEMORY;
}

}  // namespace

FakeDriver& FakeDriver::get() { return *theDriver; }

FakeDriver::FakeDriver() {
  CHECK(!theDriver);
  theDriver = this;
  fill();
}

FakeDriver::~FakeDriver() { theDriver = nullptr; }

void FakeDriver::fill() {
#define CALL(number, symbol, ...) table_.symbol = &Agreeing<decltype(table_.symbol)>::call;
#include "protocol/calls/table.inc"
#define SYMBOL(symbol) table_.symbol = &Agreeing<decltype(table_.symbol)>::call;
#include "mediator/executor/driver_symbols.inc"
  table_.cuDeviceGet = [](CUdevice* out, int ordinal) {
    *out = ordinal;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
  };
  table_.cuDevicePrimaryCtxRetain = [](CUcontext* out, CUdevice) { return make(out); };
  table_.cuCtxCreate_v2 = [](CUcontext* out, unsigned, CUdevice) { return make(out); };
  table_.cuStreamCreateWithPriority = [](CUstream* out, unsigned, int) {
    *out = get().addStream();
    return CUDA_SUCCESS;
  };
  table_.cuEventCreate = [](CUevent* out, unsigned) { return make(out); };
  table_.cuModuleLoadDataEx = [](CUmodule* out, const void*, unsigned, CUjit_option*, void**) {
    return make(out);
  };
  table_.cuModuleGetFunction = [](CUfunction* out, CUmodule, const char*) { return make(out); };
  table_.cuFuncGetParamInfo = [](CUfunction, size_t, size_t*, size_t*) { return CUDA_ERROR_INVALID_VALUE; };
  table_.cuKernelGetParamInfo = [](CUkernel, size_t, size_t*, size_t*) { return CUDA_ERROR_INVALID_VALUE; };
  table_.cuLaunchKernel = &launch;
  table_.cuMemcpyHtoDAsync_v2 = [](CUdeviceptr to, const void* from, size_t bytes, CUstream stream) {
    return copy(reinterpret_cast<void*>(to), from, bytes, stream);
  };
  table_.cuMemcpyDtoHAsync_v2 = [](void* to, CUdeviceptr from, size_t bytes, CUstream stream) {
    return copy(to, reinterpret_cast<const void*>(from), bytes, stream);
  };
  table_.cuStreamAddCallback = &addCallback;
  table_.cuEventRecord = [](CUevent event, CUstream stream) {
    get().recordEvent(event, stream);
    return CUDA_SUCCESS;
  };
  table_.cuEventQuery = [](CUevent event) {
    return get().isOver(event) ? get().status() : CUDA_ERROR_NOT_READY;
  };
  table_.cuEventSynchronize = [](CUevent event) {
    get().wait(event);
    return get().status();
  };
  table_.cuStreamWaitEvent = [](CUstream stream, CUevent, unsigned) { return noted(stream, "wait"); };
  table_.cuStreamQuery = [](CUstream stream) {
    return get().isIdle(stream) ? get().status() : CUDA_ERROR_NOT_READY;
  };
  table_.cuStreamSynchronize = [](CUstream stream) {
    get().wait(stream);
    return get().status();
  };
  table_.cuCtxSynchronize = [] {
    get().waitAll();
    return get().status();
  };
  table_.cuMemHostAlloc = [](void** out, size_t bytes, unsigned) {
    *out = std::malloc(bytes);
    return CUDA_SUCCESS;
  };
  table_.cuMemFreeHost = [](void* memory) {
    std::free(memory);
    return CUDA_SUCCESS;
  };
  table_.cuMemAddressReserve = &reserveAddresses;
  table_.cuMemAddressFree = [](CUdeviceptr address, size_t bytes) {
    ::munmap(reinterpret_cast<void*>(address), bytes);
    return CUDA_SUCCESS;
  };
  table_.cuMemMap = &mapMemory;
}

void FakeDriver::offerHostAddresses() {
  table_.vgpuCpuDriverHostAddress = [](CUdeviceptr address, size_t) {
    return reinterpret_cast<void*>(address);
  };
}

void FakeDriver::stop(CUstream stream) {
  std::lock_guard lock(mutex_);
  streams_[stream].stopped = true;
}

void FakeDriver::go(CUstream stream) {
  std::unique_lock lock(mutex_);
  Stream& own = streams_[stream];
  own.stopped = false;
  own.running = true;
  while (!own.waiting.empty()) {
    auto operation = std::move(own.waiting.front());
    own.waiting.pop_front();
    lock.unlock();
    operation();
    lock.lock();
  }
  own.running = false;
  changed_.notify_all();
}

void FakeDriver::enqueue(CUstream stream, std::function<void()> operation) {
  {
    std::lock_guard lock(mutex_);
    Stream& own = streams_[stream];
    if (own.stopped || own.running) return own.waiting.push_back(std::move(operation));
  }
  operation();
}

bool FakeDriver::isIdle(CUstream stream) {
  std::lock_guard lock(mutex_);
  return streams_[stream].waiting.empty() && !streams_[stream].running;
}

void FakeDriver::wait(CUstream stream) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return streams_[stream].waiting.empty() && !streams_[stream].running; });
}

void FakeDriver::waitAll() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    for (auto& [handle, stream] : streams_) {
      if (!stream.waiting.empty() || stream.running) return false;
    }
    return true;
  });
}

void FakeDriver::recordEvent(CUevent event, CUstream stream) {
  {
    std::lock_guard lock(mutex_);
    ++pendingRecords_[event];
  }
  enqueue(stream, [this, event] {
    note("record");
    std::lock_guard lock(mutex_);
    --pendingRecords_[event];
    changed_.notify_all();
  });
}

bool FakeDriver::isOver(CUevent event) {
  std::lock_guard lock(mutex_);
  return pendingRecords_[event] == 0;
}

void FakeDriver::wait(CUevent event) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pendingRecords_[event] == 0; });
}

void FakeDriver::note(std::string what) {
  std::lock_guard lock(mutex_);
  done_.push_back(std::move(what));
}

std::vector<std::string> FakeDriver::done() {
  std::lock_guard lock(mutex_);
  return done_;
}

std::vector<CUstream> FakeDriver::streams() {
  std::lock_guard lock(mutex_);
  return made_;
}

CUstream FakeDriver::addStream() {
  auto* stream = static_cast<CUstream>(addObject());
  std::lock_guard lock(mutex_);
  made_.push_back(stream);
  return stream;
}

void FakeDriver::failNextLaunch(CUresult status) {
  std::lock_guard lock(mutex_);
  launchFailure_ = status;
}

void FakeDriver::failContext(CUresult status) {
  std::lock_guard lock(mutex_);
  contextStatus_ = status;
}

CUresult FakeDriver::status() {
  std::lock_guard lock(mutex_);
  return contextStatus_;
}

CUresult FakeDriver::takeLaunchFailure() {
  std::lock_guard lock(mutex_);
  return std::exchange(launchFailure_, CUDA_SUCCESS);
}

}  // namespace vgpu::executor
