// Causal grouped-query attention over one span of pages. Included inside the namespace of each instruction set.
//
// Per block of 64 keys: scores = q . K^T, online softmax with one maximum per block, acc += p . V. A query's arithmetic is
// the same whatever tile it stands in: sums over a head's columns and over keys run one by one, in order.

template <KvFormat format>
constexpr size_t element_bytes = format == KvFormat::F32 ? 4 : 2;

template <KvFormat format>
static inline V load_kv(const uint8_t* base, size_t element) {
  if constexpr (format == KvFormat::F32) return V::load(reinterpret_cast<const float*>(base) + element);
  if constexpr (format == KvFormat::F16) return V::load_half(reinterpret_cast<const uint16_t*>(base) + element);
  if constexpr (format == KvFormat::BF16) return V::load_bfloat(reinterpret_cast<const uint16_t*>(base) + element);
}

template <KvFormat format>
static inline V load_kv(const uint8_t* base, size_t element, int count) {
  if constexpr (format == KvFormat::F32) return V::load(reinterpret_cast<const float*>(base) + element, count);
  if constexpr (format == KvFormat::F16) return V::load_half(reinterpret_cast<const uint16_t*>(base) + element, count);
  if constexpr (format == KvFormat::BF16) return V::load_bfloat(reinterpret_cast<const uint16_t*>(base) + element, count);
}

constexpr size_t line_bytes = 64;

// Few queries keep a page busy only as long as it takes to read. While one half of it is read, the keys or the values, the
// half that comes next is brought to the second-level cache from the same place, `ahead` bytes on; 0: there is none.
// c[t][0 .. vectors * width) += sum over i in [0, steps) of a[t][i] * b[i * b_stride + ...], t in [0, rows)
template <KvFormat format, int rows, int vectors>
static inline void accumulate(const float* const* a, int steps, const uint8_t* b, size_t b_element, size_t b_stride,
                              float* const* c, int column, ptrdiff_t ahead) {
  V sum[rows][vectors];
  for (int t = 0; t < rows; ++t) {
    for (int j = 0; j < vectors; ++j) sum[t][j] = V::load(c[t] + column + j * V::width);
  }
  for (int i = 0; i < steps; ++i) {
    V row[vectors];
    if (rows <= 4 && ahead != 0) {
      const size_t element = b_element + static_cast<size_t>(i) * b_stride + static_cast<size_t>(column);
      const uint8_t* next = b + element * element_bytes<format> + ahead;
      for (size_t at = 0; at < vectors * V::width * element_bytes<format>; at += line_bytes) __builtin_prefetch(next + at, 0, 2);
    }
    for (int j = 0; j < vectors; ++j) {
      row[j] = load_kv<format>(b, b_element + static_cast<size_t>(i) * b_stride + static_cast<size_t>(column + j * V::width));
    }
    for (int t = 0; t < rows; ++t) {
      const V factor = V::set(a[t][i]);
      for (int j = 0; j < vectors; ++j) sum[t][j] = V::fma(factor, row[j], sum[t][j]);
    }
  }
  for (int t = 0; t < rows; ++t) {
    for (int j = 0; j < vectors; ++j) sum[t][j].store(c[t] + column + j * V::width);
  }
}

template <KvFormat format>
static inline void accumulate_tail(const float* const* a, int steps, const uint8_t* b, size_t b_element, size_t b_stride,
                                   float* const* c, int rows, int column, int count) {
  for (int t = 0; t < rows; ++t) {
    V sum = V::load(c[t] + column, count);
    for (int i = 0; i < steps; ++i) {
      const size_t element = b_element + static_cast<size_t>(i) * b_stride + static_cast<size_t>(column);
      sum = V::fma(V::set(a[t][i]), load_kv<format>(b, element, count), sum);
    }
    sum.store(c[t] + column, count);
  }
}

