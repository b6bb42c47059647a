// rms_norm of each head by itself: a warp for each head of each row.
#pragma once

#include "elementwise.cuh"
#include "norm.cuh"

namespace cortex {

struct NormHeads {
  const float* x;
  // Gate of the gated form.
  const float* z;
  float* y;
  int64_t x_stride;
  int64_t z_stride;
  int64_t y_stride;
  const float* weight;
  const int32_t* count;
  float eps;
  int head_dim;
  int heads;
};

inline constexpr int head_norm_threads = 128;

// y = rms_norm(x), times silu(z) in the gated form.
template <bool gated>
__global__ void __launch_bounds__(head_norm_threads) head_norm_kernel(NormHeads h) {
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  const int head = static_cast<int>(blockIdx.x * (head_norm_threads / 32) + threadIdx.x / 32);
  if (row >= *h.count || head >= h.heads) return;
  const int64_t column = int64_t{head} * h.head_dim;
  const float* x = h.x + row * h.x_stride + column;
  float* y = h.y + row * h.y_stride + column;
  const int lane = static_cast<int>(threadIdx.x % 32);
  float squares = 0.0f;
  for (int c = lane; c < h.head_dim; c += 32) squares += x[c] * x[c];
  const float factor = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(h.head_dim) + h.eps);
  for (int c = lane; c < h.head_dim; c += 32) {
    const float value = h.weight[c] * (x[c] * factor);
    if constexpr (gated) y[c] = value * silu(h.z[row * h.z_stride + column + c]);
    else y[c] = value;
  }
}

inline void launch_head_norm(const Instruction& in, Worker& worker, void (*kernel)(NormHeads), const NormHeads& heads) {
  constexpr int per_block = head_norm_threads / 32;
  const dim3 grid(static_cast<unsigned>((heads.heads + per_block - 1) / per_block), static_cast<unsigned>(worker.rows(in)));
  launch(worker, kernel, grid, dim3(head_norm_threads), 0, heads);
}

}  // namespace cortex
