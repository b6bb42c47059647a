#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Exact {
  __device__ float operator()(float x, float) const { return 0.5f * x * (1.0f + erff(x * 0.7071067811865476f)); }
};

struct ByTanh {
  __device__ float operator()(float x, float) const {
    return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
  }
};

}  // namespace

void cortex_gelu(const Instruction& in, Worker& worker) {
  if (in.param(op::gelu::param::tanh) != 0) elementwise(in, worker, ByTanh{});
  else elementwise(in, worker, Exact{});
}

}  // namespace cortex
