#include "product.h"

#include "../device/launch.h"
#include "../ptx/order.h"
#include "elementwise.cuh"
#include "product.cuh"
#include "product_arguments.h"
#include "product_tiles.h"

namespace cortex {
namespace {

constexpr int warps = 8;
constexpr int threads = 32 * warps;
constexpr int most_rows = 8;

struct StripArguments {
  ProductArguments product;
  // Columns of x that are staged at once.
  int part_columns;
  // Warps that share the columns of one row.
  int split;
};

constexpr int weight_rows_of(int rows_of_x, Format format) { return rows_of_x == 8 && !is_block_format(format) ? 4 : 2; }

// Rows of y are columns' sums in a fixed order: lanes, then warps. A strip is what a block computes at once: rows of one
// segment, or of gate and up alike.
template <Format format, int rows_of_x, bool swiglu>
__global__ void __launch_bounds__(threads, 2) product_kernel(StripArguments a) {
  const ProductArguments& p = a.product;
  constexpr int weight_rows = weight_rows_of(rows_of_x, format);
  // Columns of y that a warp computes.
  constexpr int outputs = swiglu ? weight_rows / 2 : weight_rows;
  using Staged = StagedRows<format>;
  auto* words = ptx::dynamic_shared<uint4>();
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int part = warp % a.split;
  const int group = warp / a.split;
  const int groups = warps / a.split;
  const int strips = p.segments[swiglu ? 0 : most_segments - 1].end;
  const int most_blocks = Staged::blocks_of(min(a.part_columns, p.cols));
  auto* merged = reinterpret_cast<float*>(words) + rows_of_x * most_blocks * (Staged::bytes_per_block / 4);

  // What this warp computes of a strip. Rows beyond the end are computed as the last one and not kept.
  const Matrix* matrices[weight_rows];
  int rows[weight_rows];
  int segment = 0;
  int row = 0;
  const auto locate = [&](int strip) {
    segment = 0;
    int begin = 0;
    if constexpr (!swiglu) {
      while (strip >= p.segments[segment].end) begin = p.segments[segment++].end;
    }
    row = ((strip - begin) * groups + group) * outputs;
#pragma unroll
    for (int i = 0; i < weight_rows; ++i) {
      matrices[i] = &p.segments[swiglu ? i / outputs : segment].matrix;
      rows[i] = min(row + i % outputs, p.segments[segment].matrix.rows - 1);
    }
  };

  ptx::let_successor_start();
  locate(static_cast<int>(blockIdx.x));
  prefetch_rows<format, weight_rows>(matrices, rows, part, a.split);
  ptx::wait_for_predecessor();
  const int first_row = static_cast<int>(blockIdx.y) * rows_of_x;
  const int count = *p.count;
  if (first_row >= count) return;
  const float* x[rows_of_x];
#pragma unroll
  for (int r = 0; r < rows_of_x; ++r) x[r] = first_row + r < count ? p.x + (first_row + r) * p.x_stride : nullptr;

  bool staged_once = false;
  for (int strip = static_cast<int>(blockIdx.x); strip < strips; strip += static_cast<int>(gridDim.x)) {
    locate(strip);
    float sums[weight_rows][rows_of_x] = {};
    for (int first = 0; first < p.cols; first += a.part_columns) {
      const Staged staged{words, Staged::blocks_of(min(a.part_columns, p.cols - first))};
      if (!staged_once || a.part_columns < p.cols) {
        __syncthreads();
        stage_rows<format, rows_of_x>(staged, x, first, p.cols);
        __syncthreads();
        staged_once = true;
      }
      multiply_part<format, rows_of_x, weight_rows>(staged, matrices, rows, first / Blocks<format>::columns, part, a.split, sums);
    }
    // Value v is row v % rows_of_x of weight row v / rows_of_x; lane v keeps it.
    constexpr int values = weight_rows * rows_of_x;
    float mine = 0.0f;
    float other = 0.0f;
#pragma unroll
    for (int i = 0; i < weight_rows; ++i) {
#pragma unroll
      for (int r = 0; r < rows_of_x; ++r) {
        const float sum = warp_sum(sums[i][r]);
        if (lane == i * rows_of_x + r) mine = sum;
        if (swiglu && lane == (i - outputs) * rows_of_x + r) other = sum;
      }
    }
    if (a.split > 1) {
      __syncthreads();
      if (lane < values) merged[warp * 32 + lane] = mine;
      __syncthreads();
      mine = other = 0.0f;
      if (part == 0) {
        for (int w = 0; w < a.split; ++w) {
          if (lane < values) mine += merged[(warp + w) * 32 + lane];
          if (swiglu && lane < outputs * rows_of_x) other += merged[(warp + w) * 32 + lane + outputs * rows_of_x];
        }
      }
    }
    const int r = first_row + lane % rows_of_x;
    const int output = row + lane / rows_of_x;
    if (part == 0 && lane < outputs * rows_of_x && r < count && output < p.segments[segment].matrix.rows) {
      const int column = p.segments[segment].column + output;
      if constexpr (swiglu) {
        mine = silu(mine) * other;
      } else {
        if (p.bias != nullptr) mine += p.bias[column];
        if (p.residual != nullptr) mine += p.residual[r * p.residual_stride + column];
      }
      p.y[r * p.y_stride + column] = mine;
    }
  }
}

struct Variant {
  void (*kernel)(StripArguments);
  int weight_rows;
  int rows_of_x;
  int bytes_per_block;
  int (*part_columns)(int rows, int bytes);
};

template <Format format, int rows_of_x>
Variant variant_for(bool swiglu) {
  return {swiglu ? product_kernel<format, rows_of_x, true> : product_kernel<format, rows_of_x, false>,
          weight_rows_of(rows_of_x, format), rows_of_x, StagedRows<format>::bytes_per_block, StagedRows<format>::part_columns};
}

template <Format format>
Variant variant_of(int rows, bool swiglu) {
  if (rows <= 1) return variant_for<format, 1>(swiglu);
  if (rows <= 2) return variant_for<format, 2>(swiglu);
  if (rows <= 4) return variant_for<format, 4>(swiglu);
  return variant_for<format, most_rows>(swiglu);
}

Variant variant(Format format, int rows, bool swiglu) {
  switch (format) {
    case Format::F32: return variant_of<Format::F32>(rows, swiglu);
    case Format::F16: return variant_of<Format::F16>(rows, swiglu);
    case Format::BF16: return variant_of<Format::BF16>(rows, swiglu);
    case Format::Q8_0: return variant_of<Format::Q8_0>(rows, swiglu);
    case Format::Q4_0: return variant_of<Format::Q4_0>(rows, swiglu);
    case Format::Q4_K: return variant_of<Format::Q4_K>(rows, swiglu);
    case Format::Q5_K: return variant_of<Format::Q5_K>(rows, swiglu);
    default: return variant_of<Format::Q6_K>(rows, swiglu);
  }
}

int columns_per_block(Format format) { return is_block_format(format) ? 32 : format == Format::F32 ? 4 : 8; }

// Shared memory for staged rows: two blocks of a multiprocessor stand beside each other.
int staging_bytes(const Worker& worker) { return worker.shared_bytes >= (200u << 10) ? 96 << 10 : 46 << 10; }

// The split that leaves the fewest multiprocessors idle in the last round; a small one where several do.
int choose_split(ProductArguments product, int outputs, int blocks, int slots) {
  int best = 1;
  double best_use = 0.0;
  for (int split = 1; split <= warps && (split == 1 || blocks >= 32 * split); split *= 2) {
    const int strips = count_pieces(product, warps / split * outputs);
    const double use = static_cast<double>(strips) / (static_cast<double>(divided(strips, slots)) * slots);
    if (use > best_use + 0.05) {
      best = split;
      best_use = use;
    }
  }
  return best;
}

// Few rows, or weights that have no tiles.
void run_strips(Worker& worker, int rows, Format format, ProductArguments product) {
  const Variant v = variant(format, rows, product.swiglu);
  const int outputs = product.swiglu ? v.weight_rows / 2 : v.weight_rows;
  StripArguments a{product, v.part_columns(v.rows_of_x, staging_bytes(worker)), 1};
  const int staged_blocks = divided(a.part_columns < product.cols ? a.part_columns : product.cols, columns_per_block(format));
  const size_t shared = static_cast<size_t>(v.rows_of_x) * static_cast<size_t>(staged_blocks) * static_cast<size_t>(v.bytes_per_block) +
                        sizeof(float) * threads;
  const int slots = blocks_at_once(worker, v.kernel, threads, shared);
  a.split = choose_split(product, outputs, staged_blocks, slots);
  const int strips = count_pieces(a.product, warps / a.split * outputs);
  const dim3 grid(static_cast<unsigned>(strips < slots ? strips : slots), static_cast<unsigned>(divided(rows, v.rows_of_x)));
  launch(worker, v.kernel, grid, dim3(threads), shared, a);
}

// Segments [begin, end), which have one format, in one product; `product` has everything else.
void run_segments(Worker& worker, const Instruction& in, ProductArguments product, int begin, int end) {
  int column = 0;
  for (int i = 0; i < begin; ++i) column += worker.tensor(in, i).spec.rows;
  const Format format = worker.tensor(in, begin).spec.format;
  const int first_column = column;
  for (int i = 0; i < most_segments; ++i) {
    const Tensor& tensor = worker.tensor(in, begin + i < end ? begin + i : end - 1);
    const bool repeated = product.swiglu || begin + i >= end;
    product.segments[i] = {matrix_at(format, tensor.data, tensor.spec.rows, tensor.spec.cols),
                           product.swiglu ? 0 : repeated ? product.segments[i - 1].column : column, 0};
    if (!repeated) column += tensor.spec.rows;
  }
  product.width = product.swiglu ? in.n : column - first_column;
  const int rows = worker.rows(in);
  if (rows > most_rows && has_tiles(format)) run_tiles(worker, rows, format, product);
  else run_strips(worker, rows, format, product);
}

struct SiluTimes {
  __device__ float operator()(float gate, float up) const { return silu(gate) * up; }
};

}  // namespace

void run_product(const Instruction& in, Worker& worker, After after) {
  ProductArguments a{};
  a.x = worker.at(in.in[0]);
  a.x_stride = in.in[0].stride;
  a.y = worker.at(in.out[0]);
  a.y_stride = in.out[0].stride;
  a.count = worker.step.counts + in.symbol;
  a.cols = in.k;
  int segments = 0;
  while (segments < most_segments && worker.has_tensor(in, segments)) ++segments;
  if (after == After::swiglu) {
    a.swiglu = worker.tensor(in, 0).spec.format == worker.tensor(in, 1).spec.format;
    if (a.swiglu) return run_segments(worker, in, a, 0, 2);
    // Formats differ: up goes to the end of scratch, gate to y, then both meet there.
    float* up = reinterpret_cast<float*>(worker.scratch + worker.scratch_bytes) - static_cast<int64_t>(worker.rows(in)) * in.n;
    run_segments(worker, in, a, 0, 1);
    ProductArguments second = a;
    second.y = up - in.n;
    second.y_stride = in.n;
    run_segments(worker, in, second, 1, 2);
    const Elements elements{a.y, up, a.y, a.y_stride, in.n, a.y_stride, a.count, in.n};
    const dim3 grid(static_cast<unsigned>(divided(in.n, elementwise_threads)), static_cast<unsigned>(worker.rows(in)));
    return launch(worker, elementwise_kernel<1, SiluTimes>, grid, dim3(elementwise_threads), 0, elements, SiluTimes{});
  }
  a.bias = worker.has_tensor(in, 4) ? worker.tensor(in, 4).values() : nullptr;
  if (after == After::add_residual) {
    const Operand& residual = in.in[op::linear_add::in::residual];
    a.residual = worker.at(residual);
    a.residual_stride = residual.stride;
  }
  for (int begin = 0; begin < segments;) {
    const Format format = worker.tensor(in, begin).spec.format;
    int end = begin + 1;
    while (end < segments && worker.tensor(in, end).spec.format == format) ++end;
    run_segments(worker, in, a, begin, end);
    begin = end;
  }
}

size_t product_scratch(const Instruction& in, const ScratchFacts& facts) {
  const auto format = [&](int position) { return facts.program->tensors[static_cast<size_t>(in.weights[position])].format; };
  const int rows = facts.limits.max_of(in.symbol);
  bool tiles = false;
  for (int i = 0; i < most_segments && in.weights[i] >= 0; ++i) tiles |= has_tiles(format(i));
  const bool apart = in.op == Opcode::linear_swiglu && format(0) != format(1);
  return (tiles && rows > most_rows ? tiles_scratch(rows, in.k, facts.processors) : 0) +
         (apart ? sizeof(float) * static_cast<size_t>(rows) * static_cast<size_t>(in.n) : 0);
}

}  // namespace cortex
