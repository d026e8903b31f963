#include <cstring>

#include "tests/conformance/conformance.h"

namespace vgpu::conformance {
namespace {

const Covers covers{"TextureCreate",           "SurfaceCreate",
                    "MipmappedGetLevel",       "cuArrayCreate_v2",
                    "cuArray3DCreate_v2",      "cuArrayDestroy",
                    "cuArrayGetDescriptor_v2", "cuArray3DGetDescriptor_v2",
                    "cuMipmappedArrayCreate",  "cuMipmappedArrayDestroy",
                    "cuTexObjectDestroy",      "cuSurfObjectDestroy"};

TEST_F(Conformance, ArraysKeepTheirRows) {
  const CUDA_ARRAY_DESCRIPTOR shape{8, 4, CU_AD_FORMAT_UNSIGNED_INT32, 1};
  CUarray array;
  OK(cuArrayCreate_v2(&array, &shape));
  CUDA_ARRAY_DESCRIPTOR told{};
  OK(cuArrayGetDescriptor_v2(&told, array));
  EXPECT_EQ(told.Width, 8u);
  EXPECT_EQ(told.Height, 4u);
  unsigned in[4][8], out[4][8] = {};
  for (unsigned i = 0; i < 32; ++i) in[i / 8][i % 8] = i;
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in;
  copy.srcPitch = sizeof in[0];
  copy.dstMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.dstArray = array;
  copy.WidthInBytes = sizeof in[0];
  copy.Height = 4;
  OK(cuMemcpy2D_v2(&copy));
  std::memset(&copy, 0, sizeof copy);
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  copy.srcArray = array;
  copy.dstMemoryType = CU_MEMORYTYPE_HOST;
  copy.dstHost = out;
  copy.dstPitch = sizeof out[0];
  copy.WidthInBytes = sizeof out[0];
  copy.Height = 4;
  OK(cuMemcpy2D_v2(&copy));
  EXPECT_EQ(std::memcmp(in, out, sizeof in), 0);
  OK(cuArrayDestroy(array));
  REFUSED(CUDA_ERROR_INVALID_HANDLE, cuArrayDestroy(array));
}

TEST_F(Conformance, TexturesAndSurfacesAreMadeOverArrays) {
  CUDA_ARRAY3D_DESCRIPTOR shape{};
  shape.Width = 16;
  shape.Height = 16;
  shape.Format = CU_AD_FORMAT_FLOAT;
  shape.NumChannels = 1;
  shape.Flags = CUDA_ARRAY3D_SURFACE_LDST;
  CUarray array;
  OK(cuArray3DCreate_v2(&array, &shape));
  CUDA_ARRAY3D_DESCRIPTOR told{};
  OK(cuArray3DGetDescriptor_v2(&told, array));
  EXPECT_EQ(told.Width, 16u);
  CUDA_RESOURCE_DESC resource{};
  resource.resType = CU_RESOURCE_TYPE_ARRAY;
  resource.res.array.hArray = array;
  CUDA_TEXTURE_DESC texture{};
  texture.addressMode[0] = texture.addressMode[1] = texture.addressMode[2] = CU_TR_ADDRESS_MODE_CLAMP;
  CUtexObject object;
  OK(cuTexObjectCreate(&object, &resource, &texture, nullptr));
  CUDA_RESOURCE_DESC back{};
  OK(cuTexObjectGetResourceDesc(&back, object));
  EXPECT_EQ(back.res.array.hArray, array);
  OK(cuTexObjectDestroy(object));
  CUsurfObject surface;
  OK(cuSurfObjectCreate(&surface, &resource));
  OK(cuSurfObjectDestroy(surface));
  OK(cuArrayDestroy(array));
}

TEST_F(Conformance, MipmappedArraysHaveLevels) {
  CUDA_ARRAY3D_DESCRIPTOR shape{};
  shape.Width = 32;
  shape.Height = 32;
  shape.Format = CU_AD_FORMAT_UNSIGNED_INT8;
  shape.NumChannels = 4;
  CUmipmappedArray mipmapped;
  OK(cuMipmappedArrayCreate(&mipmapped, &shape, 3));
  CUarray level;
  OK(cuMipmappedArrayGetLevel(&level, mipmapped, 1));
  CUDA_ARRAY_DESCRIPTOR told{};
  OK(cuArrayGetDescriptor_v2(&told, level));
  EXPECT_EQ(told.Width, 16u);
  OK(cuMipmappedArrayDestroy(mipmapped));
}

}  // namespace
}  // namespace vgpu::conformance
