// AVX2 products with quantised weights: the AVX-512 scheme on two ymm per quad plane (rows 0..7 and 8..15).
//
// vpmaddubsw adds two products u8 x s8 in 16 bits and saturates. Codes of four, five and six bits leave room for 8, 4 and 2
// quads of such pairs before vpmaddwd must widen them; codes of Q8_0 do not, so they are taken as magnitude (at most 128)
// times the activation with the code's sign, whose pairs reach 2 * 128 * 127 = 32512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx2_engine.h"

namespace cortex::matmul {
namespace avx2 {
namespace {

constexpr int32_t piece_blocks = 32;
constexpr int32_t most_direct_rows = 4;
constexpr int32_t tile_rows = 4;
constexpr size_t prefetch_ahead = 2048;

struct Codes {
  __m256i v[2];
};
struct Lanes {
  __m256 v[2];
};

inline __m256i load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
inline __m128i load_half(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
inline __m256i word(const void* at) {
  int32_t value;
  std::memcpy(&value, at, 4);
  return _mm256_set1_epi32(value);
}
inline Codes pair_of(const uint8_t* at) { return {{load(at), load(at + 32)}}; }
inline Lanes halves(const uint8_t* at) { return {{_mm256_cvtph_ps(load_half(at)), _mm256_cvtph_ps(load_half(at + 16))}}; }
inline Lanes times(const Lanes& a, const Lanes& b) {
  return {{_mm256_mul_ps(a.v[0], b.v[0]), _mm256_mul_ps(a.v[1], b.v[1])}};
}
inline Lanes from_u8(const uint8_t* at) {
  const __m128i bytes = load_half(at);
  return {{_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))}};
}
inline Lanes from_i8(const uint8_t* at) {
  const __m128i bytes = load_half(at);
  return {{_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))}};
}

template <int half>
inline __m256i nibbles(__m256i codes) {
  if constexpr (half == 1) codes = _mm256_srli_epi16(codes, 4);
  return _mm256_and_si256(codes, _mm256_set1_epi8(15));
}
template <int half>
inline Codes nibbles(const uint8_t* at) { return {{nibbles<half>(load(at)), nibbles<half>(load(at + 32))}}; }

// What a kernel must know of a format. `quads`: how many quads of pairs fit 16 bits; 0: signed codes.
enum class Start { zero, q40, q6k };
template <Start start_, bool minima_, int quads_>
struct Traits {
  static constexpr Start start = start_;
  static constexpr bool minima = minima_;
  static constexpr int quads = quads_;
  static constexpr int parts = start_ == Start::q6k ? 2 : 1;
};

// A source: `enter(pair)` moves to the blocks 2 * pair and 2 * pair + 1, `half` says which.

struct SourceQ80 : Traits<Start::zero, false, 0> {
  static constexpr size_t lines = Q80::group_bytes / 64;
  const uint8_t* strip;
  const uint8_t* group = nullptr;
  explicit SourceQ80(const uint8_t* packed) : strip(packed) {}
  void enter(int32_t pair) { group = strip + static_cast<size_t>(pair) * Q80::group_bytes; }
  const uint8_t* ahead() const { return group; }
  template <int half>
  Codes codes(int32_t g) const {
    const Codes biased = pair_of(group + Q80::codes + half * plane_bytes + static_cast<size_t>(g) * quad_bytes);
    const __m256i flip = _mm256_set1_epi8(-128);
    return {{_mm256_xor_si256(biased.v[0], flip), _mm256_xor_si256(biased.v[1], flip)}};
  }
  template <int half>
  Lanes scale(int) const { return halves(group + half * 32); }
};

struct SourceQ40 : Traits<Start::q40, false, 8> {
  static constexpr size_t lines = Q40::group_bytes / 64;
  const uint8_t* strip;
  const uint8_t* group = nullptr;
  explicit SourceQ40(const uint8_t* packed) : strip(packed) {}
  void enter(int32_t pair) { group = strip + static_cast<size_t>(pair) * Q40::group_bytes; }
  const uint8_t* ahead() const { return group; }
  template <int half>
  Codes codes(int32_t g) const { return nibbles<half>(group + Q40::codes + static_cast<size_t>(g) * quad_bytes); }
  template <int half>
  Lanes scale(int) const { return halves(group + half * 32); }
};

