// Gated delta rule over consecutive tokens of one head. Included inside the namespace of each instruction set.
//
// For each token, with q and k of unit length and q scaled:  S = decay S;  d = beta (v - S^T k);  S = S + k d^T;  y = S^T q.
// A tile of columns passes over its part of S once per token: it writes down the token before and reads for this one. The
// last token is written down at the end, so that S is the same whatever run of tokens a step brings.

// Columns [column, column + vectors * width); `lanes` counts those of a last, partial vector.
template <int vectors, bool partial>
static inline void delta_columns(const DeltaSpan& span, int column, int lanes) {
  const auto load = [lanes](const float* p) { return partial ? V::load(p, lanes) : V::load(p); };
  const auto store = [lanes](V v, float* p) { partial ? v.store(p, lanes) : v.store(p); };
  const size_t stride = static_cast<size_t>(span.value_dim);
  V pending[vectors];
  float* const s = span.state + column;
  for (int t = 0; t < span.tokens; ++t) {
    const float* k = span.k + static_cast<size_t>(t) * static_cast<size_t>(span.key_dim);
    const float* q = span.q + static_cast<size_t>(t) * static_cast<size_t>(span.key_dim);
    V memory[vectors];
    V out[vectors];
    for (int j = 0; j < vectors; ++j) memory[j] = out[j] = V::set(0);
    if (t == 0) {
      for (int d = 0; d < span.key_dim; ++d) {
        const V kd = V::set(k[d]);
        const V qd = V::set(q[d]);
        for (int j = 0; j < vectors; ++j) {
          const V row = load(s + static_cast<size_t>(d) * stride + j * V::width);
          memory[j] = V::fma(row, kd, memory[j]);
          out[j] = V::fma(row, qd, out[j]);
        }
      }
    } else {
      const float* before = k - span.key_dim;
      const V fade = V::set(span.decay[t - 1]);
      for (int d = 0; d < span.key_dim; ++d) {
        const V kd = V::set(k[d]);
        const V qd = V::set(q[d]);
        const V bd = V::set(before[d]);
        for (int j = 0; j < vectors; ++j) {
          float* p = s + static_cast<size_t>(d) * stride + j * V::width;
          const V row = V::fma(bd, pending[j], load(p) * fade);
          store(row, p);
          memory[j] = V::fma(row, kd, memory[j]);
          out[j] = V::fma(row, qd, out[j]);
        }
      }
    }
    const V decay = V::set(span.decay[t]);
    const V strength = V::set(span.beta[t]);
    const V both = V::set(span.qk[t]);
    for (int j = 0; j < vectors; ++j) {
      const V v = load(span.v + static_cast<size_t>(t) * span.v_stride + column + j * V::width);
      pending[j] = strength * (v - decay * memory[j]);
      store(V::fma(both, pending[j], decay * out[j]), span.y + static_cast<size_t>(t) * span.y_stride + column + j * V::width);
    }
  }
  const float* last = span.k + static_cast<size_t>(span.tokens - 1) * static_cast<size_t>(span.key_dim);
  const V fade = V::set(span.decay[span.tokens - 1]);
  for (int d = 0; d < span.key_dim; ++d) {
    const V kd = V::set(last[d]);
    for (int j = 0; j < vectors; ++j) {
      float* p = s + static_cast<size_t>(d) * stride + j * V::width;
      store(V::fma(kd, pending[j], load(p) * fade), p);
    }
  }
}

static void delta_rule(const DeltaSpan& span) {
  int column = 0;
  for (; column + delta_vectors * V::width <= span.value_dim; column += delta_vectors * V::width) {
    delta_columns<delta_vectors, false>(span, column, 0);
  }
  for (; column + V::width <= span.value_dim; column += V::width) delta_columns<1, false>(span, column, 0);
  if (column < span.value_dim) delta_columns<1, true>(span, column, span.value_dim - column);
}

static float dot(const float* a, const float* b, int n) {
  V sum = V::set(0);
  FOR_EACH_VECTOR(n, i) sum = V::fma(V::load(a + i), V::load(b + i), sum);
  if (i < n) sum = V::fma(V::load(a + i, n - i), V::load(b + i, n - i), sum);
  return sum.sum();
}

// y = x / sqrt(divisor), rounded once
static void divide_by_root(const float* x, double divisor, int n, float* y) {
  const double factor = 1.0 / __builtin_sqrt(divisor);
  FOR_EACH_VECTOR(n, i) V::product(V::load(x + i), V::set(1), factor).store(y + i);
  if (i < n) V::product(V::load(x + i, n - i), V::set(1), factor).store(y + i, n - i);
}

// 1e-6 under the root keeps a vector of zeros what it is.
static float delta_prepare(const float* q, const float* k, int n, float* q_unit, float* k_unit) {
  divide_by_root(q, (sum_of_squares(q, n) + 1e-6) * n, n, q_unit);
  divide_by_root(k, sum_of_squares(k, n) + 1e-6, n, k_unit);
  return dot(q_unit, k_unit, n);
}

static void conv_silu(const float* const* x, const float* kernel, size_t kernel_stride, int taps, int n, float* y) {
  for (int i = 0; i < n; i += V::width) {
    const int lanes = n - i < V::width ? n - i : V::width;
    const bool whole = lanes == V::width;
    V sum = V::set(0);
    for (int j = 0; j < taps; ++j) {
      const float* w = kernel + static_cast<size_t>(j) * kernel_stride + i;
      sum = whole ? V::fma(V::load(w), V::load(x[j] + i), sum) : V::fma(V::load(w, lanes), V::load(x[j] + i, lanes), sum);
    }
    if (whole) silu_v(sum).store(y + i);
    else silu_v(sum).store(y + i, lanes);
  }
}
