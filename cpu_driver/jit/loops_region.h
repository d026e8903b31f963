// One region as a loop over lanes, in one of two modes. Compile thread.
// Whole: all lanes of the group are at the region's start; scalars are computed once, slots are arrays on the
// stack that become vector registers. Diverged: lanes whose state says so run it; everything is kept a thread
// in scratch memory.
#pragma once

#include <llvm/ADT/STLFunctionalExtras.h>
#include <llvm/IR/IRBuilder.h>

#include <optional>

#include "cpu_driver/jit/loops_layout.h"
#include "cpu_driver/jit/marker_code.h"

namespace vgpu::jit {

// What both functions (whole groups, diverged groups) have at hand.
struct Side {
  Side(const Plan& thePlan, const LoopsLayout& theLayout, MarkerCode& theCode)
      : plan(thePlan), layout(theLayout), code(theCode) {}

  const Plan& plan;
  const LoopsLayout& layout;
  MarkerCode& code;
  llvm::Function* function = nullptr;
  bool whole = true;
  llvm::Value *block = nullptr, *launch = nullptr, *scratch = nullptr;
  llvm::Value* group = nullptr;                               // i32
  llvm::Value* firstThread = nullptr;                         // i64: group * size
  llvm::Value *firstX = nullptr, *y = nullptr, *z = nullptr;  // i32, where groups are parts of rows
  llvm::MDNode* accessGroup = nullptr;
  std::vector<llvm::AllocaInst*> slotArrays;   // whole: [size x T], null for scalars
  std::vector<llvm::AllocaInst*> scalarSlots;  // whole: T
  bool failed = false;                         // an invariant of the plan did not hold: use the other form

  llvm::LLVMContext& context() const { return function->getContext(); }
  llvm::Value* scratchAt(llvm::IRBuilder<>& builder, uint32_t offset) const;
  // &array[index] of elements of `type` at `offset` of the scratch memory; index is i64.
  llvm::Value* scratchElement(llvm::IRBuilder<>& builder, uint32_t offset, llvm::Type* type,
                              llvm::Value* index) const;
  llvm::Value* request(llvm::IRBuilder<>& builder, llvm::Value* thread) const;
};

llvm::Value* loadSlotValue(llvm::IRBuilder<>& builder, llvm::Type* type, llvm::Value* address);
void storeSlotValue(llvm::IRBuilder<>& builder, llvm::Value* value, llvm::Value* address);

// A way out of a region.
struct RegionEdge {
  const llvm::BasicBlock* from = nullptr;
  int target = -1;                    // a point, or -1: the thread ends
  llvm::BasicBlock* block = nullptr;  // of the clone, before the latch
  unsigned key = 0;                   // edges that need no telling apart have one key
};

struct RegionKey {
  int target = -1;
  const llvm::BasicBlock* from = nullptr;  // one of its edges: where the values of phis come from
};

class Region {
 public:
  // Whether the region ends at soft points, or goes through them as if they were none.
  enum class Soft { Ends, Passed };

  Region(Side& side, unsigned point, Soft soft);

  // From `head` (empty) to after().
  void emit(llvm::BasicBlock* head);

  unsigned point() const { return point_; }
  llvm::BasicBlock* after() const { return after_; }
  const std::vector<RegionKey>& keys() const { return keys_; }
  llvm::Value* scalar(const llvm::Value* value);
  llvm::AllocaInst* operandArray(unsigned point, unsigned argument) const;

  // Whole. Where control goes, with nothing done, when a guard of the region fails; when lanes part at a soft
  // point. Null: never.
  llvm::BasicBlock* refused() const { return refused_; }
  llvm::BasicBlock* parted() const { return parted_; }
  // Whole, with several keys: each lane's key (i8), or null: scalars tell, by decide().
  llvm::AllocaInst* keyArray() const { return keyArray_; }
  // The forks of the region again, on scalars: jumps from `at` to `targets[key]`, or to `apart` when lanes
  // may go different ways.
  void decide(llvm::BasicBlock* at, const std::vector<llvm::BasicBlock*>& targets, llvm::BasicBlock* apart);
  bool mayPart() const;  // whether `apart` is needed
  // Each lane's key: <size x i8>. From the start of the region, or of `block`.
  llvm::Value* keysOfLanes(llvm::IRBuilder<>& builder, const llvm::BasicBlock* block = nullptr);
  void setResultArrays(llvm::AllocaInst* value, llvm::AllocaInst* predicate) {
    resultValues_ = value;
    resultPredicates_ = predicate;
  }

