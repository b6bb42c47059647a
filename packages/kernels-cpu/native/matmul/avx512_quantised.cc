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

// Blocks of k taken at a time when two strips are expanded: 16 KiB of codes, which stay in the first-level cache.
constexpr int32_t piece_blocks = 16;
constexpr int32_t most_direct_rows = 8;
constexpr int32_t tile_rows = 6;

// Bytes ahead of the codes in use that are prefetched: far enough to cover a memory access, near enough to stay cached.
constexpr size_t prefetch_ahead = 2048;
// Q6_K with many rows takes long enough for every line to come to the second-level cache first.
constexpr size_t near_ahead = 1024;
constexpr size_t far_ahead = 16384;

inline __m512i load(const void* at) { return _mm512_loadu_si512(at); }
inline __m512i word(const void* at) {
  int32_t value;
  std::memcpy(&value, at, 4);
  return _mm512_set1_epi32(value);
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
  int32_t begin;
  int32_t end;
};

template <Start start>
inline __m512i start_of(const RowBlock& x, int part) {
  if constexpr (start == Start::q80) return _mm512_set1_epi32(x.start_q80);
  else if constexpr (start == Start::q40) return _mm512_set1_epi32(x.start_q40);
  else if constexpr (start == Start::q6k) return _mm512_set1_epi32(x.start_q6k[part]);
  else return _mm512_set1_epi32(magic_bits);
}

template <class Source, int half, bool is_staged = false>
[[gnu::always_inline]] inline void prefetch_share(const uint8_t* ahead, int g) {
  // The lines of a pair of blocks, spread over its sixteen quads.
  constexpr size_t lines = Source::lines;
  const size_t i = static_cast<size_t>(half * 8 + g);
#pragma GCC unroll 2
  for (size_t line = i * lines / 16; line < (i + 1) * lines / 16; ++line) {
    if constexpr (is_staged) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead + far_ahead - prefetch_ahead + line * 64), _MM_HINT_T1);
      _mm_prefetch(reinterpret_cast<const char*>(ahead + near_ahead - prefetch_ahead + line * 64), _MM_HINT_T0);
    } else {
      _mm_prefetch(reinterpret_cast<const char*>(ahead + line * 64), _MM_HINT_T0);
    }
  }
}

// Where the lines that a source prefetches in the pair it is in begin. Of two strips that are read side by side, each goes on
// in the strip behind the other.
template <int S, class Source>
[[gnu::always_inline]] inline const uint8_t* ahead_of(const Source* sources, int s) {
  const uint8_t* ahead = sources[s].ahead() + prefetch_ahead;
  if constexpr (S == 2 && Source::lines > 0) {
    const std::ptrdiff_t strip_bytes = sources[1].strip - sources[0].strip;
    if (ahead - sources[s].strip >= strip_bytes) ahead += strip_bytes;
  }
  return ahead;
}

// Adds block `block` of S strips and T rows.
template <int S, int T, int half, class Source>
[[gnu::always_inline]] inline void add_block(const Source* sources, const Span& span, int32_t block, __m512 (*sums)[T]) {
  constexpr int parts = Source::start == Start::q6k ? 2 : 1;
  constexpr int quads = 8 / parts;
  const auto x = [&span, block](int t) __attribute__((always_inline)) -> const RowBlock& {
    return reinterpret_cast<const RowBlock*>(span.rows + static_cast<size_t>(t) * span.stride)[block];
  };
  constexpr bool is_staged = parts == 2 && T > 6 && S == 1;
  const uint8_t* ahead[S];
#pragma GCC unroll 2
  for (int s = 0; s < S; ++s) ahead[s] = ahead_of<S>(sources, s);
#pragma GCC unroll 2
  for (int part = 0; part < parts; ++part) {
    __m512i dots[S][T];
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 2
      for (int s = 0; s < S; ++s) dots[s][t] = start_of<Source::start>(x(t), part);
    }
#pragma GCC unroll 8
    for (int q = 0; q < quads; ++q) {
      const int g = part * quads + q;
      __m512i codes[S];
#pragma GCC unroll 2
      for (int s = 0; s < S; ++s) codes[s] = sources[s].template codes<half>(g);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const __m512i quad = word(x(t).codes + g * 4);
#pragma GCC unroll 2
        for (int s = 0; s < S; ++s) dots[s][t] = _mm512_dpbusd_epi32(dots[s][t], codes[s], quad);
      }
#pragma GCC unroll 2
      for (int s = 0; s < S; ++s) prefetch_share<Source, half, is_staged>(ahead[s], g);
    }
    __m512 scale[S];
