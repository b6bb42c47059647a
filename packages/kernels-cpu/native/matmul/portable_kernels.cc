// The portable engine: plain loops over 16 lanes that a compiler may vectorise. It defines what the others compute.
#include <cmath>

#include "common_driver.h"

namespace cortex::matmul {
namespace {

void quantise_block(const float* x, RowBlock& block) {
  float largest = 0;
  bool sound = true;
  for (int32_t i = 0; i < block_k; ++i) {
    const float magnitude = std::fabs(x[i]);
    sound = sound && magnitude <= largest_activation;
    largest = magnitude > largest ? magnitude : largest;
  }
  int32_t halves[2] = {0, 0};
  float scale = sound ? 0.0f : NAN;
  if (!sound || largest < smallest_activation) {
    std::memset(block.codes, 0, block_k);
  } else {
    scale = scale_of(largest);
    const float inverse = 1.0f / scale;
    for (int32_t i = 0; i < block_k; ++i) {
      // Adding magic rounds to the nearest integer, ties to even.
      const float shifted = x[i] * inverse + magic;
      int32_t code;
      std::memcpy(&code, &shifted, 4);
      code -= magic_bits;
      block.codes[i] = static_cast<int8_t>(code);
      halves[i / 16] += code;
    }
  }
  finish_block(block, scale, halves[0], halves[1]);
}

void quantise_rows(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows) {
  for (int32_t i = 0; i < rows; ++i) {
    RowBlock* blocks = reinterpret_cast<RowBlock*>(dst + static_cast<size_t>(i) * row_bytes_of(cols));
    const float* row = x + static_cast<size_t>(i) * x_stride;
    for (int32_t b = 0; b < cols / block_k; ++b) quantise_block(row + b * block_k, blocks[b]);
  }
}

// One block of 32 k of a strip: codes as the file means them less nothing (Q4_K, Q5_K) or less their offset, scales and
// minima of the 16 rows. Formats with 16-wide sub-blocks have two scales.
struct Block {
  int16_t codes[8][64];
  float scale[2][16];
  float low[16];
};

template <Format format>
void unpack(const uint8_t* strip, int32_t b, Block& out) {
  const int32_t half = b & 1;
  if constexpr (format == Format::Q8_0) {
    const uint8_t* group = strip + static_cast<size_t>(b / 2) * Q80::group_bytes;
    const uint8_t* codes = group + Q80::codes + half * plane_bytes;
    for (int32_t i = 0; i < 512; ++i) out.codes[i / 64][i % 64] = static_cast<int16_t>(codes[i] - 128);
    for (int32_t r = 0; r < 16; ++r) out.scale[0][r] = load_half(group + half * 32 + r * 2);
  } else if constexpr (format == Format::Q4_0) {
    const uint8_t* group = strip + static_cast<size_t>(b / 2) * Q40::group_bytes;
    for (int32_t i = 0; i < 512; ++i) {
      out.codes[i / 64][i % 64] = static_cast<int16_t>(((group[Q40::codes + i] >> (4 * half)) & 15) - 8);
    }
    for (int32_t r = 0; r < 16; ++r) out.scale[0][r] = load_half(group + half * 32 + r * 2);
  } else if constexpr (format == Format::Q6_K) {
    const uint8_t* super = strip + static_cast<size_t>(b / 8) * Q6K::super_bytes;
    const int32_t j = b % 8;
    const uint8_t* low = super + Q6K::codes + static_cast<size_t>(j / 2) * plane_bytes;
    const uint8_t* high = super + Q6K::high + static_cast<size_t>(j / 4) * plane_bytes;
    const int32_t shift = 2 * (j / 2 & 1) + 4 * half;
    for (int32_t i = 0; i < 512; ++i) {
      const int32_t code = ((low[i] >> (4 * half)) & 15) | (((high[i] >> shift) & 3) << 4);
      out.codes[i / 64][i % 64] = static_cast<int16_t>(code - 32);
    }
    for (int32_t r = 0; r < 16; ++r) {
      const float d = load_half(super + Q6K::d + r * 2);
      out.scale[0][r] = d * static_cast<float>(static_cast<int8_t>(super[Q6K::scales + 2 * j * 16 + r]));
      out.scale[1][r] = d * static_cast<float>(static_cast<int8_t>(super[Q6K::scales + (2 * j + 1) * 16 + r]));
    }
  } else {
    using K = Q4K;  // Q5_K begins alike
    constexpr bool five = format == Format::Q5_K;
    const uint8_t* super = strip + static_cast<size_t>(b / 8) * (five ? Q5K::super_bytes : Q4K::super_bytes);
    const int32_t j = b % 8;
    const uint8_t* codes = super + (five ? Q5K::codes : Q4K::codes) + static_cast<size_t>(j / 2) * plane_bytes;
    for (int32_t i = 0; i < 512; ++i) {
      int32_t code = (codes[i] >> (4 * half)) & 15;
      if constexpr (five) code |= ((super[Q5K::high + i] >> j) & 1) << 4;
      out.codes[i / 64][i % 64] = static_cast<int16_t>(code);
    }
    for (int32_t r = 0; r < 16; ++r) {
      out.scale[0][r] = load_half(super + K::d + r * 2) * static_cast<float>(six_bits(super + K::scales, j, r));
      out.low[r] = load_half(super + K::dmin + r * 2) * static_cast<float>(six_bits(super + K::mins, j, r));
    }
  }
}

// dot[r] = sum over quads [begin, end) of codes of row r times x. Four rows at a time: their sums fit in registers.
void dot_quads(const Block& block, const int8_t* x, int32_t begin, int32_t end, int32_t dot[16]) {
  int16_t words[8][16];
  for (int32_t g = begin; g < end; ++g) {
    for (int32_t i = 0; i < 16; ++i) words[g][i] = x[g * 4 + i % 4];
  }
  for (int32_t r = 0; r < 16; r += 4) {
    int32_t lanes[16] = {};
    for (int32_t g = begin; g < end; ++g) {
      for (int32_t i = 0; i < 16; ++i) lanes[i] += block.codes[g][r * 4 + i] * words[g][i];
    }
    for (int32_t i = 0; i < 4; ++i) {
      dot[r + i] = (lanes[4 * i] + lanes[4 * i + 1]) + (lanes[4 * i + 2] + lanes[4 * i + 3]);
    }
  }
}

template <Format format>
void product_quantised(const uint8_t* strip, const Rows& rows, int32_t m, float* out) {
  Block block;
  for (int32_t b = 0; b < rows.cols / block_k; ++b) {
    unpack<format>(strip, b, block);
    for (int32_t i = 0; i < m; ++i) {
      const RowBlock& x = reinterpret_cast<const RowBlock*>(rows.quantised + static_cast<size_t>(i) * rows.quantised_stride)[b];
      float* sums = out + static_cast<size_t>(i) * strip_rows;
      constexpr int32_t parts = format == Format::Q6_K ? 2 : 1;
      for (int32_t part = 0; part < parts; ++part) {
        int32_t dot[16];
        dot_quads(block, x.codes, part * 8 / parts, (part + 1) * 8 / parts, dot);
        for (int32_t r = 0; r < 16; ++r) sums[r] += block.scale[part][r] * (static_cast<float>(dot[r]) * x.scale);
      }
      if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
        for (int32_t r = 0; r < 16; ++r) sums[r] -= block.low[r] * x.scaled_sum;
      }
    }
  }
}

void product_dense(Format format, const uint8_t* strip, const Rows& rows, int32_t m, float* out, float* work) {
  constexpr int32_t step = 64;
  for (int32_t begin = 0; begin < rows.cols; begin += step) {
    const int32_t count = rows.cols - begin < step ? rows.cols - begin : step;
    for (int32_t i = 0; i < count; ++i) {
      const int32_t k = begin + i;
      for (int32_t r = 0; r < 16; ++r) {
        float& weight = work[i * 16 + r];
        if (format == Format::F32) std::memcpy(&weight, strip + k * 64ul + r * 4, 4);
        else if (format == Format::F16) weight = load_half(strip + k * 32ul + r * 2);
        else weight = bfloat_to_float(load_u16(strip + k / 2 * 64ul + r * 4 + (k & 1) * 2));
      }
    }
    for (int32_t i = 0; i < m; ++i) {
      const float* x = rows.x + static_cast<size_t>(i) * rows.x_stride + begin;
      float sums[16];
      std::memcpy(sums, out + static_cast<size_t>(i) * strip_rows, sizeof sums);
      for (int32_t k = 0; k < count; ++k) {
        for (int32_t r = 0; r < 16; ++r) sums[r] += work[k * 16 + r] * x[k];
      }
      std::memcpy(out + static_cast<size_t>(i) * strip_rows, sums, sizeof sums);
    }
  }
}

struct Engine {
  static int32_t strips_at_once(Format, int32_t) { return 1; }

