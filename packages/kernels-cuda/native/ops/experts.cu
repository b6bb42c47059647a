// Products of rows with the experts that they chose. Pairs (row, choice) are sorted by expert on the device and cut into tiles
// of at most eight; a block of threads multiplies one tile with a strip of its expert's rows, as products of few rows are
// (product.cuh). A step of one row needs no order: each pair is a tile.
#include "experts.h"

#include "../device/launch.h"
#include "../ptx/memory.h"
#include "../ptx/order.h"
#include "elementwise.cuh"
#include "product.cuh"

namespace cortex {

namespace {

constexpr int warps = 8;
constexpr int threads = 32 * warps;
constexpr int route_threads = 512;
constexpr int tile_words = 3;

// What is not an expert counts as the first; its weight is not a number (see moe_down).
__device__ __forceinline__ int expert_of(float value, int experts) {
  return value >= 0.0f && value < static_cast<float>(experts) ? static_cast<int>(value) : 0;
}

// One block: counts of each expert, their starts, the tiles, and the pairs in their places. Where pairs of one expert stand
// among each other changes no result.
__global__ void __launch_bounds__(route_threads)
    route_kernel(const int32_t* row_count, View choice, RowRange range, int chosen, int experts, Routing routing) {
  int* const counts = ptx::dynamic_shared<int>();
  int* const tile_starts = counts + experts;
  const int thread = static_cast<int>(threadIdx.x);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int pairs = max(0, min(*row_count - range.first, range.rows)) * chosen;
  const auto chosen_by = [&](int pair) { return expert_of(choice.row(range.first + pair / chosen)[pair % chosen], experts); };
  for (int e = thread; e < experts; e += route_threads) counts[e] = 0;
  __syncthreads();
  for (int pair = thread; pair < pairs; pair += route_threads) atomicAdd(&counts[chosen_by(pair)], 1);
  __syncthreads();
  if (thread < warp_threads) {
    int place = 0;
    int tile = 0;
    for (int first = 0; first < experts; first += warp_threads) {
      const int e = first + thread;
      const int count = e < experts ? counts[e] : 0;
      const int tiles = (count + routing.tile_pairs - 1) / routing.tile_pairs;
      int places_end = count;
      int tiles_end = tiles;
#pragma unroll
      for (int lanes = 1; lanes < warp_threads; lanes <<= 1) {
        const int places_before = __shfl_up_sync(whole_warp, places_end, lanes);
        const int tiles_before = __shfl_up_sync(whole_warp, tiles_end, lanes);
        if (thread >= lanes) places_end += places_before, tiles_end += tiles_before;
      }
      if (e < experts) {
        routing.expert_start[e] = place + places_end - count;
        tile_starts[e] = tile + tiles_end - tiles;
      }
      place += __shfl_sync(whole_warp, places_end, warp_threads - 1);
      tile += __shfl_sync(whole_warp, tiles_end, warp_threads - 1);
    }
    if (thread == 0) *routing.tile_count = tile;
  }
  __syncthreads();
  for (int e = thread; e < experts; e += route_threads) {
    const int start = routing.expert_start[e];
    int32_t* tile = routing.tiles + tile_starts[e] * tile_words;
    for (int first = 0; first < counts[e]; first += routing.tile_pairs, tile += tile_words) {
      tile[0] = e;
      tile[1] = start + first;
      tile[2] = min(routing.tile_pairs, counts[e] - first);
    }
  }
  __syncthreads();
  for (int e = thread; e < experts; e += route_threads) counts[e] = routing.expert_start[e];
  __syncthreads();
  for (int pair = thread; pair < pairs; pair += route_threads) {
    routing.order[atomicAdd(&counts[chosen_by(pair)], 1)] = range.first * chosen + pair;
  }
}

struct ExpertArguments {
  Matrix matrix;
  Matrix up;
  // Bytes from one expert's matrix to the next.
  size_t matrix_bytes;
  size_t up_bytes;
  PairRows x;
  PairRows y;
  Routing routing;
  int chosen;
  int part_columns;
};

__device__ __forceinline__ Matrix expert_matrix(Matrix matrix, size_t bytes) {
  matrix.codes += bytes;
  matrix.high += bytes;
  matrix.scales += bytes;
  matrix.supers += bytes;
  return matrix;
}

// Weight rows that a warp reads at once.
constexpr int weight_rows = 2;

template <Format format, int pairs, bool swiglu>
__global__ void __launch_bounds__(threads, 2) expert_kernel(ExpertArguments a) {
  constexpr int outputs = swiglu ? weight_rows / 2 : weight_rows;
  using Staged = StagedRows<format>;
  auto* words = ptx::dynamic_shared<uint4>();
  // Of the tile's expert: matrix and up.
  __shared__ Matrix expert[2];
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int cols = a.matrix.cols;
  const int rows_of_weights = a.matrix.rows;
  const int strips = (rows_of_weights + warps * outputs - 1) / (warps * outputs);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int tiles = *a.routing.tile_count;
  for (int index = static_cast<int>(blockIdx.y); index < tiles; index += static_cast<int>(gridDim.y)) {
    const int32_t* tile = a.routing.tiles + index * tile_words;
    const int count = tile[2];
    const auto place_of = [&](const PairRows& at, int i) {
      const int pair = a.routing.order[tile[1] + i];
      return at.view.row(pair / a.chosen) + pair % a.chosen * static_cast<int64_t>(at.slot_stride);
    };
    if (threadIdx.x == 0) {
      expert[0] = expert_matrix(a.matrix, static_cast<size_t>(tile[0]) * a.matrix_bytes);
      if (swiglu) expert[1] = expert_matrix(a.up, static_cast<size_t>(tile[0]) * a.up_bytes);
    }
    __syncthreads();
    bool staged_once = false;
    for (int strip = static_cast<int>(blockIdx.x); strip < strips; strip += static_cast<int>(gridDim.x)) {
      const int row = (strip * warps + warp) * outputs;
      const Matrix* matrices[weight_rows];
      int rows[weight_rows];
#pragma unroll
      for (int i = 0; i < weight_rows; ++i) {
        matrices[i] = &expert[swiglu && i >= outputs ? 1 : 0];
        rows[i] = min(row + i % outputs, rows_of_weights - 1);
      }
      float sums[weight_rows][pairs] = {};
      for (int first = 0; first < cols; first += a.part_columns) {
        const Staged staged{words, Staged::blocks_of(min(a.part_columns, cols - first))};
        if (!staged_once || a.part_columns < cols) {
          const float* x[pairs];
#pragma unroll
          for (int i = 0; i < pairs; ++i) x[i] = i < count ? place_of(a.x, i) : nullptr;
          __syncthreads();
          stage_rows<format, pairs>(staged, x, first, cols);
          __syncthreads();
          staged_once = true;
        }
        multiply_part<format, pairs, weight_rows>(staged, matrices, rows, first / Blocks<format>::columns, 0, 1, sums);
      }
      // Lane v has value v: row v / pairs of the weights, pair v % pairs.
      float mine = 0.0f;
      float other = 0.0f;
#pragma unroll
      for (int i = 0; i < weight_rows; ++i) {
#pragma unroll
        for (int p = 0; p < pairs; ++p) {
          const float sum = warp_sum(sums[i][p]);
          if (lane == i * pairs + p) mine = sum;
          if (swiglu && lane == (i - outputs) * pairs + p) other = sum;
        }
      }
      const int pair = lane % pairs;
      const int output = row + lane / pairs;
      if (lane < outputs * pairs && pair < count && output < rows_of_weights) {
        place_of(a.y, pair)[output] = swiglu ? silu(mine) * other : mine;
      }
    }
    __syncthreads();
  }
}

struct Variant {
  void (*kernel)(ExpertArguments);
  int outputs;
  int columns_per_block;
  int bytes_per_block;
  int part_columns;
};

template <Format format, int pairs>
Variant variant_for(bool swiglu, int staging_bytes) {
  using Staged = StagedRows<format>;
  return {swiglu ? expert_kernel<format, pairs, true> : expert_kernel<format, pairs, false>, swiglu ? weight_rows / 2 : weight_rows,
          Blocks<format>::columns, pairs * Staged::bytes_per_block, Staged::part_columns(pairs, staging_bytes)};
}

template <Format format>
Variant variant_of(bool one, bool swiglu, int staging_bytes) {
  return one ? variant_for<format, 1>(swiglu, staging_bytes) : variant_for<format, expert_tile_pairs>(swiglu, staging_bytes);
}

Variant variant(Format format, bool one, bool swiglu, int staging_bytes) {
  switch (format) {
    case Format::F32: return variant_of<Format::F32>(one, swiglu, staging_bytes);
    case Format::F16: return variant_of<Format::F16>(one, swiglu, staging_bytes);
    case Format::BF16: return variant_of<Format::BF16>(one, swiglu, staging_bytes);
    case Format::Q8_0: return variant_of<Format::Q8_0>(one, swiglu, staging_bytes);
    case Format::Q4_0: return variant_of<Format::Q4_0>(one, swiglu, staging_bytes);
    case Format::Q4_K: return variant_of<Format::Q4_K>(one, swiglu, staging_bytes);
    case Format::Q5_K: return variant_of<Format::Q5_K>(one, swiglu, staging_bytes);
    default: return variant_of<Format::Q6_K>(one, swiglu, staging_bytes);
  }
}

constexpr size_t divided(size_t value, size_t by) { return (value + by - 1) / by; }

size_t most_tiles(size_t pairs, size_t experts) {
  return divided(pairs, expert_tile_pairs) + (pairs < experts ? pairs : experts);
}

// Words of a routing: starts, tiles, their number, order.
size_t routing_words(size_t pairs, size_t experts) { return experts + tile_words * (pairs + most_tiles(pairs, experts)) + 1 + pairs; }

}  // namespace

size_t routing_bytes(int rows, int chosen, int experts) {
  return aligned(routing_words(static_cast<size_t>(rows) * static_cast<size_t>(chosen), static_cast<size_t>(experts)) * sizeof(int32_t),
                 plane_alignment);
}

Routing route(const Instruction& in, Worker& worker, const Operand& choice, RowRange range, int chosen, int experts, uint8_t* scratch) {
  const size_t pairs = static_cast<size_t>(range.rows) * static_cast<size_t>(chosen);
  Routing routing{};
  routing.tile_pairs = worker.rows(in) == 1 ? 1 : expert_tile_pairs;
  routing.most_tiles = static_cast<int>(routing.tile_pairs == 1 ? pairs : most_tiles(pairs, static_cast<size_t>(experts)));
  routing.expert_start = reinterpret_cast<int32_t*>(scratch);
  routing.tiles = routing.expert_start + experts;
  routing.tile_count = routing.tiles + tile_words * (pairs + most_tiles(pairs, static_cast<size_t>(experts)));
  routing.order = routing.tile_count + 1;
  launch(worker, route_kernel, dim3(1), dim3(route_threads), 2 * sizeof(int) * static_cast<size_t>(experts),
         worker.step.counts + in.symbol, view_of(worker, choice), range, chosen, experts, routing);
  return routing;
}

void multiply_experts(const Instruction&, Worker& worker, const ExpertProduct& product, const Routing& routing) {
  const Tensor& tensor = *product.matrix;
  const Format format = tensor.spec.format;
  const int cols = tensor.spec.cols;
  const auto first_matrix = [&](const Tensor& of) { return matrix_at(format, of.data, of.expert_rows(), cols); };
  const int staging = worker.shared_bytes >= (200u << 10) ? 96 << 10 : 46 << 10;
  const Variant v = variant(format, routing.tile_pairs == 1, product.up != nullptr, staging);
  ExpertArguments a{};
  a.matrix = first_matrix(tensor);
  a.matrix_bytes = tensor.expert_bytes;
  if (product.up) {
    a.up = first_matrix(*product.up);
    a.up_bytes = product.up->expert_bytes;
  }
  a.x = product.x;
  a.y = product.y;
  a.routing = routing;
  a.chosen = product.chosen;
  a.part_columns = v.part_columns;
  const int staged_columns = v.part_columns < cols ? v.part_columns : cols;
  const size_t shared = divided(staged_columns, v.columns_per_block) * static_cast<size_t>(v.bytes_per_block);
  const int strips = static_cast<int>(divided(tensor.expert_rows(), warps * v.outputs));
  // A block that has several strips of a tile stages its rows once.
  const int wanted = 4 * 2 * worker.processors / routing.most_tiles + 1;
  launch(worker, v.kernel, dim3(strips < wanted ? strips : wanted, routing.most_tiles < 65535 ? routing.most_tiles : 65535),
         dim3(threads), shared, a);
}

}  // namespace cortex
