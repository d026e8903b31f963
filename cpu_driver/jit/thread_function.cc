#include "cpu_driver/jit/thread_function.h"

#include <llvm/ADT/StringSwitch.h>
#include <llvm/IR/DerivedTypes.h>
#include <llvm/IR/InstrTypes.h>
#include <llvm/Support/ModRef.h>

#include <array>

namespace vgpu::jit {
namespace {

// A marker's type in letters: result, then arguments. v void, b i1, i i32, l i64, p ptr, s { i32, i1 }, 4 <4
// x i32>. Effects: c constant for the thread's life, t reads something that changes, m touches memory as a
// call does.
struct Row {
  const char* name;
  const char* type;
  char effects;
  bool suspends;
  bool returns = true;
};

constexpr std::array<Row, static_cast<size_t>(Marker::Count)> kRows = {{
    {"vgpu.tid.x", "i", 'c', false},
    {"vgpu.tid.y", "i", 'c', false},
    {"vgpu.tid.z", "i", 'c', false},
    {"vgpu.ntid.x", "i", 'c', false},
    {"vgpu.ntid.y", "i", 'c', false},
    {"vgpu.ntid.z", "i", 'c', false},
    {"vgpu.ctaid.x", "i", 'c', false},
    {"vgpu.ctaid.y", "i", 'c', false},
    {"vgpu.ctaid.z", "i", 'c', false},
    {"vgpu.nctaid.x", "i", 'c', false},
    {"vgpu.nctaid.y", "i", 'c', false},
    {"vgpu.nctaid.z", "i", 'c', false},
    {"vgpu.laneid", "i", 'c', false},
    {"vgpu.warpid", "i", 'c', false},
    {"vgpu.nwarpid", "i", 'c', false},
    {"vgpu.smid", "i", 'c', false},
    {"vgpu.nsmid", "i", 'c', false},
    {"vgpu.gridid", "l", 'c', false},
    {"vgpu.grid.workspace", "l", 'c', false},
    {"vgpu.dynamic.shared.size", "i", 'c', false},
    {"vgpu.shared.base", "p", 'c', false},
    {"vgpu.param.base", "p", 'c', false},
    {"vgpu.symbol", "pi", 'c', false},
    {"vgpu.is.shared", "bp", 'c', false},
    {"vgpu.is.local", "bp", 'c', false},
    {"vgpu.is.constant", "bp", 'c', false},
    {"vgpu.clock", "l", 't', false},
    {"vgpu.globaltimer", "l", 't', false},
    {"vgpu.barrier", "vii", 'm', true},
    {"vgpu.barrier.arrive", "vii", 'm', true},
    {"vgpu.barrier.reduce", "iiiib", 'm', true},
    {"vgpu.warpsync", "vi", 'm', true},
    {"vgpu.shfl", "siiiii", 'm', true},
    {"vgpu.vote", "iiib", 'm', true},
    {"vgpu.match.any", "iil", 'm', true},
    {"vgpu.match.all", "sil", 'm', true},
    {"vgpu.redux", "iiii", 'm', true},
    {"vgpu.matrix", "vlp", 'm', true},
    {"vgpu.activemask", "i", 't', true},
    {"vgpu.exit", "v", 'm', false, false},
    {"vgpu.trap", "v", 'm', false, false},
    {"vgpu.assertfail", "vppip", 'm', false, false},
    {"vgpu.printf", "ipp", 'm', false},
    {"vgpu.malloc", "pl", 'm', false},
    {"vgpu.free", "vp", 'm', false},
    {"vgpu.nanosleep", "vi", 'm', true},
    {"vgpu.yield", "v", 'm', true},
    {"vgpu.texture", "4ll44", 'm', false},
    {"vgpu.check.access", "vplib", 'm', false},
}};

llvm::Type* typeOf(llvm::LLVMContext& context, char letter) {
  llvm::Type* i32 = llvm::Type::getInt32Ty(context);
  switch (letter) {
    case 'b':
      return llvm::Type::getInt1Ty(context);
    case 'i':
      return i32;
    case 'l':
      return llvm::Type::getInt64Ty(context);
    case 'p':
      return llvm::PointerType::get(context, 0);
    case 's':
      return llvm::StructType::get(i32, llvm::Type::getInt1Ty(context));
    case '4':
      return llvm::FixedVectorType::get(i32, 4);
    default:
      return llvm::Type::getVoidTy(context);
  }
}

void setEffects(llvm::Function& function, const Row& row) {
  function.setDoesNotThrow();
  if (row.effects == 'c') {
    function.setDoesNotAccessMemory();
    function.setWillReturn();
    function.addFnAttr(llvm::Attribute::Speculatable);
    return;
  }
  if (row.effects == 't') function.setOnlyAccessesInaccessibleMemory();
  if (row.suspends) function.setConvergent();
  if (!row.returns) function.setDoesNotReturn();
  if (row.returns && !row.suspends) function.setWillReturn();
}

}  // namespace

llvm::Function* marker(llvm::Module& module, Marker which) {
  const Row& row = kRows[static_cast<size_t>(which)];
  if (llvm::Function* known = module.getFunction(row.name)) {
    setEffects(*known, row);  // declared by hand, as in tests
    return known;
  }
  llvm::LLVMContext& context = module.getContext();
  llvm::SmallVector<llvm::Type*, 6> arguments;
  for (const char* letter = row.type + 1; *letter != '\0'; ++letter)
    arguments.push_back(typeOf(context, *letter));
  auto* type = llvm::FunctionType::get(typeOf(context, row.type[0]), arguments, false);
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, row.name, module);
  setEffects(*function, row);
  return function;
}

Marker markerOf(const llvm::Function* function) {
  if (!function || !function->getName().starts_with("vgpu.")) return Marker::Count;
  for (size_t i = 0; i < kRows.size(); ++i) {
    if (function->getName() == kRows[i].name) return static_cast<Marker>(i);
  }
  return Marker::Count;
}

Marker calledMarker(const llvm::Instruction& instruction) {
  const auto* call = llvm::dyn_cast<llvm::CallBase>(&instruction);
  return call ? markerOf(call->getCalledFunction()) : Marker::Count;
}

bool suspends(Marker which) { return which != Marker::Count && kRows[static_cast<size_t>(which)].suspends; }

}  // namespace vgpu::jit
