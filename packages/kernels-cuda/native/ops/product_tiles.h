#pragma once

#include "ops.h"
#include "product_arguments.h"

namespace cortex {

// Whether products with this format of many rows run on tensor cores. Those of F32 weights do not: they owe more digits.
constexpr bool has_tiles(Format format) { return format != Format::F32; }

// Enqueues a product of many rows. Sets `end` of the segments.
void run_tiles(Worker& worker, int rows, Format format, ProductArguments arguments);

// Bytes of scratch of any such product: x in 16 bits, and sums of parts of the columns.
size_t tiles_scratch(int most_rows, int cols, int processors);

}  // namespace cortex
