#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Scale {
  float factor;
  __device__ float operator()(float x, float) const { return x * factor; }
};

}  // namespace

void cortex_scale(const Instruction& in, Worker& worker) { elementwise(in, worker, Scale{in.param_float(op::scale::param::factor)}); }

}  // namespace cortex
