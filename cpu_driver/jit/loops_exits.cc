// Which ways lead out of a region, and how all lanes' way is found without asking each of them.
#include <algorithm>
#include <functional>
#include <set>

#include "cpu_driver/jit/loops_region.h"

namespace vgpu::jit {

using llvm::BasicBlock;
using llvm::PHINode;

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

// Which keys can be reached from each block of the region.
unsigned Region::exitsFrom(const BasicBlock* block,
                           llvm::DenseMap<const BasicBlock*, std::vector<unsigned>>& memo) const {
  if (const auto found = memo.find(block); found != memo.end())
    return static_cast<unsigned>(found->second.size());
  std::set<unsigned> keys;
  for (const RegionEdge& edge : edges_) {
    if (edge.from == block) keys.insert(edge.key);
  }
  for (const BasicBlock* successor : llvm::successors(block)) {
    if (plan_.isPoint(successor)) continue;
    exitsFrom(successor, memo);
    const auto& below = memo[successor];
    keys.insert(below.begin(), below.end());
  }
  memo[block].assign(keys.begin(), keys.end());
  return static_cast<unsigned>(keys.size());
}

bool Region::decidable() const {
  llvm::DenseMap<const BasicBlock*, std::vector<unsigned>> memo;
  for (const BasicBlock* block : blocks_) {
    if (exitsFrom(block, memo) <= 1) continue;
    const auto* branch = llvm::dyn_cast<llvm::BranchInst>(block->getTerminator());
    if (!branch) return false;
    if (branch->isConditional() && !plan_.isScalar(branch->getCondition())) return false;
  }
  return true;
}

void Region::decide(BasicBlock* at, const std::vector<BasicBlock*>& targets) {
  llvm::DenseMap<const BasicBlock*, std::vector<unsigned>> memo;
  llvm::DenseMap<const BasicBlock*, BasicBlock*> made;
  std::function<BasicBlock*(const BasicBlock*)> decision = [&](const BasicBlock* block) -> BasicBlock* {
    exitsFrom(block, memo);
    if (memo[block].size() == 1) return targets[memo[block][0]];
    BasicBlock*& mine = made[block];
    if (mine) return mine;
    mine = newBlock("decide");
    BasicBlock* const here = mine;
    const auto* branch = llvm::cast<llvm::BranchInst>(block->getTerminator());
    std::vector<BasicBlock*> ways;
    for (const BasicBlock* successor : llvm::successors(block)) {
      if (!plan_.isPoint(successor)) {
        ways.push_back(decision(successor));
        continue;
      }
      const auto target = static_cast<int>(plan_.pointOf.lookup(successor));
      for (const RegionEdge& edge : edges_) {
        if (edge.from == block && edge.target == target) ways.push_back(targets[edge.key]);
      }
    }
    if (branch->isConditional()) {
      llvm::BranchInst::Create(ways[0], ways[1], scalar(branch->getCondition()), here);
    } else {
      llvm::BranchInst::Create(ways[0], here);
    }
    return here;
  };
  llvm::BranchInst::Create(decision(blocks_.front()), at);
}

}  // namespace vgpu::jit
