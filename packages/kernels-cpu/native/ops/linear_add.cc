#include "product.h"

namespace cortex {

void cortex_linear_add(const Instruction& in, Worker& worker) {
  run_linear(in, worker, in.in[op::linear_add::in::residual]);
}

}  // namespace cortex
