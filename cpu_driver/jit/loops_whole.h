// The entry of a block: runs whole groups, one after another, from barrier to barrier. Compile thread. One
// object a kernel; its parts are in files by concern: the frame (loops_whole.cc), the ways out of a region
// (loops_ways.cc), and what passes between a group's registers and the block's scratch memory
// (loops_handover.cc).
#pragma once

#include "cpu_driver/jit/loops_functions.h"

namespace vgpu::jit {

class Whole {
 public:
  Whole(const LoopsParts& parts, llvm::Function* diverged)
      : parts_(parts), plan_(parts.plan), diverged_(diverged), side_(plan_, parts.layout, parts.code) {}

  llvm::Function* emit(bool& failed);

 private:
  llvm::BasicBlock* newBlock(const char* name) {
    return llvm::BasicBlock::Create(side_.context(), name, side_.function);
  }
  bool keepsStates() const { return plan_.rendezvous || plan_.takesTurns(); }
  llvm::AllocaInst* array(llvm::IRBuilder<>& builder, llvm::Type* element);
  void makeSlots(llvm::IRBuilder<>& builder);
  void initialise(llvm::IRBuilder<>& builder);
  llvm::Value* groupField(llvm::IRBuilder<>& builder, llvm::Value* group, size_t field);
  void storeGroup(llvm::IRBuilder<>& builder, llvm::Value* group, size_t field, llvm::Value* value);
  void emitGroups(llvm::IRBuilder<>& builder);
  void emitStart(llvm::BasicBlock* start);
  llvm::Value* splat(llvm::IRBuilder<>& builder, llvm::Value* value);
  void storeLanes(llvm::IRBuilder<>& builder, uint32_t offset, llvm::Value* lanes);
  llvm::Value* loadLanes(llvm::IRBuilder<>& builder, uint32_t offset, llvm::Type* element);
  llvm::Value* loadArray(llvm::IRBuilder<>& builder, llvm::AllocaInst* array);
  void storeArray(llvm::IRBuilder<>& builder, llvm::AllocaInst* array, llvm::Value* lanes);
  void forgetSlots(llvm::IRBuilder<>& builder);
  void emitGroupDone(llvm::PHINode* group, llvm::BasicBlock* groupHead, llvm::BasicBlock* phase);

  // Ways out of a region.
  void emitPoint(unsigned point);
  void emitRegion(Region& region, llvm::BasicBlock* head);
  static std::vector<unsigned> allKeys(const Region& region);
  void emitUndecided(Region& region, const std::vector<llvm::BasicBlock*>& targets);
  void emitGo(llvm::BasicBlock* block, Region& region, unsigned key);
  void emitTogetherMatrix(llvm::IRBuilder<>& builder, Region& region, unsigned target);
  static bool constantMode(const Point& point);
  void storeScalarPhis(llvm::IRBuilder<>& builder, Region& region, unsigned key);
  void emitTurn(llvm::IRBuilder<>& builder, unsigned target);
  void waitAtBarrier(llvm::IRBuilder<>& builder, Region& region, unsigned target);
  llvm::Value* operandOf(llvm::IRBuilder<>& builder, Region& region, unsigned target, unsigned argument);
  void emitTogetherOperation(llvm::IRBuilder<>& builder, Region& region, unsigned key, unsigned target);

  // Between registers and scratch memory.
  void prepareDivergedCall();
  void emitDivergedResult();
  void makeResumes(llvm::SwitchInst* dispatch);
  void emitResume(unsigned point);
  void copyArray(llvm::IRBuilder<>& builder, unsigned slot, bool out);
  void loadResults(llvm::IRBuilder<>& builder, unsigned point);
  void keepForLater(llvm::IRBuilder<>& builder, unsigned target);
  void emitDiverge(llvm::IRBuilder<>& builder, Region& region, const std::vector<unsigned>& ways,
                   llvm::Value* lanes);
  void saveSlots(llvm::IRBuilder<>& builder, const llvm::BitVector& live);
  void saveScalarPhis(llvm::IRBuilder<>& builder, Region& region, const RegionKey& way, llvm::Value* mine);
  void saveRequests(llvm::IRBuilder<>& builder, Region& region, unsigned target, llvm::Value* mine);
  void emitRefused(llvm::BasicBlock* block, unsigned point);

  static constexpr uint32_t kStart = 0x3fff'ffff;  // a group's state: it has not begun

  const LoopsParts& parts_;
  const Plan& plan_;
  llvm::Function* diverged_;
  Side side_;
  std::vector<llvm::AllocaInst*> resultValues_, resultPredicates_;
  std::vector<llvm::BasicBlock*> heads_, resumes_;
  llvm::BasicBlock *groupDone_ = nullptr, *callDiverged_ = nullptr;
  llvm::AllocaInst* turns_ = nullptr;
  llvm::PHINode* atOnce_ = nullptr;
  // Groups that came, in this phase, to the barrier of all threads (number 0). When all have, the next phase
  // begins at once: it takes kGroupWaiting (open_) from their states as it reads them.
  llvm::AllocaInst* arrived_ = nullptr;
  llvm::PHINode* open_ = nullptr;
};

}  // namespace vgpu::jit
