#include "rows_to_step.h"

namespace cortex {

void cortex_expose_rows(const Instruction& in, Worker& worker) {
  const Step& step = worker.step();
  rows_to_step(in, worker, step.floats(step.offsets().logits), step.limits().vocab);
}

}  // namespace cortex
