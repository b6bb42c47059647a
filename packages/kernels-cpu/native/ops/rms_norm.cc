#include "ops.h"
#include "quantise.h"

namespace cortex {

void cortex_rms_norm(const Instruction& in, Worker& worker) {
  const float* weight = worker.tensor(in, op::rms_norm::weight::weight).values();
  const Operand& quantised = in.out[op::rms_norm::out::quantised];
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    float* y = worker.at(in.out[op::rms_norm::out::y], row);
    worker.kernels().rms_norm(worker.at(in.in[0], row), weight, in.param_float(op::rms_norm::param::eps), in.n, y);
    if (quantised.present()) quantise_row(worker, y, in.n, quantised, row);
  }
}

}  // namespace cortex
