// How a product walks over rows and strips: the same for every ISA, which brings the inner products.
//
// An `Engine` has
//   static int32_t strips_at_once(Format, int32_t m)            1 or 2; up to 4 when m <= 8
//   static void product(const Weights&, int32_t strip, int32_t strips, const Rows&, int32_t m, float* out, uint8_t* work)
//                                                               out[strip][row][16]
//   static void finish(const float* sums, const float* bias, const float* residual, float* y, int32_t features)
//   static void finish_swiglu(const float* gate, const float* up, float* y, int32_t features)
#pragma once

#include "common_layout.h"

namespace cortex::matmul {

// Rows of x, already gathered: dense ones at x, quantised ones at quantised.
struct Rows {
  const float* x;
  size_t x_stride;
  const uint8_t* quantised;
  size_t quantised_stride;
  int32_t cols;
};

constexpr int32_t most_strips_at_once = 4;
// Room for the expanded weights of one strip (engines take k in pieces that fit).
constexpr size_t work_bytes = size_t{96} << 10;
// Rows of x that stay in the second-level cache while the strips pass by.
constexpr size_t resident_bytes = size_t{512} << 10;
constexpr int32_t fewest_resident_rows = 24;
constexpr int32_t most_resident_rows = 252;

static inline size_t input_row_bytes(Format format, int32_t cols) {
  return needs_quantised(format) ? quantised_row_bytes(cols) : round_up_64(static_cast<size_t>(cols) * 4) | 64;
}

static inline int32_t resident_rows(Format format, int32_t cols) {
  const size_t row = static_cast<size_t>(cols) * (needs_quantised(format) ? 2 : 4);
  const size_t rows = resident_bytes / (row + 1) / 12 * 12;
  if (rows < static_cast<size_t>(fewest_resident_rows)) return fewest_resident_rows;
  if (rows > static_cast<size_t>(most_resident_rows)) return most_resident_rows;
  return static_cast<int32_t>(rows);
}

// Sums of one matrix: [strips at once][rows][16]. More than two strips at once only come with few rows.
static inline size_t sums_bytes(int32_t rows) {
  return static_cast<size_t>(2 * rows + most_strips_at_once * 8) * strip_rows * sizeof(float);
}

namespace {

// The smallest number of blocks of at most `most` rows, all about as long.
int32_t balanced_block(int32_t m, int32_t most) {
  const int32_t blocks = (m + most - 1) / most;
  return (m + blocks - 1) / blocks;
}

Rows rows_from(const Input& input, int32_t begin, int32_t count, int32_t cols, bool dense, bool quantised,
               uint8_t* gathered) {
  Rows rows{input.x, input.x_stride, input.quantised, input.quantised_stride, cols};
  if (input.row_index == nullptr) {
    if (dense) rows.x += static_cast<size_t>(begin) * input.x_stride;
    if (quantised) rows.quantised += static_cast<size_t>(begin) * input.quantised_stride;
    return rows;
  }
  const int32_t* index = input.row_index + begin;
  if (dense) {
    const size_t bytes = input_row_bytes(Format::F32, cols);
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(gathered + i * bytes, input.x + index[i] * input.x_stride, static_cast<size_t>(cols) * 4);
    }
    rows.x = reinterpret_cast<const float*>(gathered);
    rows.x_stride = bytes / 4;
    gathered += count * bytes;
  }
  if (quantised) {
    const size_t bytes = quantised_row_bytes(cols);
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(gathered + i * bytes, input.quantised + index[i] * input.quantised_stride, bytes);
    }
    rows.quantised = gathered;
    rows.quantised_stride = bytes;
  }
  return rows;
}

// Where row `row` of the results begins.
template <class Args>
float* result_row(const Args& args, int32_t row) {
  const int32_t place = args.y_index == nullptr ? row : args.y_index[row];
  return args.y + static_cast<size_t>(place) * args.y_stride;
}

int32_t features_of(const Weights& weights, int32_t strip) {
  const int32_t left = weights.rows - strip * strip_rows;
  return left < strip_rows ? left : strip_rows;
}

