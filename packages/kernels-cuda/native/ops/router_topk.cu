#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../device/warp.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

// An expert's place in the order: logit descending, then index ascending. What is not a number comes last.
struct Place {
  float key;
  int expert;
};

__device__ __forceinline__ bool is_before(Place a, Place b) { return a.key > b.key || (a.key == b.key && a.expert < b.expert); }

__device__ __forceinline__ Place warp_first(Place mine) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    const Place other{__shfl_xor_sync(whole_warp, mine.key, lanes), __shfl_xor_sync(whole_warp, mine.expert, lanes)};
    if (is_before(other, mine)) mine = other;
  }
  return mine;
}

// A warp takes one row: the best expert behind the last one, k times, then their shares of the softmax over all.
__global__ void __launch_bounds__(threads)
    router_topk_kernel(const int32_t* row_count, View logits, View choice, int experts, int chosen, bool renormalise) {
  const int row = blockIdx.x * (threads / warp_threads) + threadIdx.x / warp_threads;
  const int lane = lane_of(threadIdx.x);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= *row_count) return;
  const float* x = logits.row(row);
  float* y = choice.row(row);
  Place last{INFINITY, -1};
  float most = 0.0f;
  for (int slot = 0; slot < chosen; ++slot) {
    Place best{-INFINITY, experts};
    for (int e = lane; e < experts; e += warp_threads) {
      const Place here{isnan(x[e]) ? -INFINITY : x[e], e};
      if (is_before(last, here) && is_before(here, best)) best = here;
    }
    last = warp_first(best);
    if (slot == 0) most = x[last.expert];
    if (lane == 0) y[slot] = static_cast<float>(last.expert);
  }
  // Of equal sums of probabilities the largest logit is taken away first: no exponential is above one.
  float sum = 0.0f;
  for (int e = lane; e < experts; e += warp_threads) sum += expf(x[e] - most);
  sum = warp_sum(sum);
  __syncwarp();
  float kept = 0.0f;
  for (int slot = lane; slot < chosen; slot += warp_threads) {
    const float weight = expf(x[static_cast<int>(y[slot])] - most) / sum;
    y[chosen + slot] = weight;
    kept += weight;
  }
  if (!renormalise) return;
  kept = warp_sum(kept);
  for (int slot = lane; slot < chosen; slot += warp_threads) y[chosen + slot] /= kept;
}

}  // namespace

void cortex_router_topk(const Instruction& in, Worker& worker) {
  constexpr int rows_per_block = threads / warp_threads;
  const unsigned blocks = (worker.rows(in) + rows_per_block - 1) / rows_per_block;
  launch(worker, router_topk_kernel, dim3(blocks), dim3(threads), 0, worker.step.counts + in.symbol, view_of(worker, in.in[0]),
         view_of(worker, in.out[0]), in.k, in.param(op::router_topk::param::k), in.param(op::router_topk::param::renormalise) != 0);
}

}  // namespace cortex
