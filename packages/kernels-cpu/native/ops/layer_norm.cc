#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_layer_norm(const Instruction& in, Worker& worker) {
  const float* weight = worker.tensor(in, op::layer_norm::weight::weight).values();
  const float* bias = worker.tensor(in, op::layer_norm::weight::bias).values();
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    worker.kernels().layer_norm(worker.at(in.in[0], row), weight, bias, in.param_float(op::layer_norm::param::eps), in.n,
                                worker.at(in.out[0], row));
  }
}

}  // namespace cortex
