// Addresses that were computed as integers become pointer arithmetic on the pointer that they come from, so
// that alias analysis knows the object and scalar evolution the stride: inttoptr(p + x) is gep(p, x), also
// through phis and selects whose every value comes from the same p. The value of an address never changes,
// only how it is written.
#include <llvm/ADT/SmallPtrSet.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/Transforms/Utils/Local.h>

#include <map>

#include "cpu_driver/jit/translate/module_translator.h"

namespace vgpu::jit {
namespace {

constexpr unsigned kMostTerms = 64;

class AddressRewriter {
 public:
  explicit AddressRewriter(llvm::Function& function) : function_(function) {}

  void run() {
    llvm::SmallVector<llvm::IntToPtrInst*, 32> casts;
    for (llvm::Instruction& instruction : llvm::instructions(function_)) {
      auto* cast = llvm::dyn_cast<llvm::IntToPtrInst>(&instruction);
      if (cast != nullptr && cast->getOperand(0)->getType()->isIntegerTy(64)) casts.push_back(cast);
    }
    for (llvm::IntToPtrInst* cast : casts) rewrite(*cast);
    for (llvm::WeakTrackingVH& handle : dead_) {
      if (handle) llvm::RecursivelyDeleteTriviallyDeadInstructions(handle);
    }
  }

 private:
  // What can be a base, better ones first: a known pointer, a loaded one.
  static int rank(llvm::Value* leaf) {
    if (llvm::isa<llvm::PtrToIntInst>(leaf)) return 2;
    return llvm::isa<llvm::LoadInst>(leaf) ? 1 : 0;
  }

  // The terms of a sum; false if there are too many.
  bool collect(llvm::Value* value, llvm::SmallVectorImpl<llvm::Value*>& terms) {
    llvm::SmallVector<llvm::Value*, 8> work = {value};
    for (unsigned steps = 0; !work.empty(); ++steps) {
      if (steps > kMostTerms) return false;
      llvm::Value* v = work.pop_back_val();
      auto* sum = llvm::dyn_cast<llvm::BinaryOperator>(v);
      bool disjoint = sum && sum->getOpcode() == llvm::Instruction::Or &&
                      llvm::cast<llvm::PossiblyDisjointInst>(sum)->isDisjoint();
      if (sum && (sum->getOpcode() == llvm::Instruction::Add || disjoint)) {
        work.push_back(sum->getOperand(1));
        work.push_back(sum->getOperand(0));
      } else {
        terms.push_back(v);
      }
    }
    return true;
  }

  // The single base that `value` is an offset from, or null.
  llvm::Value* rootOf(llvm::Value* value) {
    if (auto known = roots_.find(value); known != roots_.end()) return known->second;
    llvm::SmallPtrSet<llvm::Value*, 16> seen;
    llvm::Value* root = nullptr;
    bool unique = search(value, seen, root);
    roots_[value] = unique ? root : nullptr;
    return roots_[value];
  }

  // Depth first through phis and selects; all must agree. A phi met again adds nothing.
  bool search(llvm::Value* value, llvm::SmallPtrSetImpl<llvm::Value*>& seen, llvm::Value*& root) {
    llvm::SmallVector<llvm::Value*, 8> terms;
    if (!collect(value, terms)) return false;
    llvm::Value* best = nullptr;
    llvm::Value* merge = nullptr;
    for (llvm::Value* term : terms) {
      if (llvm::isa<llvm::PHINode, llvm::SelectInst>(term)) {
        // An index may be a phi too: only a merge of pointers has a root.
        if (merge == nullptr) merge = term;
        continue;
      }
      if (rank(term) > (best ? rank(best) : 0)) best = term;
    }
    if (best != nullptr) {
      if (root != nullptr && root != best) return false;
      root = best;
      return true;
    }
    for (llvm::Value* term : terms) {
      if (!llvm::isa<llvm::PHINode, llvm::SelectInst>(term)) continue;
      if (seen.contains(term)) return true;
      if (seen.size() > kMostTerms) return false;
      llvm::Value* before = root;
      if (searchMerge(term, seen, root) && root != nullptr) return true;
      root = before;
    }
    return false;
  }

  bool searchMerge(llvm::Value* term, llvm::SmallPtrSetImpl<llvm::Value*>& seen, llvm::Value*& root) {
    seen.insert(term);
    if (auto* phi = llvm::dyn_cast<llvm::PHINode>(term)) {
      for (llvm::Value* incoming : phi->incoming_values()) {
        if (incoming != phi && !search(incoming, seen, root)) return false;
      }
      return true;
    }
    auto* select = llvm::cast<llvm::SelectInst>(term);
    return search(select->getTrueValue(), seen, root) && search(select->getFalseValue(), seen, root);
  }

  // The base as a pointer, made once where it is defined.
  llvm::Value* pointerOf(llvm::Value* base) {
    if (auto* cast = llvm::dyn_cast<llvm::PtrToIntInst>(base)) return cast->getPointerOperand();
    llvm::Value*& made = pointers_[base];
    if (made == nullptr) {
      llvm::IRBuilder<> builder(llvm::cast<llvm::Instruction>(base)->getNextNode());
      made = builder.CreateIntToPtr(base, builder.getPtrTy());
    }
    return made;
  }

  void rewrite(llvm::IntToPtrInst& cast) {
    llvm::Value* address = cast.getOperand(0);
    llvm::Value* base = rootOf(address);
    if (base == nullptr || (base == address && llvm::isa<llvm::LoadInst>(base))) return;
    llvm::SmallVector<llvm::Value*, 8> terms;
    if (!collect(address, terms)) return;
    llvm::Value* pointer = pointerOf(base);
    llvm::IRBuilder<> builder(&cast);
    llvm::Value* offset = nullptr;
    bool removed = false;
    for (llvm::Value* term : terms) {
      if (term == base && !removed) {
        removed = true;
        continue;
      }
      offset = offset ? builder.CreateAdd(offset, term) : term;
    }
    // Through a phi: what it holds minus the base, which scalar evolution cancels.
    if (!removed) offset = builder.CreateSub(address, base);
    if (offset != nullptr) pointer = builder.CreatePtrAdd(pointer, offset);
    cast.replaceAllUsesWith(pointer);
    dead_.push_back(&cast);
  }

  llvm::Function& function_;
  std::map<llvm::Value*, llvm::Value*> roots_;
  std::map<llvm::Value*, llvm::Value*> pointers_;
  llvm::SmallVector<llvm::WeakTrackingVH, 32> dead_;
};

}  // namespace

void rewriteAddresses(llvm::Function& function) { AddressRewriter(function).run(); }

}  // namespace vgpu::jit
