// What an exported function of libcuda looks like when it is written by hand.
#pragma once

#define VGPU_EXPORT extern "C" __attribute__((visibility("default")))
