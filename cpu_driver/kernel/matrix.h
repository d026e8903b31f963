// The matrix instructions of a warp (mma, wmma.mma, ldmatrix, stmatrix, movmatrix), once all lanes have
// arrived: the same rules for every form. Worker threads, in the fibers form on a thread's small stack; owns
// nothing. Registers lie in the lanes' local memory; the addresses of rows come from the kernel and are
// untrusted.
#pragma once

#include <cstdint>

#include "cpu_driver/kernel/matrix_operation.h"

namespace vgpu::kernel {

// Products are exact; sums of floating-point types run along K in 32 bits, starting from C, and are rounded
// to the type of D at the end. `lanes[i]` null: a lane that is not there, whose registers read as zero.
void completeMatrixOperation(const MatrixOperation& operation, MatrixRegisters* const lanes[32]);

}  // namespace vgpu::kernel
