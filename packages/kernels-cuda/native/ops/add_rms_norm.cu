#include "norm.cuh"
#include "ops.h"

namespace cortex {

void cortex_add_rms_norm(const Instruction& in, Worker& worker) {
  namespace at = op::add_rms_norm;
  const Operand& residual = in.in[at::in::residual];
  const Operand& delta = in.in[at::in::delta];
  const Operand& sum = in.out[at::out::sum];
  const Operand& y = in.out[at::out::y];
  const NormRows rows{worker.at(residual), worker.at(delta), worker.at(sum), worker.at(y),
                      residual.stride, delta.stride, sum.stride, y.stride,
                      worker.tensor(in, at::weight::weight).values(), nullptr, worker.step.counts + in.symbol,
                      in.param_float(at::param::eps), in.n};
  launch_norm(in, worker, rms_norm_rows<true>, rows);
}

}  // namespace cortex
