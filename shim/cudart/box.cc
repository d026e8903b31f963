#include "shim/cudart/box.h"

#include "shim/cudart/channel.h"
#include "shim/cudart/driver.h"
#include "shim/cudart/state.h"

namespace vgpu::cudart {
namespace {

Side sideOf(cudaArray_const_t array, cudaPos position, const cudaPitchedPtr& pointer, CUmemorytype type) {
  if (array != nullptr) return Side::of(array, position.x, position.y, position.z);
  return {.type = type,
          .pointer = pointer.ptr,
          .array = nullptr,
          .x = position.x,
          .y = position.y,
          .z = position.z,
          .pitch = pointer.pitch,
          .rows = pointer.ysize};
}

Side sideOf(const cudaMemcpy3DOperand& operand, const cudaExtent& extent, size_t bytesPerElement) {
  if (operand.type == cudaMemcpyOperandTypeArray) {
    const auto& offset = operand.op.array.offset;
    return Side::of(operand.op.array.array, offset.x, offset.y, offset.z);
  }
  const auto& linear = operand.op.ptr;
  Side side = Side::linear(CU_MEMORYTYPE_UNIFIED, linear.ptr,
                           (linear.rowLength != 0 ? linear.rowLength : extent.width) * bytesPerElement);
  side.rows = linear.layerHeight != 0 ? linear.layerHeight : extent.height;
  return side;
}

// An extent counts elements of the array that takes part, of the destination's if both are arrays, else
// bytes.
cudaError_t extentBytesOf(const Side& to, const Side& from, size_t* bytes) {
  return elementBytesOf(to.array != nullptr ? to.array : from.array, bytes);
}

// The x offset of an array is in elements and that of the driver in bytes.
cudaError_t scaleOffset(Side* side) {
  size_t bytes = 1;
  cudaError_t error = elementBytesOf(side->array, &bytes);
  side->x *= bytes;
  return error;
}

cudaError_t assemble(Side to, Side from, const cudaExtent& extent, CUDA_MEMCPY3D* copy) {
  size_t bytes = 1;
  cudaError_t error = extentBytesOf(to, from, &bytes);
  if (error == cudaSuccess) error = scaleOffset(&to);
  if (error == cudaSuccess) error = scaleOffset(&from);
  if (error == cudaSuccess) *copy = boxCopy(to, from, extent.width * bytes, extent.height, extent.depth);
  return error;
}

}  // namespace

cudaError_t directions(cudaMemcpyKind kind, CUmemorytype* to, CUmemorytype* from) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      *to = CU_MEMORYTYPE_HOST, *from = CU_MEMORYTYPE_HOST;
      return cudaSuccess;
    case cudaMemcpyHostToDevice:
      *to = CU_MEMORYTYPE_DEVICE, *from = CU_MEMORYTYPE_HOST;
      return cudaSuccess;
    case cudaMemcpyDeviceToHost:
      *to = CU_MEMORYTYPE_HOST, *from = CU_MEMORYTYPE_DEVICE;
      return cudaSuccess;
    case cudaMemcpyDeviceToDevice:
      *to = CU_MEMORYTYPE_DEVICE, *from = CU_MEMORYTYPE_DEVICE;
      return cudaSuccess;
    case cudaMemcpyDefault:
      *to = CU_MEMORYTYPE_UNIFIED, *from = CU_MEMORYTYPE_UNIFIED;
      return cudaSuccess;
    default:
      return cudaErrorInvalidMemcpyDirection;
  }
}

cudaError_t elementBytesOf(CUarray array, size_t* bytes) {
  *bytes = 1;
  if (array == nullptr) return cudaSuccess;
  CUDA_ARRAY3D_DESCRIPTOR descriptor{};
  CUresult result = driver::cuArray3DGetDescriptor_v2(&descriptor, array);
  if (result != CUDA_SUCCESS) return toRuntime(result);
  *bytes = elementBytes(descriptor.Format, descriptor.NumChannels);
  return *bytes != 0 ? cudaSuccess : cudaErrorInvalidValue;
}

