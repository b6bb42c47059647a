// How a product walks over rows and strips: the same for every ISA, which brings the inner products.
//
// An `Engine` has
//   static bool splits(Format)                                  as MatmulIsa::splits
//   static int32_t strips_at_once(Format, int32_t m)            1 or 2; up to 4 when m <= 8
//   static void product(const Weights&, int32_t strip, int32_t strips, const Rows&, int32_t m, float* out, uint8_t* work)
//                                                               out[strip][row][16]
//   static void finish(const float* sums, const float* bias, const float* residual, float* y, int32_t features)
//   static void finish_swiglu(const float* gate, const float* up, float* y, int32_t features)
#pragma once

#include "common_layout.h"

namespace cortex::matmul {

// Rows of x, already gathered, in the forms that were asked for.
struct Rows {
  const float* x;
  size_t x_stride;
  const uint8_t* quantised;
  size_t quantised_stride;
  const uint8_t* split;
  int32_t cols;
};

constexpr int32_t most_strips_at_once = 4;
// Room for the expanded weights of one strip (engines take k in pieces that fit).
constexpr size_t work_bytes = size_t{96} << 10;
// Rows of x that stay in the second-level cache while the strips pass by; split ones pass through it piece by piece.
constexpr size_t resident_bytes = size_t{512} << 10;
constexpr size_t resident_split_bytes = size_t{1536} << 10;
constexpr int32_t fewest_resident_rows = 24;
constexpr int32_t most_resident_rows = 252;

static inline size_t dense_row_bytes(int32_t cols) { return round_up_64(static_cast<size_t>(cols) * 4) | 64; }

static inline int32_t resident_rows(Format format, int32_t cols, bool splits) {
  const size_t row = splits ? split_row_bytes(cols) : static_cast<size_t>(cols) * (needs_quantised(format) ? 2 : 4);
  const size_t rows = (splits ? resident_split_bytes : resident_bytes) / (row + 1) / 12 * 12;
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

// The forms of x that a product reads.
struct Forms {
  bool dense;
  bool quantised;
  bool split;

  friend Forms operator|(Forms a, Forms b) { return {a.dense || b.dense, a.quantised || b.quantised, a.split || b.split}; }
};

template <class Engine>
Forms forms_of(Format format) {
  const bool quantised = needs_quantised(format);
  const bool split = Engine::splits(format);
  return {!quantised && !split, quantised, split};
}

Rows rows_from(const Input& input, int32_t begin, int32_t count, int32_t cols, Forms forms, uint8_t* gathered) {
  Rows rows{input.x, input.x_stride, input.quantised, input.quantised_stride, input.split, cols};
  if (input.row_index == nullptr) {
    if (forms.dense) rows.x += static_cast<size_t>(begin) * input.x_stride;
    if (forms.quantised) rows.quantised += static_cast<size_t>(begin) * input.quantised_stride;
    if (forms.split) rows.split += static_cast<size_t>(begin) * split_row_bytes(cols);
    return rows;
  }
  const int32_t* index = input.row_index + begin;
  if (forms.dense) {
    const size_t bytes = dense_row_bytes(cols);
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(gathered + i * bytes, input.x + index[i] * input.x_stride, static_cast<size_t>(cols) * 4);
    }
    rows.x = reinterpret_cast<const float*>(gathered);
    rows.x_stride = bytes / 4;
    gathered += count * bytes;
  }
  if (forms.quantised) {
    const size_t bytes = quantised_row_bytes(cols);
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(gathered + i * bytes, input.quantised + index[i] * input.quantised_stride, bytes);
    }
    rows.quantised = gathered;
    rows.quantised_stride = bytes;
    gathered += count * bytes;
  }
  if (forms.split) {
    const size_t bytes = split_row_bytes(cols);
    for (int32_t i = 0; i < count; ++i) {
      std::memcpy(gathered + i * bytes, input.split + static_cast<size_t>(index[i]) * bytes, bytes);
    }
    rows.split = gathered;
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
  const Forms forms = forms_of<Engine>(weights.format);
  uint8_t* work = static_cast<uint8_t*>(args.scratch);
  const int32_t block = balanced_block(args.m, resident_rows(weights.format, weights.cols, forms.split));
  float* sums = reinterpret_cast<float*>(work + work_bytes);
  uint8_t* gathered = work + work_bytes + 2 * sums_bytes(block);
  for (int32_t begin = 0; begin < args.m; begin += block) {
    const int32_t m = args.m - begin < block ? args.m - begin : block;
    const Rows rows = rows_from(args.input, begin, m, weights.cols, forms, gathered);
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
  const Forms gate_forms = forms_of<Engine>(args.gate.format);
  const Forms up_forms = forms_of<Engine>(args.up.format);
  const int32_t cols = args.gate.cols;
  const int32_t gate_rows = resident_rows(args.gate.format, cols, gate_forms.split);
  const int32_t up_rows = resident_rows(args.up.format, cols, up_forms.split);
  uint8_t* work = static_cast<uint8_t*>(args.scratch);
  const int32_t block = balanced_block(args.m, gate_rows < up_rows ? gate_rows : up_rows);
  float* gate = reinterpret_cast<float*>(work + work_bytes);
  float* up = reinterpret_cast<float*>(work + work_bytes + sums_bytes(block));
  uint8_t* gathered = work + work_bytes + 2 * sums_bytes(block);
  for (int32_t begin = 0; begin < args.m; begin += block) {
    const int32_t m = args.m - begin < block ? args.m - begin : block;
    const Rows rows = rows_from(args.input, begin, m, cols, gate_forms | up_forms, gathered);
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
const MatmulIsa* amx_isa();
#endif

}  // namespace cortex::matmul
