#include "ops.h"
#include "quantise.h"

namespace cortex {

void cortex_rms_norm_gated(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::rms_norm_gated::param::headDim);
  const float eps = in.param_float(op::rms_norm_gated::param::eps);
  const float* weight = worker.tensor(in, op::rms_norm_gated::weight::weight).values();
  const int heads = in.n / head_dim;
  const int rows = worker.rows(in);
  const Range own = split(rows * heads, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int row = i / heads;
    const int column = i % heads * head_dim;
    float* y = worker.at(in.out[0], row) + column;
    worker.kernels().rms_norm(worker.at(in.in[op::rms_norm_gated::in::x], row) + column, weight, eps, head_dim, y);
    worker.kernels().swiglu(worker.at(in.in[op::rms_norm_gated::in::z], row) + column, y, head_dim, y);
  }
  const Operand& quantised = in.out[op::rms_norm_gated::out::quantised];
  if (quantised.present()) quantise_output(worker, in.out[0], in.n, quantised, rows);
}

}  // namespace cortex
