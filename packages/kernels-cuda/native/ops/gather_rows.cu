#include "../device/each_element.h"
#include "ops.h"

namespace cortex {

void cortex_gather_rows(const Instruction& in, Worker& worker) {
  const View x = view_of(worker, in.in[0]);
  const View y = view_of(worker, in.out[0]);
  const DeviceSample* samples = worker.step.samples;
  each_element(worker, in, in.n, [=] __device__(int row, int column) { y.row(row)[column] = x.row(samples[row].row)[column]; });
}

}  // namespace cortex
