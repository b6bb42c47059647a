#include "../device/each_element.h"
#include "ops.h"

namespace cortex {

void cortex_expose_rows(const Instruction& in, Worker& worker) {
  if (worker.rank != 0) return;
  const View x = view_of(worker, in.in[0]);
  const View exposed{worker.step.logits, worker.step.vocab};
  each_element(worker, in, in.k, [=] __device__(int row, int column) { exposed.row(row)[column] = x.row(row)[column]; });
}

}  // namespace cortex
