// Weights as kernels read them: Blocks<format> is 16 bytes of codes of one row (Q8_0: 32) with what belongs to them.
#pragma once

#include "../ptx/convert.h"
#include "../ptx/memory.h"
#include "layout.h"

namespace cortex {

template <Format format>
struct Blocks {
  static constexpr bool quantised = is_block_format(format);
  // Columns of one block.
  static constexpr int columns = quantised ? 32 : format == Format::F32 ? 4 : 8;
  static constexpr int loads = format == Format::Q8_0 ? 2 : 1;
  static constexpr int high_words = format == Format::Q5_K ? 1 : format == Format::Q6_K ? 2 : 0;

  uint4 codes[loads];
  uint32_t high[high_words > 0 ? high_words : 1];
  uint32_t scales;
  uint32_t super;

  // Columns [block * columns, ...) of a row. The block may be any that begins before matrix.cols.
  __device__ __forceinline__ static Blocks load(const Matrix& matrix, int row, int block) {
    Blocks result;
    const uint8_t* codes = matrix.codes + static_cast<size_t>(row) * matrix.codes_stride + static_cast<size_t>(block) * (16 * loads);
    for (int i = 0; i < loads; ++i) result.codes[i] = ptx::load16_once(codes + 16 * i);
    if constexpr (quantised) {
      result.scales = __ldg(reinterpret_cast<const unsigned short*>(matrix.scales + static_cast<size_t>(row) * matrix.scales_stride) + block);
    }
    if constexpr (high_words == 1) {
      result.high[0] = __ldg(reinterpret_cast<const unsigned*>(matrix.high + static_cast<size_t>(row) * matrix.high_stride) + block);
    } else if constexpr (high_words == 2) {
      const uint2 pair = __ldg(reinterpret_cast<const uint2*>(matrix.high + static_cast<size_t>(row) * matrix.high_stride) + block);
      result.high[0] = pair.x;
      result.high[1] = pair.y;
    }
    if constexpr (has_supers(format)) {
      result.super = __ldg(reinterpret_cast<const unsigned*>(matrix.supers + static_cast<size_t>(row) * matrix.supers_stride) + block / 8);
    }
    return result;
  }

  __device__ __forceinline__ uint32_t code_word(int word) const {
    const uint4& from = codes[word / 4];
    switch (word % 4) {
      case 0: return from.x;
      case 1: return from.y;
      case 2: return from.z;
      default: return from.w;
    }
  }

  // Columns 4 w to 4 w + 3 as bytes, for w of 0 to 7: int8 of Q8_0, else from zero on.
  __device__ __forceinline__ uint32_t quads(int w) const {
    if constexpr (format == Format::Q8_0) {
      return code_word(w);
    } else {
      const int half = w / 4;
      uint32_t value = code_word(w % 4) >> (4 * half) & 0x0f0f0f0fu;
      if constexpr (format == Format::Q5_K) {
        value |= (half == 0 ? high[0] << (4 - w) : high[0] >> (w - 4)) & 0x10101010u;
      } else if constexpr (format == Format::Q6_K) {
        value |= (high[half] >> (2 * (w % 4)) & 0x03030303u) << 4;
      }
      return value;
    }
  }

  // value = factor(half) * (quads - offset) - minimum(), of columns 16 * half to 16 * half + 15
  static constexpr int offset = format == Format::Q4_0 ? 8 : format == Format::Q6_K ? 32 : 0;

  // Columns 4 w to 4 w + 3 as floats, before factor and minimum. A byte placed below the exponent of 2^23 is a number there: two
  // instructions of the common kind, where a conversion would be one of an eighth of their rate.
  __device__ __forceinline__ void codes_of_quad(int w, float (&out)[4]) const {
    constexpr bool is_signed = format == Format::Q8_0;
    const uint32_t word = is_signed ? quads(w) ^ 0x80808080u : quads(w);
    constexpr float base = 8388608.0f + static_cast<float>(is_signed ? 128 : offset);
#pragma unroll
    for (int i = 0; i < 4; ++i) out[i] = __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440u | static_cast<uint32_t>(i))) - base;
  }

  __device__ __forceinline__ float factor(int half) const {
    if constexpr (format == Format::Q8_0 || format == Format::Q4_0) {
      return ptx::low_half(scales);
    } else if constexpr (format == Format::Q6_K) {
      return ptx::low_half(super) * static_cast<float>(static_cast<int8_t>(scales >> (8 * half)));
    } else {
      return ptx::low_half(super) * static_cast<float>(scales & 0xffu);
    }
  }

  __device__ __forceinline__ float minimum() const {
    if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
      return ptx::high_half(super) * static_cast<float>(scales >> 8);
    } else {
      return 0.0f;
    }
  }

  // Values of columns 4 * quad to 4 * quad + 3 of a format without blocks.
  __device__ __forceinline__ void quad_values(int quad, float (&out)[4]) const {
    static_assert(!quantised);
    if constexpr (format == Format::F32) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out[i] = __uint_as_float(code_word(i));
    } else {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const uint32_t word = code_word(2 * quad + i);
        out[2 * i] = format == Format::F16 ? ptx::low_half(word) : ptx::low_bfloat(word);
        out[2 * i + 1] = format == Format::F16 ? ptx::high_half(word) : ptx::high_bfloat(word);
      }
    }
  }

  // All values of the block, exactly.
  __device__ __forceinline__ void values(float (&out)[columns]) const {
    if constexpr (!quantised) {
#pragma unroll
      for (int quad = 0; quad < columns / 4; ++quad) {
        float four[4];
        quad_values(quad, four);
#pragma unroll
        for (int i = 0; i < 4; ++i) out[4 * quad + i] = four[i];
      }
    } else {
      const float low = minimum();
#pragma unroll
      for (int w = 0; w < 8; ++w) {
        float codes[4];
        codes_of_quad(w, codes);
        const float scale = factor(w / 4);
#pragma unroll
        for (int i = 0; i < 4; ++i) out[4 * w + i] = scale * codes[i] - low;
      }
    }
  }
};

}  // namespace cortex
