// y = x . W^T over up to four matrices whose rows are concatenated, with what comes after a product: see product.cu.
#pragma once

#include "ops.h"

namespace cortex {

enum class After { nothing, add_residual, swiglu };

// Enqueues linear, linear_add and linear_swiglu.
void run_product(const Instruction& in, Worker& worker, After after);

size_t product_scratch(const Instruction& in, const ScratchFacts& facts);

}  // namespace cortex
