#include "rows_to_step.h"

namespace cortex {

void cortex_store_features(const Instruction& in, Worker& worker) {
  const Step& step = worker.step();
  rows_to_step(in, worker, step.floats(step.offsets().features), in.k);
}

}  // namespace cortex
