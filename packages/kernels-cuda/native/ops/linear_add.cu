#include "ops.h"
#include "product.h"

namespace cortex {

void cortex_linear_add(const Instruction& in, Worker& worker) { run_product(in, worker, After::add_residual); }

}  // namespace cortex
