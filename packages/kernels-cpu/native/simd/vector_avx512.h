// Sixteen floats in one register.

struct V {
  static constexpr int width = 16;
  __m512 v;

  static V load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static V load(const float* p, int count) { return {_mm512_maskz_loadu_ps(mask(count), p)}; }
  static V set(float x) { return {_mm512_set1_ps(x)}; }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
  void store(float* p, int count) const { _mm512_mask_storeu_ps(p, mask(count), v); }

  static V load_half(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static V load_half(const uint16_t* p, int count) { return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask(count), p))}; }
  static V load_bfloat(const uint16_t* p) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static V load_bfloat(const uint16_t* p, int count) { return widen(_mm256_maskz_loadu_epi16(mask(count), p)); }

  friend V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
  static V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  static V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
  static V min(V a, V b) { return {_mm512_min_ps(a.v, b.v)}; }
  static V round(V a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
  // a * 2^n for an integral n
  static V scale2(V a, V n) { return {_mm512_scalef_ps(a.v, n.v)}; }
  // a < b ? x : y, lane by lane; false where a lane is not a number
  static V select_less(V a, V b, V x, V y) {
    return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
  }
  // Bit i: a[i] >= b[i]
  static unsigned at_least(V a, V b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ); }
  // Some lane is a NaN or +inf.
  static bool bad(V a) { return _mm512_cmp_ps_mask(a.v, _mm512_set1_ps(__builtin_inff()), _CMP_NLT_UQ) != 0; }
  float sum() const { return _mm512_reduce_add_ps(v); }
  double sum_double() const {
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(v));
    const __m512d high = _mm512_cvtps_pd(upper(v));
    return _mm512_reduce_add_pd(_mm512_add_pd(low, high));
  }
  // a * b * factor, rounded once
  static V product(V a, V b, double factor) {
    const __m256 low = product_half(_mm512_castps512_ps256(a.v), _mm512_castps512_ps256(b.v), factor);
    const __m256 high = product_half(upper(a.v), upper(b.v), factor);
    return {_mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(low)), _mm256_castps_pd(high), 1))};
  }
  float highest() const { return _mm512_reduce_max_ps(v); }

 private:
  static __m256 upper(__m512 a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }
  static __m256 product_half(__m256 a, __m256 b, double factor) {
    return _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_mul_pd(_mm512_cvtps_pd(a), _mm512_cvtps_pd(b)), _mm512_set1_pd(factor)));
  }
  static __mmask16 mask(int count) { return static_cast<__mmask16>((1u << count) - 1); }
  static V widen(__m256i words) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(words), 16))};
  }
};

static inline void store_half(V a, uint16_t* p) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
