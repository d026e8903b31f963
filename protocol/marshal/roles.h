// What each argument of a forwarded call is. A row of the call table names one role an argument; shim and
// executor each give every role its behaviour (GuestRole, HostRole), the wire form is the same for both.
//
//   role          argument         on the wire        guest                     executor
//   In            T                T                  as it is                  as it is
//   InPointee     const T*         T                  null: INVALID_VALUE       address of a private copy
//   Out           T*               reply: T           null: INVALID_VALUE       address of a private result
//   OutOptional   T* or null       u8; reply: T       null allowed              null or a private result
//   Address       CUdeviceptr      u64                must lie in an allocation must lie in an allocation
//   Name          const char*      u32 count, bytes   null: INVALID_VALUE       zero-terminated copy
//   Use<kind>     CUstream, ...    u64 handle         must be live              looked up
//   New<kind>     CUstream*, ...   u64 handle         assigned by the guest     driver's object stored under
//   it End<kind>     CUstream, ...    u64 handle         taken out of the map      removed when the call
//   succeeded
//
// Arguments are encoded in their order, each at its natural alignment. A reply holds the results in their
// order when its status is CUDA_SUCCESS, and nothing otherwise; an OutOptional that was not asked for is a
// zero in it.
#pragma once

#include "protocol/marshal/handle.h"

namespace vgpu::protocol::roles {

struct In {};
struct InPointee {};
struct Out {};
struct OutOptional {};
struct Address {};
struct Name {};
template <Kind kind>
struct Use {};
template <Kind kind>
struct New {};
template <Kind kind>
struct End {};

using Stream = Use<Kind::Stream>;
using Event = Use<Kind::Event>;
using Module = Use<Kind::Module>;
using Function = Use<Kind::Function>;
using Library = Use<Kind::Library>;
using Kernel = Use<Kind::Kernel>;
using Context = Use<Kind::Context>;
using Array = Use<Kind::Array>;
using Mipmapped = Use<Kind::MipmappedArray>;

}  // namespace vgpu::protocol::roles
