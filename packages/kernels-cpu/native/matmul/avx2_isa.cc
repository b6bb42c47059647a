// The AVX2 engine: activation rows to codes, epilogues, and the table of functions.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx2_engine.h"

namespace cortex::matmul {
namespace avx2 {
namespace {

inline float largest_of(__m256 v) {
  __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  m = _mm_max_ps(m, _mm_movehl_ps(m, m));
  return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

inline int32_t sum_of(__m256i v) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

// The same arithmetic as the portable quantise_block, hence the same bits.
inline void quantise_block(const float* x, RowBlock& block) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 limit = _mm256_set1_ps(largest_activation);
  __m256 v[4];
  __m256 largest_lanes = _mm256_setzero_ps();
  __m256 sound_lanes = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_loadu_ps(x + i * 8);
    const __m256 size = _mm256_andnot_ps(sign, v[i]);
    sound_lanes = _mm256_and_ps(sound_lanes, _mm256_cmp_ps(size, limit, _CMP_LE_OQ));
    largest_lanes = _mm256_max_ps(largest_lanes, size);
  }
  const bool sound = _mm256_movemask_ps(sound_lanes) == 0xFF;
  const float largest = largest_of(largest_lanes);
  __m256i codes[4] = {};
  float scale = sound ? 0.0f : __builtin_nanf("");
  if (sound && largest >= smallest_activation) {
    scale = scale_of(largest);
    const __m256 inverse = _mm256_set1_ps(1.0f / scale);
    for (int i = 0; i < 4; ++i) codes[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
  }
  // The packs work within 128-bit lanes; the permutation puts the words back in order.
  const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(codes[0], codes[1]), _mm256_packs_epi32(codes[2], codes[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(block.codes),
                      _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  finish_block(block, scale, sum_of(_mm256_add_epi32(codes[0], codes[1])), sum_of(_mm256_add_epi32(codes[2], codes[3])));
}

void quantise_rows(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows) {
  for (int32_t i = 0; i < rows; ++i) {
    RowBlock* blocks = reinterpret_cast<RowBlock*>(dst + static_cast<size_t>(i) * quantised_row_bytes(cols));
    const float* row = x + static_cast<size_t>(i) * x_stride;
    for (int32_t b = 0; b < cols / block_k; ++b) quantise_block(row + b * block_k, blocks[b]);
  }
}

// e^x within a few units in the last place; 0 and infinity beyond +-104, NaN stays NaN. The power of two is applied in
// two steps because it leaves the range of an exponent before the result leaves the range of a float.
inline __m256 exponential(__m256 x) {
  x = _mm256_max_ps(_mm256_set1_ps(-104.0f), _mm256_min_ps(_mm256_set1_ps(104.0f), x));
  const __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), 8);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693145752f), x);
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(1.42860677e-6f), r);
  __m256 p = _mm256_set1_ps(1.0f / 5040);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 720));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 120));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 24));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f / 6));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i exponent = _mm256_cvtps_epi32(n);
  const __m256i first = _mm256_srai_epi32(exponent, 1);
  const __m256i second = _mm256_sub_epi32(exponent, first);
  const __m256i bias = _mm256_set1_epi32(127);
  p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23)));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23)));
}

// Up to 16 floats, the rest zero: a strip's last rows may be the last floats of a buffer.
inline const float* padded(const float* from, int32_t features, float* space) {
  if (features == strip_rows) return from;
  std::memset(space, 0, strip_rows * sizeof(float));
  std::memcpy(space, from, static_cast<size_t>(features) * sizeof(float));
  return space;
}

inline void store(const __m256* value, float* y, int32_t features) {
  float space[strip_rows];
  float* to = features == strip_rows ? y : space;
  _mm256_storeu_ps(to, value[0]);
  _mm256_storeu_ps(to + 8, value[1]);
  if (to == space) std::memcpy(y, space, static_cast<size_t>(features) * sizeof(float));
}

struct Engine {
  static bool splits(Format) { return false; }

  static int32_t strips_at_once(Format format, int32_t m) {
    return needs_quantised(format) ? 1 : dense_strips_at_once(m);
  }

  static void product(const Weights& weights, int32_t strip, int32_t strips, const Rows& rows, int32_t m, float* out,
                      uint8_t* work) {
    const size_t strip_bytes = packed_strip_bytes(weights.format, weights.cols);
    const uint8_t* packed = weights.data + static_cast<size_t>(strip) * strip_bytes;
    const size_t sums = static_cast<size_t>(m) * strip_rows;
    if (needs_quantised(weights.format)) {
      for (int32_t s = 0; s < strips; ++s) {
        quantised_product(weights.format, packed + static_cast<size_t>(s) * strip_bytes, rows, m, out + static_cast<size_t>(s) * sums, work);
      }
    } else {
      dense_product(weights.format, packed, strip_bytes, strips, rows, m, out, work);
    }
  }

  static void finish(const float* sums, const float* bias, const float* residual, float* y, int32_t features) {
    __m256 value[2] = {_mm256_loadu_ps(sums), _mm256_loadu_ps(sums + 8)};
    float space[strip_rows];
    const float* addends[2] = {bias, residual};
    for (const float* addend : addends) {
      if (addend == nullptr) continue;
      const float* from = padded(addend, features, space);
      value[0] = _mm256_add_ps(value[0], _mm256_loadu_ps(from));
      value[1] = _mm256_add_ps(value[1], _mm256_loadu_ps(from + 8));
    }
    store(value, y, features);
  }

  static void finish_swiglu(const float* gate, const float* up, float* y, int32_t features) {
    __m256 value[2];
    for (int i = 0; i < 2; ++i) {
      const __m256 g = _mm256_loadu_ps(gate + i * 8);
      const __m256 e = exponential(_mm256_sub_ps(_mm256_setzero_ps(), g));
      const __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
      value[i] = _mm256_mul_ps(silu, _mm256_loadu_ps(up + i * 8));
    }
    store(value, y, features);
  }
};

void linear(const LinearArgs& args) { run_linear<Engine>(args); }
void swiglu(const SwigluArgs& args) { run_swiglu<Engine>(args); }

constexpr MatmulIsa isa = {"avx2", quantise_rows, linear, swiglu, nullptr};

}  // namespace
}  // namespace avx2

const MatmulIsa* avx2_isa() { return &avx2::isa; }

}  // namespace cortex::matmul
#endif
