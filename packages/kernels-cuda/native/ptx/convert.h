// 16-bit floats. Bits are carried as integers, so that kernels depend on no type of NVIDIA's.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#if defined(CORTEX_EMULATION)
#include "../emulation/ptx/convert.h"
#else

namespace cortex::ptx {

__device__ __forceinline__ float half_to_float(uint16_t bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}

__device__ __forceinline__ uint16_t float_to_half(float value) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}

// Two floats rounded to one word, `low` in its low half.
__device__ __forceinline__ uint32_t pack_halves(float low, float high) {
  uint32_t word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

__device__ __forceinline__ uint32_t pack_bfloats(float low, float high) {
  uint32_t word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
}

}  // namespace cortex::ptx
#endif

namespace cortex::ptx {

__device__ __forceinline__ float bfloat_to_float(uint16_t bits) { return __uint_as_float(static_cast<uint32_t>(bits) << 16); }
__device__ __forceinline__ uint16_t float_to_bfloat(float value) { return static_cast<uint16_t>(pack_bfloats(value, 0.0f)); }

// Halves of a word.
__device__ __forceinline__ float low_bfloat(uint32_t word) { return __uint_as_float(word << 16); }
__device__ __forceinline__ float high_bfloat(uint32_t word) { return __uint_as_float(word & 0xffff0000u); }
__device__ __forceinline__ float low_half(uint32_t word) { return half_to_float(static_cast<uint16_t>(word)); }
__device__ __forceinline__ float high_half(uint32_t word) { return half_to_float(static_cast<uint16_t>(word >> 16)); }

}  // namespace cortex::ptx
