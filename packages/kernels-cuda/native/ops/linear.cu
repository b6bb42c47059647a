#include "ops.h"
#include "product.h"

namespace cortex {

void cortex_linear(const Instruction& in, Worker& worker) { run_product(in, worker, After::nothing); }

}  // namespace cortex
