// The searches for a block's scale: scale-search.ts, operation by operation.
#pragma once

#include <cmath>

namespace cortex::quantise {

// Nearest integer of a number below 2^51 in magnitude, ties to even.
inline double round_half_even(double value) {
  constexpr double no_fraction = 6755399441055744.0;  // 1.5 * 2^52
  return value + no_fraction - no_fraction;
}

inline double clamp(double value, double low, double high) { return value < low ? low : value > high ? high : value; }

// As Math.min and Math.max: of two zeros the negative one is less.
inline double least(double a, double b) { return a == b ? (std::signbit(a) ? a : b) : a < b ? a : b; }
inline double most(double a, double b) { return a == b ? (std::signbit(a) ? b : a) : a > b ? a : b; }

double search_scale(const float* values, int count, int levels);

struct AffineSearch {
  int levels;
  double first;
  double step;
  int tries;
};

struct ScaleAndMinimum {
  double scale;
  double minimum;
};

// `count` is at most 32.
ScaleAndMinimum search_scale_and_minimum(const float* values, int count, const AffineSearch& search);

}  // namespace cortex::quantise
