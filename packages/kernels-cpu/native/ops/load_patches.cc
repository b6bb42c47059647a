#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_load_patches(const Instruction& in, Worker& worker) {
  const Step& step = worker.step();
  const float* pixels = step.floats(step.offsets().pixels);
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    std::memcpy(worker.at(in.out[0], row), pixels + int64_t{row} * in.n, static_cast<size_t>(in.n) * sizeof(float));
  }
}

}  // namespace cortex
