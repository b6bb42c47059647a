#include "../device/each_element.h"
#include "ops.h"

namespace cortex {

void cortex_delta_gates(const Instruction& in, Worker& worker) {
  namespace at = op::delta_gates;
  const View b = view_of(worker, in.in[at::in::b]);
  const View a = view_of(worker, in.in[at::in::a]);
  const View beta = view_of(worker, in.out[at::out::beta]);
  const View g = view_of(worker, in.out[at::out::g]);
  const float* decay = worker.tensor(in, at::weight::decay).values();
  const float* bias = worker.tensor(in, at::weight::dtBias).values();
  each_element(worker, in, in.n, [=] __device__(int row, int column) {
    const float strength = 1.0f / (1.0f + expf(-b.row(row)[column]));
    const float sum = a.row(row)[column] + bias[column];
    // exp overflows long before the sum does.
    const float softplus = sum > 20.0f ? sum : log1pf(expf(sum));
    beta.row(row)[column] = strength;
    g.row(row)[column] = decay[column] * softplus;
  });
}

}  // namespace cortex
