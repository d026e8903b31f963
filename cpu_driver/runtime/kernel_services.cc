// Called by generated code on worker threads, on a kernel's small stack; see kernel/abi.h.
#include <string>

#include "cpu_driver/runtime/context.h"
#include "cpu_driver/runtime/device_printf.h"
#include "cpu_driver/runtime/driver.h"
#include "cpu_driver/runtime/kernel_work.h"
#include "cpu_driver/runtime/texture_unit.h"
#include "cpu_driver/runtime/worker_pool.h"

namespace vgpu::cpu {
namespace {

Context& contextOf(kernel::LaunchContext* launch) { return *static_cast<Context*>(launch->driver); }

int32_t print(kernel::LaunchContext* launch, const char* format, const void* arguments) {
  std::string text;
  const int count = formatDevicePrintf(format, arguments, &text);
  contextOf(launch).output().write(1, text);
  return count;
}

// The text of the vendor's driver, which programs' tests look for.
void assertionFailed(kernel::LaunchContext* launch, const kernel::Assertion& assertion,
                     const kernel::ThreadPosition& at) {
  std::string text = assertion.file;
  text += ":" + std::to_string(assertion.line) + ": " + assertion.function;
  text += ": block: [" + std::to_string(at.block.x) + "," + std::to_string(at.block.y) + "," +
          std::to_string(at.block.z);
  text += "], thread: [" + std::to_string(at.thread.x) + "," + std::to_string(at.thread.y) + "," +
          std::to_string(at.thread.z);
  text += "] Assertion `" + std::string(assertion.message) + "` failed.\n";
  contextOf(launch).output().write(2, text);
}

void* allocate(kernel::LaunchContext* launch, uint64_t sizeBytes) {
  Context& context = contextOf(launch);
  return context.heap().allocate(context, sizeBytes);
}

void release(kernel::LaunchContext* launch, void* address) {
  Context& context = contextOf(launch);
  if (!context.heap().release(address)) context.fail(CUDA_ERROR_ILLEGAL_ADDRESS);
}

void waiting(kernel::LaunchContext* launch, bool waits) {
  WorkerPool& pool = contextOf(launch).pool();
  waits ? pool.lendSlot() : pool.endLoan();
}

bool accessible(kernel::LaunchContext*, uintptr_t address, uint64_t sizeBytes, bool write) {
  const auto allocation = driver().memory().addresses().find(address);
  if (!allocation || sizeBytes > allocation->sizeBytes - (address - allocation->base)) return false;
  if (allocation->kind != MemoryKind::Virtual) return true;
  const int protection = allocation->protection.load(std::memory_order_relaxed);
  return write ? (protection & PROT_WRITE) != 0 : (protection & PROT_READ) != 0;
}

}  // namespace

const kernel::HostServices& hostServices() {
  static constexpr kernel::HostServices kServices = {.print = print,
                                                     .assertionFailed = assertionFailed,
                                                     .allocate = allocate,
                                                     .release = release,
                                                     .texture = textureOperation,
                                                     .waiting = waiting,
                                                     .accessible = accessible};
  return kServices;
}

}  // namespace vgpu::cpu
