#include "ops.h"
#include "product.h"

namespace cortex {

void cortex_linear_swiglu(const Instruction& in, Worker& worker) { run_product(in, worker, After::swiglu); }

}  // namespace cortex
