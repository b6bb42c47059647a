// The AVX-512 engine: activation rows to codes, epilogues, and the tables of functions, with the tile unit and without.
#if defined(__x86_64__)
#include <immintrin.h>

#include "avx512_engine.h"

namespace cortex::matmul {
namespace avx512 {
namespace {

// The same arithmetic as the portable quantise_block, hence the same bits.
inline void quantise_block(const float* x, RowBlock& block) {
  const __m512 a = _mm512_loadu_ps(x);
  const __m512 b = _mm512_loadu_ps(x + 16);
  const __m512 a_size = _mm512_abs_ps(a);
  const __m512 b_size = _mm512_abs_ps(b);
  const __m512 limit = _mm512_set1_ps(largest_activation);
  const bool sound = (_mm512_cmp_ps_mask(a_size, limit, _CMP_LE_OQ) & _mm512_cmp_ps_mask(b_size, limit, _CMP_LE_OQ)) == 0xFFFF;
  const float largest = _mm512_reduce_max_ps(_mm512_max_ps(a_size, b_size));
  __m512i a_codes = _mm512_setzero_si512();
  __m512i b_codes = _mm512_setzero_si512();
  float scale = sound ? 0.0f : __builtin_nanf("");
  if (sound && largest >= smallest_activation) {
    scale = scale_of(largest);
    const __m512 inverse = _mm512_set1_ps(1.0f / scale);
    a_codes = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse));
    b_codes = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  }
  _mm_storeu_si128(reinterpret_cast<__m128i*>(block.codes), _mm512_cvtepi32_epi8(a_codes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(block.codes + 16), _mm512_cvtepi32_epi8(b_codes));
  finish_block(block, scale, _mm512_reduce_add_epi32(a_codes), _mm512_reduce_add_epi32(b_codes));
}

void quantise_rows(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows) {
  for (int32_t i = 0; i < rows; ++i) {
    RowBlock* blocks = reinterpret_cast<RowBlock*>(dst + static_cast<size_t>(i) * quantised_row_bytes(cols));
    const float* row = x + static_cast<size_t>(i) * x_stride;
    for (int32_t b = 0; b < cols / block_k; ++b) quantise_block(row + b * block_k, blocks[b]);
  }
}

// e^x within a few units in the last place; 0 and infinity beyond +-104, NaN stays NaN.
inline __m512 exponential(__m512 x) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_min_ps(_mm512_set1_ps(104.0f), x));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r);
  __m512 p = _mm512_set1_ps(1.0f / 5040);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

struct Engine {
  static bool splits(Format) { return false; }

  static int32_t strips_at_once(Format format, int32_t m) {
    return needs_quantised(format) ? quantised_strips_at_once(m) : dense_strips_at_once(m);
  }

  static void product(const Weights& weights, int32_t strip, int32_t strips, const Rows& rows, int32_t m, float* out,
                      uint8_t* work) {
    const size_t strip_bytes = packed_strip_bytes(weights.format, weights.cols);
    const uint8_t* packed = weights.data + static_cast<size_t>(strip) * strip_bytes;
    if (!needs_quantised(weights.format)) {
      dense_product(weights.format, packed, strip_bytes, strips, rows, m, out, work);
      return;
    }
    quantised_product(weights.format, packed, strip_bytes, strips, rows, m, out, work);
  }

  static void finish(const float* sums, const float* bias, const float* residual, float* y, int32_t features) {
    const __mmask16 mask = static_cast<__mmask16>((1u << features) - 1u);
    __m512 value = _mm512_loadu_ps(sums);
    if (bias != nullptr) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, bias));
    if (residual != nullptr) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(mask, residual));
    _mm512_mask_storeu_ps(y, mask, value);
  }

  static void finish_swiglu(const float* gate, const float* up, float* y, int32_t features) {
    const __m512 g = _mm512_loadu_ps(gate);
    const __m512 e = exponential(_mm512_sub_ps(_mm512_setzero_ps(), g));
    const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
    _mm512_mask_storeu_ps(y, static_cast<__mmask16>((1u << features) - 1u), _mm512_mul_ps(silu, _mm512_loadu_ps(up)));
  }
};

// BF16 weights go through the tile unit, whatever the number of rows.
struct TileEngine : Engine {
  static bool splits(Format format) { return format == Format::BF16; }

  static int32_t strips_at_once(Format format, int32_t m) {
    return splits(format) ? split_strips_at_once : Engine::strips_at_once(format, m);
  }

  static void product(const Weights& weights, int32_t strip, int32_t strips, const Rows& rows, int32_t m, float* out,
                      uint8_t* work) {
    if (!splits(weights.format)) return Engine::product(weights, strip, strips, rows, m, out, work);
    const size_t strip_bytes = packed_strip_bytes(weights.format, weights.cols);
    split_product(weights.data + static_cast<size_t>(strip) * strip_bytes, strip_bytes, strips, rows, m, out);
  }
};

void linear(const LinearArgs& args) { run_linear<Engine>(args); }
void swiglu(const SwigluArgs& args) { run_swiglu<Engine>(args); }

void tile_linear(const LinearArgs& args) {
  run_linear<TileEngine>(args);
  if (TileEngine::splits(args.weights.format)) release_tiles();
}
void tile_swiglu(const SwigluArgs& args) {
  run_swiglu<TileEngine>(args);
  if (TileEngine::splits(args.gate.format) || TileEngine::splits(args.up.format)) release_tiles();
}

constexpr MatmulIsa isa = {"avx512", quantise_rows, linear, swiglu, nullptr};
constexpr MatmulIsa tile_isa = {"amx", quantise_rows, tile_linear, tile_swiglu, split_rows};
}  // namespace
}  // namespace avx512

const MatmulIsa* avx512_isa() { return &avx512::isa; }
const MatmulIsa* amx_isa() { return &avx512::tile_isa; }

}  // namespace cortex::matmul
#endif
