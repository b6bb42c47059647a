#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_sigmoid_mul(const Instruction& in, Worker& worker) {
  const bool broadcast = in.param(op::sigmoid_mul::param::broadcast) != 0;
  const Kernels& kernels = worker.kernels();
  for_own_chunks(worker, worker.rows(in), in.n, [&](int row, int column, int count) {
    const float* x = worker.at(in.in[op::sigmoid_mul::in::x], row) + column;
    const float* gate = worker.at(in.in[op::sigmoid_mul::in::gate], row);
    float* y = worker.at(in.out[0], row) + column;
    if (broadcast) {
      float factor;
      kernels.sigmoid(gate, 1, &factor);
      kernels.scale(x, factor, count, y);
    } else {
      kernels.sigmoid_mul(x, gate + column, count, y);
    }
  });
}

}  // namespace cortex
