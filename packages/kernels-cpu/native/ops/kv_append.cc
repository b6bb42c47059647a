#include "kv_cache.h"
#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_kv_append(const Instruction& in, Worker& worker) {
  const KvLayer& layer = worker.rank->kv[static_cast<size_t>(in.param(op::kv_append::param::layer))];
  const int rows = worker.rows(in);
  // Head by head: the tokens of one head's page share cache lines, and so stay with one worker.
  const Range own = split(rows * layer.kv_heads, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int head = i / rows;
    const int row = i % rows;
    const int column = head * layer.head_dim;
    append_head(worker, layer, row, head, worker.at(in.in[op::kv_append::in::k], row) + column,
                worker.at(in.in[op::kv_append::in::v], row) + column);
  }
}

}  // namespace cortex
