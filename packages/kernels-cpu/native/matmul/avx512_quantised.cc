// AVX-512-VNNI products with quantised weights. One zmm holds 16 rows x 4 consecutive k; vpdpbusd multiplies it with one
// broadcast word of the activation row, so every lane pair of sums belongs to one row and nothing is ever shuffled.
//
// One kernel, many sources: a source gives the codes of one block of 32 k as unsigned bytes, and its scales. Few rows of
// x read the packed strip through its own source (unpacking in registers); many rows first expand a piece of the strip to
// bytes and float scales, which the Expanded source reads back. Both do the same float operations in the same order.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx512_engine.h"

namespace cortex::matmul {
namespace avx512 {
namespace {

// k taken at a time when a strip is expanded: 16 KiB of codes, which stay in the first-level cache.
constexpr int32_t piece_blocks = 32;
constexpr int32_t most_direct_rows = 8;
constexpr int32_t tile_rows = 12;

// Bytes ahead of the codes in use that are prefetched: far enough to cover a memory access, near enough to stay cached.
constexpr size_t prefetch_ahead = 4608;

inline __m512i load(const void* at) { return _mm512_loadu_si512(at); }
inline __m512i word(const void* at) {
  int32_t value;
  std::memcpy(&value, at, 4);
  return _mm512_set1_epi32(value);
}
inline __m512 scalar(const void* at) {
  float value;
  std::memcpy(&value, at, 4);
  return _mm512_set1_ps(value);
}
inline __m512 halves(const uint8_t* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}
inline __m512 from_u8(const uint8_t* at) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}
inline __m512 from_i8(const uint8_t* at) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
}

// What the integer sum of a block starts at.
enum class Start { zero, q80, q40, q6k };

// A source: `enter(pair)` moves to the blocks 2 * pair and 2 * pair + 1, `half` says which.

struct SourceQ80 {
  static constexpr Start start = Start::q80;
  static constexpr bool minima = false;
  static constexpr size_t lines = Q80::group_bytes / 64;
  const uint8_t* strip;
  const uint8_t* group = nullptr;
  void enter(int32_t pair) { group = strip + static_cast<size_t>(pair) * Q80::group_bytes; }
  const uint8_t* ahead() const { return group; }
  template <int half>
  __m512i codes(int32_t g) const { return load(group + Q80::codes + half * plane_bytes + g * quad_bytes); }
  template <int half>
  __m512 scale(int) const { return halves(group + half * 32); }
  template <int half>
  __m512 low() const { return _mm512_setzero_ps(); }
};

template <int half>
inline __m512i nibbles(__m512i codes) {
  if constexpr (half == 1) codes = _mm512_srli_epi16(codes, 4);
  return _mm512_and_si512(codes, _mm512_set1_epi8(15));
}

struct SourceQ40 {
  static constexpr Start start = Start::q40;
  static constexpr bool minima = false;
  static constexpr size_t lines = Q40::group_bytes / 64;
  const uint8_t* strip;
  const uint8_t* group = nullptr;
  void enter(int32_t pair) { group = strip + static_cast<size_t>(pair) * Q40::group_bytes; }
  const uint8_t* ahead() const { return group; }
  template <int half>
  __m512i codes(int32_t g) const { return nibbles<half>(load(group + Q40::codes + g * quad_bytes)); }
  template <int half>
  __m512 scale(int) const { return halves(group + half * 32); }
  template <int half>
  __m512 low() const { return _mm512_setzero_ps(); }
};

// 96 bytes of six-bit values to bytes [8][16].
inline void widen_six_bits(const uint8_t* area, uint8_t* out) {
  const __m512i low = load(area);
  const __m512i high = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(area + 64)));
  const __m512i mask = _mm512_set1_epi8(0x30);
  const __m512i left = _mm512_inserti64x4(_mm512_set1_epi16(4), _mm256_set1_epi16(2), 1);
  const __m512i right = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(2), 1);
  _mm512_store_si512(out, _mm512_or_si512(nibbles<0>(low), _mm512_and_si512(_mm512_sllv_epi16(high, left), mask)));
  _mm512_store_si512(out + 64, _mm512_or_si512(nibbles<1>(low), _mm512_and_si512(_mm512_srlv_epi16(high, right), mask)));
}

template <class Layout>
struct SourceSixBit {
  static constexpr Start start = Start::zero;
  static constexpr bool minima = true;
  static constexpr size_t lines = Layout::super_bytes / 256;
  const uint8_t* strip;
  const uint8_t* super = nullptr;
  const uint8_t* plane = nullptr;
  const uint8_t* soon = nullptr;
  int32_t quarter = 0;
  __m512 d = {}, dmin = {};
  alignas(64) uint8_t scales[128];
  alignas(64) uint8_t mins[128];

