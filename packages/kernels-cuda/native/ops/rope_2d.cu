#include "../device/launch.h"
#include "../device/rotary.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

// The first half of a head's pairs turns by the patch's row, the second by its column, both with the same frequencies.
__global__ void __launch_bounds__(threads)
    rope_2d_kernel(StepView step, View x, View y, const float* frequency, int heads, int head_dim) {
  const int row = blockIdx.x;
  const int half = head_dim / 2;
  const int quarter = half / 2;
  const int unit = blockIdx.y * threads + threadIdx.x;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= step.counts[count::patches] || unit >= heads * half) return;
  const int pair = unit % half;
  const DevicePatch place = step.places[row];
  const Turn turn = turn_by(__fmul_rn(static_cast<float>(pair < quarter ? place.y : place.x), frequency[pair % quarter]), 1.0f);
  const float* from = x.row(row) + unit / half * head_dim;
  float* to = y.row(row) + unit / half * head_dim;
  const float a = from[pair];
  const float b = from[pair + half];
  to[pair] = a * turn.cosine - b * turn.sine;
  to[pair + half] = b * turn.cosine + a * turn.sine;
}

}  // namespace

void cortex_rope_2d(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::rope_2d::param::headDim);
  const int heads = in.n / head_dim;
  const unsigned blocks = (heads * (head_dim / 2) + threads - 1) / threads;
  launch(worker, rope_2d_kernel, dim3(worker.rows(in), blocks), dim3(threads), 0, worker.step, view_of(worker, in.in[0]),
         view_of(worker, in.out[0]), worker.tensor(in, op::rope_2d::weight::inverseFrequency).values(), heads, head_dim);
}

}  // namespace cortex
