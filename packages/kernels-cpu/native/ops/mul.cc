#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_mul(const Instruction& in, Worker& worker) {
  for_own_chunks(worker, worker.rows(in), in.n, [&](int row, int column, int count) {
    worker.kernels().mul(worker.at(in.in[0], row) + column, worker.at(in.in[1], row) + column, count,
                         worker.at(in.out[0], row) + column);
  });
}

}  // namespace cortex
