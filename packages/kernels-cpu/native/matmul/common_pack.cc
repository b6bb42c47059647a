// Row-major file bytes to interleaved strips, and single rows back to float32.
#include "common_layout.h"

namespace cortex::matmul {
namespace {

size_t file_block_bytes(Format format) {
  switch (format) {
    case Format::F32: return 4;
    case Format::F16:
    case Format::BF16: return 2;
    case Format::Q8_0: return 34;
    case Format::Q4_0: return 18;
    case Format::Q4_K: return 144;
    case Format::Q5_K: return 176;
    case Format::Q6_K: return 210;
  }
  return 0;
}

int32_t file_block_k(Format format) {
  switch (format) {
    case Format::Q8_0:
    case Format::Q4_0: return block_k;
    case Format::Q4_K:
    case Format::Q5_K:
    case Format::Q6_K: return super_k;
    default: return 1;
  }
}

void put_six_bits(uint8_t* area, int32_t j, int32_t lane, uint32_t value) {
  area[(j & 3) * 16 + lane] |= static_cast<uint8_t>((value & 15u) << ((j >> 2) * 4));
  area[64 + (j & 1) * 16 + lane] |= static_cast<uint8_t>((value >> 4) << ((j >> 1) * 2));
}

void clear_six_bits(uint8_t* area, int32_t lane) {
  for (int32_t j = 0; j < 6; ++j) area[j * 16 + lane] = 0;
}

// Twelve packed bytes of a Q4_K or Q5_K super-block to its scales and mins.
void pack_scales(uint8_t* scales, uint8_t* mins, int32_t lane, const uint8_t* s) {
  clear_six_bits(scales, lane);
  clear_six_bits(mins, lane);
  for (int32_t j = 0; j < 4; ++j) {
    put_six_bits(scales, j, lane, s[j] & 63u);
    put_six_bits(mins, j, lane, s[j + 4] & 63u);
    put_six_bits(scales, j + 4, lane, (s[j + 8] & 15u) | (static_cast<uint32_t>(s[j] >> 6) << 4));
    put_six_bits(mins, j + 4, lane, (s[j + 8] >> 4) | (static_cast<uint32_t>(s[j + 4] >> 6) << 4));
  }
}

// Copies `quads` words of 4 bytes to one row's lane of as many quad planes.
void spread_quads(uint8_t* planes, int32_t lane, const uint8_t* bytes, int32_t quads) {
  for (int32_t g = 0; g < quads; ++g) std::memcpy(planes + g * quad_bytes + lane * 4, bytes + g * 4, 4);
}

void pack_q8_0(uint8_t* strip, int32_t lane, int32_t block, const uint8_t* src) {
  uint8_t* group = strip + static_cast<size_t>(block / 2) * Q80::group_bytes;
  const int32_t half = block & 1;
  std::memcpy(group + half * 32 + lane * 2, src, 2);
  uint8_t codes[block_k];
  for (int32_t i = 0; i < block_k; ++i) codes[i] = src[2 + i] ^ 0x80u;
  spread_quads(group + Q80::codes + half * plane_bytes, lane, codes, 8);
}

// The nibbles of two consecutive file blocks become one group; `second` is null after an odd last block.
void pack_q4_0(uint8_t* strip, int32_t lane, int32_t pair, const uint8_t* first, const uint8_t* second) {
  static const uint8_t nothing[18] = {};
  if (second == nullptr) second = nothing;
  uint8_t* group = strip + static_cast<size_t>(pair) * Q40::group_bytes;
  std::memcpy(group + lane * 2, first, 2);
  std::memcpy(group + 32 + lane * 2, second, 2);
  uint8_t codes[block_k];
  for (int32_t i = 0; i < 16; ++i) {
    codes[i] = static_cast<uint8_t>((first[2 + i] & 15u) | ((second[2 + i] & 15u) << 4));
    codes[16 + i] = static_cast<uint8_t>((first[2 + i] >> 4) | (second[2 + i] & 0xF0u));
  }
  spread_quads(group + Q40::codes, lane, codes, 8);
}

void pack_q4_k(uint8_t* super, int32_t lane, const uint8_t* src) {
  std::memcpy(super + Q4K::d + lane * 2, src, 2);
  std::memcpy(super + Q4K::dmin + lane * 2, src + 2, 2);
  pack_scales(super + Q4K::scales, super + Q4K::mins, lane, src + 4);
  spread_quads(super + Q4K::codes, lane, src + 16, 32);
}

void pack_q5_k(uint8_t* super, int32_t lane, const uint8_t* src) {
  std::memcpy(super + Q5K::d + lane * 2, src, 2);
  std::memcpy(super + Q5K::dmin + lane * 2, src + 2, 2);
  pack_scales(super + Q5K::scales, super + Q5K::mins, lane, src + 4);
  spread_quads(super + Q5K::high, lane, src + 16, 8);
  spread_quads(super + Q5K::codes, lane, src + 48, 32);
}

// The file interleaves blocks 0|2, 1|3 in one byte; ours holds 0|1, 2|3, as the other K-quants do.
void pack_q6_k(uint8_t* super, int32_t lane, const uint8_t* src) {
  uint8_t codes[super_k];
  for (int32_t n = 0; n < 2; ++n) {
    const uint8_t* ql = src + 64 * n;
    const uint8_t* qh = src + 128 + 32 * n;
    uint8_t* out = codes + 128 * n;
    for (int32_t l = 0; l < 32; ++l) {
      out[l] = static_cast<uint8_t>((ql[l] & 15u) | ((qh[l] & 3u) << 4));
      out[l + 32] = static_cast<uint8_t>((ql[l + 32] & 15u) | (((qh[l] >> 2) & 3u) << 4));
      out[l + 64] = static_cast<uint8_t>((ql[l] >> 4) | (((qh[l] >> 4) & 3u) << 4));
      out[l + 96] = static_cast<uint8_t>((ql[l + 32] >> 4) | (((qh[l] >> 6) & 3u) << 4));
    }
  }
  for (int32_t j = 0; j < 16; ++j) super[Q6K::scales + j * 16 + lane] = src[192 + j];
  std::memcpy(super + Q6K::d + lane * 2, src + 208, 2);
  for (int32_t n = 0; n < 2; ++n) {
    uint8_t high[32] = {};
    for (int32_t half = 0; half < 2; ++half) {
      const uint8_t* low_block = codes + 128 * n + 64 * half;
      const uint8_t* high_block = low_block + 32;
      uint8_t nibbles[32];
      for (int32_t l = 0; l < 32; ++l) {
        nibbles[l] = static_cast<uint8_t>((low_block[l] & 15u) | ((high_block[l] & 15u) << 4));
        high[l] |= static_cast<uint8_t>(((low_block[l] >> 4) << (2 * half)) | ((high_block[l] >> 4) << (4 + 2 * half)));
      }
      spread_quads(super + Q6K::codes + (2 * n + half) * plane_bytes, lane, nibbles, 8);
    }
    spread_quads(super + Q6K::high + n * plane_bytes, lane, high, 8);
  }
}

size_t super_bytes(Format format) {
  if (format == Format::Q4_K) return Q4K::super_bytes;
  return format == Format::Q5_K ? Q5K::super_bytes : Q6K::super_bytes;
}

// k range [begin, end) of one dense row.
void pack_dense(Format format, uint8_t* strip, int32_t lane, int32_t begin, int32_t end, int32_t cols,
                const uint8_t* src) {
  if (format == Format::F32) {
    for (int32_t k = begin; k < end; ++k) std::memcpy(strip + static_cast<size_t>(k) * 64 + lane * 4, src + k * 4ul, 4);
  } else if (format == Format::F16) {
    for (int32_t k = begin; k < end; ++k) std::memcpy(strip + static_cast<size_t>(k) * 32 + lane * 2, src + k * 2ul, 2);
  } else {
    for (int32_t k = begin; k < end; ++k) {
      std::memcpy(strip + static_cast<size_t>(k / 2) * 64 + lane * 4 + (k & 1) * 2, src + k * 2ul, 2);
    }
    if (end == cols && (cols & 1) != 0) std::memset(strip + static_cast<size_t>(cols / 2) * 64 + lane * 4 + 2, 0, 2);
  }
}

// Rows [begin, begin + count) of one strip. Block by block rather than row by row: the lines of a block stay in cache.
void pack_strip(Format format, uint8_t* strip, int32_t cols, int32_t begin, int32_t count, const uint8_t* src,
                size_t row_bytes) {
  const int32_t step = file_block_k(format) == 1 ? 64 : file_block_k(format) == block_k ? group_k : super_k;
  const size_t block_bytes = file_block_bytes(format);
  for (int32_t k = 0; k < cols; k += step) {
    for (int32_t i = 0; i < count; ++i) {
      const uint8_t* row = src + i * row_bytes;
      const int32_t lane = begin + i;
      if (step == 64 && !needs_quantised(format)) {
        pack_dense(format, strip, lane, k, k + step < cols ? k + step : cols, cols, row);
      } else if (step == group_k) {
        const uint8_t* first = row + static_cast<size_t>(k / block_k) * block_bytes;
        const bool pair = k + block_k < cols;
        if (format == Format::Q4_0) {
          pack_q4_0(strip, lane, k / group_k, first, pair ? first + block_bytes : nullptr);
        } else {
          pack_q8_0(strip, lane, k / block_k, first);
          if (pair) pack_q8_0(strip, lane, k / block_k + 1, first + block_bytes);
        }
      } else {
        uint8_t* super = strip + static_cast<size_t>(k / super_k) * super_bytes(format);
        const uint8_t* block = row + static_cast<size_t>(k / super_k) * block_bytes;
        if (format == Format::Q4_K) pack_q4_k(super, lane, block);
        else if (format == Format::Q5_K) pack_q5_k(super, lane, block);
        else pack_q6_k(super, lane, block);
      }
    }
  }
}

}  // namespace

size_t file_row_bytes(Format format, int32_t cols) {
  return static_cast<size_t>(cols / file_block_k(format)) * file_block_bytes(format);
}

size_t packed_strip_bytes(Format format, int32_t cols) {
  const size_t k = static_cast<size_t>(cols);
  const size_t groups = (k + group_k - 1) / group_k;
  switch (format) {
    case Format::F32: return k * 64;
    case Format::F16:
    case Format::BF16: return (k + 1) / 2 * 64;
    case Format::Q8_0: return groups * Q80::group_bytes;
    case Format::Q4_0: return groups * Q40::group_bytes;
    default: return k / super_k * super_bytes(format);
  }
}

size_t packed_bytes(Format format, int32_t rows, int32_t cols) {
  return static_cast<size_t>(strips_of(rows)) * packed_strip_bytes(format, cols);
}

void packed_init(Format format, uint8_t* dst, int32_t rows, int32_t cols) {
  if (rows % strip_rows == 0) return;
  const size_t strip = packed_strip_bytes(format, cols);
  std::memset(dst + static_cast<size_t>(rows / strip_rows) * strip, 0, strip);
}

void pack_rows(Format format, uint8_t* dst, int32_t rows, int32_t cols, int32_t row_start, int32_t row_count,
               const uint8_t* src) {
  (void)rows;
  const size_t strip_bytes = packed_strip_bytes(format, cols);
  const size_t row_bytes = file_row_bytes(format, cols);
  for (int32_t done = 0; done < row_count;) {
    const int32_t row = row_start + done;
    const int32_t begin = row % strip_rows;
    const int32_t left = row_count - done;
    const int32_t count = left < strip_rows - begin ? left : strip_rows - begin;
    pack_strip(format, dst + static_cast<size_t>(row / strip_rows) * strip_bytes, cols, begin, count,
               src + static_cast<size_t>(done) * row_bytes, row_bytes);
    done += count;
  }
}

void lookup_row(Format format, const uint8_t* packed, int32_t rows, int32_t cols, int32_t row, float* out) {
  (void)rows;
  const uint8_t* strip = packed + static_cast<size_t>(row / strip_rows) * packed_strip_bytes(format, cols);
  const int32_t lane = row % strip_rows;
  if (!needs_quantised(format)) {
    for (int32_t k = 0; k < cols; ++k) {
      if (format == Format::F32) std::memcpy(out + k, strip + k * 64ul + lane * 4, 4);
      else if (format == Format::F16) out[k] = load_half(strip + k * 32ul + lane * 2);
      else out[k] = bfloat_to_float(load_u16(strip + k / 2 * 64ul + lane * 4 + (k & 1) * 2));
    }
    return;
  }
  for (int32_t k = 0; k < cols; ++k) {
    // Place of k inside its group or super-block: block of 32, quad plane, byte.
    const int32_t l = k % block_k;
    const size_t place = static_cast<size_t>(l / 4) * quad_bytes + static_cast<size_t>(lane * 4 + l % 4);
    if (format == Format::Q8_0 || format == Format::Q4_0) {
      const bool wide = format == Format::Q8_0;
      const uint8_t* group = strip + static_cast<size_t>(k / group_k) * (wide ? Q80::group_bytes : Q40::group_bytes);
      const int32_t half = k / block_k & 1;
      const float d = load_half(group + half * 32 + lane * 2);
      const int32_t code = wide ? group[Q80::codes + half * plane_bytes + place] - 128
                                : ((group[Q40::codes + place] >> (4 * half)) & 15) - 8;
      out[k] = d * static_cast<float>(code);
      continue;
    }
    const uint8_t* super = strip + static_cast<size_t>(k / super_k) * super_bytes(format);
    const int32_t j = k % super_k / block_k;
    const size_t codes = format == Format::Q4_K ? Q4K::codes : format == Format::Q5_K ? Q5K::codes : Q6K::codes;
    uint32_t code = (super[codes + static_cast<size_t>(j / 2) * plane_bytes + place] >> (4 * (j & 1))) & 15u;
    if (format == Format::Q6_K) {
      const uint32_t high = super[Q6K::high + static_cast<size_t>(j / 4) * plane_bytes + place];
      code |= ((high >> (2 * (j / 2 & 1) + 4 * (j & 1))) & 3u) << 4;
      const int32_t scale = static_cast<int8_t>(super[Q6K::scales + (k % super_k / 16) * 16 + lane]);
      out[k] = load_half(super + Q6K::d + lane * 2) * static_cast<float>(scale) *
               static_cast<float>(static_cast<int32_t>(code) - 32);
      continue;
    }
    if (format == Format::Q5_K) code |= ((super[Q5K::high + place] >> j) & 1u) << 4;
    const float scale = load_half(super + Q4K::d + lane * 2) * static_cast<float>(six_bits(super + Q4K::scales, j, lane));
    const float low = load_half(super + Q4K::dmin + lane * 2) * static_cast<float>(six_bits(super + Q4K::mins, j, lane));
    out[k] = scale * static_cast<float>(code) - low;
  }
}

}  // namespace cortex::matmul
