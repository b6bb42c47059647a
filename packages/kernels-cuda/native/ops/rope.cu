#include "../device/launch.h"
#include "../device/rotary.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

__global__ void __launch_bounds__(threads) rope_kernel(StepView step, View x, View y, Rotary rotary, int heads, int head_dim) {
  const int row = blockIdx.x;
  const int parts = head_dim - rotary.half;
  const int unit = blockIdx.y * threads + threadIdx.x;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= step.counts[count::rows] || unit >= heads * parts) return;
  const float* from = x.row(row) + unit / parts * head_dim;
  float* to = y.row(row) + unit / parts * head_dim;
  rotate_part(
      rotary, step, row, unit % parts, [from](int i) { return from[i]; }, [to](int i, float value) { to[i] = value; });
}

}  // namespace

void cortex_rope(const Instruction& in, Worker& worker) {
  namespace at = op::rope;
  const int head_dim = in.param(at::param::headDim);
  const Rotary rotary{worker.tensor(in, at::weight::inverseFrequency).values(), in.param(at::param::rotaryDim) / 2,
                      in.param_float(at::param::attentionFactor), in.param(at::param::sectionH), in.param(at::param::sectionW)};
  const int heads = in.n / head_dim;
  const unsigned blocks = (heads * (head_dim - rotary.half) + threads - 1) / threads;
  launch(worker, rope_kernel, dim3(worker.rows(in), blocks), dim3(threads), 0, worker.step, view_of(worker, in.in[0]),
         view_of(worker, in.out[0]), rotary, heads, head_dim);
}

}  // namespace cortex
