#include "cpu_driver/runtime/fault_handler.h"

#include <csignal>
#include <mutex>

#include "cpu_driver/kernel/fault.h"

namespace vgpu::cpu {

thread_local constinit sigjmp_buf* copyFault = nullptr;

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
struct sigaction previous[NSIG];

void passOn(int signal, siginfo_t* info, void* context) {
  const struct sigaction& handler = previous[signal];
  if (handler.sa_flags & SA_SIGINFO) return handler.sa_sigaction(signal, info, context);
  if (handler.sa_handler != SIG_DFL && handler.sa_handler != SIG_IGN) return handler.sa_handler(signal);
  // The instruction faults again, this time without us.
  ::sigaction(signal, &handler, nullptr);
}

void handle(int signal, siginfo_t* info, void* context) {
  if (kernel::recoverFromFault(signal, info, context)) return;
  if (copyFault && (signal == SIGSEGV || signal == SIGBUS)) siglongjmp(*copyFault, 1);
  passOn(signal, info, context);
}

}  // namespace

void installFaultHandlers() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = handle;
    // Not blocked while handled: the handler is left by a jump.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (const int signal : kSignals) ::sigaction(signal, &action, &previous[signal]);
  });
}

}  // namespace vgpu::cpu
