// Texture and surface objects: the driver's own values, because kernels receive them as parameters.
#include "shim/cuda/exported.h"
#include "shim/cuda/forward.h"
#include "shim/session/shared_state.h"

namespace vgpu::shim {
namespace {

struct TextureRecord {
  CUDA_RESOURCE_DESC resource;
  CUDA_TEXTURE_DESC texture;
  CUDA_RESOURCE_VIEW_DESC view;
  bool hasView;
};
constinit SharedState<std::map<uint64_t, TextureRecord>> textures;
constinit SharedState<std::map<uint64_t, CUDA_RESOURCE_DESC>> surfaces;

CUresult checkResource(Session& session, const CUDA_RESOURCE_DESC& resource) {
  switch (resource.resType) {
    case CU_RESOURCE_TYPE_ARRAY:
      return session.arrays.find(resource.res.array.hArray) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_MIPMAPPED_ARRAY:
      return session.mipmappedArrays.find(resource.res.mipmap.hMipmappedArray) ? CUDA_SUCCESS
                                                                               : CUDA_ERROR_INVALID_HANDLE;
    case CU_RESOURCE_TYPE_LINEAR:
      return session.allocations().covers(resource.res.linear.devPtr, resource.res.linear.sizeInBytes)
                 ? CUDA_SUCCESS
                 : CUDA_ERROR_INVALID_VALUE;
    case CU_RESOURCE_TYPE_PITCH2D: {
      const auto& pitched = resource.res.pitch2D;
      size_t span;
      if (__builtin_mul_overflow(pitched.pitchInBytes, pitched.height, &span))
        return CUDA_ERROR_INVALID_VALUE;
      return session.allocations().find(pitched.devPtr) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    }
  }
  return CUDA_ERROR_INVALID_VALUE;
}

template <class Record, class Out, class Get>
CUresult describe(SharedState<std::map<uint64_t, Record>>& objects, uint64_t object, Out* out, Get get) {
  if (!Session::get()) return CUDA_ERROR_NOT_INITIALIZED;
  const auto known = objects.lock();
  const auto entry = known->find(object);
  if (entry == known->end() || !out) return CUDA_ERROR_INVALID_VALUE;
  *out = get(entry->second);
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace vgpu::shim

using namespace vgpu::shim;
namespace call_number = vgpu::protocol::call;

VGPU_EXPORT CUresult cuTexObjectCreate(CUtexObject* out, const CUDA_RESOURCE_DESC* resource,
                                       const CUDA_TEXTURE_DESC* texture,
                                       const CUDA_RESOURCE_VIEW_DESC* view) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out || !resource || !texture) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = checkResource(*submission.session, *resource); status != CUDA_SUCCESS)
    return status;
  vgpu::protocol::messages::TextureCreate message{
      .resource = *resource, .texture = *texture, .view = {}, .hasView = view != nullptr, .unused = 0};
  if (view) message.view = *view;
  vgpu::protocol::messages::ObjectReply reply{};
  const CUresult status = callMessage<call_number::TextureCreate>(submission, message, reply);
  if (status != CUDA_SUCCESS) return status;
  *out = reply.object;
  (*textures.lock())[reply.object] = {*resource, *texture, message.view, view != nullptr};
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuTexObjectDestroy(CUtexObject object) {
  const CUresult status = Forward<call_number::cuTexObjectDestroy>::call(object);
  if (status == CUDA_SUCCESS) textures.lock()->erase(object);
  return status;
}

VGPU_EXPORT CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUtexObject object) {
  return describe(textures, object, out, [](const TextureRecord& record) { return record.resource; });
}
VGPU_EXPORT CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* out, CUtexObject object) {
  return describe(textures, object, out, [](const TextureRecord& record) { return record.texture; });
}
VGPU_EXPORT CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* out, CUtexObject object) {
  return describe(textures, object, out, [](const TextureRecord& record) { return record.view; });
}

VGPU_EXPORT CUresult cuSurfObjectCreate(CUsurfObject* out, const CUDA_RESOURCE_DESC* resource) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  if (!out || !resource || resource->resType != CU_RESOURCE_TYPE_ARRAY) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult status = checkResource(*submission.session, *resource); status != CUDA_SUCCESS)
    return status;
  vgpu::protocol::messages::ObjectReply reply{};
  const CUresult status = callMessage<call_number::SurfaceCreate>(submission, {*resource}, reply);
  if (status != CUDA_SUCCESS) return status;
  *out = reply.object;
  (*surfaces.lock())[reply.object] = *resource;
  return CUDA_SUCCESS;
}

VGPU_EXPORT CUresult cuSurfObjectDestroy(CUsurfObject object) {
  const CUresult status = Forward<call_number::cuSurfObjectDestroy>::call(object);
  if (status == CUDA_SUCCESS) surfaces.lock()->erase(object);
  return status;
}

VGPU_EXPORT CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* out, CUsurfObject object) {
  return describe(surfaces, object, out, [](const CUDA_RESOURCE_DESC& resource) { return resource; });
}

VGPU_EXPORT CUresult cuMipmappedArrayGetLevel(CUarray* out, CUmipmappedArray value, unsigned level) {
  Submission submission;
  if (const CUresult status = enterContext(submission); status != CUDA_SUCCESS) return status;
  MipmappedArray* mipmapped = submission.session->mipmappedArrays.find(value);
  if (!mipmapped) return CUDA_ERROR_INVALID_HANDLE;
  if (!out) return CUDA_ERROR_INVALID_VALUE;
  auto* array = new Array;
  array->context = submission.context;
  array->handle = submission.session->arrays.insert(array);
  const CUresult status = callMessage<call_number::MipmappedGetLevel>(
      submission, {mipmapped->handle.bits(), array->handle.bits(), level, 0});
  if (status != CUDA_SUCCESS) {
    delete submission.session->arrays.remove(array->handle);
    return status;
  }
  *out = reinterpret_cast<CUarray>(array->handle.bits());
  return CUDA_SUCCESS;
}
