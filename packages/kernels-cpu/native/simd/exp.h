// exp and what is made of it. Included inside the namespace of each instruction set.

// Within about 1 ulp: x = n ln2 + r, |r| <= ln2/2, degree 6 in r; 0 below -87.33 (no subnormals), inf above 88.72.
static inline V exp_v(V x) {
  const V low = V::set(-87.3365447505531f);
  const V high = V::set(88.7228391116729f);
  // x as the second operand: a NaN passes through min and max, and through everything below.
  const V clamped = V::min(high, V::max(low, x));
  const V n = V::round(clamped * V::set(1.44269504088896341f));
  V r = V::fma(n, V::set(-0.693359375f), clamped);
  r = V::fma(n, V::set(2.12194440054690583e-4f), r);
  V p = V::set(1.9875691500e-4f);
  p = V::fma(p, r, V::set(1.3981999507e-3f));
  p = V::fma(p, r, V::set(8.3334519073e-3f));
  p = V::fma(p, r, V::set(4.1665795894e-2f));
  p = V::fma(p, r, V::set(1.6666665459e-1f));
  p = V::fma(p, r, V::set(5.0000001201e-1f));
  p = V::fma(p * r, r, r + V::set(1.0f));
  V y = V::scale2(p, n);
  y = V::select_less(x, low, V::set(0.0f), y);
  return V::select_less(high, x, V::set(__builtin_inff()), y);
}

static inline V sigmoid_v(V x) { return V::set(1.0f) / (V::set(1.0f) + exp_v(V::set(0.0f) - x)); }

static inline V silu_v(V x) { return x / (V::set(1.0f) + exp_v(V::set(0.0f) - x)); }

static inline float exp_one(float x) {
  float lanes[V::width];
  exp_v(V::set(x)).store(lanes);
  return lanes[0];
}
