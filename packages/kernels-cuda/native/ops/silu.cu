#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Silu {
  __device__ float operator()(float x, float) const { return silu(x); }
};

}  // namespace

void cortex_silu(const Instruction& in, Worker& worker) { elementwise(in, worker, Silu{}); }

}  // namespace cortex
