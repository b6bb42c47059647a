#include "head_norm.cuh"
#include "ops.h"

namespace cortex {

void cortex_rms_norm_gated(const Instruction& in, Worker& worker) {
  namespace at = op::rms_norm_gated;
  const Operand& x = in.in[at::in::x];
  const Operand& z = in.in[at::in::z];
  const Operand& y = in.out[at::out::y];
  const int head_dim = in.param(at::param::headDim);
  launch_head_norm(in, worker, head_norm_kernel<true>,
                   {worker.at(x), worker.at(z), worker.at(y), x.stride, z.stride, y.stride,
                    worker.tensor(in, at::weight::weight).values(), worker.step.counts + in.symbol,
                    in.param_float(at::param::eps), head_dim, in.n / head_dim});
}

}  // namespace cortex
