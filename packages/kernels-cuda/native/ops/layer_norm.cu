#include "norm.cuh"
#include "ops.h"

namespace cortex {
namespace {

__global__ void __launch_bounds__(1024) layer_norm_rows(NormRows r) {
  __shared__ float partial[32];
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.x);
  if (row >= *r.count) return;
  const float* x = r.x + row * r.x_stride;
  float* y = r.y + row * r.y_stride;
  const int step = static_cast<int>(blockDim.x);
  float sum = 0.0f;
  for (int c = static_cast<int>(threadIdx.x); c < r.n; c += step) sum += x[c];
  const float mean = block_sum(sum, partial) / static_cast<float>(r.n);
  float squares = 0.0f;
  for (int c = static_cast<int>(threadIdx.x); c < r.n; c += step) squares += (x[c] - mean) * (x[c] - mean);
  const float factor = 1.0f / sqrtf(block_sum(squares, partial) / static_cast<float>(r.n) + r.eps);
  for (int c = static_cast<int>(threadIdx.x); c < r.n; c += step) y[c] = r.weight[c] * ((x[c] - mean) * factor) + r.bias[c];
}

}  // namespace

void cortex_layer_norm(const Instruction& in, Worker& worker) {
  namespace at = op::layer_norm;
  NormRows rows{};
  rows.x = worker.at(in.in[0]);
  rows.x_stride = in.in[0].stride;
  rows.y = worker.at(in.out[0]);
  rows.y_stride = in.out[0].stride;
  rows.weight = worker.tensor(in, at::weight::weight).values();
  rows.bias = worker.tensor(in, at::weight::bias).values();
  rows.count = worker.step.counts + in.symbol;
  rows.eps = in.param_float(at::param::eps);
  rows.n = in.n;
  launch_norm(in, worker, layer_norm_rows, rows);
}

}  // namespace cortex
