#include "head_norm.cuh"
#include "ops.h"

namespace cortex {

void cortex_head_norm(const Instruction& in, Worker& worker) {
  namespace at = op::head_norm;
  const int head_dim = in.param(at::param::headDim);
  launch_head_norm(in, worker, head_norm_kernel<false>,
                   {worker.at(in.in[0]), nullptr, worker.at(in.out[0]), in.in[0].stride, 0, in.out[0].stride,
                    worker.tensor(in, at::weight::weight).values(), worker.step.counts + in.symbol,
                    in.param_float(at::param::eps), head_dim, in.n / head_dim});
}

}  // namespace cortex
