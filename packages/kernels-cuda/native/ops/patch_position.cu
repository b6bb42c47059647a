#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../ptx/order.h"
#include "../weights/blocks.cuh"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

// The two places of a line of `side` between which place `index` of `count` falls, and the share of the second.
struct Between {
  int places[2];
  float shares[2];
};

__device__ __forceinline__ Between between(int index, int count, int side) {
  const float step = count == 1 ? 0.0f : static_cast<float>(side - 1) / static_cast<float>(count - 1);
  const float at = __fmul_rn(static_cast<float>(index), step);
  const int low = min(static_cast<int>(at), side - 1);
  const float share = at - static_cast<float>(low);
  return {{low, min(low + 1, side - 1)}, {1.0f - share, share}};
}

// A thread takes a block of columns of one patch.
template <Format format>
__global__ void __launch_bounds__(threads) patch_position_kernel(StepView step, View y, Matrix table, int side) {
  using Weights = Blocks<format>;
  const int row = blockIdx.x;
  const int block = static_cast<int>(blockIdx.y * threads + threadIdx.x);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= step.counts[count::patches] || block * Weights::columns >= table.cols) return;
  const DevicePatch patch = step.places[row];
  const Between vertical = between(patch.y, patch.grid_height, side);
  const Between horizontal = between(patch.x, patch.grid_width, side);
  float sums[Weights::columns] = {};
#pragma unroll
  for (int corner = 0; corner < 4; ++corner) {
    const float share = __fmul_rn(vertical.shares[corner / 2], horizontal.shares[corner % 2]);
    float values[Weights::columns];
    Weights::load(table, vertical.places[corner / 2] * side + horizontal.places[corner % 2], block).values(values);
#pragma unroll
    for (int c = 0; c < Weights::columns; ++c) sums[c] += share * values[c];
  }
  float* to = y.row(row) + block * Weights::columns;
#pragma unroll
  for (int c = 0; c < Weights::columns; ++c) {
    if (block * Weights::columns + c < table.cols) to[c] = sums[c];
  }
}

template <Format format>
void enqueue(const Instruction& in, Worker& worker, const Tensor& table) {
  const int blocks = (table.spec.cols + Blocks<format>::columns - 1) / Blocks<format>::columns;
  launch(worker, patch_position_kernel<format>, dim3(worker.rows(in), (blocks + threads - 1) / threads), dim3(threads), 0, worker.step,
         view_of(worker, in.out[0]), matrix_at(format, table.data, table.spec.rows, table.spec.cols),
         in.param(op::patch_position::param::side));
}

}  // namespace

void cortex_patch_position(const Instruction& in, Worker& worker) {
  const Tensor& table = worker.tensor(in, op::patch_position::weight::table);
  switch (table.spec.format) {
    case Format::F32: return enqueue<Format::F32>(in, worker, table);
    case Format::F16: return enqueue<Format::F16>(in, worker, table);
    case Format::BF16: return enqueue<Format::BF16>(in, worker, table);
    case Format::Q8_0: return enqueue<Format::Q8_0>(in, worker, table);
    case Format::Q4_0: return enqueue<Format::Q4_0>(in, worker, table);
    case Format::Q4_K: return enqueue<Format::Q4_K>(in, worker, table);
    case Format::Q5_K: return enqueue<Format::Q5_K>(in, worker, table);
    case Format::Q6_K: return enqueue<Format::Q6_K>(in, worker, table);
  }
}

}  // namespace cortex
