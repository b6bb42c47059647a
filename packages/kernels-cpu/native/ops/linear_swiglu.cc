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
    if (gate.spans.empty() && up.spans.empty()) return worker.matmul().swiglu(args);
    const int most = std::min(staged_strips(gate.spec), staged_strips(up.spec));
    for (int strip = begin; strip < end; strip += most) {
      const int count = std::min(most, end - strip);
      const auto staged = [&](const Tensor& tensor, int place) {
        if (tensor.spans.empty()) return matmul::Weights{tensor.spec.format, tensor.spec.rows - strip * matmul::strip_rows, tensor.spec.cols, tensor.data + static_cast<size_t>(strip) * matmul::packed_strip_bytes(tensor.spec.format, tensor.spec.cols)};
        return staged_weights(tensor.spec, strip, count, stage_strips(tensor.spec, tensor.spans, strip, count, worker.staging(), place, worker.problem()));
      };
      args.gate = staged(gate, 0);
      args.up = staged(up, 1);
      if (args.gate.data == nullptr || args.up.data == nullptr) return;
      args.strip_begin = 0;
      args.strip_end = count;
      args.y = worker.at(y, 0) + strip * matmul::strip_rows;
      worker.matmul().swiglu(args);
    }
  });
  const Operand& quantised = in.out[op::linear_swiglu::out::quantised];
  if (quantised.present()) quantise_output(worker, y, in.n, quantised, rows);
}

}  // namespace cortex
