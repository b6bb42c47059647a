// Products of many rows on tensor cores: tiles of y, 32 columns of x and of the weights at a time. x is converted to the
// weights' 16-bit float once, into scratch; weights become bfloat16 on their way to shared memory. Copies run three steps
// ahead of the products.
#include "product_tiles.h"

#include "../device/launch.h"
#include "../ptx/mma.h"
#include "../ptx/order.h"
#include "../weights/blocks.cuh"
#include "elementwise.cuh"

namespace cortex {
namespace {

constexpr int depth = 32;
constexpr int stages = 3;
// 16-byte pieces of a row of a tile.
constexpr int pieces = depth * 2 / 16;

template <int tile_rows_, int tile_cols_, int warps_down_, int warps_across_>
struct Tile {
  // Rows of x, and rows of weights.
  static constexpr int rows = tile_rows_;
  static constexpr int cols = tile_cols_;
  static constexpr int warps_across = warps_across_;
  static constexpr int threads = 32 * warps_down_ * warps_across_;
  // Of a warp, in units of the instruction: 16 rows, 8 columns.
  static constexpr int down = rows / warps_down_ / 16;
  static constexpr int across = cols / warps_across_ / 8;
  static constexpr int stage_bytes = (rows + cols) * depth * 2;
  static_assert(threads == 2 * cols, "two threads decode the 32 columns of a weight row");
};

using Large = Tile<128, 128, 2, 4>;
using Small = Tile<32, 64, 1, 4>;

struct TileArguments {
  ProductArguments product;
  // x in 16 bits, [rows][padded columns]
  const uint16_t* x;
  int x_rows;
  int x_cols;
  // Steps of columns that each part takes; sums of parts, [part][x_rows][2 * width with swiglu, else width], when there are several.
  int part_steps;
  float* sums;
};

// Place of a 16-byte piece: rows that an instruction reads together lie in different banks.
__device__ __forceinline__ int place(int row, int piece) { return row * pieces + (piece ^ (row >> 1 & 3)); }

// Where row j of a tile of weights is: segment and row of it. With swiglu, groups of 8 are gate and up by turns, so that the
// thread that has a column of one has the same of the other.
struct WeightRow {
  int segment;
  int row;
};

template <typename T>
__device__ __forceinline__ WeightRow weight_row(const ProductArguments& p, int segment, int tile, int j) {
  if (!p.swiglu) return {segment, tile * T::cols + j};
  return {j / 8 % 2, tile * (T::cols / 2) + j / 16 * 8 + j % 8};
}

// 16 columns of a weight row on their way to shared memory.
template <Format format>
struct Decoded {
  Blocks<format> block;
  bool present;