  explicit SourceSixBit(const uint8_t* packed) : strip(packed) {}

  void enter(int32_t pair) {
    quarter = pair & 3;
    if (quarter == 0) {
      super = strip + static_cast<size_t>(pair / 4) * Layout::super_bytes;
      d = halves(super + Layout::d);
      dmin = halves(super + Layout::dmin);
      widen_six_bits(super + Layout::scales, scales);
      widen_six_bits(super + Layout::mins, mins);
    }
    plane = super + Layout::codes + static_cast<size_t>(quarter) * plane_bytes;
    soon = super + static_cast<size_t>(quarter) * (Layout::super_bytes / 4);
  }
  const uint8_t* ahead() const { return soon; }
  template <int half>
  __m512i codes(int32_t g) const {
    const __m512i low = nibbles<half>(load(plane + g * quad_bytes));
    if constexpr (Layout::super_bytes == Q5K::super_bytes) {
      const __m512i bits = load(super + Q5K::high + g * quad_bytes);
      const __m128i count = _mm_cvtsi32_si128(2 * quarter + half);
      const __m512i bit = _mm512_and_si512(_mm512_srl_epi16(bits, count), _mm512_set1_epi8(1));
      return _mm512_or_si512(low, _mm512_slli_epi16(bit, 4));
    } else {
      return low;
    }
  }
  template <int half>
  __m512 scale(int) const { return _mm512_mul_ps(d, from_u8(scales + (2 * quarter + half) * 16)); }
  template <int half>
  __m512 low() const { return _mm512_mul_ps(dmin, from_u8(mins + (2 * quarter + half) * 16)); }
};
using SourceQ4K = SourceSixBit<Q4K>;
using SourceQ5K = SourceSixBit<Q5K>;

struct SourceQ6K {
  static constexpr Start start = Start::q6k;
  static constexpr bool minima = false;
  static constexpr size_t lines = (Q6K::super_bytes / 4 + 63) / 64;
  const uint8_t* strip;
  const uint8_t* super = nullptr;
  const uint8_t* plane = nullptr;
  const uint8_t* high = nullptr;
  const uint8_t* soon = nullptr;
  int32_t quarter = 0;
  __m512 d = {};

  explicit SourceQ6K(const uint8_t* packed) : strip(packed) {}

  void enter(int32_t pair) {
    quarter = pair & 3;
    super = strip + static_cast<size_t>(pair / 4) * Q6K::super_bytes;
    if (quarter == 0) d = halves(super + Q6K::d);
    plane = super + Q6K::codes + static_cast<size_t>(quarter) * plane_bytes;
    high = super + Q6K::high + static_cast<size_t>(quarter / 2) * plane_bytes;
    soon = super + static_cast<size_t>(quarter) * (Q6K::super_bytes / 4);
  }
  const uint8_t* ahead() const { return soon; }
  template <int half>
  __m512i codes(int32_t g) const {
    // Bits 2 * (quarter & 1) + 4 * half belong at bit 4: one shift to the left, of 4 or 2, or to the right, of 0 or 2.
    const __m512i bits = load(high + g * quad_bytes);
    const __m128i odd = _mm_cvtsi32_si128(2 * (quarter & 1));
    __m512i top;
    if constexpr (half == 0) top = _mm512_sll_epi16(bits, _mm_cvtsi32_si128(4 - 2 * (quarter & 1)));
    else top = _mm512_srl_epi16(bits, odd);
    return _mm512_or_si512(nibbles<half>(load(plane + g * quad_bytes)), _mm512_and_si512(top, _mm512_set1_epi8(0x30)));
  }
  template <int half>
  __m512 scale(int part) const {
    return _mm512_mul_ps(d, from_i8(super + Q6K::scales + (4 * quarter + 2 * half + part) * 16));
  }
  template <int half>
  __m512 low() const { return _mm512_setzero_ps(); }
};

