// What ThreadSanitizer is told about libraries that Debian built without it. It sees their calls of memmove
// and epoll_wait, but neither their locks nor their atomics, and so takes their correct code for races. Ours
// is checked.
extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         "race:libabsl_\n";
}
