// The searches for the scales of a block: scale-search.ts, operation by operation. Sub-blocks stand side by side in the lanes
// of a vector, each with sums of its own in the order of its own elements: the bits are those of one sub-block alone.
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

// Sub-blocks that are searched together.
constexpr int lanes = 8;

// Scales of `lanes` sub-blocks of 16 values that follow one another.
void search_scales(const float* values, int levels, double* scales);

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

// Of `lanes` sub-blocks of 32 values that follow one another.
void search_scales_and_minima(const float* values, const AffineSearch& search, ScaleAndMinimum* found);

}  // namespace cortex::quantise
