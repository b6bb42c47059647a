#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_patch_merge(const Instruction& in, Worker& worker) {
  const int merge = in.param(op::patch_merge::param::merge);
  const int block = merge * merge;
  const int patches = worker.step().patches;
  const size_t bytes = static_cast<size_t>(in.k) * sizeof(float);
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    float* y = worker.at(in.out[0], row);
    for (int i = 0; i < block; ++i, y += in.k) {
      const int64_t patch = int64_t{row} * block + i;
      // What lies beyond the step's patches counts as zeros.
      if (patch < patches) std::memcpy(y, worker.at(in.in[0], static_cast<int>(patch)), bytes);
      else std::memset(y, 0, bytes);
    }
  }
}

}  // namespace cortex
