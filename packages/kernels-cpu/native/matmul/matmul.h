// Matrix products of the CPU backend: packed weights, quantised activation rows, y = x . W^T.
//
// Plain structs and functions, no allocation, no threads, no errors: the caller validates shapes, owns all memory and
// divides the work. Every function is safe to call from several threads on disjoint outputs.
//
// Files: common_*.cc, portable_*.cc (base flags), avx2_*.cc (-mavx2 -mfma -mf16c), avx512_*.cc (-mavx512f -mavx512bw
// -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c), amx_*.cc (those and -mamx-tile -mamx-bf16). All with -std=c++20
// -O3 -ffp-contract=off: the last keeps a product and a sum from being fused in one tile shape and not in another. On other
// machines than x86-64 the avx and amx files compile to nothing.
//
// A result never depends on m, on where a row stands among the m, on the strip range or on how many threads share the
// work: each output element is one chain of float32 operations over k in a fixed order. Results differ between ISAs.
#pragma once

#include <cstddef>
#include <cstdint>

#include <cortex/program/format.h>

namespace cortex::matmul {

// A tensor packed by pack_rows; `data` starts at a multiple of 64 bytes.
struct Weights {
  Format format;
  int32_t rows;
  int32_t cols;
  const uint8_t* data;
};

// The rows of x that a product reads: quantised ones for quantised weights (needs_quantised), split ones where the ISA
// wants them (MatmulIsa::splits), else float32. Only the form that the weights need has to be there.
struct Input {
  const float* x;
  size_t x_stride;  // in floats
  const uint8_t* quantised;
  size_t quantised_stride;  // in bytes
  // Row i of the product reads input row row_index[i]; null: row i.
  const int32_t* row_index;
  const uint8_t* split;  // split_row_bytes apart
};

// y[i][r] = x[i] . W[r] + bias[r] + residual[i][r] for i in [0, m) and the rows r of strips [strip_begin, strip_end).
struct LinearArgs {
  Weights weights;
  Input input;
  int32_t m;
  int32_t strip_begin;
  int32_t strip_end;
  float* y;         // row i, feature r at y[i * y_stride + r]; may be the residual itself
  size_t y_stride;  // in floats
  const int32_t* y_index;  // row i is written as row y_index[i] instead; or null
  const float* bias;      // float32[rows], or null
  const float* residual;  // or null
  size_t residual_stride;
  void* scratch;  // at least linear_scratch_bytes, a multiple of 64; one per thread
};

// y[i][r] = silu(x[i] . gate[r]) * (x[i] . up[r]); gate and up have the same rows and cols, maybe different formats.
struct SwigluArgs {
  Weights gate;
  Weights up;
  Input input;
  int32_t m;
  int32_t strip_begin;
  int32_t strip_end;
  float* y;
  size_t y_stride;
  const int32_t* y_index;
  void* scratch;
};

// A row of x as three rows of bfloats whose sum it is, each of whole blocks of 32 k; an odd number of lines again.
static inline size_t split_term_bytes(int32_t cols) {
  return (static_cast<size_t>((cols + block_k - 1) / block_k) | 1) * 64;
}
static inline size_t split_row_bytes(int32_t cols) { return 3 * split_term_bytes(cols); }

struct MatmulIsa {
  const char* name;  // "amx", "avx512", "avx2", "portable"

  // Writes `rows` quantised rows of `cols` (a multiple of 32) elements; row i at dst + i * quantised_row_bytes(cols).
  // A row's bytes depend on that row alone and are the same on every ISA. An infinity or a NaN poisons its 32-block.
  // x_stride is in floats; dst is 64-byte aligned.
  void (*quantise_rows)(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows);

  void (*linear)(const LinearArgs& args);
  void (*swiglu)(const SwigluArgs& args);

  // Null where products with BF16 weights read float32. Otherwise writes each element as the sum of three bfloats, which is
  // exact for magnitudes from 2^-110 on: all first terms of a row, then the second, then the third, padded with zeros.
  // Row i at dst + i * split_row_bytes(cols); dst is 64-byte aligned.
  void (*split_rows)(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows);

  bool splits(Format format) const { return split_rows != nullptr && format == Format::BF16; }
};

// "amx" | "avx512" | "avx2" | "portable"; null when this machine or this build lacks it. "auto": the best there is.
// Asking for "amx" asks the system to let this process use the tile unit.
const MatmulIsa* matmul_isa(const char* name);

// What one thread needs for any `m` up to max_m over weights of this format and cols; take the largest over a model.
// A swiglu needs the larger of its two formats'.
size_t linear_scratch_bytes(const MatmulIsa& isa, Format format, int32_t cols, int32_t max_m);

// One row in the file's own format.
size_t file_row_bytes(Format format, int32_t cols);

// Packed form: ceil(rows / 16) strips, each 16 rows interleaved; a multiple of 64 bytes. Same for every ISA.
size_t packed_bytes(Format format, int32_t rows, int32_t cols);
size_t packed_strip_bytes(Format format, int32_t cols);

// Clears what no row fills (the rows that pad the last strip). Call once before pack_rows.
void packed_init(Format format, uint8_t* dst, int32_t rows, int32_t cols);

// Packs rows [row_start, row_start + row_count) from row-major file bytes. Any order, any range; disjoint ranges may run
// in parallel (rows of a strip share cache lines, never bytes).
void pack_rows(Format format, uint8_t* dst, int32_t rows, int32_t cols, int32_t row_start, int32_t row_count,
               const uint8_t* src);

// Dequantises one packed row: out[cols].
void lookup_row(Format format, const uint8_t* packed, int32_t rows, int32_t cols, int32_t row, float* out);

}  // namespace cortex::matmul
