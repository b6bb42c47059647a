// The pieces of the AVX2 engine, one file each.
#pragma once

#include "common_driver.h"

namespace cortex::matmul::avx2 {

// out[row][16] = products of one strip with m rows; work holds expanded weights when there are many rows.
void quantised_product(Format format, const uint8_t* strip, const Rows& rows, int32_t m, float* out, uint8_t* work);

// out[strip][row][16] = products of up to 4 consecutive strips, `strip_bytes` apart, with m rows.
void dense_product(Format format, const uint8_t* strip, size_t strip_bytes, int32_t strips, const Rows& rows, int32_t m,
                   float* out, uint8_t* work);
int32_t dense_strips_at_once(int32_t m);

}  // namespace cortex::matmul::avx2
