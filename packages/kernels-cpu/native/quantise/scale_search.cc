#include "scale_search.h"

// One function, compiled for several instruction sets and chosen when the addon is loaded. None of them fuses a product with a
// sum, so all give the same bits.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FOR_EVERY_SET __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EVERY_SET
#endif
// Vectors are passed between functions here that all end up in one.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif
#define INLINE static inline __attribute__((always_inline))

namespace cortex::quantise {

namespace {

// One number of every sub-block. Its operators work lane by lane.
typedef double Lanes __attribute__((vector_size(lanes * sizeof(double))));

INLINE Lanes all(double value) { return Lanes{} + value; }

INLINE Lanes rounded(Lanes value) {
  constexpr double no_fraction = 6755399441055744.0;  // 1.5 * 2^52
  return value + no_fraction - no_fraction;
}

INLINE Lanes limited(Lanes value, Lanes low, Lanes high) {
  const Lanes above = value < low ? low : value;
  return above > high ? high : above;
}

// Element i of every sub-block.
template <int count>
INLINE void spread(const float* values, Lanes* x) {
  for (int lane = 0; lane < lanes; ++lane) {
    for (int i = 0; i < count; ++i) x[i][lane] = static_cast<double>(values[lane * count + i]);
  }
}

// Weighted squares of what is left of x when its levels are taken back.
INLINE Lanes error_of(const Lanes* x, const Lanes* weights, int count, Lanes low, Lanes inverse, Lanes scale, Lanes bottom,
                      Lanes levels) {
  Lanes sum{};
  for (int i = 0; i < count; ++i) {
    const Lanes level = limited(rounded(inverse * (x[i] - low)), Lanes{}, levels);
    const Lanes difference = scale * level + bottom - x[i];
    sum += weights[i] * difference * difference;
  }
  return sum;
}

}  // namespace

FOR_EVERY_SET void search_scales(const float* values, int levels, double* scales) {
  constexpr int count = 16;
  // The plain scale first: of equal scores the first is kept.
  constexpr int shifts[] = {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  Lanes x[count];
  spread<count>(values, x);
  Lanes extreme{};
  for (int lane = 0; lane < lanes; ++lane) {
    scales[lane] = 0;
    for (int i = 0; i < count; ++i) {
      if (std::fabs(x[i][lane]) > std::fabs(extreme[lane])) extreme[lane] = x[i][lane];
    }
  }
  const Lanes lowest = all(-levels);
  const Lanes highest = all(levels - 1);
  Lanes best_score{};
  for (const int shift : shifts) {
    const Lanes inverse = all(-(levels + 0.1 * shift)) / extreme;
    Lanes sum_xl{};
    Lanes sum_l2{};
    for (int i = 0; i < count; ++i) {
      const Lanes level = limited(rounded(inverse * x[i]), lowest, highest);
      sum_xl += x[i] * x[i] * x[i] * level;
      sum_l2 += x[i] * x[i] * level * level;
    }
    for (int lane = 0; lane < lanes; ++lane) {
      const bool is_better = sum_l2[lane] > 0 && sum_xl[lane] * sum_xl[lane] > best_score[lane] * sum_l2[lane];
      if (std::fabs(extreme[lane]) < 1e-15 || !is_better) continue;
      best_score[lane] = (sum_xl[lane] * sum_xl[lane]) / sum_l2[lane];
      scales[lane] = sum_xl[lane] / sum_l2[lane];
    }
  }
}

FOR_EVERY_SET void search_scales_and_minima(const float* values, const AffineSearch& search, ScaleAndMinimum* found) {
  constexpr int count = 32;
  Lanes x[count];
  Lanes weights[count];
  spread<count>(values, x);
  Lanes low{};
  Lanes high = x[0];
  Lanes squares{};
  for (int i = 0; i < count; ++i) {
    for (int lane = 0; lane < lanes; ++lane) {
      low[lane] = least(low[lane], x[i][lane]);
      high[lane] = most(high[lane], x[i][lane]);
    }
    squares += x[i] * x[i];
  }
  Lanes floor{};
  for (int lane = 0; lane < lanes; ++lane) floor[lane] = std::sqrt(squares[lane] / count);
  for (int i = 0; i < count; ++i) weights[i] = floor + (x[i] < 0 ? -x[i] : x[i]);
  const Lanes range = high - low;
  const Lanes levels = all(search.levels);
  Lanes scale = range / levels;
  for (int lane = 0; lane < lanes; ++lane) found[lane] = {scale[lane], -low[lane]};
  Lanes best_error = error_of(x, weights, count, low, levels / range, scale, low, levels);
  for (int t = 0; t <= search.tries; ++t) {
    const Lanes inverse = all(search.first + search.step * t + search.levels) / range;
    Lanes sum_w{}, sum_x{}, sum_l{}, sum_l2{}, sum_xl{};
    for (int i = 0; i < count; ++i) {
      const Lanes level = limited(rounded(inverse * (x[i] - low)), Lanes{}, levels);
      sum_w += weights[i];
      sum_x += weights[i] * x[i];
      sum_l += weights[i] * level;
      sum_l2 += weights[i] * level * level;
      sum_xl += weights[i] * x[i] * level;
    }
    const Lanes determinant = sum_w * sum_l2 - sum_l * sum_l;
    scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    Lanes bottom = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    scale = bottom > 0 ? sum_xl / sum_l2 : scale;
    bottom = bottom > 0 ? Lanes{} : bottom;
    const Lanes error = error_of(x, weights, count, low, inverse, scale, bottom, levels);
    for (int lane = 0; lane < lanes; ++lane) {
      if (determinant[lane] <= 0 || !(error[lane] < best_error[lane])) continue;
      best_error[lane] = error[lane];
      found[lane] = {scale[lane], -bottom[lane]};
    }
  }
  // One value throughout: nothing was to be searched.
  for (int lane = 0; lane < lanes; ++lane) {
    if (high[lane] == low[lane]) found[lane] = {0, -low[lane]};
  }
}

}  // namespace cortex::quantise
