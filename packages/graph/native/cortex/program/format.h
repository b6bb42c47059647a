// The formats of weights, and the sizes that a program is proven with.
//
// Everything here is static on purpose: files of different instruction sets include it, and an inline function that the
// linker shares between them could carry instructions that the machine lacks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cortex::matmul {

// Order of WeightFormat in core. Bytes per row are those of the file formats.
enum class Format : int32_t { F32 = 0, F16 = 1, BF16 = 2, Q8_0 = 3, Q4_0 = 4, Q4_K = 5, Q5_K = 6, Q6_K = 7 };

// Output rows (features) that are packed side by side; the unit in which work is divided.
constexpr int32_t strip_rows = 16;

static inline int32_t strips_of(int32_t rows) { return (rows + strip_rows - 1) / strip_rows; }

// Activations are quantised in blocks of so many k.
constexpr int32_t block_k = 32;

// Whether products with this format read the quantised form of x.
static inline bool needs_quantised(Format format) { return format >= Format::Q8_0; }

// Bytes of one quantised row, 0 when cols is not a multiple of 32: a line of 64 for every block, then a spare one where
// that makes their number odd, so that rows that follow one another spread over the sets of a cache.
static inline size_t quantised_row_bytes(int32_t cols) {
  return cols % block_k == 0 ? (static_cast<size_t>(cols / block_k) | 1) * 64 : 0;
}

}  // namespace cortex::matmul
