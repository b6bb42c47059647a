#include "ops.h"
#include "quantise.h"

namespace cortex {

void cortex_add_rms_norm(const Instruction& in, Worker& worker) {
  namespace at = op::add_rms_norm;
  const float* weight = worker.tensor(in, at::weight::weight).values();
  const Operand& quantised = in.out[at::out::quantised];
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    float* y = worker.at(in.out[at::out::y], row);
    worker.kernels().add_rms_norm(worker.at(in.in[at::in::residual], row), worker.at(in.in[at::in::delta], row), weight,
                                  in.param_float(at::param::eps), in.n, worker.at(in.out[at::out::sum], row), y);
    if (quantised.present()) quantise_row(worker, y, in.n, quantised, row);
  }
}

}  // namespace cortex