  static void product(const Weights& weights, int32_t strip, int32_t, const Rows& rows, int32_t m, float* out,
                      uint8_t* work) {
    const uint8_t* packed = weights.data + static_cast<size_t>(strip) * packed_strip_bytes(weights.format, weights.cols);
    std::memset(out, 0, static_cast<size_t>(m) * strip_rows * sizeof(float));
    switch (weights.format) {
      case Format::Q8_0: return product_quantised<Format::Q8_0>(packed, rows, m, out);
      case Format::Q4_0: return product_quantised<Format::Q4_0>(packed, rows, m, out);
      case Format::Q4_K: return product_quantised<Format::Q4_K>(packed, rows, m, out);
      case Format::Q5_K: return product_quantised<Format::Q5_K>(packed, rows, m, out);
      case Format::Q6_K: return product_quantised<Format::Q6_K>(packed, rows, m, out);
      default: return product_dense(weights.format, packed, rows, m, out, reinterpret_cast<float*>(work));
    }
  }

  static void finish(const float* sums, const float* bias, const float* residual, float* y, int32_t features) {
    for (int32_t r = 0; r < features; ++r) {
      float value = sums[r];
      if (bias != nullptr) value += bias[r];
      if (residual != nullptr) value += residual[r];
      y[r] = value;
    }
  }

  static void finish_swiglu(const float* gate, const float* up, float* y, int32_t features) {
    for (int32_t r = 0; r < features; ++r) y[r] = gate[r] / (1.0f + std::exp(-gate[r])) * up[r];
  }
};

void linear(const LinearArgs& args) { run_linear<Engine>(args); }
void swiglu(const SwigluArgs& args) { run_swiglu<Engine>(args); }

constexpr MatmulIsa isa = {"portable", quantise_rows, linear, swiglu};

}  // namespace

const MatmulIsa* portable_isa() { return &isa; }

}  // namespace cortex::matmul
