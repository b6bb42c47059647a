#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_embed(const Instruction& in, Worker& worker) {
  const Tensor& table = worker.tensor(in, op::embed::weight::table);
  const int start = in.param(op::embed::param::vocabStart);
  const Step& step = worker.step();
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    const int64_t token = int64_t{step.tokens[static_cast<size_t>(row)]} - start;
    float* y = worker.at(in.out[0], row);
    const int given = step.tokens[static_cast<size_t>(row)];
    if (given < 0 && start == 0) {
      const float* feature = step.floats(step.offsets().features) + int64_t{-1 - given} * in.n;
      std::memcpy(y, feature, static_cast<size_t>(in.n) * sizeof(float));
    } else if (token < 0 || token >= table.spec.rows) {
      // Another rank's part of the vocabulary.
      std::memset(y, 0, static_cast<size_t>(in.n) * sizeof(float));
    } else if (!table.spans.empty()) {
      const int strip = static_cast<int>(token) / matmul::strip_rows;
      const uint8_t* data = stage_strips(table.spec, table.spans, strip, 1, worker.staging(), 0, worker.problem());
      if (data == nullptr) return;
      const matmul::Weights staged = staged_weights(table.spec, strip, 1, data);
      matmul::lookup_row(staged.format, data, staged.rows, staged.cols, static_cast<int32_t>(token) % matmul::strip_rows, y);
    } else {
      matmul::lookup_row(table.spec.format, table.data, table.spec.rows, table.spec.cols, static_cast<int32_t>(token), y);
    }
  }
}

}  // namespace cortex
