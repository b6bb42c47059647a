// The portable engine: vectors of four that any compiler lowers to what the machine has. It defines what the others
// compute.
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
    RowBlock* blocks = reinterpret_cast<RowBlock*>(dst + static_cast<size_t>(i) * quantised_row_bytes(cols));
    const float* row = x + static_cast<size_t>(i) * x_stride;
    for (int32_t b = 0; b < cols / block_k; ++b) quantise_block(row + b * block_k, blocks[b]);
  }
}

// Vectors of four, which every machine has: 16 rows are four of them.
using F4 = float __attribute__((vector_size(16)));
using I4 = int32_t __attribute__((vector_size(16)));
using U4 = uint32_t __attribute__((vector_size(16)));
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "quads are read as little-endian words");

template <class Vector>
inline Vector load(const void* at) {
  Vector value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
inline F4 all(float value) { return F4{value, value, value, value}; }

// One block of 32 k of a strip: codes less their offset, scales and minima of the 16 rows. Codes are whole numbers in
// float32, whose sums of products stay below 2^24 and are exact. Formats with 16-wide sub-blocks have two scales.
struct Block {
  F4 codes[block_k][4];
  float scale[2][16];
  float low[16];
};

// Code `shift` bits up in each byte of the low plane, with the bits `high_shift` up in the high plane on top at bit 4.
template <int32_t mask, int32_t offset, int32_t high_mask>
void unpack_planes(const uint8_t* low, int32_t shift, const uint8_t* high, int32_t high_shift, Block& out) {
  for (int32_t g = 0; g < 8; ++g) {
    for (int32_t q = 0; q < 4; ++q) {
      const U4 low_word = load<U4>(low + g * 64 + q * 16) >> static_cast<uint32_t>(shift);
      U4 high_word = {};
      if constexpr (high_mask != 0) high_word = load<U4>(high + g * 64 + q * 16) >> static_cast<uint32_t>(high_shift);
      for (uint32_t i = 0; i < 4; ++i) {
        U4 code = (low_word >> (8 * i)) & static_cast<uint32_t>(mask);
        if constexpr (high_mask != 0) code |= ((high_word >> (8 * i)) & static_cast<uint32_t>(high_mask)) << 4;
        out.codes[4 * g + static_cast<int32_t>(i)][q] = __builtin_convertvector(reinterpret_cast<I4>(code) - offset, F4);
      }
    }
  }
}

template <Format format>
void unpack(const uint8_t* strip, int32_t b, Block& out) {
  const int32_t half = b & 1;
  const int32_t j = b % 8;
  if constexpr (format == Format::Q8_0) {
    const uint8_t* group = strip + static_cast<size_t>(b / 2) * Q80::group_bytes;
    unpack_planes<255, 128, 0>(group + Q80::codes + half * plane_bytes, 0, nullptr, 0, out);
    for (int32_t r = 0; r < 16; ++r) out.scale[0][r] = load_half(group + half * 32 + r * 2);
  } else if constexpr (format == Format::Q4_0) {
    const uint8_t* group = strip + static_cast<size_t>(b / 2) * Q40::group_bytes;
    unpack_planes<15, 8, 0>(group + Q40::codes, 4 * half, nullptr, 0, out);
    for (int32_t r = 0; r < 16; ++r) out.scale[0][r] = load_half(group + half * 32 + r * 2);
  } else if constexpr (format == Format::Q6_K) {
    const uint8_t* super = strip + static_cast<size_t>(b / 8) * Q6K::super_bytes;
    unpack_planes<15, 32, 3>(super + Q6K::codes + static_cast<size_t>(j / 2) * plane_bytes, 4 * half,
                             super + Q6K::high + static_cast<size_t>(j / 4) * plane_bytes, 2 * (j / 2 & 1) + 4 * half, out);
    for (int32_t r = 0; r < 16; ++r) {
      const float d = load_half(super + Q6K::d + r * 2);
      out.scale[0][r] = d * static_cast<float>(static_cast<int8_t>(super[Q6K::scales + 2 * j * 16 + r]));
      out.scale[1][r] = d * static_cast<float>(static_cast<int8_t>(super[Q6K::scales + (2 * j + 1) * 16 + r]));
    }
  } else {
    constexpr bool five = format == Format::Q5_K;
    const uint8_t* super = strip + static_cast<size_t>(b / 8) * (five ? Q5K::super_bytes : Q4K::super_bytes);
    const uint8_t* codes = super + (five ? Q5K::codes : Q4K::codes) + static_cast<size_t>(j / 2) * plane_bytes;
    if constexpr (five) unpack_planes<15, 0, 1>(codes, 4 * half, super + Q5K::high, j, out);
    else unpack_planes<15, 0, 0>(codes, 4 * half, nullptr, 0, out);
    // Q5_K begins as Q4_K does.
    for (int32_t r = 0; r < 16; ++r) {
      out.scale[0][r] = load_half(super + Q4K::d + r * 2) * static_cast<float>(six_bits(super + Q4K::scales, j, r));
      out.low[r] = load_half(super + Q4K::dmin + r * 2) * static_cast<float>(six_bits(super + Q4K::mins, j, r));
    }
  }
}

// sums[16] += weights[count][16] . x[count], in ascending order.
inline void add_products(const F4 (*weights)[4], const float* x, int32_t count, F4* sums) {
  F4 s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  for (int32_t k = 0; k < count; ++k) {
    const F4 value = all(x[k]);
    s0 += weights[k][0] * value;
    s1 += weights[k][1] * value;
    s2 += weights[k][2] * value;
    s3 += weights[k][3] * value;
  }
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
}

template <Format format>
void product_quantised(const uint8_t* strip, const Rows& rows, int32_t m, float* out) {
  constexpr int32_t parts = format == Format::Q6_K ? 2 : 1;
  constexpr int32_t part_k = block_k / parts;
  Block block;
  for (int32_t b = 0; b < rows.cols / block_k; ++b) {
    unpack<format>(strip, b, block);
    for (int32_t i = 0; i < m; ++i) {
      const RowBlock& row = reinterpret_cast<const RowBlock*>(rows.quantised + static_cast<size_t>(i) * rows.quantised_stride)[b];
      float x[block_k];
      for (int32_t k = 0; k < block_k; ++k) x[k] = row.codes[k];
      float* sums = out + static_cast<size_t>(i) * strip_rows;
      for (int32_t part = 0; part < parts; ++part) {
        F4 dots[4] = {};
        add_products(block.codes + part * part_k, x + part * part_k, part_k, dots);
        for (int32_t q = 0; q < 4; ++q) {
          const F4 sum = load<F4>(sums + q * 4) + load<F4>(block.scale[part] + q * 4) * (dots[q] * all(row.scale));
          std::memcpy(sums + q * 4, &sum, sizeof sum);
        }
      }
      if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
        for (int32_t r = 0; r < 16; ++r) sums[r] -= block.low[r] * row.scaled_sum;
      }
    }
  }
}

