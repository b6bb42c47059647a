#include "scale_search.h"

namespace cortex::quantise {

double search_scale(const float* values, int count, int levels) {
  double extreme = 0;
  for (int i = 0; i < count; ++i) {
    if (std::fabs(static_cast<double>(values[i])) > std::fabs(extreme)) extreme = static_cast<double>(values[i]);
  }
  if (std::fabs(extreme) < 1e-15) return 0;
  double best = 0;
  double best_score = 0;
  // The plain scale first: of equal scores the first is kept.
  constexpr int shifts[] = {0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  for (const int shift : shifts) {
    const double inverse = -(levels + 0.1 * shift) / extreme;
    double sum_xl = 0;
    double sum_l2 = 0;
    for (int i = 0; i < count; ++i) {
      const double x = static_cast<double>(values[i]);
      const double level = clamp(round_half_even(inverse * x), -levels, levels - 1);
      sum_xl += x * x * x * level;
      sum_l2 += x * x * level * level;
    }
    if (sum_l2 > 0 && sum_xl * sum_xl > best_score * sum_l2) {
      best_score = (sum_xl * sum_xl) / sum_l2;
      best = sum_xl / sum_l2;
    }
  }
  return best;
}

ScaleAndMinimum search_scale_and_minimum(const float* values, int count, const AffineSearch& search) {
  double low = 0;
  double high = static_cast<double>(values[0]);
  double squares = 0;
  for (int i = 0; i < count; ++i) {
    const double x = static_cast<double>(values[i]);
    low = least(low, x);
    high = most(high, x);
    squares += x * x;
  }
  if (high == low) return {0, -low};
  const double floor = std::sqrt(squares / count);
  double weights[32];
  for (int i = 0; i < count; ++i) weights[i] = floor + std::fabs(static_cast<double>(values[i]));
  const auto error = [&](double inverse, double scale, double bottom) {
    double sum = 0;
    for (int i = 0; i < count; ++i) {
      const double x = static_cast<double>(values[i]);
      const double difference = scale * clamp(round_half_even(inverse * (x - low)), 0, search.levels) + bottom - x;
      sum += weights[i] * difference * difference;
    }
    return sum;
  };
  ScaleAndMinimum best{(high - low) / search.levels, -low};
  double best_error = error(search.levels / (high - low), best.scale, low);
  for (int t = 0; t <= search.tries; ++t) {
    const double inverse = (search.first + search.step * t + search.levels) / (high - low);
    double sum_w = 0, sum_x = 0, sum_l = 0, sum_l2 = 0, sum_xl = 0;
    for (int i = 0; i < count; ++i) {
      const double x = static_cast<double>(values[i]);
      const double w = weights[i];
      const double level = clamp(round_half_even(inverse * (x - low)), 0, search.levels);
      sum_w += w;
      sum_x += w * x;
      sum_l += w * level;
      sum_l2 += w * level * level;
      sum_xl += w * x * level;
    }
    const double determinant = sum_w * sum_l2 - sum_l * sum_l;
    if (determinant <= 0) continue;
    double scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    double bottom = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    if (bottom > 0) {
      bottom = 0;
      scale = sum_xl / sum_l2;
    }
    const double tried = error(inverse, scale, bottom);
    if (tried < best_error) {
      best_error = tried;
      best = {scale, -bottom};
    }
  }
  return best;
}

}  // namespace cortex::quantise
