# How everything is compiled: one language level, one set of warnings, the sanitizers of the preset.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(VGPU_SANITIZE "" CACHE STRING "sanitizers for -fsanitize=, empty for none")
option(VGPU_FUZZ "build the fuzz targets" OFF)

add_compile_options(-Wall -Wextra -Wconversion -Werror)
add_link_options(-fuse-ld=lld)
if(VGPU_SANITIZE)
  add_compile_options(-fsanitize=${VGPU_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  string(REPLACE "fuzzer-no-link," "" VGPU_SANITIZE_LINK "${VGPU_SANITIZE}")
  add_link_options(-fsanitize=${VGPU_SANITIZE_LINK})
endif()

# build/<preset>/bin: programs; lib/vgpu: what a guest loads; lib/vgpu-host: what only the host side loads.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(VGPU_GUEST_LIBRARY_DIR ${CMAKE_BINARY_DIR}/lib/vgpu)
set(VGPU_HOST_LIBRARY_DIR ${CMAKE_BINARY_DIR}/lib/vgpu-host)
include_directories(${CMAKE_SOURCE_DIR})