// 96 bytes of six-bit values to bytes [8][16].
inline void widen_six_bits(const uint8_t* area, uint8_t* out) {
  const __m256i a = load(area), b = load(area + 32), high = load(area + 64);
  const __m256i mask = _mm256_set1_epi8(0x30);
  const auto put = [out, mask](int32_t j, __m256i low, __m256i top) {
    _mm256_store_si256(reinterpret_cast<__m256i*>(out + j * 16), _mm256_or_si256(low, _mm256_and_si256(top, mask)));
  };
  put(0, nibbles<0>(a), _mm256_slli_epi16(high, 4));
  put(2, nibbles<0>(b), _mm256_slli_epi16(high, 2));
  put(4, nibbles<1>(a), high);
  put(6, nibbles<1>(b), _mm256_srli_epi16(high, 2));
}

template <class Layout>
struct SourceSixBit : Traits<Start::zero, true, Layout::super_bytes == Q5K::super_bytes ? 4 : 8> {
  static constexpr size_t lines = Layout::super_bytes / 256;
  const uint8_t* strip;
  const uint8_t* super = nullptr;
  const uint8_t* plane = nullptr;
  const uint8_t* soon = nullptr;
  int32_t quarter = 0;
  Lanes d = {}, dmin = {};
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
  Codes codes(int32_t g) const {
    Codes codes = nibbles<half>(plane + static_cast<size_t>(g) * quad_bytes);
    if constexpr (Layout::super_bytes == Q5K::super_bytes) {
      const Codes bits = pair_of(super + Q5K::high + static_cast<size_t>(g) * quad_bytes);
      const __m128i count = _mm_cvtsi32_si128(2 * quarter + half);
      for (int i = 0; i < 2; ++i) {
        const __m256i bit = _mm256_and_si256(_mm256_srl_epi16(bits.v[i], count), _mm256_set1_epi8(1));
        codes.v[i] = _mm256_or_si256(codes.v[i], _mm256_slli_epi16(bit, 4));
      }
    }
    return codes;
  }
  template <int half>
  Lanes scale(int) const { return times(d, from_u8(scales + (2 * quarter + half) * 16)); }
  template <int half>
  Lanes low() const { return times(dmin, from_u8(mins + (2 * quarter + half) * 16)); }
};
using SourceQ4K = SourceSixBit<Q4K>;
using SourceQ5K = SourceSixBit<Q5K>;

struct SourceQ6K : Traits<Start::q6k, false, 2> {
  static constexpr size_t lines = (Q6K::super_bytes / 4 + 63) / 64;
  const uint8_t* strip;
  const uint8_t* super = nullptr;
  const uint8_t* plane = nullptr;
  const uint8_t* high = nullptr;
  const uint8_t* soon = nullptr;
  int32_t quarter = 0;
  Lanes d = {};

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
  Codes codes(int32_t g) const {
    // Bits 2 * (quarter & 1) + 4 * half belong at bit 4: one shift to the left, of 4 or 2, or to the right, of 0 or 2.
    const Codes bits = pair_of(high + static_cast<size_t>(g) * quad_bytes);
    Codes codes = nibbles<half>(plane + static_cast<size_t>(g) * quad_bytes);
    const int32_t odd = 2 * (quarter & 1);
    const __m128i count = _mm_cvtsi32_si128(half == 0 ? 4 - odd : odd);
    for (int i = 0; i < 2; ++i) {
      const __m256i top = half == 0 ? _mm256_sll_epi16(bits.v[i], count) : _mm256_srl_epi16(bits.v[i], count);
      codes.v[i] = _mm256_or_si256(codes.v[i], _mm256_and_si256(top, _mm256_set1_epi8(0x30)));
    }
    return codes;
  }
  template <int half>
  Lanes scale(int part) const { return times(d, from_i8(super + Q6K::scales + (4 * quarter + 2 * half + part) * 16)); }
};

