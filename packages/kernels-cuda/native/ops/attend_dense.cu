// Bidirectional attention among the patches of each image.
#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../ptx/memory.h"
#include "../ptx/order.h"
#include "attend_tile.cuh"
#include "ops.h"

namespace cortex {

namespace {

constexpr int queries = 8;

// A block takes tiles of eight patches of one image, and one head.
template <bool wide>
__global__ void __launch_bounds__(attend_threads)
    attend_dense_kernel(StepView step, View q, View k, View v, View y, int head_dim, int columns, float scale) {
  float* shared = ptx::dynamic_shared<float>();
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int start = static_cast<int>(blockIdx.y) * head_dim;
  const int column = static_cast<int>(blockIdx.z) * columns;
  const int images = step.counts[count::images];
  int tile = static_cast<int>(blockIdx.x);
  for (int index = 0; index < images; ++index) {
    const DeviceImage image = step.images[index];
    const int patches = image.end - image.begin;
    const int tiles = (patches + queries - 1) / queries;
    for (; tile < tiles; tile += static_cast<int>(gridDim.x)) {
      const int first = image.begin + tile * queries;
      const float* rows[queries];
#pragma unroll
      for (int i = 0; i < queries; ++i) rows[i] = first + i < image.end ? q.row(first + i) + start : nullptr;
      const auto block_of = [&](int block) {
        const int row = image.begin + block * attend_keys;
        return KeyBlock<float>{k.row(row) + start, v.row(row) + start, k.stride, v.stride};
      };
      attend_tile<KvF32, wide, queries>(
          shared, rows, head_dim, column, min(columns, head_dim - column), 0, patches, scale, block_of,
          [&](int i, int c, float sum, float, float weights) { y.row(first + i)[start + c] = sum / weights; });
      __syncthreads();
    }
    tile -= tiles;
  }
}

template <bool wide>
void enqueue(const Instruction& in, Worker& worker, int head_dim) {
  const int columns = min(head_dim, attend_columns<KvF32, wide>);
  const int tiles = (worker.rows(in) + queries - 1) / queries;
  launch(worker, attend_dense_kernel<wide>, dim3(tiles, in.n / head_dim, (head_dim + columns - 1) / columns), dim3(attend_threads),
         attend_tile_bytes<queries>(head_dim, columns), worker.step, view_of(worker, in.in[0]), view_of(worker, in.in[1]),
         view_of(worker, in.in[2]), view_of(worker, in.out[0]), head_dim, columns, in.param_float(op::attend_dense::param::scale));
}

}  // namespace

void cortex_attend_dense(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::attend_dense::param::headDim);
  const auto aligned = [](const Operand& operand) { return operand.offset % 4 == 0 && operand.stride % 4 == 0; };
  if (head_dim % 4 == 0 && aligned(in.in[1]) && aligned(in.in[2])) enqueue<true>(in, worker, head_dim);
  else enqueue<false>(in, worker, head_dim);
}

}  // namespace cortex
