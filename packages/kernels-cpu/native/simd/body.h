// The kernels themselves, written once over V. Included inside the namespace of each instruction set after its vector;
// nothing here may be a std:: template, whose one linked copy could hold instructions that the machine lacks.

// Calls body(vector at i, lanes) over [0, n): whole vectors, then the part that is left.
#define FOR_EACH_VECTOR(n, i)                  \
  int i = 0;                                   \
  for (; i + V::width <= (n); i += V::width)

// Blocks of 16 vectors in float32, joined in float64.
static double sum_of_squares(const float* x, int n) {
  double total = 0;
  for (int block = 0; block < n; block += 16 * V::width) {
    const int end = n - block < 16 * V::width ? n : block + 16 * V::width;
    V a = V::set(0);
    V b = V::set(0);
    int i = block;
    for (; i + 2 * V::width <= end; i += 2 * V::width) {
      const V p = V::load(x + i);
      const V q = V::load(x + i + V::width);
      a = V::fma(p, p, a);
      b = V::fma(q, q, b);
    }
    for (; i < end; i += V::width) {
      const V p = end - i >= V::width ? V::load(x + i) : V::load(x + i, end - i);
      a = V::fma(p, p, a);
    }
    total += (a + b).sum_double();
  }
  return total;
}

// y = x * factor * weight, rounded once: what rounding does to all elements alike, or to one more than once, stays where they
// cancel later.
static void rms_norm(const float* x, const float* weight, float eps, int n, float* y) {
  const double factor = 1.0 / __builtin_sqrt(sum_of_squares(x, n) / n + static_cast<double>(eps));
  FOR_EACH_VECTOR(n, i) V::product(V::load(x + i), V::load(weight + i), factor).store(y + i);
  if (i < n) V::product(V::load(x + i, n - i), V::load(weight + i, n - i), factor).store(y + i, n - i);
}

static void add(const float* a, const float* b, int n, float* y) {
  FOR_EACH_VECTOR(n, i) (V::load(a + i) + V::load(b + i)).store(y + i);
  if (i < n) (V::load(a + i, n - i) + V::load(b + i, n - i)).store(y + i, n - i);
}

static void mul(const float* a, const float* b, int n, float* y) {
  FOR_EACH_VECTOR(n, i) (V::load(a + i) * V::load(b + i)).store(y + i);
  if (i < n) (V::load(a + i, n - i) * V::load(b + i, n - i)).store(y + i, n - i);
}

static void add_rms_norm(const float* a, const float* b, const float* weight, float eps, int n, float* sum, float* y) {
  add(a, b, n, sum);
  rms_norm(sum, weight, eps, n, y);
}

static void layer_norm(const float* x, const float* weight, const float* bias, float eps, int n, float* y) {
  V total = V::set(0);
  {
    FOR_EACH_VECTOR(n, i) total = total + V::load(x + i);
    if (i < n) total = total + V::load(x + i, n - i);
  }
  const V mean = V::set(total.sum() / static_cast<float>(n));
  V squares = V::set(0);
  {
    FOR_EACH_VECTOR(n, i) {
      const V centred = V::load(x + i) - mean;
      squares = V::fma(centred, centred, squares);
    }
    if (i < n) {
      // The lanes past the end must stay zero, not minus the mean.
      float lanes[V::width] = {};
      (V::load(x + i, n - i) - mean).store(lanes, n - i);
      const V centred = V::load(lanes);
      squares = V::fma(centred, centred, squares);
    }
  }
  const V factor = V::set(1.0f / __builtin_sqrtf(squares.sum() / static_cast<float>(n) + eps));
  FOR_EACH_VECTOR(n, i) V::fma((V::load(x + i) - mean) * factor, V::load(weight + i), V::load(bias + i)).store(y + i);
  if (i < n) {
    const V centred = (V::load(x + i, n - i) - mean) * factor;
    V::fma(centred, V::load(weight + i, n - i), V::load(bias + i, n - i)).store(y + i, n - i);
  }
}

