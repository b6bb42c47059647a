#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct AddBias {
  __device__ float operator()(float x, float bias) const { return x + bias; }
};

}  // namespace

// The bias is a second input whose rows are one row.
void cortex_add_bias(const Instruction& in, Worker& worker) {
  const float* bias = worker.tensor(in, op::add_bias::weight::bias).values();
  const Operand& x = in.in[0];
  const Operand& y = in.out[0];
  const Elements elements{worker.at(x), bias, worker.at(y), x.stride, 0, y.stride, worker.step.counts + in.symbol, in.n};
  const bool quads = in.n % 4 == 0 && has_quads(x) && has_quads(y);
  const int columns = elementwise_threads * (quads ? 4 : 1);
  const dim3 grid(static_cast<unsigned>((in.n + columns - 1) / columns), static_cast<unsigned>(worker.rows(in)));
  launch(worker, quads ? elementwise_kernel<4, AddBias> : elementwise_kernel<1, AddBias>, grid, dim3(elementwise_threads), 0,
         elements, AddBias{});
}

}  // namespace cortex