#pragma GCC unroll 2
    for (int s = 0; s < S; ++s) scale[s] = sources[s].template scale<half>(part);
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const __m512 x_scale = _mm512_set1_ps(x(t).scale);
      const __m512 x_magic = _mm512_set1_ps(x(t).magic_scale);
#pragma GCC unroll 2
      for (int s = 0; s < S; ++s) {
        const __m512 dot = _mm512_fmsub_ps(_mm512_castsi512_ps(dots[s][t]), x_scale, x_magic);
        sums[s][t] = _mm512_fmadd_ps(scale[s], dot, sums[s][t]);
      }
    }
  }
  if constexpr (Source::minima) {
    __m512 low[S];
#pragma GCC unroll 2
    for (int s = 0; s < S; ++s) low[s] = sources[s].template low<half>();
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      const __m512 x_sum = _mm512_set1_ps(x(t).scaled_sum);
#pragma GCC unroll 2
      for (int s = 0; s < S; ++s) sums[s][t] = _mm512_fnmadd_ps(low[s], x_sum, sums[s][t]);
    }
  }
}

template <class Source, int S>
struct Strips {
  Source at[S];
};

// out[s][t][16], strips out_stride apart, gets (at block 0) or keeps adding the products of T rows with S strips.
template <class Source, int S, int T>
void tile(Strips<Source, S> strips, const Span& span, float* out, size_t out_stride) {
  Source* sources = strips.at;
  __m512 sums[S][T];
#pragma GCC unroll 2
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      sums[s][t] = span.begin == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(out + static_cast<size_t>(s) * out_stride + t * 16);
    }
  }
  int32_t block = span.begin;
  for (; block + 1 < span.end; block += 2) {
    for (int s = 0; s < S; ++s) sources[s].enter(block / 2);
    add_block<S, T, 0>(sources, span, block, sums);
    add_block<S, T, 1>(sources, span, block + 1, sums);
  }
  if (block < span.end) {
    for (int s = 0; s < S; ++s) sources[s].enter(block / 2);
    add_block<S, T, 0>(sources, span, block, sums);
  }
#pragma GCC unroll 2
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) _mm512_storeu_ps(out + static_cast<size_t>(s) * out_stride + t * 16, sums[s][t]);
  }
}

template <class Source, int S>
void direct(const Strips<Source, S>& strips, const Span& span, int32_t m, float* out) {
  const size_t out_stride = static_cast<size_t>(m) * strip_rows;
  switch (m) {
    case 1: return tile<Source, S, 1>(strips, span, out, out_stride);
    case 2: return tile<Source, S, 2>(strips, span, out, out_stride);
    case 3: return tile<Source, S, 3>(strips, span, out, out_stride);
    case 4: return tile<Source, S, 4>(strips, span, out, out_stride);
    case 5: return tile<Source, S, 5>(strips, span, out, out_stride);
    case 6: return tile<Source, S, 6>(strips, span, out, out_stride);
    // Two strips would no longer fit in registers.
    case 7: return tile<Source, 1, 7>({{strips.at[0]}}, span, out, out_stride);
    default: return tile<Source, 1, 8>({{strips.at[0]}}, span, out, out_stride);
  }
}

template <class Source, int S>
void expanded_tile(const Strips<Source, S>& sources, const Span& span, int32_t m, float* out, size_t out_stride) {
  switch (m) {
    case 4: return tile<Source, S, 4>(sources, span, out, out_stride);
    case 5: return tile<Source, S, 5>(sources, span, out, out_stride);
    default: return tile<Source, S, tile_rows>(sources, span, out, out_stride);
  }
}

