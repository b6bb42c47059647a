#include "../device/kv_element.h"
#include "../device/launch.h"
#include "../device/rotary.h"
#include "../device/warp.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;

// A warp takes one head of one row: query heads first, then those of the cache, whose keys go into their page, and their
// values with them.
template <typename Element>
__global__ void __launch_bounds__(threads)
    qk_norm_rope_append_kernel(StepView step, View q, View k, View v, View y, const float* q_weight, const float* k_weight, float eps,
                               Rotary rotary, int query_heads, KvView<Element> cache) {
  const int row = blockIdx.x;
  const int head = blockIdx.y * (threads / warp_threads) + threadIdx.x / warp_threads;
  const int lane = lane_of(threadIdx.x);
  const int dim = cache.head_dim;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row >= step.counts[count::rows] || head >= query_heads + cache.kv_heads) return;
  const bool is_query = head < query_heads;
  const int kv_head = head - query_heads;
  const float* x = is_query ? q.row(row) + head * dim : k.row(row) + kv_head * dim;
  const float* weight = is_query ? q_weight : k_weight;
  float scale = 1.0f;
  if (weight) {
    float squares = 0.0f;
    for (int i = lane; i < dim; i += warp_threads) squares += x[i] * x[i];
    scale = 1.0f / sqrtf(warp_sum(squares) / static_cast<float>(dim) + eps);
  }
  const auto read = [&](int i) { return weight ? weight[i] * (x[i] * scale) : x[i]; };
  const int parts = dim - rotary.half;
  if (is_query) {
    float* to = y.row(row) + head * dim;
    for (int part = lane; part < parts; part += warp_threads) {
      rotate_part(rotary, step, row, part, read, [to](int i, float value) { to[i] = value; });
    }
    return;
  }
  const KvPlace place = kv_place(step, row);
  if (place.page < 0) return;
  auto* keys = cache.keys(place.page, kv_head) + place.token * dim;
  auto* values = cache.values(place.page, kv_head) + place.token * dim;
  for (int part = lane; part < parts; part += warp_threads) {
    rotate_part(rotary, step, row, part, read, [keys](int i, float value) { keys[i] = Element::store(value); });
  }
  for (int i = lane; i < dim; i += warp_threads) values[i] = Element::store(v.row(row)[kv_head * dim + i]);
}

}  // namespace

void cortex_qk_norm_rope_append(const Instruction& in, Worker& worker) {
  namespace at = op::qk_norm_rope_append;
  const KvLayer& layer = worker.kv[in.param(at::param::layer)];
  const Rotary rotary{worker.tensor(in, at::weight::inverseFrequency).values(), in.param(at::param::rotaryDim) / 2,
                      in.param_float(at::param::attentionFactor), in.param(at::param::sectionH), in.param(at::param::sectionW)};
  const auto norm = [&](int position) { return worker.has_tensor(in, position) ? worker.tensor(in, position).values() : nullptr; };
  const int query_heads = in.n / layer.head_dim;
  constexpr int heads_per_block = threads / warp_threads;
  const unsigned blocks = (query_heads + layer.kv_heads + heads_per_block - 1) / heads_per_block;
  with_kv_element(layer.format, [&](auto element) {
    launch(worker, qk_norm_rope_append_kernel<decltype(element)>, dim3(worker.rows(in), blocks), dim3(threads), 0, worker.step,
           view_of(worker, in.in[at::in::q]), view_of(worker, in.in[at::in::k]), view_of(worker, in.in[at::in::v]),
           view_of(worker, in.out[at::out::y]), norm(at::weight::qNorm), norm(at::weight::kNorm), in.param_float(at::param::eps),
           rotary, query_heads, kv_view<decltype(element)>(layer));
  });
}

}  // namespace cortex
