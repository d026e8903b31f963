// Which ways lead out of a region, and how all lanes' way is found without asking each of them.
#include <algorithm>
#include <functional>
#include <set>

#include "cpu_driver/jit/loops_affine.h"
#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::IRBuilder;
using llvm::PHINode;
using llvm::Value;

void Region::makeEdges() {
  for (BasicBlock* block : blocks_) {
    if (block->getTerminator()->getNumSuccessors() == 0) edges_.push_back({block, -1, newBlock("leave"), 0});
    for (BasicBlock* successor : llvm::successors(block)) {
      if (!endsAt(successor)) continue;
      const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
      if (!edgeTo(block, successor)) edges_.push_back({block, target, newBlock("leave"), 0});
    }
  }
}

const RegionEdge* Region::edgeTo(const BasicBlock* from, const BasicBlock* successor) const {
  const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
  const auto found = std::find_if(edges_.begin(), edges_.end(), [&](const RegionEdge& edge) {
    return edge.from == from && edge.target == target;
  });
  return found == edges_.end() ? nullptr : &*found;
}

void Region::assignKeys() {
  for (RegionEdge& edge : edges_) {
    const auto same = [&](const RegionKey& key) {
      if (key.target != edge.target) return false;
      if (edge.target < 0 || !side_.whole) return true;
      for (const PHINode& phi : plan_.points[static_cast<unsigned>(edge.target)].block->phis()) {
        if (plan_.isScalar(&phi) &&
            phi.getIncomingValueForBlock(key.from) != phi.getIncomingValueForBlock(edge.from))
          return false;
      }
      return true;
    };
    const auto found = std::find_if(keys_.begin(), keys_.end(), same);
    edge.key = static_cast<unsigned>(found - keys_.begin());
    if (found == keys_.end()) keys_.push_back({edge.target, edge.from});
  }
}

// The keys that can be reached from a block of the region, in order.
const std::vector<unsigned>& Region::keysFrom(const BasicBlock* block) {
  if (const auto found = keysFrom_.find(block); found != keysFrom_.end()) return found->second;
  std::set<unsigned> keys;
  for (const RegionEdge& edge : edges_) {
    if (edge.from == block) keys.insert(edge.key);
  }
  for (const BasicBlock* successor : llvm::successors(block)) {
    if (endsAt(successor)) continue;
    const auto& below = keysFrom(successor);
    keys.insert(below.begin(), below.end());
  }
  return keysFrom_[block] = std::vector<unsigned>(keys.begin(), keys.end());
}

// Finds out whether the ways fork at conditions only that scalars answer for all lanes; if they do, makes
// those scalars.
void Region::findAgreements() {
  std::vector<const llvm::BranchInst*> forks;
  for (const BasicBlock* block : blocks_) {
    if (keysFrom(block).size() <= 1) continue;
    const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block->getTerminator());
    if (!branch || (branch->isConditional() && !mayAgree(plan_, branch->getCondition()))) return;
    if (branch->isConditional()) forks.push_back(branch);
  }
  decidable_ = true;
  for (const llvm::BranchInst* fork : forks)
    agreements_[fork->getParent()] = *agreement(fork->getCondition());
  const bool soft = std::any_of(keys_.begin(), keys_.end(), [&](const RegionKey& key) {
    return key.target >= 0 && plan_.points[static_cast<unsigned>(key.target)].soft;
  });
  for (const llvm::BranchInst* fork : forks) {
    if (!soft || plan_.isScalar(fork->getCondition())) continue;
    const Agreement& way = agreements_[fork->getParent()];
    Value* mixed = scalarCode_.CreateNot(scalarCode_.CreateOr(way.all, way.none));
    mixed_ = mixed_ ? scalarCode_.CreateOr(mixed_, mixed) : mixed;
  }
}

BasicBlock* Region::decision(const BasicBlock* block, Ways& ways) {
  if (const auto& keys = keysFrom(block); keys.size() == 1) return ways.targets[keys[0]];
  BasicBlock*& mine = ways.made[block];
  if (mine) return mine;
  BasicBlock* const here = mine = newBlock("decide");
  std::vector<BasicBlock*> next;
  for (const BasicBlock* successor : llvm::successors(block))
    next.push_back(endsAt(successor) ? ways.targets[edgeTo(block, successor)->key]
                                     : decision(successor, ways));
  const auto* branch = llvm::cast<llvm::BranchInst>(block->getTerminator());
  if (!branch->isConditional()) {
    llvm::BranchInst::Create(next[0], here);
    return here;
  }
  const Agreement& way = agreements_[block];
  if (plan_.isScalar(branch->getCondition()) || !ways.apart) {
    llvm::BranchInst::Create(next[0], next[1], way.all, here);
  } else {
    BasicBlock* others = newBlock("not.all");
    llvm::BranchInst::Create(next[0], others, way.all, here);
    llvm::BranchInst::Create(next[1], ways.apart, way.none, others);
  }
  return here;
}

void Region::decide(BasicBlock* at, const std::vector<BasicBlock*>& targets, BasicBlock* apart) {
  Ways ways{targets, apart, llvm::DenseMap<const BasicBlock*, BasicBlock*>()};
  llvm::BranchInst::Create(decision(blocks_.front(), ways), at);
}

bool Region::mayPart() const {
  return !mixed_ && std::any_of(agreements_.begin(), agreements_.end(), [&](const auto& each) {
    return !plan_.isScalar(llvm::cast<llvm::BranchInst>(each.first->getTerminator())->getCondition());
  });
}

Value* Region::keysOfLanes(IRBuilder<>& builder, const BasicBlock* block) {
  if (!block) block = blocks_.front();
  const auto key = [&](unsigned number) {
    return builder.CreateVectorSplat(plan_.shape.size, builder.getInt8(static_cast<uint8_t>(number)));
  };
  if (const auto& keys = keysFrom(block); keys.size() == 1) return key(keys[0]);
  std::vector<Value*> next;
  for (const BasicBlock* successor : llvm::successors(block))
    next.push_back(endsAt(successor) ? key(edgeTo(block, successor)->key) : keysOfLanes(builder, successor));
  const auto* branch = llvm::cast<llvm::BranchInst>(block->getTerminator());
  if (!branch->isConditional()) return next[0];
  return builder.CreateSelect(inAllLanes(builder, branch->getCondition()), next[0], next[1]);
}

}  // namespace vgpu::jit