// A piece of a strip as bytes u8[blocks][8][64] and scales f32[blocks][parts + minima][16].
template <class Source>
struct Expanded : Traits<Source::start, Source::minima, Source::quads> {
  using Base = Traits<Source::start, Source::minima, Source::quads>;
  static constexpr int32_t stride = (Base::parts + (Base::minima ? 1 : 0)) * 16;
  static constexpr size_t lines = 0;
  const uint8_t* bytes;
  const float* scales;
  int32_t first;
  const uint8_t* at = nullptr;
  const float* at_scales = nullptr;
  Expanded(const uint8_t* bytes_, const float* scales_, int32_t first_) : bytes(bytes_), scales(scales_), first(first_) {}
  void enter(int32_t pair) {
    at = bytes + static_cast<size_t>(pair - first) * 2 * plane_bytes;
    at_scales = scales + static_cast<size_t>(pair - first) * 2 * stride;
  }
  const uint8_t* ahead() const { return at; }
  template <int half>
  Codes codes(int32_t g) const { return pair_of(at + half * plane_bytes + static_cast<size_t>(g) * quad_bytes); }
  Lanes lanes(const float* from) const { return {{_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}}; }
  template <int half>
  Lanes scale(int part) const { return lanes(at_scales + half * stride + part * 16); }
  template <int half>
  Lanes low() const { return lanes(at_scales + half * stride + Base::parts * 16); }
};

struct Span {  // blocks [begin, end) of the rows of one tile
  const uint8_t* rows;
  size_t stride;
  int32_t begin;
  int32_t end;
};

template <Start start>
inline __m256i start_of(const RowBlock& x, int part) {
  if constexpr (start == Start::q40) return _mm256_set1_epi32(x.start_q40);
  else if constexpr (start == Start::q6k) return _mm256_set1_epi32(x.start_q6k[part]);
  else return _mm256_set1_epi32(magic_bits);
}

template <class Source, int half>
[[gnu::always_inline]] inline void prefetch_share(const Source& source, int g) {
  constexpr size_t lines = Source::lines;
  const size_t i = static_cast<size_t>(half * 8 + g);
#pragma GCC unroll 2
  for (size_t line = i * lines / 16; line < (i + 1) * lines / 16; ++line) {
    _mm_prefetch(reinterpret_cast<const char*>(source.ahead() + prefetch_ahead + line * 64), _MM_HINT_T0);
  }
}

template <int T, int half, class Source>
[[gnu::always_inline]] inline void add_block(const Source& source, const Span& span, int32_t block, __m256 (*sums)[2]) {
  constexpr int parts = Source::parts;
  constexpr int quads = 8 / parts;
  constexpr int run = Source::quads == 0 ? quads : Source::quads;
  const __m256i ones = _mm256_set1_epi16(1);
  const auto x = [&span, block](int t) __attribute__((always_inline)) -> const RowBlock& {
    return reinterpret_cast<const RowBlock*>(span.rows + static_cast<size_t>(t) * span.stride)[block];
  };
#pragma GCC unroll 2
  for (int part = 0; part < parts; ++part) {
    __m256i dots[T][2];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      dots[t][0] = dots[t][1] = start_of<Source::start>(x(t), part);
    }
#pragma GCC unroll 4
    for (int begin = 0; begin < quads; begin += run) {
      __m256i short_dots[T][2] = {};
#pragma GCC unroll 8
      for (int q = begin; q < begin + run; ++q) {
        const int g = part * quads + q;
        const Codes codes = source.template codes<half>(g);
        Codes sizes = codes;
        if constexpr (Source::quads == 0) {
          sizes.v[0] = _mm256_abs_epi8(codes.v[0]);
          sizes.v[1] = _mm256_abs_epi8(codes.v[1]);
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          const __m256i xs = word(x(t).codes + g * 4);
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {
            if constexpr (Source::quads == 0) {
              const __m256i products = _mm256_maddubs_epi16(sizes.v[i], _mm256_sign_epi8(xs, codes.v[i]));
              dots[t][i] = _mm256_add_epi32(dots[t][i], _mm256_madd_epi16(products, ones));
            } else {
              short_dots[t][i] = _mm256_add_epi16(short_dots[t][i], _mm256_maddubs_epi16(sizes.v[i], xs));
            }
          }
        }
        prefetch_share<Source, half>(source, g);
      }
      if constexpr (Source::quads != 0) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          for (int i = 0; i < 2; ++i) {
            dots[t][i] = _mm256_add_epi32(dots[t][i], _mm256_madd_epi16(short_dots[t][i], ones));
          }
        }
      }
    }
    const Lanes scale = source.template scale<half>(part);
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      const __m256 x_scale = _mm256_set1_ps(x(t).scale);
      const __m256 x_magic = _mm256_set1_ps(x(t).magic_scale);
      for (int i = 0; i < 2; ++i) {
        const __m256 dot = _mm256_fmsub_ps(_mm256_castsi256_ps(dots[t][i]), x_scale, x_magic);
        sums[t][i] = _mm256_fmadd_ps(scale.v[i], dot, sums[t][i]);
      }
    }
  }
  if constexpr (Source::minima) {
    const Lanes low = source.template low<half>();
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
      const __m256 x_sum = _mm256_set1_ps(x(t).scaled_sum);
      for (int i = 0; i < 2; ++i) sums[t][i] = _mm256_fnmadd_ps(low.v[i], x_sum, sums[t][i]);
    }
  }
}