void product_dense(Format format, const uint8_t* strip, const Rows& rows, int32_t m, float* out) {
  constexpr int32_t step = 4 * chain_k;
  F4 weights[step][4];
  for (int32_t begin = 0; begin < rows.cols; begin += step) {
    const int32_t count = rows.cols - begin < step ? rows.cols - begin : step;
    if (format == Format::F32) {
      std::memcpy(weights, strip + static_cast<size_t>(begin) * 64, static_cast<size_t>(count) * 64);
    } else {
      for (int32_t i = 0; i < count; ++i) {
        const size_t k = static_cast<size_t>(begin + i);
        float lanes[16];
        for (size_t r = 0; r < 16; ++r) {
          lanes[r] = format == Format::F16 ? load_half(strip + k * 32 + r * 2)
                                           : bfloat_to_float(load_u16(strip + k / 2 * 64 + r * 4 + (k & 1) * 2));
        }
        std::memcpy(weights[i], lanes, sizeof lanes);
      }
    }
    for (int32_t i = 0; i < m; ++i) {
      const float* x = rows.x + static_cast<size_t>(i) * rows.x_stride + begin;
      float* at = out + static_cast<size_t>(i) * strip_rows;
      F4 totals[4];
      std::memcpy(totals, at, sizeof totals);
      for (int32_t k = 0; k < count; k += chain_k) {
        F4 sums[4] = {};
        add_products(weights + k, x + k, count - k < chain_k ? count - k : chain_k, sums);
        for (int32_t q = 0; q < 4; ++q) totals[q] += sums[q];
      }
      std::memcpy(at, totals, sizeof totals);
    }
  }
}

struct Engine {
  static bool splits(Format) { return false; }

  static int32_t strips_at_once(Format, int32_t) { return 1; }

  static void product(const Weights& weights, int32_t strip, int32_t, const Rows& rows, int32_t m, float* out,
                      uint8_t*) {
    const uint8_t* packed = weights.data + static_cast<size_t>(strip) * packed_strip_bytes(weights.format, weights.cols);
    std::memset(out, 0, static_cast<size_t>(m) * strip_rows * sizeof(float));
    switch (weights.format) {
      case Format::Q8_0: return product_quantised<Format::Q8_0>(packed, rows, m, out);
      case Format::Q4_0: return product_quantised<Format::Q4_0>(packed, rows, m, out);
      case Format::Q4_K: return product_quantised<Format::Q4_K>(packed, rows, m, out);
      case Format::Q5_K: return product_quantised<Format::Q5_K>(packed, rows, m, out);
      case Format::Q6_K: return product_quantised<Format::Q6_K>(packed, rows, m, out);
      default: return product_dense(weights.format, packed, rows, m, out);
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

constexpr MatmulIsa isa = {"portable", quantise_rows, linear, swiglu, nullptr};

}  // namespace

const MatmulIsa* portable_isa() { return &isa; }

}  // namespace cortex::matmul