template <KvFormat format, int rows>
static inline void accumulate_rows(const float* const* a, int steps, const uint8_t* b, size_t b_element, size_t b_stride,
                                   float* const* c, int columns, ptrdiff_t ahead) {
  constexpr int vectors = attend_vectors;
  int column = 0;
  for (; column + vectors * V::width <= columns; column += vectors * V::width) {
    accumulate<format, rows, vectors>(a, steps, b, b_element, b_stride, c, column, ahead);
  }
  for (; column + V::width <= columns; column += V::width) {
    accumulate<format, rows, 1>(a, steps, b, b_element, b_stride, c, column, ahead);
  }
  if (column < columns) accumulate_tail<format>(a, steps, b, b_element, b_stride, c, rows, column, columns - column);
}

template <KvFormat format>
static void accumulate_all(const float* const* a, int rows, int steps, const uint8_t* b, size_t b_element,
                           size_t b_stride, float* const* c, int columns, ptrdiff_t ahead) {
  int t = 0;
  for (; t + attend_rows <= rows; t += attend_rows) {
    accumulate_rows<format, attend_rows>(a + t, steps, b, b_element, b_stride, c + t, columns, ahead);
  }
  if constexpr (attend_rows > 4) {
    for (; t + 4 <= rows; t += 4) accumulate_rows<format, 4>(a + t, steps, b, b_element, b_stride, c + t, columns, ahead);
  }
  for (; t + 2 <= rows; t += 2) accumulate_rows<format, 2>(a + t, steps, b, b_element, b_stride, c + t, columns, ahead);
  for (; t < rows; ++t) accumulate_rows<format, 1>(a + t, steps, b, b_element, b_stride, c + t, columns, ahead);
}

// Turns 64 scores into probabilities over the keys [low, high), relative to the maximum so far; returns how much what was
// gathered before shrinks by.
static inline float soften(float* scores, int low, int high, float scale, float* max, float* sum) {
  float block_max = -__builtin_inff();
  const V factor = V::set(scale);
  for (int j = 0; j < page_tokens; j += V::width) (V::load(scores + j) * factor).store(scores + j);
  for (int j = 0; j < low; ++j) scores[j] = -__builtin_inff();
  for (int j = high; j < page_tokens; ++j) scores[j] = -__builtin_inff();
  V highest = V::load(scores);
  for (int j = V::width; j < page_tokens; j += V::width) highest = V::max(V::load(scores + j), highest);
  block_max = highest.highest();
  const float new_max = *max < block_max ? block_max : *max;
  // Every key so far scored -inf: nothing to subtract from.
  const V base = V::set(new_max > -__builtin_inff() ? new_max : 0.0f);
  V total = V::set(0);
  for (int j = 0; j < page_tokens; j += V::width) {
    const V p = exp_v(V::load(scores + j) - base);
    p.store(scores + j);
    total = total + p;
  }
  const float shrink = *max > -__builtin_inff() ? exp_one(*max - new_max) : 0.0f;
  *sum = *sum * shrink + total.sum();
  *max = new_max;
  return shrink;
}

constexpr int max_tile_queries = 64;

