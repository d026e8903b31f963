#include "cpu_driver/kernel/fault.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <iterator>
#include <mutex>

#include "base/mapping.h"
#include "cpu_driver/kernel/imports.h"
#include "cpu_driver/kernel/running.h"

namespace vgpu::kernel {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
struct sigaction previous[std::size(kSignals)];

RunStatus statusOf(int signal, const siginfo_t* info, const Running& now) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  if (signal == SIGILL) return RunStatus::IllegalInstruction;
  if (signal == SIGFPE) return RunStatus::Trap;
  if (isMisalignedTrap(address)) return RunStatus::Misaligned;
  if (signal == SIGBUS && info->si_code == BUS_ADRALN) return RunStatus::Misaligned;
  if (now.stacks && now.stacks->inGuard(address)) return RunStatus::StackOverflow;
  return RunStatus::IllegalAddress;
}

void handle(int signal, siginfo_t* info, void* context) {
  if (recoverFromFault(signal, info, context)) return;
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    if (kSignals[i] != signal) continue;
    if (previous[i].sa_flags & SA_SIGINFO) return previous[i].sa_sigaction(signal, info, context);
    sigaction(signal, &previous[i], nullptr);  // the instruction faults again, with the handler found before
  }
}

}  // namespace

constinit thread_local Running* runningNow = nullptr;

void endRun(RunStatus status, uintptr_t address) {
  runningNow->outcome = {status, address};
  siglongjmp(runningNow->out, 1);
}

bool inGeneratedCode(uintptr_t address) {
  return runningNow && runningNow->image &&
         (runningNow->image->contains(address) || inGeneratedLibrary(address));
}

bool recoverFromFault(int signal, const siginfo_t* info, void* context) {
  if (!runningNow) return false;
  const auto* registers = static_cast<const ucontext_t*>(context);
  const auto pc = static_cast<uintptr_t>(registers->uc_mcontext.gregs[REG_RIP]);
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const bool overflow = runningNow->stacks && runningNow->stacks->inGuard(address);
  if (!inGeneratedCode(pc) && runningNow->serviceDepth == 0 && !overflow) return false;
  endRun(statusOf(signal, info, *runningNow), address);
}

void installFaultHandler() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      struct sigaction action = {};
      action.sa_sigaction = handle;
      action.sa_flags = SA_SIGINFO | SA_ONSTACK;
      sigaction(kSignals[i], &action, &previous[i]);
    }
  });
}

void ensureSignalStack() {
  constexpr size_t kBytes = 64 * 1024;
  struct SignalStack {
    Mapping memory;
    ~SignalStack() {
      if (!memory.valid()) return;
      stack_t off = {};
      off.ss_flags = SS_DISABLE;
      sigaltstack(&off, nullptr);
    }
  };
  static thread_local SignalStack mine;
  stack_t found = {};
  sigaltstack(nullptr, &found);
  if (mine.memory.valid() || (found.ss_flags & SS_DISABLE) == 0) return;
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return;
  mine.memory = Mapping(memory, kBytes);
  stack_t stack = {};
  stack.ss_sp = memory;
  stack.ss_size = kBytes;
  sigaltstack(&stack, nullptr);
}

}  // namespace vgpu::kernel