CUDA_MEMCPY3D boxCopy(const Side& to, const Side& from, size_t widthBytes, size_t height, size_t depth) {
  CUDA_MEMCPY3D copy{};
  copy.srcXInBytes = from.x;
  copy.srcY = from.y;
  copy.srcZ = from.z;
  copy.srcMemoryType = from.type;
  copy.srcHost = from.type == CU_MEMORYTYPE_HOST ? from.pointer : nullptr;
  copy.srcDevice = from.type == CU_MEMORYTYPE_HOST ? 0 : reinterpret_cast<CUdeviceptr>(from.pointer);
  copy.srcArray = from.array;
  copy.srcPitch = from.pitch;
  copy.srcHeight = from.rows;
  copy.dstXInBytes = to.x;
  copy.dstY = to.y;
  copy.dstZ = to.z;
  copy.dstMemoryType = to.type;
  copy.dstHost = to.type == CU_MEMORYTYPE_HOST ? const_cast<void*>(to.pointer) : nullptr;
  copy.dstDevice = to.type == CU_MEMORYTYPE_HOST ? 0 : reinterpret_cast<CUdeviceptr>(to.pointer);
  copy.dstArray = to.array;
  copy.dstPitch = to.pitch;
  copy.dstHeight = to.rows;
  copy.WidthInBytes = widthBytes;
  copy.Height = height;
  copy.Depth = depth;
  return copy;
}

cudaError_t boxCopy(const cudaMemcpy3DParms& parameters, CUDA_MEMCPY3D* copy) {
  bool toTwice = (parameters.dstArray != nullptr) == (parameters.dstPtr.ptr != nullptr);
  bool fromTwice = (parameters.srcArray != nullptr) == (parameters.srcPtr.ptr != nullptr);
  if (toTwice || fromTwice) return cudaErrorInvalidValue;
  CUmemorytype to{};
  CUmemorytype from{};
  if (cudaError_t error = directions(parameters.kind, &to, &from); error != cudaSuccess) return error;
  return assemble(sideOf(parameters.dstArray, parameters.dstPos, parameters.dstPtr, to),
                  sideOf(parameters.srcArray, parameters.srcPos, parameters.srcPtr, from), parameters.extent,
                  copy);
}

cudaError_t boxCopy(const cudaMemcpy3DPeerParms& parameters, CUDA_MEMCPY3D_PEER* copy) {
  cudaMemcpy3DParms plain{};
  plain.srcArray = parameters.srcArray;
  plain.srcPos = parameters.srcPos;
  plain.srcPtr = parameters.srcPtr;
  plain.dstArray = parameters.dstArray;
  plain.dstPos = parameters.dstPos;
  plain.dstPtr = parameters.dstPtr;
  plain.extent = parameters.extent;
  plain.kind = cudaMemcpyDeviceToDevice;
  CUDA_MEMCPY3D box{};
  cudaError_t error = boxCopy(plain, &box);
  *copy = {};
  copy->srcXInBytes = box.srcXInBytes, copy->srcY = box.srcY, copy->srcZ = box.srcZ;
  copy->srcMemoryType = box.srcMemoryType, copy->srcDevice = box.srcDevice, copy->srcArray = box.srcArray;
  copy->srcPitch = box.srcPitch, copy->srcHeight = box.srcHeight;
  copy->dstXInBytes = box.dstXInBytes, copy->dstY = box.dstY, copy->dstZ = box.dstZ;
  copy->dstMemoryType = box.dstMemoryType, copy->dstDevice = box.dstDevice, copy->dstArray = box.dstArray;
  copy->dstPitch = box.dstPitch, copy->dstHeight = box.dstHeight;
  copy->WidthInBytes = box.WidthInBytes, copy->Height = box.Height, copy->Depth = box.Depth;
  if (error == cudaSuccess) error = primaryContext(parameters.srcDevice, &copy->srcContext);
  if (error == cudaSuccess) error = primaryContext(parameters.dstDevice, &copy->dstContext);
  return error;
}

cudaError_t boxCopy(const cudaMemcpy3DBatchOp& operation, CUDA_MEMCPY3D* copy) {
  size_t bytes = 1;
  CUarray array = nullptr;
  for (const cudaMemcpy3DOperand* operand : {&operation.dst, &operation.src}) {
    if (array == nullptr && operand->type == cudaMemcpyOperandTypeArray) {
      array = reinterpret_cast<CUarray>(operand->op.array.array);
    }
  }
  if (cudaError_t error = elementBytesOf(array, &bytes); error != cudaSuccess) return error;
  return assemble(sideOf(operation.dst, operation.extent, bytes),
                  sideOf(operation.src, operation.extent, bytes), operation.extent, copy);
}

bool isEmpty(const CUDA_MEMCPY3D& copy) {
  return copy.WidthInBytes == 0 || copy.Height == 0 || copy.Depth == 0;
}

}  // namespace vgpu::cudart