template <KvFormat format>
static void attend_format(const AttendSpan& span) {
  const int head_dim = span.head_dim;
  const size_t value_start = static_cast<size_t>(page_tokens) * static_cast<size_t>(head_dim);
  for (int t = 0; t < span.queries; ++t) {
    span.max[t] = -__builtin_inff();
    span.sum[t] = 0;
    for (int i = 0; i < head_dim; ++i) span.acc[t * head_dim + i] = 0;
  }
  for (int key = span.key_begin; key < span.key_end; key += page_tokens) {
    const uint8_t* page = span.base + static_cast<size_t>(span.pages[key / page_tokens]) * span.page_bytes;
    const auto half_bytes = static_cast<ptrdiff_t>(value_start * element_bytes<format>);
    ptrdiff_t next_keys = 0;
    if (key + page_tokens < span.key_end) {
      next_keys = span.base + static_cast<size_t>(span.pages[key / page_tokens + 1]) * span.page_bytes - page - half_bytes;
    }
    // Queries that see a key of this block, and which keys of it: [low, high).
    const float* q[max_tile_queries];
    float* scores[max_tile_queries];
    float* acc[max_tile_queries];
    int low[max_tile_queries];
    int high[max_tile_queries];
    int rows = 0;
    int common_low = 0;
    int common_high = page_tokens;
    for (int t = 0; t < span.queries; ++t) {
      const int first = span.first_key[t] - key < 0 ? 0 : span.first_key[t] - key;
      const int end = span.last_key[t] + 1 - key > page_tokens ? page_tokens : span.last_key[t] + 1 - key;
      if (first >= end) continue;
      q[rows] = span.q[t];
      scores[rows] = span.scores + rows * page_tokens;
      acc[rows] = span.acc + t * head_dim;
      low[rows] = first;
      high[rows] = end;
      common_low = first > common_low ? first : common_low;
      common_high = end < common_high ? end : common_high;
      for (int j = 0; j < page_tokens; ++j) scores[rows][j] = 0;
      ++rows;
    }
    if (rows == 0) continue;
    accumulate_all<format>(q, rows, head_dim, page, 0, page_tokens, scores, page_tokens, half_bytes);
    int row = 0;
    for (int t = 0; t < span.queries; ++t) {
      if (row == rows || acc[row] != span.acc + t * head_dim) continue;
      const float shrink = soften(scores[row], low[row], high[row], span.scale, span.max + t, span.sum + t);
      // 1 leaves every bit as it is: the maximum did not move.
      if (shrink != 1.0f) scale(acc[row], shrink, head_dim, acc[row]);
      ++row;
    }
    // A key outside a query's own range must not be touched even with weight 0: 0 * inf is not a number.
    if (common_low >= common_high) {
      common_low = page_tokens;
      common_high = page_tokens;
    }
    for (int t = 0; t < rows; ++t) {
      const int end = high[t] < common_low ? high[t] : common_low;
      if (low[t] < end) {
        const float* weights = scores[t] + low[t];
        const size_t element = value_start + static_cast<size_t>(low[t]) * static_cast<size_t>(head_dim);
        accumulate_rows<format, 1>(&weights, end - low[t], page, element, static_cast<size_t>(head_dim), acc + t, head_dim, 0);
      }
    }
    if (common_low < common_high) {
      const float* weights[max_tile_queries];
      for (int t = 0; t < rows; ++t) weights[t] = scores[t] + common_low;
      const size_t element = value_start + static_cast<size_t>(common_low) * static_cast<size_t>(head_dim);
      accumulate_all<format>(weights, rows, common_high - common_low, page, element, static_cast<size_t>(head_dim), acc,
                             head_dim, next_keys);
      for (int t = 0; t < rows; ++t) {
        if (common_high >= high[t]) continue;
        const float* rest = scores[t] + common_high;
        const size_t start = value_start + static_cast<size_t>(common_high) * static_cast<size_t>(head_dim);
        accumulate_rows<format, 1>(&rest, high[t] - common_high, page, start, static_cast<size_t>(head_dim), acc + t,
                                   head_dim, 0);
      }
    }
  }
}

static void attend(const AttendSpan& span) {
  if (span.format == KvFormat::F32) attend_format<KvFormat::F32>(span);
  if (span.format == KvFormat::F16) attend_format<KvFormat::F16>(span);
  if (span.format == KvFormat::BF16) attend_format<KvFormat::BF16>(span);
}

static void attend_merge(float* acc, float* max, float* sum, const float* next_acc, float next_max, float next_sum,
                         int n) {
  if (!(next_sum > 0) && !(next_sum != next_sum)) return;
  const float high = *max < next_max ? next_max : *max;
  const float keep = *max > -__builtin_inff() ? exp_one(*max - high) : 0.0f;
  const float take = exp_one(next_max - high);
  const V k = V::set(keep);
  const V t = V::set(take);
  int i = 0;
  for (; i + V::width <= n; i += V::width) {
    V::fma(V::load(next_acc + i), t, V::load(acc + i) * k).store(acc + i);
  }
  if (i < n) V::fma(V::load(next_acc + i, n - i), t, V::load(acc + i, n - i) * k).store(acc + i, n - i);
  *sum = *sum * keep + next_sum * take;
  *max = high;
}
