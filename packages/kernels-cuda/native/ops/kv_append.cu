#include "../device/kv_element.h"
#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

template <typename Element>
__global__ void __launch_bounds__(threads) kv_append_kernel(StepView step, View k, View v, KvView<Element> cache) {
  const int row = blockIdx.x;
  const int column = blockIdx.y * threads + threadIdx.x;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= step.counts[count::rows] || column >= cache.kv_heads * cache.head_dim) return;
  const KvPlace place = kv_place(step, row);
  if (place.page < 0) return;
  const int head = column / cache.head_dim;
  const int at = place.token * cache.head_dim + column % cache.head_dim;
  cache.keys(place.page, head)[at] = Element::store(k.row(row)[column]);
  cache.values(place.page, head)[at] = Element::store(v.row(row)[column]);
}

}  // namespace

void cortex_kv_append(const Instruction& in, Worker& worker) {
  const KvLayer& layer = worker.kv[in.param(op::kv_append::param::layer)];
  const unsigned blocks = (layer.kv_heads * layer.head_dim + threads - 1) / threads;
  with_kv_element(layer.format, [&](auto element) {
    launch(worker, kv_append_kernel<decltype(element)>, dim3(worker.rows(in), blocks), dim3(threads), 0, worker.step,
           view_of(worker, in.in[op::kv_append::in::k]), view_of(worker, in.in[op::kv_append::in::v]),
           kv_view<decltype(element)>(layer));
  });
}

}  // namespace cortex