static void scale(const float* x, float factor, int n, float* y) {
  const V f = V::set(factor);
  FOR_EACH_VECTOR(n, i) (V::load(x + i) * f).store(y + i);
  if (i < n) (V::load(x + i, n - i) * f).store(y + i, n - i);
}

static void silu(const float* x, int n, float* y) {
  FOR_EACH_VECTOR(n, i) silu_v(V::load(x + i)).store(y + i);
  if (i < n) silu_v(V::load(x + i, n - i)).store(y + i, n - i);
}

static void sigmoid(const float* x, int n, float* y) {
  FOR_EACH_VECTOR(n, i) sigmoid_v(V::load(x + i)).store(y + i);
  if (i < n) sigmoid_v(V::load(x + i, n - i)).store(y + i, n - i);
}

static void swiglu(const float* gate, const float* up, int n, float* y) {
  FOR_EACH_VECTOR(n, i) (silu_v(V::load(gate + i)) * V::load(up + i)).store(y + i);
  if (i < n) (silu_v(V::load(gate + i, n - i)) * V::load(up + i, n - i)).store(y + i, n - i);
}

static void sigmoid_mul(const float* x, const float* gate, int n, float* y) {
  FOR_EACH_VECTOR(n, i) (V::load(x + i) * sigmoid_v(V::load(gate + i))).store(y + i);
  if (i < n) (V::load(x + i, n - i) * sigmoid_v(V::load(gate + i, n - i))).store(y + i, n - i);
}

// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
static inline V gelu_tanh_v(V x) {
  const V inner = x * V::fma(x * x, V::set(0.044715f), V::set(1.0f));
  return x * sigmoid_v(inner * V::set(1.5957691216057308f));
}

static void gelu(const float* x, bool tanh, int n, float* y) {
  if (!tanh) {
    for (int i = 0; i < n; ++i) y[i] = 0.5f * x[i] * (1.0f + __builtin_erff(x[i] * 0.70710678118654752f));
    return;
  }
  FOR_EACH_VECTOR(n, i) gelu_tanh_v(V::load(x + i)).store(y + i);
  if (i < n) gelu_tanh_v(V::load(x + i, n - i)).store(y + i, n - i);
}

static void rotate(const float* x, const float* cosine, const float* sine, int head_dim, int rotary_dim, float* y) {
  const int half = rotary_dim / 2;
  FOR_EACH_VECTOR(half, i) {
    const V c = V::load(cosine + i);
    const V s = V::load(sine + i);
    const V a = V::load(x + i);
    const V b = V::load(x + half + i);
    (a * c - b * s).store(y + i);
    V::fma(a, s, b * c).store(y + half + i);
  }
  if (i < half) {
    const int rest = half - i;
    const V c = V::load(cosine + i, rest);
    const V s = V::load(sine + i, rest);
    const V a = V::load(x + i, rest);
    const V b = V::load(x + half + i, rest);
    (a * c - b * s).store(y + i, rest);
    V::fma(a, s, b * c).store(y + half + i, rest);
  }
  for (int j = rotary_dim; j < head_dim; ++j) y[j] = x[j];
}

static void store_key(KvFormat format, const float* k, int head_dim, int token, uint8_t* page) {
  if (format == KvFormat::F32) {
    float* column = reinterpret_cast<float*>(page) + token;
    for (int i = 0; i < head_dim; ++i) column[i * page_tokens] = k[i];
    return;
  }
  uint16_t* column = reinterpret_cast<uint16_t*>(page) + token;
  if (format == KvFormat::BF16) {
    for (int i = 0; i < head_dim; ++i) column[i * page_tokens] = float_to_bfloat(k[i]);
    return;
  }
  for (int i = 0; i < head_dim; i += V::width) {
    const int count = head_dim - i < V::width ? head_dim - i : V::width;
    uint16_t words[V::width];
    store_half(count == V::width ? V::load(k + i) : V::load(k + i, count), words);
    for (int j = 0; j < count; ++j) column[(i + j) * page_tokens] = words[j];
  }
}

