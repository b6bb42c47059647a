#include "norm.cuh"
#include "ops.h"

namespace cortex {

void cortex_rms_norm(const Instruction& in, Worker& worker) {
  namespace at = op::rms_norm;
  NormRows rows{};
  rows.x = worker.at(in.in[0]);
  rows.x_stride = in.in[0].stride;
  rows.y = worker.at(in.out[at::out::y]);
  rows.y_stride = in.out[at::out::y].stride;
  rows.weight = worker.tensor(in, at::weight::weight).values();
  rows.count = worker.step.counts + in.symbol;
  rows.eps = in.param_float(at::param::eps);
  rows.n = in.n;
  launch_norm(in, worker, rms_norm_rows<false>, rows);
}

}  // namespace cortex
