#include <cstring>

#include "collective.h"
#include "ops.h"

namespace cortex {

// Every chunk has one worker of all ranks' who reads it everywhere, then writes it everywhere: it may run in place.
void cortex_all_reduce(const Instruction& in, Worker& worker) {
  Model& model = *worker.model;
  model.all.wait();
  const int chunks = (in.n + chunk_columns - 1) / chunk_columns;
  const Range own = split(worker.rows(in) * chunks, worker.global_index, static_cast<int>(model.workers.size()));
  for (int i = own.begin; i < own.end; ++i) {
    const int row = i / chunks;
    const int column = i % chunks * chunk_columns;
    const int count = std::min(chunk_columns, in.n - column);
    float sum[chunk_columns];
    for (const auto& rank : model.ranks) {
      const float* x = row_of(*rank, peer_instruction(in, *rank).in[0], row) + column;
      if (rank->rank == 0) {
        std::memcpy(sum, x, static_cast<size_t>(count) * sizeof(float));
      } else {
        worker.kernels().add(sum, x, count, sum);
      }
    }
    for (const auto& rank : model.ranks) {
      std::memcpy(row_of(*rank, peer_instruction(in, *rank).out[0], row) + column, sum,
                  static_cast<size_t>(count) * sizeof(float));
    }
  }
  model.all.wait();
}

}  // namespace cortex
