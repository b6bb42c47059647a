#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_store_features(const Instruction& in, Worker& worker) {
  if (worker.rank->rank != 0) return;
  const Step& step = worker.step();
  float* features = step.floats(step.offsets().features);
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    std::memcpy(features + int64_t{row} * in.k, worker.at(in.in[0], row), static_cast<size_t>(in.k) * sizeof(float));
  }
}

}  // namespace cortex
