#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Sigmoid {
  __device__ float operator()(float x, float) const { return sigmoid(x); }
};

}  // namespace

void cortex_sigmoid(const Instruction& in, Worker& worker) { elementwise(in, worker, Sigmoid{}); }

}  // namespace cortex
