#include <cmath>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_delta_gates(const Instruction& in, Worker& worker) {
  const float* decay = worker.tensor(in, op::delta_gates::weight::decay).values();
  const float* bias = worker.tensor(in, op::delta_gates::weight::dtBias).values();
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    const float* b = worker.at(in.in[op::delta_gates::in::b], row);
    const float* a = worker.at(in.in[op::delta_gates::in::a], row);
    float* beta = worker.at(in.out[op::delta_gates::out::beta], row);
    float* g = worker.at(in.out[op::delta_gates::out::g], row);
    for (int i = 0; i < in.n; ++i) {
      const float strength = 1.0f / (1.0f + std::exp(-b[i]));
      const float sum = a[i] + bias[i];
      // exp overflows long before the sum does.
      const float softplus = sum > 20.0f ? sum : std::log1p(std::exp(sum));
      beta[i] = strength;
      g[i] = decay[i] * softplus;
    }
  }
}

}  // namespace cortex