template <class Source, int half, class Target>
[[gnu::always_inline]] inline void expand_block(const Source& source, uint8_t* bytes, float* scales) {
#pragma GCC unroll 8
  for (int g = 0; g < 8; ++g) {
    _mm512_store_si512(bytes + g * quad_bytes, source.template codes<half>(g));
    prefetch_share<Source, half>(source.ahead() + prefetch_ahead, g);
  }
#pragma GCC unroll 2
  for (int part = 0; part < Target::parts; ++part) _mm512_store_ps(scales + part * 16, source.template scale<half>(part));
  if constexpr (Target::minima) _mm512_store_ps(scales + Target::parts * 16, source.template low<half>());
}

// Many rows: piece by piece along k, expanding the strips once for all tiles of rows.
template <class Source>
void expanded(const uint8_t* strip, size_t strip_bytes, int32_t strips, const Span& span, int32_t m, float* out,
              uint8_t* work) {
  using Target = Expanded<Source::start, Source::minima>;
  Source sources[2] = {Source{strip}, Source{strip + (strips - 1) * strip_bytes}};
  uint8_t* bytes = work;
  float* scales = reinterpret_cast<float*>(work + 2 * static_cast<size_t>(piece_blocks) * plane_bytes);
  const size_t out_stride = static_cast<size_t>(m) * strip_rows;
  const int32_t blocks = span.end;
  const int32_t tiles = (m + tile_rows - 1) / tile_rows;
  for (int32_t begin = 0; begin < blocks; begin += piece_blocks) {
    const int32_t end = blocks - begin < piece_blocks ? blocks : begin + piece_blocks;
    for (int32_t s = 0; s < strips; ++s) {
      for (int32_t block = begin; block < end; block += 2) {
        const size_t i = static_cast<size_t>(s * piece_blocks + block - begin);
        sources[s].enter(block / 2);
        expand_block<Source, 0, Target>(sources[s], bytes + i * plane_bytes, scales + i * Target::stride);
        if (block + 1 < end) {
          expand_block<Source, 1, Target>(sources[s], bytes + (i + 1) * plane_bytes, scales + (i + 1) * Target::stride);
        }
      }
    }
    const Target first{bytes, scales, begin / 2};
    const Target second{bytes + piece_blocks * plane_bytes, scales + piece_blocks * Target::stride, begin / 2};
    for (int32_t i = 0, row = 0; i < tiles; ++i) {
      const int32_t count = m / tiles + (i < m % tiles ? 1 : 0);
      const Span part{span.rows + static_cast<size_t>(row) * span.stride, span.stride, begin, end};
      float* sums = out + static_cast<size_t>(row) * strip_rows;
      if (strips == 2) expanded_tile<Target, 2>({{first, second}}, part, count, sums, out_stride);
      else expanded_tile<Target, 1>({{first}}, part, count, sums, out_stride);
      row += count;
    }
  }
}
static_assert(2 * piece_blocks * (plane_bytes + 2 * strip_rows * sizeof(float)) <= work_bytes);

template <class Source>
void product(const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m, float* out,
             uint8_t* work) {
  const Span span{rows.quantised, rows.quantised_stride, 0, rows.cols / block_k};
  if (m > most_direct_rows) expanded<Source>(strip, strip_bytes, strips, span, m, out, work);
  else if (strips == 2) direct<Source, 2>({{Source{strip}, Source{strip + strip_bytes}}}, span, m, out);
  else direct<Source, 1>({{Source{strip}}}, span, m, out);
}

}  // namespace

int32_t quantised_strips_at_once(int32_t m) { return m == 7 || m == 8 ? 1 : 2; }

void quantised_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows,
                       int32_t m, float* out, uint8_t* work) {
  switch (format) {
    case Format::Q8_0: return product<SourceQ80>(strip, strip_bytes, strips, rows, m, out, work);
    case Format::Q4_0: return product<SourceQ40>(strip, strip_bytes, strips, rows, m, out, work);
    case Format::Q4_K: return product<SourceQ4K>(strip, strip_bytes, strips, rows, m, out, work);
    case Format::Q5_K: return product<SourceQ5K>(strip, strip_bytes, strips, rows, m, out, work);
    default: return product<SourceQ6K>(strip, strip_bytes, strips, rows, m, out, work);
  }
}

}  // namespace avx512
}  // namespace cortex::matmul
#endif
