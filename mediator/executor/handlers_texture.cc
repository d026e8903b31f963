// Textures, surfaces and levels of mipmapped arrays: the vendor's descriptions with our handles put in place.
#include <cstring>

#include "mediator/executor/handlers.h"

namespace vgpu::executor {
namespace {

// Puts the driver's objects where the guest wrote handles; checks the range of plain memory.
CUresult resolveResource(Execution& execution, const Submission& s, CUDA_RESOURCE_DESC& resource) {
  uint32_t type;  // as a number: the guest may have written anything
  std::memcpy(&type, &resource.resType, sizeof type);
  switch (type) {
    case CU_RESOURCE_TYPE_ARRAY: {
      const auto* array =
          execution.find<Kind::Array>(s, reinterpret_cast<uint64_t>(resource.res.array.hArray));
      if (!array) return CUDA_ERROR_INVALID_HANDLE;
      resource.res.array.hArray = array->driver;
      return CUDA_SUCCESS;
    }
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY: {
      const auto* array = execution.find<Kind::MipmappedArray>(
          s, reinterpret_cast<uint64_t>(resource.res.mipmap.hMipmappedArray));
      if (!array) return CUDA_ERROR_INVALID_HANDLE;
      resource.res.mipmap.hMipmappedArray = array->driver;
      return CUDA_SUCCESS;
    }
    case CU_RESOURCE_TYPE_LINEAR:
      return execution.covers(s, resource.res.linear.devPtr, resource.res.linear.sizeInBytes)
                 ? CUDA_SUCCESS
                 : CUDA_ERROR_INVALID_VALUE;
    case CU_RESOURCE_TYPE_PITCH2D: {
      const auto& plane = resource.res.pitch2D;
      uint64_t bytes;
      if (__builtin_mul_overflow(plane.pitchInBytes, plane.height, &bytes)) return CUDA_ERROR_INVALID_VALUE;
      // The last row need not be padded to the pitch: the first byte of it is what must be there.
      const uint64_t needed = bytes >= plane.pitchInBytes ? bytes - plane.pitchInBytes + 1 : 0;
      return execution.covers(s, plane.devPtr, needed) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

}  // namespace

void handleTextureCreate(Execution& execution, Submission& s,
                         const protocol::messages::TextureCreate& message, Decoder&) {
  CUDA_RESOURCE_DESC resource = message.resource;
  CUresult status = resolveResource(execution, s, resource);
  if (execution.lied()) return;
  CUtexObject texture = 0;
  if (status == CUDA_SUCCESS) {
    status = execution.driver.cuTexObjectCreate(&texture, &resource, &message.texture,
                                                message.hasView ? &message.view : nullptr);
  }
  execution.replyWith(s, status, protocol::messages::ObjectReply{texture});
}

void handleSurfaceCreate(Execution& execution, Submission& s,
                         const protocol::messages::SurfaceCreate& message, Decoder&) {
  CUDA_RESOURCE_DESC resource = message.resource;
  CUresult status = resolveResource(execution, s, resource);
  if (execution.lied()) return;
  CUsurfObject surface = 0;
  if (status == CUDA_SUCCESS) status = execution.driver.cuSurfObjectCreate(&surface, &resource);
  execution.replyWith(s, status, protocol::messages::ObjectReply{surface});
}

void handleMipmappedGetLevel(Execution& execution, Submission& s,
                             const protocol::messages::MipmappedGetLevel& message, Decoder&) {
  const auto* mipmapped = execution.find<Kind::MipmappedArray>(s, message.mipmapped);
  if (execution.lied() || !execution.isFree<Kind::Array>(s, message.array)) return;
  if (!mipmapped) return execution.reply(s, CUDA_ERROR_INVALID_HANDLE);
  CUarray level = nullptr;
  const CUresult status = execution.driver.cuMipmappedArrayGetLevel(&level, mipmapped->driver, message.level);
  if (status == CUDA_SUCCESS) {
    execution.objects.arrays.insert(Handle(message.array),
                                    std::make_unique<ArrayObject>(ArrayObject{level, nullptr, s.context}));
  }
  execution.reply(s, status);
}

}  // namespace vgpu::executor
