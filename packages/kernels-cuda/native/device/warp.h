// What the 32 threads of a warp do together, every sum and maximum in one fixed order.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace cortex {

inline constexpr int warp_threads = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

__device__ __forceinline__ int lane_of(int thread) { return thread & (warp_threads - 1); }

// Every lane gets the sum.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) value += __shfl_xor_sync(whole_warp, value, lanes);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) value = fmaxf(value, __shfl_xor_sync(whole_warp, value, lanes));
  return value;
}

}  // namespace cortex
