// The rules that all copies and fills share: what is checked at the call, what waits, what is staged.
// Programming guide, "API synchronization behavior": device-to-host waits; host-to-device from pageable
// memory returns when the bytes are staged; copies between pinned and device memory are asynchronous where
// the call says so.
#pragma once

#include "cpu_driver/api/entry.h"
#include "cpu_driver/runtime/copy.h"

namespace vgpu::cpu {

enum class Place { Host, Device, Array };

// One side of a copy; `address` of a range, or an array with an offset in it.
struct Side {
  Place place = Place::Host;
  Layout layout;
};

enum class Waiting { Synchronous, Asynchronous };

// Whether the bytes of one side are memory that CUDA knows (device, pinned, managed).
bool isKnown(const Side& side, size_t widthBytes, size_t height, size_t depth);

// Checks and submits; answers the call's code.
CUresult transfer(Context& context, Stream& stream, Side destination, Side source, size_t widthBytes,
                  size_t height, size_t depth, Waiting waiting);

// One-dimensional.
CUresult transferLinear(CUstream stream, Place to, uintptr_t destination, Place from, uintptr_t source,
                        size_t bytes, Waiting waiting);

}  // namespace vgpu::cpu
