#include "../device/each_element.h"
#include "ops.h"

namespace cortex {

void cortex_patch_merge(const Instruction& in, Worker& worker) {
  const int merge = in.param(op::patch_merge::param::merge);
  const int block = merge * merge;
  const int width = in.k;
  const View x = view_of(worker, in.in[0]);
  const View y = view_of(worker, in.out[0]);
  const int32_t* patches = worker.step.counts + count::patches;
  each_element(worker, in, width * block, [=] __device__(int row, int column) {
    const int patch = row * block + column / width;
    // What lies beyond the step's patches counts as zeros.
    y.row(row)[column] = patch < *patches ? x.row(patch)[column % width] : 0.0f;
  });
}

}  // namespace cortex
