// The packed form of weights and the quantised form of activation rows (README.md has the byte tables).
//
// Everything here is static on purpose: files of different ISAs include it, and an inline function that the linker shares
// between them could carry instructions that the machine lacks.
#pragma once

#include <cstring>

#include "matmul.h"

namespace cortex::matmul {

// Quantised weights are read in groups of 64 k: two blocks of 32, one in the low and one in the high half of each byte
// (Q8_0: one after the other). A super-block of a K-quant holds four groups.
constexpr int32_t group_k = 64;
constexpr int32_t super_k = 256;

// Dense sums of float32 run this far, then join a total: the rounding of one long chain grows with its length.
constexpr int32_t chain_k = 16;

// One quad plane: 16 rows x 4 consecutive k, one byte each.
constexpr size_t quad_bytes = 64;
constexpr size_t plane_bytes = 8 * quad_bytes;

struct Q80 {  // per group: d f16[2][16], codes + 128 u8[2][8][64]
  static constexpr size_t group_bytes = 64 + 2 * plane_bytes;
  static constexpr size_t codes = 64;
};
struct Q40 {  // per group: d f16[2][16], codes u4[8][64]
  static constexpr size_t group_bytes = 64 + plane_bytes;
  static constexpr size_t codes = 64;
};
// K-quants Q4_K and Q5_K begin alike: d f16[16], dmin f16[16], then six-bit scales and mins, 96 bytes each: low four bits
// u8[4][16] (sub-block j low nibble, j + 4 high nibble) and high two bits u8[2][16] (byte j & 1, bit pair j >> 1).
struct Q4K {
  static constexpr size_t d = 0, dmin = 32, scales = 64, mins = 160, codes = 256;
  static constexpr size_t super_bytes = codes + 4 * plane_bytes;
};
struct Q5K {  // fifth bits u8[8][64]: bit j belongs to sub-block j
  static constexpr size_t d = 0, dmin = 32, scales = 64, mins = 160, high = 256, codes = high + plane_bytes;
  static constexpr size_t super_bytes = codes + 4 * plane_bytes;
};
struct Q6K {  // scales i8[16][16], d f16[16], 32 spare, low four bits u4[4][8][64], high two bits u8[2][8][64]
  static constexpr size_t scales = 0, d = 256, codes = 320, high = codes + 4 * plane_bytes;
  static constexpr size_t super_bytes = high + 2 * plane_bytes;
};
static_assert(Q4K::super_bytes == 16 * 144 && Q5K::super_bytes == 16 * 176 && Q6K::super_bytes == 16 * 210 + 32);

static inline size_t round_up_64(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

// 1.5 * 2^23: a float whose low mantissa bits count in ones. An int32 accumulator that starts at its bit pattern reads, as
// a float, as magic + sum; (magic + sum) * scale - magic * scale is then one exact fused operation. The kernels need
// |sum| < 2^22 (at most 32 * 255 * 127) and scale * magic exact, hence scales of 20 significant bits.
constexpr float magic = 12582912.0f;
constexpr int32_t magic_bits = 0x4B400000;

// A quantised row is one cache line per block of 32 (quantised_row_bytes): everything a kernel needs stands at a fixed
// distance.
struct alignas(64) RowBlock {
  int8_t codes[32];
  float scale;           // x = code * scale
  float magic_scale;     // magic * scale
  float scaled_sum;      // scale * sum of the codes, for formats with minima
  int32_t start_q80;     // magic_bits - 128 * sum
  int32_t start_q40;     // magic_bits - 8 * sum
  int32_t start_q6k[2];  // magic_bits - 32 * sum of each half
  int32_t spare;
};
static_assert(sizeof(RowBlock) == 64);

// Blocks whose largest magnitude is above are poisoned (their scale is NaN), below are zero.
constexpr float largest_activation = 1e33f;
constexpr float smallest_activation = 1e-30f;

// The words that follow from a block's scale and the sums of its halves.
static inline void finish_block(RowBlock& block, float scale, int32_t first, int32_t second) {
  const int32_t sum = first + second;
  block.scale = scale;
  block.magic_scale = magic * scale;
  block.scaled_sum = scale * static_cast<float>(sum);
  block.start_q80 = magic_bits - 128 * sum;
  block.start_q40 = magic_bits - 8 * sum;
  block.start_q6k[0] = magic_bits - 32 * first;
  block.start_q6k[1] = magic_bits - 32 * second;
  block.spare = 0;
}

// The scale of a block whose largest magnitude is sound: rounded to 20 significant bits.
static inline float scale_of(float largest) {
  float scale = largest / 127.0f;
  uint32_t bits;
  std::memcpy(&bits, &scale, 4);
  bits = (bits + 8u) & ~15u;
  std::memcpy(&scale, &bits, 4);
  return scale;
}

static inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7FFFu;
  uint32_t bits;
  if (magnitude >= 0x7C00u) {
    bits = sign | 0x7F800000u | ((magnitude & 0x3FFu) << 13);
  } else if (magnitude >= 0x400u) {
    bits = sign | ((magnitude << 13) + 0x38000000u);
  } else {
    const float small = static_cast<float>(magnitude) * 0x1p-24f;
    std::memcpy(&bits, &small, 4);
    bits |= sign;
  }
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

static inline float bfloat_to_float(uint16_t bfloat) {
  const uint32_t bits = static_cast<uint32_t>(bfloat) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

static inline uint16_t load_u16(const uint8_t* bytes) {
  uint16_t value;
  std::memcpy(&value, bytes, 2);
  return value;
}

static inline float load_half(const uint8_t* bytes) { return half_to_float(load_u16(bytes)); }

// Sub-block j of a packed six-bit area, row r of the strip.
static inline uint32_t six_bits(const uint8_t* area, int32_t j, int32_t r) {
  const uint32_t low = (area[(j & 3) * 16 + r] >> ((j >> 2) * 4)) & 15u;
  const uint32_t high = (area[64 + (j & 1) * 16 + r] >> ((j >> 1) * 2)) & 3u;
  return low | (high << 4);
}

}  // namespace cortex::matmul