// A piece of a strip as bytes u8[blocks][8][64] and scales f32[blocks][parts + minima][16].
template <Start start_, bool minima_>
struct Expanded {
  static constexpr Start start = start_;
  static constexpr bool minima = minima_;
  static constexpr int parts = start_ == Start::q6k ? 2 : 1;
  static constexpr int32_t stride = (parts + (minima_ ? 1 : 0)) * 16;
  static constexpr size_t lines = 0;
  const uint8_t* bytes;
  const float* scales;
  int32_t first;
  const uint8_t* at = nullptr;
  const float* at_scales = nullptr;
  void enter(int32_t pair) {
    at = bytes + static_cast<size_t>(pair - first) * 2 * plane_bytes;
    at_scales = scales + static_cast<size_t>(pair - first) * 2 * stride;
  }
  const uint8_t* ahead() const { return at; }
  template <int half>
  __m512i codes(int32_t g) const { return load(at + half * plane_bytes + g * quad_bytes); }
  template <int half>
  __m512 scale(int part) const { return _mm512_loadu_ps(at_scales + half * stride + part * 16); }
  template <int half>
  __m512 low() const { return _mm512_loadu_ps(at_scales + half * stride + parts * 16); }
};

struct Span {  // blocks [begin, end) of the rows of one tile
  const uint8_t* rows;
  size_t stride;
  RowPlanes planes;
  int32_t begin;
  int32_t end;
};

template <Start start>
inline __m512i start_of(const uint8_t* row, const RowPlanes& planes, int32_t block, int part) {
  const size_t b = static_cast<size_t>(block);
  if constexpr (start == Start::q80) return word(row + planes.start_q80 + b * 4);
  else if constexpr (start == Start::q40) return word(row + planes.start_q40 + b * 4);
  else if constexpr (start == Start::q6k) return word(row + planes.start_q6k + b * 8 + static_cast<size_t>(part) * 4);
  else return _mm512_set1_epi32(magic_bits);
}

template <int T, int half, class Source>
[[gnu::always_inline]] inline void add_block(const Source& source, const Span& span, int32_t block, __m512* sums) {
  constexpr int parts = Source::start == Start::q6k ? 2 : 1;
  constexpr int quads = 8 / parts;
  const uint8_t* x = span.rows + static_cast<size_t>(block) * block_k;
#pragma GCC unroll 2
  for (int part = 0; part < parts; ++part) {
    __m512i dots[T];
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) {
      dots[t] = start_of<Source::start>(span.rows + static_cast<size_t>(t) * span.stride, span.planes, block, part);
    }
#pragma GCC unroll 8
    for (int q = 0; q < quads; ++q) {
      const int g = part * quads + q;
      const __m512i codes = source.template codes<half>(g);
#pragma GCC unroll 12
      for (int t = 0; t < T; ++t) {
        dots[t] = _mm512_dpbusd_epi32(dots[t], codes, word(x + static_cast<size_t>(t) * span.stride + g * 4));
      }
      // The lines of a pair of blocks, spread over its sixteen quads.
      constexpr size_t lines = Source::lines;
      const size_t i = static_cast<size_t>(half * 8 + g);
#pragma GCC unroll 2
      for (size_t line = i * lines / 16; line < (i + 1) * lines / 16; ++line) {
        _mm_prefetch(reinterpret_cast<const char*>(source.ahead() + prefetch_ahead + line * 64), _MM_HINT_T0);
      }
    }
    const __m512 scale = source.template scale<half>(part);
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) {
      const uint8_t* row = span.rows + static_cast<size_t>(t) * span.stride + static_cast<size_t>(block) * 4;
      const __m512 dot = _mm512_fmsub_ps(_mm512_castsi512_ps(dots[t]), scalar(row + span.planes.scale),
                                         scalar(row + span.planes.magic_scale));
      sums[t] = _mm512_fmadd_ps(scale, dot, sums[t]);
    }
  }
  if constexpr (Source::minima) {
    const __m512 low = source.template low<half>();
#pragma GCC unroll 12
    for (int t = 0; t < T; ++t) {
      const uint8_t* row = span.rows + static_cast<size_t>(t) * span.stride + static_cast<size_t>(block) * 4;
      sums[t] = _mm512_fnmadd_ps(low, scalar(row + span.planes.scaled_sum), sums[t]);
    }
  }
}

// out[t][16] gets (at block 0) or keeps adding the products of T rows with one strip.
template <class Source, int T>
void tile(Source source, const Span& span, float* out) {
  __m512 sums[T];
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) sums[t] = span.begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(out + t * 16);
  int32_t block = span.begin;
  for (; block + 1 < span.end; block += 2) {
    source.enter(block / 2);
    add_block<T, 0>(source, span, block, sums);
    add_block<T, 1>(source, span, block + 1, sums);
  }
  if (block < span.end) {
    source.enter(block / 2);
    add_block<T, 0>(source, span, block, sums);
  }
#pragma GCC unroll 12
  for (int t = 0; t < T; ++t) _mm512_storeu_ps(out + t * 16, sums[t]);
}