// out[t][16] gets (at block 0) or keeps adding the products of T rows with one strip.
template <class Source, int T>
void tile(const Source& from, const Span& span, float* out) {
  Source source = from;
  __m256 sums[T][2];
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 2; ++i) sums[t][i] = span.begin == 0 ? _mm256_setzero_ps() : _mm256_loadu_ps(out + t * 16 + i * 8);
  }
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
#pragma GCC unroll 4
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < 2; ++i) _mm256_storeu_ps(out + t * 16 + i * 8, sums[t][i]);
  }
}

template <class Source, int half>
[[gnu::always_inline]] inline void expand_block(const Source& source, uint8_t* bytes, float* scales) {
  const auto put = [](float* to, const Lanes& lanes) {
    _mm256_storeu_ps(to, lanes.v[0]);
    _mm256_storeu_ps(to + 8, lanes.v[1]);
  };
  for (int g = 0; g < 8; ++g) {
    const Codes codes = source.template codes<half>(g);
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes + static_cast<size_t>(g) * quad_bytes), codes.v[0]);
    _mm256_store_si256(reinterpret_cast<__m256i*>(bytes + static_cast<size_t>(g) * quad_bytes + 32), codes.v[1]);
    prefetch_share<Source, half>(source, g);
  }
  for (int part = 0; part < Source::parts; ++part) put(scales + part * 16, source.template scale<half>(part));
  if constexpr (Source::minima) put(scales + Source::parts * 16, source.template low<half>());
}

// Many rows: piece by piece along k, expanding the strip once for all tiles of rows.
template <class Source>
void expanded(const Source& from, const Span& span, int32_t m, float* out, uint8_t* work) {
  Source source = from;
  using Target = Expanded<Source>;
  float* scales = reinterpret_cast<float*>(work + static_cast<size_t>(piece_blocks) * plane_bytes);
  const int32_t blocks = span.end;
  const int32_t tiles = (m + tile_rows - 1) / tile_rows;
  for (int32_t begin = 0; begin < blocks; begin += piece_blocks) {
    const int32_t end = blocks - begin < piece_blocks ? blocks : begin + piece_blocks;
    for (int32_t block = begin; block < end; block += 2) {
      const size_t i = static_cast<size_t>(block - begin);
      source.enter(block / 2);
      expand_block<Source, 0>(source, work + i * plane_bytes, scales + i * Target::stride);
      if (block + 1 < end) {
        expand_block<Source, 1>(source, work + (i + 1) * plane_bytes, scales + (i + 1) * Target::stride);
      }
    }
    const Target target{work, scales, begin / 2};
    for (int32_t i = 0, row = 0; i < tiles; ++i) {
      const int32_t count = m / tiles + (i < m % tiles ? 1 : 0);
      const Span part{span.rows + static_cast<size_t>(row) * span.stride, span.stride, begin, end};
      float* sums = out + static_cast<size_t>(row) * strip_rows;
      if (count == 2) tile<Target, 2>(target, part, sums);
      else if (count == 3) tile<Target, 3>(target, part, sums);
      else tile<Target, 4>(target, part, sums);
      row += count;
    }
  }
}
static_assert(piece_blocks * (plane_bytes + 2 * strip_rows * sizeof(float)) <= work_bytes);

template <class Source>
void product(const uint8_t* strip, const Rows& rows, int32_t m, float* out, uint8_t* work) {
  const Span span{rows.quantised, rows.quantised_stride, 0, rows.cols / block_k};
  switch (m) {
    case 1: return tile<Source, 1>(Source{strip}, span, out);
    case 2: return tile<Source, 2>(Source{strip}, span, out);
    case 3: return tile<Source, 3>(Source{strip}, span, out);
    case most_direct_rows: return tile<Source, most_direct_rows>(Source{strip}, span, out);
    default: return expanded(Source{strip}, span, m, out, work);
  }
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

}  // namespace avx2
}  // namespace cortex::matmul
#endif
