// AVX-512 products with F32, F16 and BF16 weights: 16 rows per zmm, one fused multiply-add per k in ascending order, in
// chains of chain_k. The same chains for every tile keep results independent of it; several strips or rows hide their latency.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx512_engine.h"

namespace cortex::matmul {
namespace avx512 {
namespace {

constexpr int32_t most_direct_rows = 4;
constexpr int32_t tile_rows = 8;
// k taken at a time when 16-bit weights are expanded: 2 strips x 256 x 64 bytes.
constexpr int32_t piece_k = 256;
constexpr size_t prefetch_ahead = 2048;

// Four consecutive k of one strip as four vectors.
template <Format format>
struct Source;

template <>
struct Source<Format::F32> {
  static constexpr size_t bytes_per_k = 64;
  static __m512 one(const uint8_t* at) { return _mm512_loadu_ps(at); }
  static void two(const uint8_t* at, __m512* w) {
    w[0] = _mm512_loadu_ps(at);
    w[1] = _mm512_loadu_ps(at + 64);
  }
};

template <>
struct Source<Format::F16> {
  static constexpr size_t bytes_per_k = 32;
  static __m512 one(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static void two(const uint8_t* at, __m512* w) {
    w[0] = one(at);
    w[1] = one(at + 32);
  }
};

template <>
struct Source<Format::BF16> {
  static constexpr size_t bytes_per_k = 32;
  static __m512 one(const uint8_t* at) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(at), 16));
  }
  static void two(const uint8_t* at, __m512* w) {
    const __m512i both = _mm512_loadu_si512(at);
    w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
    w[1] = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000u))));
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
  __m512 sums[S][T];
#pragma GCC unroll 4
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) sums[s][t] = _mm512_setzero_ps();
  }
  const auto pair = [&](int32_t k) __attribute__((always_inline)) {
    __m512 w[S][2];
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      W::two(span.strip + s * span.strip_stride + static_cast<size_t>(k) * W::bytes_per_k, w[s]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const __m512 x = _mm512_set1_ps(span.x[t * span.x_stride + static_cast<size_t>(k + i)]);
#pragma GCC unroll 4
        for (int s = 0; s < S; ++s) sums[s][t] = _mm512_fmadd_ps(w[s][i], x, sums[s][t]);
      }
    }
  };
  int32_t k = begin;
  for (; k + 4 <= end; k += 4) {
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      const uint8_t* at = span.strip + s * span.strip_stride + static_cast<size_t>(k) * W::bytes_per_k + prefetch_ahead;
#pragma GCC unroll 4
      for (size_t line = 0; line < W::bytes_per_k * 4; line += 64) {
        _mm_prefetch(reinterpret_cast<const char*>(at + line), _MM_HINT_T0);
      }
    }
    pair(k);
    pair(k + 2);
  }
  for (; k + 2 <= end; k += 2) pair(k);
  if (k < end) {
#pragma GCC unroll 4
    for (int s = 0; s < S; ++s) {
      const __m512 w = W::one(span.strip + s * span.strip_stride + static_cast<size_t>(k) * W::bytes_per_k);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        sums[s][t] = _mm512_fmadd_ps(w, _mm512_set1_ps(span.x[t * span.x_stride + static_cast<size_t>(k)]), sums[s][t]);
      }
    }
  }
  const bool first = span.first && begin == 0;
#pragma GCC unroll 4
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t) {
      float* out = span.out + s * span.out_stride + t * 16;
      _mm512_storeu_ps(out, first ? sums[s][t] : _mm512_add_ps(_mm512_loadu_ps(out), sums[s][t]));
    }
  }
}

template <Format format, int S, int T>
void tile(const Span& span) {
  for (int32_t begin = 0; begin < span.count; begin += chain_k) chain<format, S, T>(span, begin);
}

template <Format format, int S>
void few(const Span& span, int32_t m) {
  switch (m) {
    case 1: return tile<format, S, 1>(span);
    case 2: return tile<format, S, 2>(span);
    case 3: return tile<format, S, 3>(span);
    default: return tile<format, S, 4>(span);
  }
}

template <int S>
void many(const Span& span, int32_t m) {
  switch (m) {
    case 4: return tile<Format::F32, S, 4>(span);
    case 5: return tile<Format::F32, S, 5>(span);
    case 6: return tile<Format::F32, S, 6>(span);
    case 7: return tile<Format::F32, S, 7>(span);
    default: return tile<Format::F32, S, tile_rows>(span);
  }
}

template <Format format>
void few_rows(const Span& span, int32_t strips, int32_t m) {
  if (strips == 4) return few<format, 4>(span, m);
  if (strips == 2) return few<format, 2>(span, m);
  Span one = span;
  for (int32_t s = 0; s < strips; ++s) {
    few<format, 1>(one, m);
    one.strip += one.strip_stride;
    one.out += one.out_stride;
  }
}

template <Format format>
void expand(const uint8_t* strip, int32_t count, float* out) {
  for (int32_t k = 0; k < count; k += 2) {
    __m512 w[2];
    const uint8_t* at = strip + static_cast<size_t>(k) * Source<format>::bytes_per_k;
    Source<format>::two(at, w);
    _mm_prefetch(reinterpret_cast<const char*>(at + prefetch_ahead), _MM_HINT_T0);
    _mm512_store_ps(out + k * 16, w[0]);
    _mm512_store_ps(out + (k + 1) * 16, w[1]);
  }
}

template <Format format>
void many_rows(const Span& whole, int32_t strips, int32_t m, uint8_t* work) {
  const int32_t tiles = (m + tile_rows - 1) / tile_rows;
  constexpr size_t bytes_per_k = Source<format>::bytes_per_k;
  for (int32_t begin = 0; begin < whole.count; begin += piece_k) {
    const int32_t count = whole.count - begin < piece_k ? whole.count - begin : piece_k;
    Span span = whole;
    span.strip += static_cast<size_t>(begin) * bytes_per_k;
    if constexpr (format != Format::F32) {
      for (int32_t s = 0; s < strips; ++s) {
        expand<format>(span.strip + s * whole.strip_stride, count, reinterpret_cast<float*>(work) + s * piece_k * 16);
      }
      span.strip = work;
      span.strip_stride = piece_k * 64;
    }
    span.x += begin;
    span.count = count;
    span.first = begin == 0;
    for (int32_t i = 0; i < tiles; ++i) {
      const int32_t rows = m / tiles + (i < m % tiles ? 1 : 0);
      if (strips == 2) many<2>(span, rows);
      else many<1>(span, rows);
      span.x += static_cast<size_t>(rows) * span.x_stride;
      span.out += static_cast<size_t>(rows) * strip_rows;
    }
  }
}
static_assert(2 * piece_k * 64 <= work_bytes && piece_k % chain_k == 0);

template <Format format>
void product(const Span& span, int32_t strips, int32_t m, uint8_t* work) {
  if (m <= most_direct_rows) few_rows<format>(span, strips, m);
  else many_rows<format>(span, strips, m, work);
}

}  // namespace

int32_t dense_strips_at_once(int32_t m) { return m <= most_direct_rows ? 4 : 2; }

void dense_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m,
                   float* out, uint8_t* work) {
  const Span span{strip, strip_bytes, rows.x, rows.x_stride, rows.cols, true, out, static_cast<size_t>(m) * strip_rows};
  if (format == Format::F32) product<Format::F32>(span, strips, m, work);
  else if (format == Format::F16) product<Format::F16>(span, strips, m, work);
  else product<Format::BF16>(span, strips, m, work);
}

}  // namespace avx512
}  // namespace cortex::matmul
#endif
