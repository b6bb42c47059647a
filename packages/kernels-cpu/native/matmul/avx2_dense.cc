// AVX2 products with F32, F16 and BF16 weights: 16 rows in two ymm, one fused multiply-add per k in ascending
// order, in chains of chain_k.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx2_engine.h"

namespace cortex::matmul {
namespace avx2 {
namespace {

constexpr int32_t most_direct_rows = 3;
constexpr int32_t tile_rows = 6;
// k taken at a time when 16-bit weights are expanded: 256 x 64 bytes.
constexpr int32_t piece_k = 256;
constexpr size_t prefetch_ahead = 2048;

inline __m256i load(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

// Two consecutive k of one strip: w[k][rows 0..7 | 8..15]. `one` reads a last odd k.
template <Format format>
struct Source;

template <>
struct Source<Format::F32> {
  static constexpr size_t bytes_per_k = 64;
  static void one(const uint8_t* at, __m256* w) {
    const float* floats = reinterpret_cast<const float*>(at);
    w[0] = _mm256_loadu_ps(floats);
    w[1] = _mm256_loadu_ps(floats + 8);
  }
  static void two(const uint8_t* at, __m256 (*w)[2]) {
    one(at, w[0]);
    one(at + 64, w[1]);
  }
};

template <>
struct Source<Format::F16> {
  static constexpr size_t bytes_per_k = 32;
  static void one(const uint8_t* at, __m256* w) {
    w[0] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
    w[1] = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16)));
  }
  static void two(const uint8_t* at, __m256 (*w)[2]) {
    one(at, w[0]);
    one(at + 32, w[1]);
  }
};

template <>
struct Source<Format::BF16> {
  static constexpr size_t bytes_per_k = 32;
  static void one(const uint8_t* at, __m256* w) {
    w[0] = _mm256_castsi256_ps(_mm256_slli_epi32(load(at), 16));
    w[1] = _mm256_castsi256_ps(_mm256_slli_epi32(load(at + 32), 16));
  }
  static void two(const uint8_t* at, __m256 (*w)[2]) {
    const __m256i top = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
    one(at, w[0]);
    w[1][0] = _mm256_castsi256_ps(_mm256_and_si256(load(at), top));
    w[1][1] = _mm256_castsi256_ps(_mm256_and_si256(load(at + 32), top));
  }
};

// k in [0, count), `first` says whether out is to be overwritten. out is [S] planes, out_stride floats apart, of [T][16].
struct Span {
  const uint8_t* strip;
  size_t strip_stride;
  const float* x;
  size_t x_stride;
  int32_t count;
  bool first;
  float* out;
  size_t out_stride;
};

// Sums over at most chain_k from `begin` on, stored or added to what out holds.
template <Format format, int S, int T>
inline __attribute__((always_inline)) void chain(const Span& span, int32_t begin) {
  using W = Source<format>;
  const int32_t end = span.count - begin < chain_k ? span.count : begin + chain_k;
  __m256 sums[S][T][2];
#pragma GCC unroll 4
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) sums[s][t][0] = sums[s][t][1] = _mm256_setzero_ps();
  }
  const auto add = [&](int s, int32_t k, const __m256* w) __attribute__((always_inline)) {
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) {
      const __m256 x = _mm256_set1_ps(span.x[static_cast<size_t>(t) * span.x_stride + static_cast<size_t>(k)]);
      sums[s][t][0] = _mm256_fmadd_ps(w[0], x, sums[s][t][0]);
      sums[s][t][1] = _mm256_fmadd_ps(w[1], x, sums[s][t][1]);
    }
  };
  int32_t k = begin;
  for (; k + 2 <= end; k += 2) {
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      const uint8_t* at = span.strip + static_cast<size_t>(s) * span.strip_stride + static_cast<size_t>(k) * W::bytes_per_k;
      __m256 w[2][2];
      W::two(at, w);
      _mm_prefetch(reinterpret_cast<const char*>(at + prefetch_ahead), _MM_HINT_T0);
      if constexpr (W::bytes_per_k == 64) _mm_prefetch(reinterpret_cast<const char*>(at + prefetch_ahead + 64), _MM_HINT_T0);
      add(s, k, w[0]);
      add(s, k + 1, w[1]);
    }
  }
  if (k < end) {
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      __m256 w[2];
      W::one(span.strip + static_cast<size_t>(s) * span.strip_stride + static_cast<size_t>(k) * W::bytes_per_k, w);
      add(s, k, w);
    }
  }
  const bool first = span.first && begin == 0;
