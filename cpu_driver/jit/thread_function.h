// The thread function: a kernel as LLVM IR for ONE thread, made by jit/translate, turned into code by a form.
// Runs inside libvgpu-jit.so on the thread that compiles; the PTX was checked before; the caller owns the
// LLVMContext.
//
// Shape. The entry is `define void @NAME(ptr %thread)`; each device function it calls is an `internal`
// function whose FIRST argument is the same `ptr %thread`, followed by its own parameters. Translated code
// never dereferences %thread: whatever depends on the execution model is a call to a marker below. Declare
// markers with marker(), which gives them their attributes. Everything else is plain LLVM IR:
//  - `.local` variables and call parameters are allocas in the entry block of their function (local addresses
//  are
//    generic addresses; cvta.local is the identity). PTX `alloca` is a dynamic alloca (fibers only).
//  - `.shared` variables have offsets from vgpu.shared.base, given by the translator; dynamic shared memory
//  starts at
//    sharedBytes rounded up to its alignment (dynamicSharedOffset).
//  - kernel parameters are loads from vgpu.param.base, marked !invariant.load; also ld.const, ld.global.nc.
//  - an indirect call is a `switch` over the function ids whose prototype fits, each case a direct call,
//  default vgpu.trap.
//  - `exit` is vgpu.exit followed by unreachable; in the entry, `ret void` is enough.
//  - atomics are atomicrmw and cmpxchg; ld.volatile, ld.relaxed, ld.acquire are atomic loads (monotonic or
//  stronger) or
//    volatile: this is how spinning loops are recognised.
//  - inline assembly, library calls (llvm.sin and its like), thread-local or writable globals must not
//  appear. Constant
//    private globals (tables) may. llvm.sqrt, fma, fabs, floor, ceil, trunc, rint, nearbyint, copysign,
//    minnum, maxnum, minimum, maximum, ctpop, ctlz, cttz, bitreverse, bswap, fshl, fshr, *sat and
//    *.with.overflow may; memcpy may.
#pragma once

#include <llvm/IR/Module.h>

#include <cstdint>
#include <memory>
#include <string>

namespace vgpu::jit {

struct ThreadFunction {
  std::unique_ptr<llvm::Module> module;
  std::string entry;                 // name of the entry in `module`
  uint32_t sharedBytes = 0;          // static shared memory
  uint32_t dynamicSharedOffset = 0;  // where extern shared memory begins, >= sharedBytes
};

// Metadata of a load or store that is an element of a vector access: the alignment that PTX wants of its
// address.
inline constexpr const char* kVectorAlignment = "vgpu.vector.alignment";

enum class Marker {
  // Special registers. i32 (), the same for a thread's whole life.
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,  // vgpu.tid.x ...
  LaneId,   // vgpu.laneid
  WarpId,   // vgpu.warpid
  NwarpId,  // vgpu.nwarpid: warps a block
  SmId,
  NsmId,          // vgpu.smid, vgpu.nsmid
  GridId,         // vgpu.gridid: i64 ()
  GridWorkspace,  // vgpu.grid.workspace: i64 (), address of a cooperative grid's workspace or 0 (%envreg1 and
                  // 2)
  DynamicSharedSize,  // vgpu.dynamic.shared.size: bytes of dynamic shared memory
  // Addresses.
  SharedBase,  // vgpu.shared.base: ptr (), of the block's shared memory
  ParamBase,   // vgpu.param.base: ptr (), of the kernel's parameters
  Symbol,      // vgpu.symbol: ptr (i32 index), of the module's variable with that index (ptx/ir.h)
  IsShared,
  IsLocal,
  IsConstant,  // vgpu.is.shared ...: i1 (ptr generic), isspacep. Param: compare by the translator
  // Time, not the same twice.
  Clock,        // vgpu.clock: i64 (), cycles
  GlobalTimer,  // vgpu.globaltimer: i64 (), nanoseconds
  // Barriers of the block: suspension points. id 0..15; count of threads (a multiple of 32), 0: all threads.
  Barrier,        // vgpu.barrier: void (i32 id, i32 count), bar.sync and barrier.sync
  BarrierArrive,  // vgpu.barrier.arrive: void (i32 id, i32 count), does not wait
  BarrierReduce,  // vgpu.barrier.reduce: i32 (i32 operation, i32 id, i32 count, i1 predicate);
                  // ReduceOperation, 0 or 1 but for Popc
  // Operations of a warp: suspension points. `mask` names the lanes that take part; exited lanes count as
  // arrived.
  WarpSync,  // vgpu.warpsync: void (i32 mask), bar.warp.sync
  Shuffle,   // vgpu.shfl: { i32, i1 } (i32 mode, i32 mask, i32 value, i32 b, i32 c); ShuffleMode; b and c as
             // in PTX
  Vote,      // vgpu.vote: i32 (i32 mode, i32 mask, i1 predicate); VoteMode; 0 or 1 but for Ballot
  MatchAny,  // vgpu.match.any: i32 (i32 mask, i64 value), also for 32 bits, zero extended
  MatchAll,  // vgpu.match.all: { i32, i1 } (i32 mask, i64 value)
  Redux,     // vgpu.redux: i32 (i32 operation, i32 mask, i32 value); ReduxOperation
  Matrix,    // vgpu.matrix: void (i64 operation, ptr registers), of all lanes; kernel/matrix_operation.h's
             // MatrixOperation, a constant, and the lane's MatrixRegisters
  ActiveMask,  // vgpu.activemask: i32 (), no rendezvous
  // Ends of a thread. Not returning: follow with unreachable.
  Exit,        // vgpu.exit: void ()
  Trap,        // vgpu.trap: void (), the launch fails
  AssertFail,  // vgpu.assertfail: void (ptr message, ptr file, i32 line, ptr function)
  // Services.
  Printf,  // vgpu.printf: i32 (ptr format, ptr arguments), vprintf
  Malloc,
  Free,       // vgpu.malloc: ptr (i64), vgpu.free: void (ptr)
  NanoSleep,  // vgpu.nanosleep: void (i32 nanoseconds), lets others run
  Yield,      // vgpu.yield: void (), lets others run; the forms put it into spinning loops themselves
  Texture,    // vgpu.texture: <4 x i32> (i64 handle, i64 operation, <4 x i32> coordinates, <4 x i32> extra)
              //   operation: kernel/texture_operation.h; also surfaces; unused registers are zero
  // Checks, put in by the forms: void (ptr address, i64 bytes, i1 write).
  CheckAccess,  // vgpu.check.access: void (ptr address, i64 bytes, i32 alignment, i1 write), put in by
                // shape.cc
  Count
};

// Values of `mode` and `operation` arguments, which are constants.
enum class ReduceOperation : uint32_t { Popc, And, Or };
enum class ShuffleMode : uint32_t { Up, Down, Bfly, Idx };
enum class VoteMode : uint32_t { Ballot, All, Any, Uni };
enum class ReduxOperation : uint32_t { Add, MinSigned, MaxSigned, MinUnsigned, MaxUnsigned, And, Or, Xor };

// The marker's declaration in `module`, made on first use.
llvm::Function* marker(llvm::Module& module, Marker which);
// The marker that `function` declares, or Count.
Marker markerOf(const llvm::Function* function);
// The marker called by `instruction`, or Count.
Marker calledMarker(const llvm::Instruction& instruction);
// Whether a thread that reaches it waits for others.
bool suspends(Marker which);

}  // namespace vgpu::jit
