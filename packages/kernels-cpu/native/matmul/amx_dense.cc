// Products with BF16 weights on the tile unit (AMX). A plane of 16 k pairs of a strip is one tile as it lies in memory; a row
// of x is the sum of three rows of bfloats, so that every product of a weight and an element is kept whole.
//
// A sum takes in 32 k at a time, in ascending order, each time the leading terms, then the second, then the third; within one
// instruction the unit adds even and odd k apart, then joins them. It computes a row of a tile alike whatever the others hold.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx512_engine.h"

namespace cortex::matmul {
namespace avx512 {
namespace {

constexpr int32_t tile_rows = 16;
constexpr size_t tile_bytes = 1024;
constexpr int32_t terms = 3;
// Blocks of 32 k of two strips that stay in the first-level cache while the rows pass by.
constexpr int32_t piece_blocks = 8;
// Farther reads less: 0.90 of a plain read at 2048 with one row of x, 1.00 at 1024.
constexpr size_t prefetch_ahead = 1024;

// What was stored before must be there when a tile is loaded: the intrinsics do not say that they read memory.
inline void settle() { asm volatile("" ::: "memory"); }

// Sums in tiles 0 to 3, rows of x in 4 and 5, weights in 6 and 7; tiles 1, 3 and 5 are of the second rows, if there are any.
void configure(int32_t rows) {
  struct alignas(64) {
    uint8_t palette = 1;
    uint8_t start = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } shape;
  const int32_t first = rows < tile_rows ? rows : tile_rows;
  const int32_t second = rows > tile_rows ? rows - tile_rows : tile_rows;
  const int32_t tile[] = {first, second, first, second, first, second, tile_rows, tile_rows};
  for (int i = 0; i < 8; ++i) {
    shape.row_bytes[i] = 64;
    shape.rows[i] = static_cast<uint8_t>(tile[i]);
  }
  settle();
  _tile_loadconfig(&shape);
}

struct Strips {
  const uint8_t* at;
  size_t stride;
  // Blocks of 32 k that a strip holds whole; the rest of each is in `tails`, padded with zeros.
  int32_t whole;
  const uint8_t* tails;

