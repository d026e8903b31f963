// Whatever a texture's description asks for is done or refused.
#include "cpu_driver/api/testing.h"

namespace vgpu::cpu::testing {
namespace {

class Textures : public ApiTest {
 protected:
  CUDA_RESOURCE_DESC arrayOf(CUarray_format format, unsigned channels, unsigned flags = 0, size_t depth = 0) {
    CUDA_ARRAY3D_DESCRIPTOR shape{};
    shape.Width = shape.Height = 16;
    shape.Depth = depth;
    shape.Format = format;
    shape.NumChannels = channels;
    shape.Flags = flags;
    CUDA_RESOURCE_DESC resource{};
    resource.resType = CU_RESOURCE_TYPE_ARRAY;
    EXPECT_CU(CUDA_SUCCESS, cuArray3DCreate_v2(&resource.res.array.hArray, &shape));
    return resource;
  }
  CUDA_RESOURCE_DESC mipmapOf(unsigned levels) {
    CUDA_ARRAY3D_DESCRIPTOR shape{};
    shape.Width = shape.Height = 16;
    shape.Format = CU_AD_FORMAT_FLOAT;
    shape.NumChannels = 1;
    CUDA_RESOURCE_DESC resource{};
    resource.resType = CU_RESOURCE_TYPE_MIPMAPPED_ARRAY;
    EXPECT_CU(CUDA_SUCCESS, cuMipmappedArrayCreate(&resource.res.mipmap.hMipmappedArray, &shape, levels));
    return resource;
  }
  static CUresult create(const CUDA_RESOURCE_DESC& resource, const CUDA_TEXTURE_DESC& description,
                         const CUDA_RESOURCE_VIEW_DESC* view = nullptr) {
    CUtexObject object = 0;
    const CUresult result = cuTexObjectCreate(&object, &resource, &description, view);
    if (result == CUDA_SUCCESS) EXPECT_CU(CUDA_SUCCESS, cuTexObjectDestroy(object));
    return result;
  }
};

TEST_F(Textures, SrgbIsForColoursOfEightBits) {
  CUDA_TEXTURE_DESC description{};
  description.flags = CU_TRSF_SRGB;
  EXPECT_CU(CUDA_SUCCESS, create(arrayOf(CU_AD_FORMAT_UNSIGNED_INT8, 4), description));
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(arrayOf(CU_AD_FORMAT_UNSIGNED_INT16, 4), description));
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(arrayOf(CU_AD_FORMAT_FLOAT, 4), description));
  description.flags |= CU_TRSF_READ_AS_INTEGER;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(arrayOf(CU_AD_FORMAT_UNSIGNED_INT8, 4), description));
}

TEST_F(Textures, AnisotropyHasNothingToDoWithoutMipmaps) {
  CUDA_TEXTURE_DESC description{};
  description.maxAnisotropy = 16;
  EXPECT_CU(CUDA_SUCCESS, create(arrayOf(CU_AD_FORMAT_FLOAT, 1), description));
  EXPECT_CU(CUDA_SUCCESS, create(mipmapOf(1), description));
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(mipmapOf(4), description));
  description.maxAnisotropy = 1;
  EXPECT_CU(CUDA_SUCCESS, create(mipmapOf(4), description));
}

TEST_F(Textures, SeamlessCubemapsAreRefusedWhereItWouldShow) {
  CUDA_TEXTURE_DESC description{};
  description.flags = CU_TRSF_SEAMLESS_CUBEMAP;
  const CUDA_RESOURCE_DESC cube = arrayOf(CU_AD_FORMAT_FLOAT, 1, CUDA_ARRAY3D_CUBEMAP, 6);
  EXPECT_CU(CUDA_SUCCESS, create(cube, description));
  description.filterMode = CU_TR_FILTER_MODE_LINEAR;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(cube, description));
  EXPECT_CU(CUDA_SUCCESS, create(arrayOf(CU_AD_FORMAT_FLOAT, 1), description));
}

TEST_F(Textures, ViewsOfAPartOrInAnotherFormatAreRefused) {
  const CUDA_TEXTURE_DESC description{};
  CUDA_RESOURCE_VIEW_DESC whole{};
  whole.format = CU_RES_VIEW_FORMAT_UINT_4X8;
  whole.width = whole.height = 16;
  const CUDA_RESOURCE_DESC colours = arrayOf(CU_AD_FORMAT_UNSIGNED_INT8, 4);
  EXPECT_CU(CUDA_SUCCESS, create(colours, description, &whole));
  CUDA_RESOURCE_VIEW_DESC other = whole;
  other.format = CU_RES_VIEW_FORMAT_UINT_1X32;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(colours, description, &other));
  other = whole;
  other.width = 8;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(colours, description, &other));
  CUDA_RESOURCE_VIEW_DESC levels = whole;
  levels.format = CU_RES_VIEW_FORMAT_NONE;
  levels.lastMipmapLevel = 3;
  EXPECT_CU(CUDA_SUCCESS, create(mipmapOf(4), description, &levels));
  levels.firstMipmapLevel = 1;
  EXPECT_CU(CUDA_ERROR_NOT_SUPPORTED, create(mipmapOf(4), description, &levels));
  CUDA_RESOURCE_DESC linear{};
  linear.resType = CU_RESOURCE_TYPE_LINEAR;
  linear.res.linear = {allocate(256), CU_AD_FORMAT_FLOAT, 1, 256};
  EXPECT_CU(CUDA_SUCCESS, create(linear, description));
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, create(linear, description, &whole));
}

TEST_F(Textures, ValuesThatMeanNothingAreRefused) {
  const CUDA_RESOURCE_DESC array = arrayOf(CU_AD_FORMAT_FLOAT, 1);
  CUDA_TEXTURE_DESC description{};
  description.flags = 0x80;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, create(array, description));
  description = {};
  description.mipmapFilterMode = static_cast<CUfilter_mode>(7);
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, create(array, description));
  CUDA_RESOURCE_DESC flagged = array;
  flagged.flags = 1;
  EXPECT_CU(CUDA_ERROR_INVALID_VALUE, create(flagged, CUDA_TEXTURE_DESC{}));
}

}  // namespace
}  // namespace vgpu::cpu::testing
