// Norms over whole rows: a block for each row.
#pragma once

#include <cuda_runtime.h>

#include "../device/block_sum.h"
#include "../device/launch.h"
#include "../device/worker.h"
#include "../ptx/order.h"

namespace cortex {

// [rows, n] windows; what an op does not have is null.
struct NormRows {
  const float* x;
  const float* delta;
  float* sum;
  float* y;
  int64_t x_stride;
  int64_t delta_stride;
  int64_t sum_stride;
  int64_t y_stride;
  const float* weight;
  const float* bias;
  const int32_t* count;
  float eps;
  int n;
};

// Enough threads that each has a few columns, in whole warps.
inline unsigned norm_threads(int n) {
  unsigned threads = 32;
  while (threads < 1024 && static_cast<int>(threads) * 4 < n) threads *= 2;
  return threads;
}

inline void launch_norm(const Instruction& in, Worker& worker, void (*kernel)(NormRows), const NormRows& rows) {
  launch(worker, kernel, dim3(static_cast<unsigned>(worker.rows(in))), dim3(norm_threads(in.n)), 0, rows);
}

// y = weight * x / sqrt(mean(x^2) + eps), of x + delta where there is a delta, whose sum is kept.
template <bool adds>
__global__ void __launch_bounds__(1024) rms_norm_rows(NormRows r) {
  __shared__ float partial[32];
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.x);
  if (row >= *r.count) return;
  const float* x = r.x + row * r.x_stride;
  const int step = static_cast<int>(blockDim.x);
  float squares = 0.0f;
  for (int c = static_cast<int>(threadIdx.x); c < r.n; c += step) {
    float value = x[c];
    if constexpr (adds) {
      value += r.delta[row * r.delta_stride + c];
      r.sum[row * r.sum_stride + c] = value;
    }
    squares += value * value;
  }
  const float factor = 1.0f / sqrtf(block_sum(squares, partial) / static_cast<float>(r.n) + r.eps);
  // Each thread reads again what it has just read or written.
  const float* from = adds ? r.sum + row * r.sum_stride : x;
  float* y = r.y + row * r.y_stride;
  for (int c = static_cast<int>(threadIdx.x); c < r.n; c += step) y[c] = r.weight[c] * (from[c] * factor);
}

}  // namespace cortex
