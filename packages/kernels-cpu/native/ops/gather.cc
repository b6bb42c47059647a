#include <cstring>

#include "collective.h"
#include "ops.h"

namespace cortex {

void cortex_gather(const Instruction& in, Worker& worker) {
  Model& model = *worker.model;
  model.all.wait();
  const Rank& root = *model.ranks[0];
  const Operand& y = peer_instruction(in, root).out[0];
  const int start = in.param(op::gather::param::columnStart);
  for_own_chunks(worker, worker.rows(in), in.k, [&](int row, int column, int count) {
    std::memcpy(row_of(root, y, row) + start + column, worker.at(in.in[0], row) + column,
                static_cast<size_t>(count) * sizeof(float));
  });
  model.all.wait();
}

}  // namespace cortex