template <class Source>
void direct(const Source& source, const Span& span, int32_t m, float* out) {
  switch (m) {
    case 1: return tile<Source, 1>(source, span, out);
    case 2: return tile<Source, 2>(source, span, out);
    case 3: return tile<Source, 3>(source, span, out);
    case 4: return tile<Source, 4>(source, span, out);
    case 5: return tile<Source, 5>(source, span, out);
    case 6: return tile<Source, 6>(source, span, out);
    case 7: return tile<Source, 7>(source, span, out);
    default: return tile<Source, 8>(source, span, out);
  }
}

template <class Source>
void expanded_tile(const Source& source, const Span& span, int32_t m, float* out) {
  switch (m) {
    case 5: return tile<Source, 5>(source, span, out);
    case 6: return tile<Source, 6>(source, span, out);
    case 7: return tile<Source, 7>(source, span, out);
    case 8: return tile<Source, 8>(source, span, out);
    case 9: return tile<Source, 9>(source, span, out);
    case 10: return tile<Source, 10>(source, span, out);
    case 11: return tile<Source, 11>(source, span, out);
    default: return tile<Source, 12>(source, span, out);
  }
}

template <class Source, int half, class Target>
[[gnu::always_inline]] inline void expand_block(const Source& source, uint8_t* bytes, float* scales) {
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    _mm512_store_si512(bytes + g * quad_bytes, source.template codes<half>(g));
    constexpr size_t lines = Source::lines;
    const size_t i = static_cast<size_t>(half * 8 + g);
#pragma GCC unroll 2
    for (size_t line = i * lines / 16; line < (i + 1) * lines / 16; ++line) {
      _mm_prefetch(reinterpret_cast<const char*>(source.ahead() + prefetch_ahead + line * 64), _MM_HINT_T0);
    }
  }
#pragma GCC unroll 2
  for (int part = 0; part < Target::parts; ++part) _mm512_store_ps(scales + part * 16, source.template scale<half>(part));
  if constexpr (Target::minima) _mm512_store_ps(scales + Target::parts * 16, source.template low<half>());
}

// Many rows: piece by piece along k, expanding the strip once for all tiles of rows.
template <class Source>
void expanded(Source source, Span span, int32_t m, float* out, uint8_t* work) {
  using Target = Expanded<Source::start, Source::minima>;
  float* scales = reinterpret_cast<float*>(work + static_cast<size_t>(piece_blocks) * plane_bytes);
  const int32_t blocks = span.end;
  const int32_t tiles = (m + tile_rows - 1) / tile_rows;
  for (int32_t begin = 0; begin < blocks; begin += piece_blocks) {
    const int32_t end = blocks - begin < piece_blocks ? blocks : begin + piece_blocks;
    for (int32_t block = begin; block < end; block += 2) {
      const size_t i = static_cast<size_t>(block - begin);
      source.enter(block / 2);
      expand_block<Source, 0, Target>(source, work + i * plane_bytes, scales + i * Target::stride);
      if (block + 1 < end) {
        expand_block<Source, 1, Target>(source, work + (i + 1) * plane_bytes, scales + (i + 1) * Target::stride);
      }
    }
    const Target target{work, scales, begin / 2};
    for (int32_t i = 0, row = 0; i < tiles; ++i) {
      const int32_t count = m / tiles + (i < m % tiles ? 1 : 0);
      const Span part{span.rows + static_cast<size_t>(row) * span.stride, span.stride, span.planes, begin, end};
      expanded_tile(target, part, count, out + static_cast<size_t>(row) * strip_rows);
      row += count;
    }
  }
}
static_assert(piece_blocks * (plane_bytes + 2 * strip_rows * sizeof(float)) <= work_bytes);

template <class Source>
void product(const uint8_t* strip, const Rows& rows, int32_t m, float* out, uint8_t* work) {
  const Span span{rows.quantised, rows.quantised_stride, row_planes(rows.cols), 0, rows.cols / block_k};
  if (m <= most_direct_rows) direct(Source{strip}, span, m, out);
  else expanded(Source{strip}, span, m, out, work);
}

}  // namespace

void quantised_product(Format format, const uint8_t* strip, const Rows& rows, int32_t m, float* out, uint8_t* work) {
  switch (format) {
    case Format::Q8_0: return product<SourceQ80>(strip, rows, m, out, work);
    case Format::Q4_0: return product<SourceQ40>(strip, rows, m, out, work);
    case Format::Q4_K: return product<SourceQ4K>(strip, rows, m, out, work);
    case Format::Q5_K: return product<SourceQ5K>(strip, rows, m, out, work);
    default: return product<SourceQ6K>(strip, rows, m, out, work);
  }
}

}  // namespace avx512
}  // namespace cortex::matmul
#endif
