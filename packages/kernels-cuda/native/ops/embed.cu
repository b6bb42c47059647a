#include "../device/launch.h"
#include "../ptx/order.h"
#include "../weights/blocks.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Embed {
  Matrix table;
  const int32_t* tokens;
  const float* features;
  int64_t feature_width;
  float* y;
  int64_t y_stride;
  const int32_t* count;
  // Token of the table's first row.
  int start;
};

constexpr int threads = 128;

// A row of the table, a feature row, or zeros where another rank has the token.
template <Format format>
__global__ void __launch_bounds__(threads) embed_rows(Embed e) {
  using Weights = Blocks<format>;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  if (row >= *e.count) return;
  const int given = e.tokens[row];
  const int64_t token = int64_t{given} - e.start;
  const bool held = token >= 0 && token < e.table.rows;
  const float* feature = given < 0 && e.start == 0 ? e.features + (-1 - int64_t{given}) * e.feature_width : nullptr;
  float* y = e.y + row * e.y_stride;
  const int cols = e.table.cols;
  const int blocks = (cols + Weights::columns - 1) / Weights::columns;
  for (int block = static_cast<int>(blockIdx.x * threads + threadIdx.x); block < blocks;
       block += static_cast<int>(gridDim.x) * threads) {
    float values[Weights::columns];
    if (feature == nullptr && held) Weights::load(e.table, static_cast<int>(token), block).values(values);
#pragma unroll
    for (int i = 0; i < Weights::columns; ++i) {
      const int column = block * Weights::columns + i;
      if (column < cols) y[column] = feature != nullptr ? feature[column] : held ? values[i] : 0.0f;
    }
  }
}

auto kernel_of(Format format) {
  switch (format) {
    case Format::F32: return embed_rows<Format::F32>;
    case Format::F16: return embed_rows<Format::F16>;
    case Format::BF16: return embed_rows<Format::BF16>;
    case Format::Q8_0: return embed_rows<Format::Q8_0>;
    case Format::Q4_0: return embed_rows<Format::Q4_0>;
    case Format::Q4_K: return embed_rows<Format::Q4_K>;
    case Format::Q5_K: return embed_rows<Format::Q5_K>;
    default: return embed_rows<Format::Q6_K>;
  }
}

}  // namespace

void cortex_embed(const Instruction& in, Worker& worker) {
  const Tensor& table = worker.tensor(in, op::embed::weight::table);
  const Embed embed{matrix_at(table.spec.format, table.data, table.spec.rows, table.spec.cols), worker.step.tokens,
                    worker.step.features, in.n, worker.at(in.out[0]), in.out[0].stride, worker.step.counts + in.symbol,
                    in.param(op::embed::param::vocabStart)};
  const int per_block = threads * (is_block_format(table.spec.format) ? 32 : 8);
  const dim3 grid(static_cast<unsigned>((in.n + per_block - 1) / per_block), static_cast<unsigned>(worker.rows(in)));
  launch(worker, kernel_of(table.spec.format), grid, dim3(threads), 0, embed);
}

}  // namespace cortex
