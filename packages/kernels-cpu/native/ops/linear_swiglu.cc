#include "product.h"

namespace cortex {

void cortex_linear_swiglu(const Instruction& in, Worker& worker) {
  const int rows = worker.rows(in);
  if (rows == 0) return;
  const matmul::Input input = product_input(in, worker, rows);
  const Operand& y = in.out[op::linear_swiglu::out::y];
  const Tensor& gate = worker.tensor(in, 0);
  const Tensor& up = worker.tensor(in, 1);
  for_own_strips(in, worker, matmul::strips_of(in.n), [&](int begin, int end) {
    matmul::SwigluArgs args{};
    args.gate = gate.weights();
    args.up = up.weights();
    args.input = input;
    args.m = rows;
    args.strip_begin = begin;
    args.strip_end = end;
    args.y = worker.at(y, 0);
    args.y_stride = static_cast<size_t>(y.stride);
    args.scratch = worker.matmul_scratch;
    worker.matmul().swiglu(args);
  });
  const Operand& quantised = in.out[op::linear_swiglu::out::quantised];
  if (quantised.present()) quantise_output(worker, y, in.n, quantised, rows);
}

}  // namespace cortex
