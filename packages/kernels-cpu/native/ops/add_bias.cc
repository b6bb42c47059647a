#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_add_bias(const Instruction& in, Worker& worker) {
  for_own_chunks(worker, worker.rows(in), in.n, [&](int row, int column, int count) {
    const float* bias = worker.tensor(in, op::add_bias::weight::bias).values();
    worker.kernels().add(worker.at(in.in[0], row) + column, bias + column, count, worker.at(in.out[0], row) + column);
  });
}

}  // namespace cortex
