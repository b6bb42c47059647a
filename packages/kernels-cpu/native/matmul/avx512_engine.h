// The pieces of the AVX-512 engine, one file each.
#pragma once

#include "common_driver.h"

namespace cortex::matmul::avx512 {

// out[strip][row][16] = products of consecutive strips, `strip_bytes` apart, with m rows; work holds expanded weights when
// there are many rows.
void quantised_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows,
                       int32_t m, float* out, uint8_t* work);
int32_t quantised_strips_at_once(int32_t m);

void dense_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m,
                   float* out, uint8_t* work);
int32_t dense_strips_at_once(int32_t m);

// BF16 weights with split rows, on the tile unit, which is released when no more products follow.
void split_product(const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m, float* out);
constexpr int32_t split_strips_at_once = 2;
void split_rows(const float* x, size_t x_stride, int32_t cols, uint8_t* dst, int32_t rows);
void release_tiles();

}  // namespace cortex::matmul::avx512
