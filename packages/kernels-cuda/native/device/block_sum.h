#pragma once

#include "warp.h"

namespace cortex {

// The sum over a block of whole warps, on every thread, in one fixed order; `partial` is shared memory for 32 values, which may
// be used again for another sum at once.
__device__ __forceinline__ float block_sum(float value, float* partial) {
  value = warp_sum(value);
  const unsigned warp = threadIdx.x / warp_threads;
  const unsigned lane = threadIdx.x % warp_threads;
  __syncthreads();
  if (lane == 0) partial[warp] = value;
  __syncthreads();
  return warp_sum(lane < blockDim.x / warp_threads ? partial[lane] : 0.0f);
}

}  // namespace cortex
