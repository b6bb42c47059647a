#include "kv_cache.h"
#include "ops.h"
#include "partition.h"
#include "rope_table.h"

namespace cortex {

// One unit of work is one row's cache head with the query heads that share it.
void cortex_qk_norm_rope_append(const Instruction& in, Worker& worker) {
  namespace at = op::qk_norm_rope_append;
  const KvLayer& layer = worker.rank->kv[static_cast<size_t>(in.param(at::param::layer))];
  const RopeTable& table = worker.rank->rope_tables[static_cast<size_t>(in.rope_table)];
  const Kernels& kernels = worker.kernels();
  const float eps = in.param_float(at::param::eps);
  const float* q_weight = in.weights[at::weight::qNorm] < 0 ? nullptr : worker.tensor(in, at::weight::qNorm).values();
  const float* k_weight = in.weights[at::weight::kNorm] < 0 ? nullptr : worker.tensor(in, at::weight::kNorm).values();
  const int dim = layer.head_dim;
  const int query_heads = in.n / dim;
  const int rows = worker.rows(in);
  float head[max_head_dim];
  const auto norm_and_rotate = [&](const float* x, const float* weight, int row, float* y) {
    if (weight) {
      kernels.rms_norm(x, weight, eps, dim, head);
      x = head;
    }
    kernels.rotate(x, cosine_of(table, row), sine_of(table, row), dim, table.spec.rotary_dim, y);
  };
  const Range own = split(rows * layer.kv_heads, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int kv_head = i / rows;
    const int row = i % rows;
    const int first = query_heads * kv_head / layer.kv_heads;
    const int end = query_heads * (kv_head + 1) / layer.kv_heads;
    for (int h = first; h < end; ++h) {
      norm_and_rotate(worker.at(in.in[at::in::q], row) + h * dim, q_weight, row,
                      worker.at(in.out[at::out::y], row) + h * dim);
    }
    float key[max_head_dim];
    norm_and_rotate(worker.at(in.in[at::in::k], row) + kv_head * dim, k_weight, row, key);
    append_head(worker, layer, row, kv_head, key, worker.at(in.in[at::in::v], row) + kv_head * dim);
  }
}

}  // namespace cortex
