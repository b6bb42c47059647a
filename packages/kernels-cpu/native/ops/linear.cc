#include "product.h"

namespace cortex {

void cortex_linear(const Instruction& in, Worker& worker) { run_linear(in, worker, Operand{}); }

}  // namespace cortex