  const uint8_t* plane(int32_t strip, int32_t block) const {
    return block < whole ? at + static_cast<size_t>(strip) * stride + static_cast<size_t>(block) * tile_bytes
                         : tails + static_cast<size_t>(strip) * tile_bytes;
  }
};

// Up to two tiles of rows, and blocks [begin, end).
struct Span {
  const uint8_t* rows;
  size_t row_bytes;
  int32_t begin;
  int32_t end;
  // The weights come from memory: others are prefetched meanwhile.
  bool fetch;
  // sums[strip * plane + row * 16]
  float* sums;
  size_t plane;
};

inline void prefetch_plane(const uint8_t* plane) {
#pragma GCC unroll 16
  for (size_t line = 0; line < tile_bytes; line += 64) {
    _mm_prefetch(reinterpret_cast<const char*>(plane + prefetch_ahead + line), _MM_HINT_T0);
  }
}

// R tiles of rows and S strips, each 1 or 2.
template <int R, int S>
void product_of(const Strips& strips, const Span& span) {
  float* first = span.sums;
  float* second = first + tile_rows * strip_rows;
  if (span.begin == 0) {
    _tile_zero(0);
    if constexpr (R > 1) _tile_zero(1);
    if constexpr (S > 1) _tile_zero(2);
    if constexpr (R > 1 && S > 1) _tile_zero(3);
  } else {
    _tile_loadd(0, first, 64);
    if constexpr (R > 1) _tile_loadd(1, second, 64);
    if constexpr (S > 1) _tile_loadd(2, first + span.plane, 64);
    if constexpr (R > 1 && S > 1) _tile_loadd(3, second + span.plane, 64);
  }
  const size_t term_bytes = span.row_bytes / terms;
  for (int32_t block = span.begin; block < span.end; ++block) {
    _tile_loadd(6, strips.plane(0, block), 64);
    if constexpr (S > 1) _tile_loadd(7, strips.plane(1, block), 64);
    if (span.fetch) {
      prefetch_plane(strips.plane(0, block));
      if constexpr (S > 1) prefetch_plane(strips.plane(1, block));
    }
    const uint8_t* rows = span.rows + static_cast<size_t>(block) * 64;
#pragma GCC unroll 3
    for (int term = 0; term < terms; ++term, rows += term_bytes) {
      _tile_loadd(4, rows, span.row_bytes);
      if constexpr (R > 1) _tile_loadd(5, rows + tile_rows * span.row_bytes, span.row_bytes);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (S > 1) _tile_dpbf16ps(2, 4, 7);
      if constexpr (R > 1) _tile_dpbf16ps(1, 5, 6);
      if constexpr (R > 1 && S > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, first, 64);
  if constexpr (R > 1) _tile_stored(1, second, 64);
  if constexpr (S > 1) _tile_stored(2, first + span.plane, 64);
  if constexpr (R > 1 && S > 1) _tile_stored(3, second + span.plane, 64);
}

template <int S>
void all_rows(const Strips& strips, const Rows& rows, int32_t count, float* sums) {
  constexpr int32_t pair_rows = 2 * tile_rows;
  const int32_t blocks = (rows.cols + block_k - 1) / block_k;
  const int32_t piece = count <= pair_rows ? blocks : piece_blocks;
  const int32_t last = (count - 1) / pair_rows * pair_rows;
  if (count >= pair_rows) configure(pair_rows);
  for (int32_t begin = 0; begin < blocks; begin += piece) {
    const int32_t end = begin + piece < blocks ? begin + piece : blocks;
    Span span{rows.split, split_row_bytes(rows.cols), begin, end, true, sums, static_cast<size_t>(count) * strip_rows};
    for (int32_t row = 0; row < last; row += pair_rows) {
      product_of<2, S>(strips, span);
      span.fetch = false;
      span.rows += pair_rows * span.row_bytes;
      span.sums += pair_rows * strip_rows;
    }
    const int32_t left = count - last;
    if (left < pair_rows) configure(left);
    if (left <= tile_rows) product_of<1, S>(strips, span);
    else product_of<2, S>(strips, span);
    if (left < pair_rows && last > 0) configure(pair_rows);
  }
}

}  // namespace

void split_product(const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m, float* out) {
  const int32_t whole = rows.cols / block_k;
  alignas(64) uint8_t tails[split_strips_at_once * tile_bytes];
  if (rows.cols % block_k != 0) {
    const size_t bytes = strip_bytes - static_cast<size_t>(whole) * tile_bytes;
    for (int32_t s = 0; s < strips; ++s) {
      const uint8_t* rest = strip + static_cast<size_t>(s) * strip_bytes + static_cast<size_t>(whole) * tile_bytes;
      std::memcpy(tails + s * tile_bytes, rest, bytes);
      std::memset(tails + s * tile_bytes + bytes, 0, tile_bytes - bytes);
    }
    settle();
  }
  const Strips all{strip, strip_bytes, whole, tails};
  if (strips == 2) all_rows<2>(all, rows, m, out);
  else all_rows<1>(all, rows, m, out);
}

void release_tiles() { _tile_release(); }

// A term keeps the leading eight bits of what the terms before it left; what is left of 24 bits after three is nothing.
void split_rows(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows) {
  const __m512i leading = _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  const __m512i quiet = _mm512_set1_epi32(0x00400000);
  constexpr int not_finite = 0x01 | 0x08 | 0x10 | 0x80;
  constexpr int not_a_number = 0x01 | 0x80;
  const size_t term_bytes = split_term_bytes(cols);
  const int32_t blocks = (cols + block_k - 1) / block_k;
  for (int32_t i = 0; i < rows; ++i) {
    const float* row = x + static_cast<size_t>(i) * x_stride;
    uint8_t* at = dst + static_cast<size_t>(i) * terms * term_bytes;
    for (int32_t block = 0; block < blocks; ++block, at += 64) {
      __m512 left[2];
      for (int32_t half = 0; half < 2; ++half) {
        const int32_t k = block * block_k + half * 16;
        const int32_t count = cols - k < 0 ? 0 : cols - k < 16 ? cols - k : 16;
        left[half] = _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1u), row + k);
      }
      for (int32_t term = 0; term < terms; ++term) {
        __m512i words[2];
        for (int32_t half = 0; half < 2; ++half) {
          __m512i bits = _mm512_castps_si512(left[half]);
          // An infinity stays one, and a NaN must not become one.
          bits = _mm512_mask_or_epi32(bits, _mm512_fpclass_ps_mask(left[half], not_a_number), bits, quiet);
          const __m512 kept = _mm512_castsi512_ps(_mm512_and_si512(bits, leading));
          words[half] = _mm512_srli_epi32(bits, 16);
          const __mmask16 finite = static_cast<__mmask16>(~_mm512_fpclass_ps_mask(left[half], not_finite));
          left[half] = _mm512_maskz_sub_ps(finite, left[half], kept);
        }
        const __m512i low = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(words[0]));
        const __m512i both = _mm512_inserti64x4(low, _mm512_cvtepi32_epi16(words[1]), 1);
        _mm512_store_si512(at + static_cast<size_t>(term) * term_bytes, both);
      }
    }
  }
}

}  // namespace avx512
}  // namespace cortex::matmul
#endif
