#pragma once

#include <cuda_runtime.h>

#include "layout.h"

namespace cortex {

// Enqueues the way of rows [row_start, row_start + row_count) from the bytes of a file, in device memory, to their place in
// a matrix of [rows, cols] at `matrix`.
void repack(cudaStream_t stream, Format format, uint8_t* matrix, int rows, int cols, int row_start, int row_count,
            const uint8_t* file_rows);

}  // namespace cortex