 private:
  // Of a condition over the group's lanes, i1 each, in the head.
  struct Agreement {
    llvm::Value *all = nullptr, *none = nullptr;
  };
  struct Ways {
    const std::vector<llvm::BasicBlock*>& targets;
    llvm::BasicBlock* apart;
    llvm::DenseMap<const llvm::BasicBlock*, llvm::BasicBlock*> made;
  };

  void collectBlocks();
  void makeEdges();
  void assignKeys();
  bool endsAt(const llvm::BasicBlock* block) const;
  const RegionEdge* edgeTo(const llvm::BasicBlock* from, const llvm::BasicBlock* successor) const;
  const std::vector<unsigned>& keysFrom(const llvm::BasicBlock* block);
  void findAgreements();
  llvm::BasicBlock* decision(const llvm::BasicBlock* block, Ways& ways);
  void cloneBlocks();
  void cloneInstruction(llvm::Instruction& instruction, llvm::IRBuilder<>& builder);
  llvm::Value* result(llvm::CallInst& call);
  void finishPhis();
  using Stores = std::vector<std::pair<llvm::Value*, llvm::AllocaInst*>>;  // value, array a lane
  void storeWhole(llvm::IRBuilder<>& latch);
  void collectSlot(llvm::IRBuilder<>& latch, unsigned slot, Stores& stores);
  void collectOperands(llvm::IRBuilder<>& latch, Stores& stores);
  llvm::Value* leaving(const llvm::Instruction* slot, const RegionEdge& edge);
  llvm::Value* merged(llvm::IRBuilder<>& latch, llvm::Type* type,
                      llvm::function_ref<llvm::Value*(const RegionEdge&)> of);
  void storeDiverged();
  void storeThreadSlots(llvm::IRBuilder<>& builder, const RegionEdge& edge);
  void closeLoop(llvm::IRBuilder<>& latch);
  void closeHead();
  llvm::Value* use(const llvm::Value* value);
  llvm::Value* recompute(const llvm::Instruction& instruction);
  llvm::Value* slotLoad(const llvm::Value* value);
  llvm::Value* inFirstLane(const llvm::Value* value);
  void guardExtension(const llvm::Instruction& extension, llvm::Value* first);
  llvm::Value* affineInLane(const llvm::Instruction& instruction);
  std::optional<Agreement> agreement(const llvm::Value* condition);
  Agreement agreementOfEquality(const llvm::ICmpInst& compare);
  Agreement agreementOfOrder(const llvm::ICmpInst& compare);
  llvm::Value* inAllLanes(llvm::IRBuilder<>& builder, const llvm::Value* value);
  ThreadValues threadValues(llvm::IRBuilder<>& builder);
  llvm::Value* tid(llvm::IRBuilder<>& builder, unsigned axis);
  llvm::Value* incoming(const llvm::PHINode& phi, const RegionEdge& edge) {
    return use(phi.getIncomingValueForBlock(edge.from));
  }
  llvm::BasicBlock* newBlock(const char* name);

  Side& side_;
  const Plan& plan_;
  unsigned point_;
  Soft soft_;
  llvm::BasicBlock *head_ = nullptr, *laneHead_ = nullptr, *laneEntry_ = nullptr, *latch_ = nullptr,
                   *after_ = nullptr;
  llvm::BasicBlock *refused_ = nullptr, *parted_ = nullptr;
  llvm::IRBuilder<> scalarCode_, laneCode_;
  llvm::PHINode* lane_ = nullptr;
  llvm::Value *lane32_ = nullptr, *thread_ = nullptr, *guard_ = nullptr, *mixed_ = nullptr;
  bool decidable_ = false;
  std::vector<llvm::BasicBlock*> blocks_;  // originals, in reverse post-order
  llvm::DenseMap<const llvm::Value*, llvm::Value*> local_, scalars_, recomputed_, slotLoads_, firstLane_;
  llvm::DenseMap<const llvm::BasicBlock*, llvm::BasicBlock*> clones_;
  llvm::DenseMap<const llvm::BasicBlock*, llvm::BasicBlock*> cloneEnds_;
  std::vector<RegionEdge> edges_;
  std::vector<RegionKey> keys_;
  llvm::DenseMap<const llvm::BasicBlock*, std::vector<unsigned>> keysFrom_;
  llvm::DenseMap<const llvm::BasicBlock*, Agreement> agreements_;
  llvm::AllocaInst* keyArray_ = nullptr;
  std::vector<std::pair<std::pair<unsigned, unsigned>, llvm::AllocaInst*>> operandArrays_;
  llvm::AllocaInst *resultValues_ = nullptr, *resultPredicates_ = nullptr;
};

// Metadata of a loop over lanes: no lane waits for another within it.
void markLaneLoop(llvm::Instruction* latchBranch, llvm::MDNode* accessGroup, uint32_t width);

}  // namespace vgpu::jit
