// What kernels of products take by value.
#pragma once

#include <algorithm>

#include "../device/launch.h"
#include "../device/worker.h"
#include "../weights/layout.h"

namespace cortex {

inline constexpr int most_segments = 4;

// One of the matrices whose rows are concatenated; all of a launch are of one format.
struct ProductSegment {
  Matrix matrix;
  // Column of y of its first row.
  int column;
  // Pieces of work (strips or tiles) of it and of those before it.
  int end;
};

struct ProductArguments {
  // Segments beyond the last one repeat it. With `swiglu` they are gate and up, and `end` of the first counts both.
  ProductSegment segments[most_segments];
  bool swiglu;
  const float* x;
  float* y;
  // Null: none.
  const float* bias;
  const float* residual;
  int64_t x_stride;
  int64_t y_stride;
  int64_t residual_stride;
  const int32_t* count;
  int cols;
  // Columns of y that this launch computes, from segments[0].column on.
  int width;
};

constexpr int divided(int value, int by) { return (value + by - 1) / by; }

// Blocks of a kernel that the device runs at the same time.
template <typename... Parameters>
int blocks_at_once(const Worker& worker, void (*kernel)(Parameters...), int threads, size_t shared_bytes) {
  int blocks = 0;
  allow_shared(kernel, shared_bytes);
  static_cast<void>(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared_bytes));
  return std::max(1, blocks) * worker.processors;
}

// Pieces of work of `rows_per_piece` weight rows (pairs of them with swiglu), none of which crosses a segment; sets `end`.
inline int count_pieces(ProductArguments& product, int rows_per_piece) {
  int pieces = 0;
  for (int i = 0; i < most_segments; ++i) {
    const bool repeated = i > 0 && (product.swiglu || product.segments[i].column == product.segments[i - 1].column);
    if (!repeated) pieces += divided(product.segments[i].matrix.rows, rows_per_piece);
    product.segments[i].end = pieces;
  }
  return pieces;
}

}  // namespace cortex
