// The loops form, first half: what is to be made of a thread function. Compile thread; the function is
// changed in place (split at points, phis made affine) but keeps its meaning; the plan points into it.
//
// A *point* is a block where threads may wait or where a loop of the kernel turns: rendezvous, loop headers,
// loop exits. A *region* is what a thread runs from one point to the next; it has no cycle. A region becomes
// a loop over the lanes of a *group* of threads (a strip of a row, or a warp). Values that live across points
// go to *slots*, one a lane; values that are equal in a group that runs together (*scalars*) are computed
// once beside the loop; cheap integer functions of the thread's index (*recomputed* values, above all
// addresses) are computed anew in each region, where LLVM sees that they are affine.
#pragma once

#include <llvm/ADT/BitVector.h>
#include <llvm/ADT/DenseMap.h>
#include <llvm/ADT/DenseSet.h>
#include <llvm/IR/Function.h>
#include <llvm/IR/Instructions.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cpu_driver/jit/form.h"

namespace llvm {
class TargetMachine;
}

namespace vgpu::jit {

// How the threads of a block fall into groups.
struct GroupShape {
  uint32_t size = 1;   // lanes
  uint32_t count = 1;  // groups a block
  uint32_t stripsPerRow = 1;
  bool rows = true;          // lanes are neighbours in x; false: in the linear index only
  bool partial = false;      // the last strip of a row (rows) or the last group lacks lanes
  uint32_t vectorWidth = 1;  // lanes that one vector instruction takes

  bool isWarp(const kernel::Dim3& block) const {
    return size == kernel::kWarpSize && (!rows || block.x % kernel::kWarpSize == 0);
  }
};

struct Point {
  llvm::BasicBlock* block = nullptr;
  llvm::CallInst* call = nullptr;  // the rendezvous at its head, or null
  Marker operation = Marker::Count;
  bool turnsBack = false;  // a loop header
  // A way of a guard such as `if (i < n)`, which all lanes of most groups take or leave together. Where they
  // do not, a region goes through it instead of ending there, and its lanes are masked.
  bool soft = false;
  bool ignored = false;     // soft, and every region goes through it
  bool takesTurns = false;  // its loop walks through global memory: groups go through it side by side
};

struct Plan {
  llvm::Function* function = nullptr;
  kernel::Dim3 block;
  GroupShape shape;
  std::vector<Point> points;  // 0: the entry; in reverse post-order
  llvm::DenseMap<const llvm::BasicBlock*, unsigned> pointOf;
  llvm::DenseSet<const llvm::Value*> scalars;
  llvm::DenseSet<const llvm::Value*> recomputed;
  std::vector<llvm::Instruction*> slots;
  llvm::DenseMap<const llvm::Value*, unsigned> slotOf;
  std::vector<llvm::BitVector> liveAt;    // a point: slots whose values are wanted from there on
  std::vector<llvm::AllocaInst*> locals;  // what is left of local memory
  llvm::DenseMap<const llvm::Value*, uint32_t> localOffset;
  uint32_t localBytes = 0;  // a thread
  bool rendezvous = false, blockBarriers = false, warpOperations = false;

  bool takesTurns() const {
    return std::any_of(points.begin(), points.end(), [](const Point& point) { return point.takesTurns; });
  }
  bool isPoint(const llvm::BasicBlock* block) const { return pointOf.count(block) != 0; }
  bool isScalar(const llvm::Value* value) const {
    return llvm::isa<llvm::Constant>(value) || scalars.count(value) != 0;
  }
};

// False: the form cannot take it, `why` says why.
bool makePlan(Plan& plan, llvm::Function& function, const FormOptions& options, llvm::TargetMachine& machine,
              std::string& why);

}  // namespace vgpu::jit
