#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Mul {
  __device__ float operator()(float a, float b) const { return a * b; }
};

}  // namespace

void cortex_mul(const Instruction& in, Worker& worker) { elementwise(in, worker, Mul{}); }

}  // namespace cortex