template <class Engine>
void run_linear(const LinearArgs& args) {
  const Weights& weights = args.weights;
  const bool quantised = needs_quantised(weights.format);
  uint8_t* work = static_cast<uint8_t*>(args.scratch);
  const int32_t block = balanced_block(args.m, resident_rows(weights.format, weights.cols));
  float* sums = reinterpret_cast<float*>(work + work_bytes);
  uint8_t* gathered = work + work_bytes + 2 * sums_bytes(block);
  for (int32_t begin = 0; begin < args.m; begin += block) {
    const int32_t m = args.m - begin < block ? args.m - begin : block;
    const Rows rows = rows_from(args.input, begin, m, weights.cols, !quantised, quantised, gathered);
    const int32_t batch = Engine::strips_at_once(weights.format, m);
    for (int32_t strip = args.strip_begin; strip < args.strip_end; strip += batch) {
      const int32_t strips = args.strip_end - strip < batch ? args.strip_end - strip : batch;
      Engine::product(weights, strip, strips, rows, m, sums, work);
      for (int32_t s = 0; s < strips; ++s) {
        const int32_t features = features_of(weights, strip + s);
        const size_t feature = static_cast<size_t>(strip + s) * strip_rows;
        const float* bias = args.bias == nullptr ? nullptr : args.bias + feature;
        for (int32_t i = 0; i < m; ++i) {
          const int32_t row = begin + i;
          const float* residual = args.residual == nullptr
                                      ? nullptr
                                      : args.residual + static_cast<size_t>(row) * args.residual_stride + feature;
          Engine::finish(sums + (static_cast<size_t>(s) * m + i) * strip_rows, bias, residual,
                         result_row(args, row) + feature, features);
        }
      }
    }
  }
}

template <class Engine>
void run_swiglu(const SwigluArgs& args) {
  const bool gate_quantised = needs_quantised(args.gate.format);
  const bool up_quantised = needs_quantised(args.up.format);
  const int32_t cols = args.gate.cols;
  const int32_t gate_rows = resident_rows(args.gate.format, cols);
  const int32_t up_rows = resident_rows(args.up.format, cols);
  uint8_t* work = static_cast<uint8_t*>(args.scratch);
  const int32_t block = balanced_block(args.m, gate_rows < up_rows ? gate_rows : up_rows);
  float* gate = reinterpret_cast<float*>(work + work_bytes);
  float* up = reinterpret_cast<float*>(work + work_bytes + sums_bytes(block));
  uint8_t* gathered = work + work_bytes + 2 * sums_bytes(block);
  for (int32_t begin = 0; begin < args.m; begin += block) {
    const int32_t m = args.m - begin < block ? args.m - begin : block;
    const Rows rows = rows_from(args.input, begin, m, cols, !gate_quantised || !up_quantised,
                                gate_quantised || up_quantised, gathered);
    const int32_t gate_batch = Engine::strips_at_once(args.gate.format, m);
    const int32_t up_batch = Engine::strips_at_once(args.up.format, m);
    const int32_t batch = gate_batch < up_batch ? gate_batch : up_batch;
    for (int32_t strip = args.strip_begin; strip < args.strip_end; strip += batch) {
      const int32_t strips = args.strip_end - strip < batch ? args.strip_end - strip : batch;
      Engine::product(args.gate, strip, strips, rows, m, gate, work);
      Engine::product(args.up, strip, strips, rows, m, up, work);
      for (int32_t s = 0; s < strips; ++s) {
        const int32_t features = features_of(args.gate, strip + s);
        for (int32_t i = 0; i < m; ++i) {
          const size_t sum = (static_cast<size_t>(s) * m + i) * strip_rows;
          Engine::finish_swiglu(gate + sum, up + sum,
                                result_row(args, begin + i) + static_cast<size_t>(strip + s) * strip_rows,
                                features);
        }
      }
    }
  }
}

}  // namespace

const MatmulIsa* portable_isa();
#if defined(__x86_64__)
const MatmulIsa* avx2_isa();
const MatmulIsa* avx512_isa();
#endif

}  // namespace cortex::matmul
