#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_head_norm(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::head_norm::param::headDim);
  const float eps = in.param_float(op::head_norm::param::eps);
  const float* weight = worker.tensor(in, op::head_norm::weight::weight).values();
  const int heads = in.n / head_dim;
  const Range own = split(worker.rows(in) * heads, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int column = i % heads * head_dim;
    worker.kernels().rms_norm(worker.at(in.in[0], i / heads) + column, weight, eps, head_dim,
                              worker.at(in.out[0], i / heads) + column);
  }
}

}  // namespace cortex
