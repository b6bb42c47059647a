#include "elementwise.cuh"
#include "ops.h"

namespace cortex {
namespace {

struct Gate {
  __device__ float operator()(float x, float gate) const { return x * sigmoid(gate); }
};

// The gate has one column.
__global__ void __launch_bounds__(elementwise_threads) gate_rows(Elements e) {
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  if (row >= *e.count) return;
  const float factor = sigmoid(e.b[row * e.b_stride]);
  for (int column = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); column < e.n;
       column += static_cast<int>(gridDim.x * blockDim.x)) {
    e.y[row * e.y_stride + column] = e.a[row * e.a_stride + column] * factor;
  }
}

}  // namespace

void cortex_sigmoid_mul(const Instruction& in, Worker& worker) {
  if (in.param(op::sigmoid_mul::param::broadcast) == 0) return elementwise(in, worker, Gate{});
  const Operand& x = in.in[op::sigmoid_mul::in::x];
  const Operand& gate = in.in[op::sigmoid_mul::in::gate];
  const Operand& y = in.out[0];
  const Elements elements{worker.at(x), worker.at(gate), worker.at(y), x.stride, gate.stride, y.stride,
                          worker.step.counts + in.symbol, in.n};
  const dim3 grid(static_cast<unsigned>((in.n + 1023) / 1024), static_cast<unsigned>(worker.rows(in)));
  launch(worker, gate_rows, grid, dim3(elementwise_threads), 0, elements);
}

}  // namespace cortex