static void store_value(KvFormat format, const float* v, int head_dim, int token, uint8_t* page) {
  const size_t start = static_cast<size_t>(page_tokens) * static_cast<size_t>(head_dim) +
                       static_cast<size_t>(token) * static_cast<size_t>(head_dim);
  if (format == KvFormat::F32) {
    __builtin_memcpy(reinterpret_cast<float*>(page) + start, v, static_cast<size_t>(head_dim) * sizeof(float));
    return;
  }
  uint16_t* row = reinterpret_cast<uint16_t*>(page) + start;
  if (format == KvFormat::BF16) {
    for (int i = 0; i < head_dim; ++i) row[i] = float_to_bfloat(v[i]);
    return;
  }
  for (int i = 0; i < head_dim; i += V::width) {
    const int count = head_dim - i < V::width ? head_dim - i : V::width;
    uint16_t words[V::width];
    store_half(count == V::width ? V::load(v + i) : V::load(v + i, count), words);
    for (int j = 0; j < count; ++j) row[i + j] = words[j];
  }
}

#include "delta.h"

static LogitScan scan(const float* x, int n) {
  LogitScan result{-__builtin_inff(), 0, false};
  V high = V::set(-__builtin_inff());
  FOR_EACH_VECTOR(n, i) {
    const V a = V::load(x + i);
    result.bad = result.bad || V::bad(a);
    high = V::max(a, high);
  }
  result.max = high.highest();
  for (int j = i; j < n; ++j) {
    result.bad = result.bad || !(x[j] < __builtin_inff());
    result.max = x[j] > result.max ? x[j] : result.max;
  }
  if (result.bad) return result;
  const V wanted = V::set(result.max);
  for (int j = 0; j < n; j += V::width) {
    if (j + V::width > n) {
      while (x[j] < result.max) ++j;
      result.index = j;
      return result;
    }
    const unsigned bits = V::at_least(V::load(x + j), wanted);
    if (bits != 0) {
      result.index = j + __builtin_ctz(bits);
      return result;
    }
  }
  return result;
}

static double exp_sum(const float* x, int n, float max, float temperature, float* weights) {
  const V high = V::set(max);
  const V divisor = V::set(temperature);
  double total = 0;
  // Blocks of 16 vectors in float32, joined in float64.
  for (int block = 0; block < n; block += 16 * V::width) {
    const int end = n - block < 16 * V::width ? n : block + 16 * V::width;
    V sum = V::set(0);
    int i = block;
    for (; i + V::width <= end; i += V::width) {
      const V w = exp_v((V::load(x + i) - high) / divisor);
      if (weights) w.store(weights + i);
      sum = sum + w;
    }
    if (i < end) {
      float lanes[V::width] = {};
      exp_v((V::load(x + i, end - i) - high) / divisor).store(lanes, end - i);
      const V w = V::load(lanes);
      if (weights) w.store(weights + i, end - i);
      sum = sum + w;
    }
    total += sum.sum_double();
  }
  return total;
}

static int count_at_least(const float* x, int n, float threshold) {
  const V wanted = V::set(threshold);
  int count = 0;
  FOR_EACH_VECTOR(n, i) count += __builtin_popcount(V::at_least(V::load(x + i), wanted));
  for (; i < n; ++i) count += x[i] >= threshold ? 1 : 0;
  return count;
}

static const Kernels* make_table(const char* name) {
  static const Kernels table = {name,    rms_norm, add_rms_norm, layer_norm,  add,       mul,         scale,
                                silu,    gelu,     sigmoid,      swiglu,      sigmoid_mul, rotate,    store_key,
                                store_value, attend, attend_merge, delta_prepare, delta_rule, conv_silu, scan,      exp_sum,   count_at_least};
  return &table;
}
