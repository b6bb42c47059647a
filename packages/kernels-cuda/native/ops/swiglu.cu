#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Swiglu {
  __device__ float operator()(float gate, float up) const { return silu(gate) * up; }
};

}  // namespace

void cortex_swiglu(const Instruction& in, Worker& worker) { elementwise(in, worker, Swiglu{}); }

}  // namespace cortex
