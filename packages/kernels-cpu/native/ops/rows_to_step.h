// Rows of the first operand, copied into the step's buffer where the caller reads them; rank 0 only.
#pragma once

#include <cstdint>
#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

// Row i goes `stride` floats after row i - 1, the first one to `to`.
inline void rows_to_step(const Instruction& in, Worker& worker, float* to, int64_t stride) {
  if (worker.rank->rank != 0) return;
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    std::memcpy(to + row * stride, worker.at(in.in[0], row), static_cast<size_t>(in.k) * sizeof(float));
  }
}

}  // namespace cortex
