// Arguments and replies of the rows that are ours (MESSAGE). All are plain, fixed layouts; they come from an
// untrusted guest into the executor, where sizes and handles are checked before use. Sizes in bytes,
// addresses in the session's range. CopyDownload, CopyBoxDownload and ReadHost are answered through the slot
// that they attached (one completion a record, bytes first, then status); all other rows through the thread's
// mailbox.
#pragma once

#include <cstdint>

#include "protocol/abi/cuda.h"

namespace vgpu::protocol::messages {

struct Nothing {};

// From now on the records of this guest thread run in `context` (0: none).
struct ThreadContext {
  uint64_t context;
};
// The guest thread is gone; its record in the executor can be reused.
struct ThreadEnded {
  uint64_t unused;
};
// Retains the primary context of `device` under the handle that the guest chose for it (the same one every
// time).
struct PrimaryRetain {
  uint64_t context;
  int32_t device;
  uint32_t unused;
};
struct PrimaryRelease {
  int32_t device;
};
struct PrimaryReset {
  int32_t device;
};
struct ContextCreate {
  uint64_t context;
  uint32_t flags;
  int32_t device;
};

// Device memory at `address`, both multiples of the granularity of the welcome.
struct MapDevice {
  uint64_t address;
  uint64_t sizeBytes;
  int32_t device;
  uint32_t unused;
};
// Waits for the work of the context, as cuMemFree does, then takes the memory away.
struct UnmapDevice {
  uint64_t address;
};
// In stream order: what precedes in the stream may still use the range that is unmapped.
struct MapDeviceAsync {
  uint64_t address;
  uint64_t sizeBytes;
  uint64_t stream;
  int32_t device;
  uint32_t unused;
};
struct UnmapDeviceAsync {
  uint64_t address;
  uint64_t stream;
};
// Page-locked host memory at `address`: where the carrier shares memory, the region `region` holds it and the
// guest maps it.
struct HostAlloc {
  uint64_t address;
  uint64_t sizeBytes;
  uint32_t flags;
  uint32_t region;
};
struct HostFree {
  uint64_t address;
};
// Managed memory, as HostAlloc.
struct ManagedAlloc {
  uint64_t address;
  uint64_t sizeBytes;
  uint32_t flags;
  uint32_t region;
};
// The program's own memory of `sizeBytes` at guest address `guest`; the device sees its shadow at `address`.
struct HostRegister {
  uint64_t address;
  uint64_t sizeBytes;
  uint64_t guest;
  uint32_t flags;
  uint32_t unused;
};
struct HostUnregister {
  uint64_t address;
};
// Bytes of host memory that the carrier does not share (pinned and managed on byte streams, shadows of
// registered memory).
struct WriteHost {
  uint64_t address;
};  // attached data: the new bytes
struct ReadHost {
  uint64_t address;
  uint64_t sizeBytes;
};  // attached download
struct SetAccess {
  uint64_t address;
  uint64_t sizeBytes;
  CUmemAccessDesc access;
};

// Pageable memory to the session's: attached data goes to `destination` in stream order.
struct CopyUpload {
  uint64_t destination;
  uint64_t stream;
};
// The session's memory to pageable: the download is filled in stream order.
struct CopyDownload {
  uint64_t source;
  uint64_t sizeBytes;
  uint64_t stream;
};
// One side of a 2D or 3D copy. `attached`: the rows lie packed in the record's data (no pitch of their own).
enum class Place : uint32_t { Attached, Memory, Array };
struct BoxSide {
  Place place;
  uint32_t level;
  uint64_t base;          // address, or handle of an array
  uint64_t pitchBytes;    // of Memory
  uint64_t rows;          // of Memory: rows a slice
  uint64_t xBytes, y, z;  // where the box begins
};
struct CopyBox {
  BoxSide source, destination;
  uint64_t widthBytes, height, depth;
  uint64_t stream;
};
using CopyBoxDownload = CopyBox;

// Attached data is the next part of the blob. A blob is used up by the call that names it.
struct BlobAppend {
  uint32_t blob;
  uint32_t unused;
  uint64_t totalBytes;
};
// JIT options by value; the logs come back in the download, error log first.
struct JitOptions {
  uint32_t maxRegisters, threadsPerBlock, optimizationLevel, target;  // ~0u: not given
  uint32_t generateDebugInfo, generateLineInfo, logVerbose, fallback;
  uint32_t errorLogBytes, infoLogBytes;  // sizes of the guest's buffers, at most 64 KiB each
};
struct ModuleLoad {
  uint64_t module;
  uint32_t blob;
  uint32_t hasOptions;
  JitOptions options;
};
struct LoadReply {
  uint32_t errorLogBytes, infoLogBytes;
};  // what the logs hold; data in the download
struct LibraryLoad {
  uint64_t library;
  uint32_t blob;
  uint32_t hasOptions;
  JitOptions options;
  uint32_t preserveBinary;
  uint32_t unused;
};
// Followed by the name (Encoder::putString, at the next multiple of 4). The download is a FunctionInfo and
// its parameters.
struct ModuleGetFunction {
  uint64_t module;
  uint64_t function;
};
struct LibraryGetKernel {
  uint64_t library;
  uint64_t kernel;
};
struct KernelGetFunction {
  uint64_t kernel;
  uint64_t function;
};
struct LibraryGetModule {
  uint64_t library;
  uint64_t module;
};
struct Parameter {
  uint32_t offset, sizeBytes;
};
constexpr uint32_t kFunctionAttributes = 16;  // CU_FUNC_ATTRIBUTE_*: 0 to 15 in CUDA 13
struct FunctionInfo {
  uint32_t parameterCount, parameterBytes;
  int32_t attributes[kFunctionAttributes];
};  // then Parameter[parameterCount]
struct LinkCreate {
  uint64_t link;
  JitOptions options;
};
struct LinkAdd {
  uint64_t link;
  uint32_t type;
  uint32_t blob;
};  // followed by the name, as above
struct LinkComplete {
  uint64_t link;
};
struct LinkCompleteReply {
  uint64_t imageBytes;
  uint32_t errorLogBytes, infoLogBytes;
};
struct LinkRead {
  uint64_t link;
  uint64_t offset;
  uint64_t sizeBytes;
  uint32_t what;
  uint32_t unused;
};  // what: 0 image, 1 error log, 2 info log
// Names of a module's or library's functions, zero-terminated, from `first` on, as many as fit the download.
struct FunctionNames {
  uint64_t owner;
  uint32_t first;
  uint32_t unused;
};
struct FunctionNamesReply {
  uint32_t count;
  uint32_t total;
  uint32_t usedBytes;
};

// A kernel launch. Followed by `attributeCount` LaunchAttribute, then the parameter block (attached data when
// `parametersAttached`). The block is laid out as the function's own parameter table says.
enum LaunchFlags : uint8_t { kCooperative = 1, kParametersAttached = 2 };
struct Launch {
  uint64_t function;  // handle of a function, or of a kernel
  uint64_t stream;
  uint32_t grid[3];
  uint16_t block[3];
  uint8_t flags;
  uint8_t attributeCount;
  uint32_t sharedBytes;
  uint32_t parameterBytes;
};
struct LaunchAttribute {
  uint32_t id;
  uint32_t unused;
  uint8_t value[64];
};
// When all that precedes in the stream is done, the record's sequence number appears as retired[slot].
struct Mark {
  uint64_t stream;
  uint32_t slot;
  uint32_t unused;
};
// A host function: the guest is sent HostFunctionCall{token}; the stream goes on after
// HostFunctionDone{token}.
struct HostFunction {
  uint64_t stream;
  uint64_t token;
};
struct HostFunctionDone {
  uint64_t token;
};
struct EventRecord {
  uint64_t event;
  uint64_t stream;
  uint32_t slot;
  uint32_t flags;
};
// `graph`: the handle under which the captured work is kept.
struct EndCapture {
  uint64_t stream;
  uint64_t graph;
};
struct ExchangeCaptureMode {
  uint32_t mode;
};
struct ExchangeCaptureModeReply {
  uint32_t mode;
};

// Resource: the vendor's description with array handles as the guest assigned them.
struct TextureCreate {
  CUDA_RESOURCE_DESC resource;
  CUDA_TEXTURE_DESC texture;
  CUDA_RESOURCE_VIEW_DESC view;
  uint32_t hasView;
  uint32_t unused;
};
struct SurfaceCreate {
  CUDA_RESOURCE_DESC resource;
};
struct ObjectReply {
  uint64_t object;
};
struct MipmappedGetLevel {
  uint64_t mipmapped;
  uint64_t array;
  uint32_t level;
  uint32_t unused;
};

}  // namespace vgpu::protocol::messages

namespace vgpu::protocol::events {

// Kinds of what the executor sends to the guest unasked. The guest checks them like any bytes from a peer.
enum class EventKind : uint16_t { HostFunctionCall = 1, Output = 2, LogLine = 3, ContextFailed = 4 };
struct HostFunctionCall {
  uint64_t token;
};
struct Output {
  int32_t fd;
  uint32_t unused;
};  // 1 or 2, followed by the bytes that the device code printed
// Work of this context failed asynchronously. Posted before the numbers of that work appear as retired, so
// that a query which is answered Local can tell failure from success.
struct ContextFailed {
  uint64_t context;
  int32_t status;
  uint32_t unused;
};

}  // namespace vgpu::protocol::events
