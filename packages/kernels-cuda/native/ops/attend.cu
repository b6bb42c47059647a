// Causal grouped-query attention over paged keys and values. Prompts over a 16-bit cache go through matrix instructions
// (attend_prefill.cuh); all other rows are tiles of attend_tile.cuh: the query heads of a row that share a cache head, over a
// run of pages. Where tiles are too few for the device, runs are short, and a second kernel merges their results in order.
#include "attend_prefill.cuh"
#include "attend_tile.cuh"
#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../ptx/memory.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

// Query heads of a tile.
constexpr int most_queries = 8;
// Blocks of threads that keep a multiprocessor busy.
constexpr int blocks_per_processor = 4;
// Larger heads take one query at a time: their rows have to fit in shared memory.
constexpr int wide_head = 512;

constexpr int divided(int value, int by) { return (value + by - 1) / by; }

int queries_of(int group, int head_dim) {
  if (head_dim > wide_head || group == 1) return 1;
  return group == 2 ? 2 : group <= 4 ? 4 : most_queries;
}

// Which rows a kernel takes. Block x has row x of the step; where prompts are left to the other kernel, blocks x / few and on
// have the sequences, x % few a row of theirs.
struct Rows {
  // 0: every row.
  int few;

  __device__ __forceinline__ int row(const StepView& step, int block) const {
    if (few == 0) return block < step.counts[count::rows] && step.row_sequence[block] >= 0 ? block : -1;
    if (block / few >= step.counts[count::sequences]) return -1;
    const DeviceSequence& sequence = step.sequences[block / few];
    return sequence.rows <= few && block % few < sequence.rows ? sequence.first_row + block % few : -1;
  }
};

// Keys that a row sees: [begin, end) of its sequence.
struct Sight {
  int begin;
  int end;
};

__device__ __forceinline__ Sight sight_of(const StepView& step, int row, int window) {
  const int index = step.row_index[row];
  return {window > 0 ? max(0, index - window + 1) : 0, index + 1};
}

// What a run of keys adds up to, for each (row block, query head, run): [head_dim] sums, maximum, weights.
struct Partials {
  float* data;
  int runs;
  int run_keys;
  int heads;
  int stride;

  __device__ __forceinline__ float* at(int block, int head, int run) const {
    return data + ((static_cast<int64_t>(block) * heads + head) * runs + run) * stride;
  }
};

template <typename Element, bool wide, int queries>
__global__ void __launch_bounds__(attend_threads)
    attend_kernel(StepView step, View q, View y, KvView<Element> cache, Rows rows, Partials partials, int window, float scale,
                  int columns) {
  using Stored = typename Element::Stored;
  float* shared = ptx::dynamic_shared<float>();
  const int dim = cache.head_dim;
  const int group = partials.heads / cache.kv_heads;
  const int tiles = (group + queries - 1) / queries;
  const int column_blocks = (dim + columns - 1) / columns;
  const int kv_head = static_cast<int>(blockIdx.y) / tiles;
  const int first_head = static_cast<int>(blockIdx.y) % tiles * queries;
  const int run = static_cast<int>(blockIdx.z) / column_blocks;
  const int column = static_cast<int>(blockIdx.z) % column_blocks * columns;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = rows.row(step, blockIdx.x);
  if (row < 0) return;
  const Sight sight = sight_of(step, row, window);
  const int begin = max(sight.begin, run * partials.run_keys);
  const int end = min(sight.end, (run + 1) * partials.run_keys);
  if (begin >= end) return;
  const float* from[queries];
#pragma unroll
  for (int i = 0; i < queries; ++i) {
    from[i] = first_head + i < group ? q.row(row) + (kv_head * group + first_head + i) * dim : nullptr;
  }
  const int32_t* pages = step.pages + step.sequences[step.row_sequence[row]].pages_start;
  const auto block_of = [&](int block) {
    const int page = pages[block];
    return KeyBlock<Stored>{cache.keys(page, kv_head), cache.values(page, kv_head), dim, dim};
  };
  attend_tile<Element, wide, queries>(
      shared, from, dim, column, min(columns, dim - column), begin, end, scale, block_of,
      [&](int i, int c, float sum, float maximum, float weights) {
        const int head = kv_head * group + first_head + i;
        if (!partials.data) {
          y.row(row)[head * dim + c] = sum / weights;
          return;
        }
        float* to = partials.at(blockIdx.x, head, run);
        to[c] = sum;
        if (c == 0) to[dim] = maximum, to[dim + 1] = weights;
      });
}

