// One kernel of a module, whatever the context: its parameters and needs, and its images for the block shapes
// that were launched. Images are made on the compile thread; a stream that needs one is resumed when it is
// there, others go on. Any thread. The PTX is the tenant's; what can be wrong with it is an error code and a
// log.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "cpu_driver/kernel/digest.h"
#include "cpu_driver/kernel/image.h"
#include "cpu_driver/ptx/module.h"
#include "protocol/abi/cuda.h"

namespace vgpu::cpu {

class Output;
class Stream;

// A reason with the code that it is reported as. CUDA_SUCCESS: none.
struct Failure {
  CUresult code = CUDA_SUCCESS;
  std::string log;
};

// The digest of a module's text, made when the first of its kernels is looked for in the cache.
class ModuleDigest {
 public:
  explicit ModuleDigest(std::shared_ptr<const ptx::Module> module) : module_(std::move(module)) {}
  const kernel::Digest& get();

 private:
  std::shared_ptr<const ptx::Module> module_;
  std::once_flag once_;
  kernel::Digest digest_{};
};

class KernelCode : public std::enable_shared_from_this<KernelCode> {
 public:
  struct Parameter {
    size_t offset, sizeBytes;
  };

  KernelCode(std::shared_ptr<const ptx::Module> module, std::shared_ptr<ModuleDigest> digest,
             uint32_t function);

  const char* name() const { return name_.c_str(); }
  const ptx::Module& module() const { return *module_; }
  const ptx::Directives& directives() const { return directives_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  size_t parameterBytes() const { return parameterBytes_; }
  // The most threads that a block of it may have (.maxntid, .reqntid).
  unsigned mostThreads() const { return mostThreads_; }

  // Parses what the kernel reaches, once; its failure is what a first use reports.
  const Failure& resolve() {
    if (!isResolved_.load(std::memory_order_acquire)) resolveOnce();
    return failure_;
  }
  const ptx::Resources& resources();  // after a successful resolve()

  // Tells the program once, on its standard error, why a launch of the kernel fails.
  void explain(Output& output, const Failure& failure);

  enum class State { Absent, Compiling, Ready, Failed };
  // Programs that launch one kernel with many shapes get one image for any shape after this many special
  // ones.
  static constexpr size_t kMostVariants = 8;
  struct Variant {
    kernel::Dim3 block;
    std::atomic<State> state{State::Absent};
    std::shared_ptr<kernel::LoadedImage> image;
    Failure failure;
    std::vector<std::shared_ptr<Stream>> waiters;
    // What a block has taken lately, to tell whether a launch is worth waking other threads for.
    std::atomic<uint64_t> nanosecondsPerBlock{0};
  };
  // The variant for blocks of that shape; Ready, Failed, or being made.
  std::shared_ptr<Variant> variant(kernel::Dim3 block);
  // The same if it is Ready, and null otherwise; takes no lock. Lives as long as this.
  Variant* readyVariant(kernel::Dim3 block) const;
  // Has `stream` resumed when the variant is Ready or Failed. False where it is already.
  bool resumeWhenMade(Variant& variant, std::shared_ptr<Stream> stream);
  // Sees to it that the variant is being made, on the compile thread.
  void make(const std::shared_ptr<Variant>& variant);
  // Whether it was loaded ahead (load()), or has code for some block.
  bool isLoaded();
  const Failure& load();

 private:
  void resolveOnce();
  void finish(Variant& variant, State state);

  const std::shared_ptr<const ptx::Module> module_;
  const std::shared_ptr<ModuleDigest> digest_;
  const uint32_t function_;
  const std::string name_;
  ptx::Directives directives_;
  std::vector<Parameter> parameters_;
  size_t parameterBytes_ = 0;
  unsigned mostThreads_ = 1024;
  std::atomic<bool> loadedAhead_{false};
  std::once_flag resolved_, explained_;
  std::atomic<bool> isResolved_{false};
  Failure failure_;
  ptx::Resources resources_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Variant>> variants_;
  std::array<std::atomic<Variant*>, kMostVariants> special_{};  // those of variants_ for one shape
};

}  // namespace vgpu::cpu
