// Prints whose CUDA runtime the program itself uses, then a library that it links, then each library named.
#include <dlfcn.h>

#include <cstdio>

extern "C" int whichInProgram();
extern "C" int whichInLibrary();

int main(int count, char** names) {
  std::printf("program %d\nlibrary %d\n", whichInProgram(), whichInLibrary());
  for (int i = 1; i < count; ++i) {
    void* plugin = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    auto which = plugin == nullptr ? nullptr : reinterpret_cast<int (*)()>(dlsym(plugin, "whichInPlugin"));
    std::printf("plugin %d\n", which == nullptr ? -1 : which());
  }
  return 0;
}