  __device__ __forceinline__ void store(uint4* tile, int row, int half) const {
    uint32_t words[8];
    const float factor = block.factor(half);
    const float low = block.minimum();
#pragma unroll
    for (int w = 0; w < 4; ++w) {
      float codes[4];
      if (half == 0) block.codes_of_quad(w, codes);
      else block.codes_of_quad(4 + w, codes);
      float values[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) values[i] = present ? factor * codes[i] - low : 0.0f;
      words[2 * w] = ptx::pack_bfloats(values[0], values[1]);
      words[2 * w + 1] = ptx::pack_bfloats(values[2], values[3]);
    }
    tile[place(row, 2 * half)] = make_uint4(words[0], words[1], words[2], words[3]);
    tile[place(row, 2 * half + 1)] = make_uint4(words[4], words[5], words[6], words[7]);
  }
};

__device__ __forceinline__ void store_output(const ProductArguments& p, int row, int column, float value) {
  if (p.bias != nullptr) value += p.bias[column];
  if (p.residual != nullptr) value += p.residual[row * p.residual_stride + column];
  p.y[row * p.y_stride + column] = value;
}

template <Format format, typename T>
__global__ void __launch_bounds__(T::threads, 2) tile_kernel(TileArguments a) {
  const ProductArguments& p = a.product;
  uint4* shared = ptx::dynamic_shared<uint4>();
  const auto x_tile = [&](int stage) { return shared + stage * (T::stage_bytes / 16); };
  const auto w_tile = [&](int stage) { return x_tile(stage) + T::rows * pieces; };
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / 32;
  const int lane = thread % 32;

  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int count = *p.count;
  const int first_row = static_cast<int>(blockIdx.y) * T::rows;
  if (first_row >= count) return;

  int segment = 0;
  int tile = static_cast<int>(blockIdx.x);
  if (!p.swiglu) {
    while (tile >= p.segments[segment].end) ++segment;
    if (segment > 0) tile -= p.segments[segment - 1].end;
  }
  const int segment_rows = p.segments[segment].matrix.rows;
  const int steps = a.x_cols / depth;
  const int first_step = static_cast<int>(blockIdx.z) * a.part_steps;
  const int last_step = min(first_step + a.part_steps, steps);

  // Copies of one step. Every thread commits one group for every step, also where it copies nothing.
  const auto copy_step = [&](int step, int stage) {
    if (step < last_step) {
      for (int i = thread; i < T::rows * pieces; i += T::threads) {
        const int row = first_row + i / pieces;
        const uint16_t* from = a.x + static_cast<int64_t>(min(row, a.x_rows - 1)) * a.x_cols + step * depth + i % pieces * 8;
        ptx::copy16_async(x_tile(stage) + place(i / pieces, i % pieces), from, row < a.x_rows ? 16 : 0);
      }
      if constexpr (!Blocks<format>::quantised) {
        for (int i = thread; i < T::cols * pieces; i += T::threads) {
          const WeightRow at = weight_row<T>(p, segment, tile, i / pieces);
          const Matrix& matrix = p.segments[at.segment].matrix;
          const int column = step * depth + i % pieces * 8;
          const bool present = at.row < matrix.rows && column < p.cols;
          const uint8_t* from = matrix.codes + static_cast<size_t>(present ? at.row : 0) * matrix.codes_stride + (present ? column * 2 : 0);
          ptx::copy16_async(w_tile(stage) + place(i / pieces, i % pieces), from, present ? 16 : 0);
        }
      }
    }
    ptx::copies_commit();
  };

  // Two threads share the 32 columns of a weight row.
  const WeightRow mine = weight_row<T>(p, segment, tile, thread / 2);
  const auto load_step = [&](int step) {
    const Matrix& matrix = p.segments[mine.segment].matrix;
    const bool present = step < last_step && mine.row < matrix.rows;
    return Decoded<format>{Blocks<format>::load(matrix, present ? mine.row : 0, present ? step : 0), present};
  };

  const int row_of_warp = warp / T::warps_across * T::down * 16;
  const int col_of_warp = warp % T::warps_across * T::across * 8;
  float sums[T::down][T::across][4] = {};
  const auto multiply_step = [&](int stage) {
#pragma unroll
    for (int k = 0; k < depth / 16; ++k) {
      uint32_t x[T::down][4];
      uint32_t w[T::across / 2][4];
#pragma unroll
      for (int i = 0; i < T::down; ++i) {
        ptx::load_matrices(x[i], x_tile(stage) + place(row_of_warp + 16 * i + lane % 16, 2 * k + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < T::across / 2; ++j) {
        ptx::load_matrices(w[j], w_tile(stage) + place(col_of_warp + 16 * j + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
      }
#pragma unroll
      for (int i = 0; i < T::down; ++i) {
#pragma unroll
        for (int j = 0; j < T::across; ++j) {
          const uint32_t pair[2] = {w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]};
          if constexpr (format == Format::F16) ptx::mma_half(sums[i][j], x[i], pair);
          else ptx::mma_bfloat(sums[i][j], x[i], pair);
        }
      }
    }
  };

  copy_step(first_step, 0);
  copy_step(first_step + 1, 1);
  if constexpr (Blocks<format>::quantised) {
    load_step(first_step).store(w_tile(0), thread / 2, thread % 2);
    Decoded<format> next = load_step(first_step + 1);
    for (int step = first_step; step < last_step; ++step) {
      const int stage = (step - first_step) % stages;
      ptx::copies_wait<stages - 2>();
      __syncthreads();
      copy_step(step + 2, (stage + 2) % stages);
      // Its stage was last read two barriers ago.
      if (step + 1 < last_step) next.store(w_tile((stage + 1) % stages), thread / 2, thread % 2);
      next = load_step(step + 2);
      multiply_step(stage);
    }
  } else {
    for (int step = first_step; step < last_step; ++step) {
      const int stage = (step - first_step) % stages;
      ptx::copies_wait<stages - 2>();
      __syncthreads();
      copy_step(step + 2, (stage + 2) % stages);
      multiply_step(stage);
    }
  }

  // A thread has columns 2 t and 2 t + 1 of rows g and g + 8 of each product.
#pragma unroll
  for (int i = 0; i < T::down; ++i) {
#pragma unroll
    for (int j = 0; j < T::across; ++j) {
#pragma unroll
      for (int v = 0; v < 4; ++v) {
        const int row = first_row + row_of_warp + 16 * i + lane / 4 + v / 2 * 8;
        const int column = col_of_warp + 8 * j + lane % 4 * 2 + v % 2;
        const WeightRow at = weight_row<T>(p, segment, tile, column);
        if (row >= count || at.row >= segment_rows) continue;
        if (a.sums != nullptr) {
          const int width = p.swiglu ? 2 * p.width : p.width;
          const int place = p.swiglu ? at.segment * p.width + at.row : p.segments[segment].column - p.segments[0].column + at.row;
          a.sums[(static_cast<int64_t>(blockIdx.z) * a.x_rows + row) * width + place] = sums[i][j][v];
        } else if (p.swiglu) {
          if (j % 2 == 0) p.y[row * p.y_stride + p.segments[0].column + at.row] = silu(sums[i][j][v]) * sums[i][j | 1][v];
        } else {
          store_output(p, row, p.segments[segment].column + at.row, sums[i][j][v]);
        }
      }
    }
  }
}

constexpr int merge_threads = 256;

// Adds the parts in their order and does what comes after the product.
__global__ void __launch_bounds__(merge_threads) merge_parts(TileArguments a, int parts) {
  const ProductArguments& p = a.product;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  const int column = static_cast<int>(blockIdx.x) * merge_threads + static_cast<int>(threadIdx.x);
  if (row >= *p.count || column >= p.width) return;
  const int width = p.swiglu ? 2 * p.width : p.width;
  float sum = 0.0f;
  float up = 0.0f;
  for (int part = 0; part < parts; ++part) {
    const float* from = a.sums + (static_cast<int64_t>(part) * a.x_rows + row) * width;
    sum += from[column];
    if (p.swiglu) up += from[p.width + column];
  }
  if (p.swiglu) p.y[row * p.y_stride + p.segments[0].column + column] = silu(sum) * up;
  else store_output(p, row, p.segments[0].column + column, sum);
}

// x in 16 bits; zeros beyond its columns and for rows that the step has not.
template <bool halves>
__global__ void __launch_bounds__(merge_threads) convert_rows(ProductArguments p, uint32_t* to, int padded) {
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  const int pair = static_cast<int>(blockIdx.x) * merge_threads + static_cast<int>(threadIdx.x);
  if (2 * pair >= padded) return;
  const bool present = row < *p.count;
  const float* x = p.x + row * p.x_stride;
  const float low = present && 2 * pair < p.cols ? x[2 * pair] : 0.0f;
  const float high = present && 2 * pair + 1 < p.cols ? x[2 * pair + 1] : 0.0f;
  to[static_cast<int64_t>(row) * (padded / 2) + pair] = halves ? ptx::pack_halves(low, high) : ptx::pack_bfloats(low, high);
}

template <typename T>
void (*kernel_of(Format format))(TileArguments) {
  switch (format) {
    case Format::F16: return tile_kernel<Format::F16, T>;
    case Format::Q8_0: return tile_kernel<Format::Q8_0, T>;
    case Format::Q4_0: return tile_kernel<Format::Q4_0, T>;
    case Format::Q4_K: return tile_kernel<Format::Q4_K, T>;
    case Format::Q5_K: return tile_kernel<Format::Q5_K, T>;
    case Format::Q6_K: return tile_kernel<Format::Q6_K, T>;
    default: return tile_kernel<Format::BF16, T>;
  }
}

// Fewer steps than these are not worth a part of their own.
constexpr int least_part_steps = 8;

template <typename T>
void run_with(Worker& worker, int rows, Format format, TileArguments a, int slots, uint8_t* after_x) {
  ProductArguments& p = a.product;
  const int tiles = count_pieces(p, p.swiglu ? T::cols / 2 : T::cols);
  const int down = divided(rows, T::rows);
  const int steps = a.x_cols / depth;
  const int wanted = slots / (tiles * down) < steps / least_part_steps ? slots / (tiles * down) : steps / least_part_steps;
  a.part_steps = divided(steps, wanted > 1 ? wanted : 1);
  const int parts = divided(steps, a.part_steps);
  a.sums = parts > 1 ? reinterpret_cast<float*>(after_x) : nullptr;
  const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(down), static_cast<unsigned>(parts));
  launch(worker, kernel_of<T>(format), grid, dim3(T::threads), static_cast<size_t>(stages) * T::stage_bytes, a);
  if (parts == 1) return;
  launch(worker, merge_parts, dim3(static_cast<unsigned>(divided(p.width, merge_threads)), static_cast<unsigned>(rows)),
         dim3(merge_threads), 0, a, parts);
}

constexpr size_t converted_bytes(int rows, int cols) {
  return aligned(static_cast<size_t>(rows) * aligned(static_cast<size_t>(cols), depth) * 2, 256);
}

// Blocks that run at once, as far as parts of columns are concerned.
constexpr int small_slots(int processors) { return 4 * processors; }
constexpr int large_slots(int processors) { return processors; }

}  // namespace

void run_tiles(Worker& worker, int rows, Format format, ProductArguments product) {
  TileArguments a{};
  a.product = product;
  a.x = reinterpret_cast<const uint16_t*>(worker.scratch);
  a.x_rows = rows;
  a.x_cols = static_cast<int>(aligned(static_cast<size_t>(product.cols), depth));
  const dim3 grid(static_cast<unsigned>(divided(a.x_cols / 2, merge_threads)), static_cast<unsigned>(rows));
  launch(worker, format == Format::F16 ? convert_rows<true> : convert_rows<false>, grid, dim3(merge_threads), 0, product,
         reinterpret_cast<uint32_t*>(worker.scratch), a.x_cols);
  uint8_t* after_x = worker.scratch + converted_bytes(rows, product.cols);
  if (rows <= 64) run_with<Small>(worker, rows, format, a, small_slots(worker.processors), after_x);
  else run_with<Large>(worker, rows, format, a, large_slots(worker.processors), after_x);
}

// Sums of parts are at most one tile for each block that runs at once.
size_t tiles_scratch(int most_rows, int cols, int processors) {
  const size_t small = static_cast<size_t>(small_slots(processors)) * Small::rows * Small::cols;
  const size_t large = static_cast<size_t>(large_slots(processors)) * Large::rows * Large::cols;
  return converted_bytes(most_rows, cols) + sizeof(float) * (small > large ? small : large);
}

}  // namespace cortex