// Runs of a row and head, in order.
__global__ void __launch_bounds__(attend_threads) merge_kernel(StepView step, View y, Rows rows, Partials partials, int window, int dim) {
  const int head = blockIdx.y;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = rows.row(step, blockIdx.x);
  if (row < 0) return;
  const Sight sight = sight_of(step, row, window);
  const int first = sight.begin / partials.run_keys;
  const int last = (sight.end - 1) / partials.run_keys;
  float most = -INFINITY;
  for (int run = first; run <= last; ++run) most = fmaxf(most, partials.at(blockIdx.x, head, run)[dim]);
  for (int c = threadIdx.x; c < dim; c += attend_threads) {
    float sum = 0.0f;
    float weights = 0.0f;
    for (int run = first; run <= last; ++run) {
      const float* from = partials.at(blockIdx.x, head, run);
      const float factor = expf(from[dim] - most);
      sum += factor * from[c];
      weights += factor * from[dim + 1];
    }
    y.row(row)[head * dim + c] = sum / weights;
  }
}

// Pages of a run, so that tiles and runs are about what the device can have in work at once.
int run_pages(int tiles, int processors, int pages) {
  const int wanted = divided(blocks_per_processor * processors, tiles);
  return divided(pages, wanted < pages ? wanted : pages);
}

int padded(int head_dim) { return divided(head_dim + 2, 4) * 4; }

template <typename Element, bool wide, int queries>
void enqueue_as(const Instruction& in, Worker& worker, const KvLayer& layer, Rows rows, int row_blocks) {
  const int dim = layer.head_dim;
  const int heads = in.n / dim;
  const int columns = dim < attend_columns<Element, wide> ? dim : attend_columns<Element, wide>;
  const int column_blocks = divided(dim, columns);
  const int tiles = layer.kv_heads * divided(heads / layer.kv_heads, queries);
  const int pages = divided(worker.max_length, page_tokens);
  const int per_run = run_pages(row_blocks * tiles, worker.processors, pages);
  const int runs = divided(pages, per_run);
  const bool merges = runs > 1;
  const Partials partials{merges ? reinterpret_cast<float*>(worker.scratch) : nullptr, runs, per_run * page_tokens, heads, padded(dim)};
  const int window = in.param(op::attend::param::window);
  const View y = view_of(worker, in.out[op::attend::out::y]);
  launch(worker, attend_kernel<Element, wide, queries>, dim3(row_blocks, tiles, runs * column_blocks), dim3(attend_threads),
         attend_tile_bytes<queries>(dim, columns), worker.step, view_of(worker, in.in[0]), y, kv_view<Element>(layer), rows, partials,
         window, in.param_float(op::attend::param::scale), columns);
  if (merges) launch(worker, merge_kernel, dim3(row_blocks, heads), dim3(attend_threads), 0, worker.step, y, rows, partials, window, dim);
}

template <typename Element>
void enqueue(const Instruction& in, Worker& worker, const KvLayer& layer, Rows rows, int row_blocks) {
  const bool wide = layer.head_dim * sizeof(typename Element::Stored) % 16 == 0;
  if (!wide) return enqueue_as<Element, false, 1>(in, worker, layer, rows, row_blocks);
  switch (queries_of(in.n / layer.head_dim / layer.kv_heads, layer.head_dim)) {
    case 1: return enqueue_as<Element, true, 1>(in, worker, layer, rows, row_blocks);
    case 2: return enqueue_as<Element, true, 2>(in, worker, layer, rows, row_blocks);
    case 4: return enqueue_as<Element, true, 4>(in, worker, layer, rows, row_blocks);
    default: return enqueue_as<Element, true, most_queries>(in, worker, layer, rows, row_blocks);
  }
}

}  // namespace

// Runs are only cut while tiles and runs are fewer than twice what the device can have in work.
size_t attend_scratch(const Instruction& in, const ScratchFacts& facts) {
  const KvLayerSpec& layer = facts.program->kv[static_cast<size_t>(in.param(op::attend::param::layer))];
  const size_t tiles = static_cast<size_t>(2 * blocks_per_processor * facts.processors);
  return tiles * most_queries * static_cast<size_t>(padded(layer.head_dim)) * sizeof(float);
}

void cortex_attend(const Instruction& in, Worker& worker) {
  const KvLayer& layer = worker.kv[in.param(op::attend::param::layer)];
  with_kv_element(layer.format, [&](auto element) {
    using Element = decltype(element);
    Rows rows{0};
    int row_blocks = worker.rows(in);
    if (takes_prompts<Element>(layer.head_dim)) {
      const int few = worker.max_sequence_rows < few_rows ? worker.max_sequence_rows : few_rows;
      rows.few = few;
      row_blocks = worker.sequences * few;
      if (worker.max_sequence_rows > few_rows) attend_prompts<Element>(in, worker, layer);
    }
    enqueue<Element>(in, worker, layer, rows, row_blocks);
  });
}

}  // namespace cortex
