#include "ops.h"
#include "partition.h"
#include "rope_table.h"

namespace cortex {

void cortex_rope(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::rope::param::headDim);
  const RopeTable& table = worker.rank->rope_tables[static_cast<size_t>(in.rope_table)];
  const int heads = in.n / head_dim;
  const Range own = split(worker.rows(in) * heads, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int row = i / heads;
    const int column = i % heads * head_dim;
    worker.kernels().rotate(worker.at(in.in[0], row) + column, cosine_of(table, row), sine_of(table, row), head_dim,
                            table.spec.rotary_dim, worker.at(in.out[0], row) + column);
  }
}

}  // namespace cortex