#pragma GCC unroll 4
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 6
    for (int t = 0; t < T; ++t) {
      float* out = span.out + static_cast<size_t>(s) * span.out_stride + t * 16;
      for (int half = 0; half < 2; ++half) {
        const __m256 total = first ? sums[s][t][half] : _mm256_add_ps(_mm256_loadu_ps(out + half * 8), sums[s][t][half]);
        _mm256_storeu_ps(out + half * 8, total);
      }
    }
  }
}

template <Format format, int S, int T>
void tile(const Span& span) {
  for (int32_t begin = 0; begin < span.count; begin += chain_k) chain<format, S, T>(span, begin);
}

template <Format format>
void few_rows(Span span, int32_t strips, int32_t m) {
  if (m == 1 && strips == 4) return tile<format, 4, 1>(span);
  if (m == 2 && strips == 2) return tile<format, 2, 2>(span);
  if (m == 3 && strips == 2) return tile<format, 2, 3>(span);
  for (int32_t s = 0; s < strips; ++s) {
    if (m == 1) tile<format, 1, 1>(span);
    else if (m == 2) tile<format, 1, 2>(span);
    else tile<format, 1, 3>(span);
    span.strip += span.strip_stride;
    span.out += span.out_stride;
  }
}

template <Format format>
void expand(const uint8_t* strip, int32_t count, float* out) {
  for (int32_t k = 0; k < count; k += 2) {
    __m256 w[2][2];
    const uint8_t* at = strip + static_cast<size_t>(k) * Source<format>::bytes_per_k;
    Source<format>::two(at, w);
    _mm_prefetch(reinterpret_cast<const char*>(at + prefetch_ahead), _MM_HINT_T0);
    for (int i = 0; i < 4; ++i) _mm256_store_ps(out + k * 16 + i * 8, w[i / 2][i % 2]);
  }
}

template <Format format>
void many_rows(const Span& whole, int32_t m, uint8_t* work) {
  const int32_t tiles = (m + tile_rows - 1) / tile_rows;
  for (int32_t begin = 0; begin < whole.count; begin += piece_k) {
    Span span = whole;
    span.count = whole.count - begin < piece_k ? whole.count - begin : piece_k;
    span.strip += static_cast<size_t>(begin) * Source<format>::bytes_per_k;
    if constexpr (format != Format::F32) {
      expand<format>(span.strip, span.count, reinterpret_cast<float*>(work));
      span.strip = work;
    }
    span.x += begin;
    span.first = begin == 0;
    for (int32_t i = 0; i < tiles; ++i) {
      const int32_t rows = m / tiles + (i < m % tiles ? 1 : 0);
      switch (rows) {
        case 3: tile<Format::F32, 1, 3>(span); break;
        case 4: tile<Format::F32, 1, 4>(span); break;
        case 5: tile<Format::F32, 1, 5>(span); break;
        default: tile<Format::F32, 1, 6>(span); break;
      }
      span.x += static_cast<size_t>(rows) * span.x_stride;
      span.out += static_cast<size_t>(rows) * strip_rows;
    }
  }
}
// An odd last k makes expand read and write one k more.
static_assert((piece_k + 1) * 64 <= work_bytes && piece_k % chain_k == 0);

template <Format format>
void product(const Span& span, int32_t strips, int32_t m, uint8_t* work) {
  if (m <= most_direct_rows) few_rows<format>(span, strips, m);
  else many_rows<format>(span, m, work);
}

}  // namespace

int32_t dense_strips_at_once(int32_t m) { return m == 1 ? 4 : m <= most_direct_rows ? 2 : 1; }

void dense_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m,
                   float* out, uint8_t* work) {
  const Span span{strip, strip_bytes, rows.x, rows.x_stride, rows.cols, true, out, static_cast<size_t>(m) * strip_rows};
  if (format == Format::F32) product<Format::F32>(span, strips, m, work);
  else if (format == Format::F16) product<Format::F16>(span, strips, m, work);
  else product<Format::BF16>(span, strips, m, work);
}

}  // namespace avx2
}  // namespace cortex::matmul
#endif
