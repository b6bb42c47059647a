#include "product.h"
#include "routing.h"

namespace cortex {

namespace {

// Reading an expert's weights takes about as long as multiplying them with this many rows.
constexpr int reading_rows = 4;

int divide_up(int value, int by) { return value <= 0 ? 0 : (value + by - 1) / by; }

}  // namespace

void cortex_moe_gate_up(const Instruction& in, Worker& worker) {
  const int rows = worker.rows(in);
  if (rows == 0) return;
  const matmul::Input input = product_input(in, worker, rows);
  const int chosen = in.param(op::moe_gate_up::param::k);
  const int experts = in.param(op::moe_gate_up::param::experts);
  const int inner = in.n / chosen;
  const Operand& y = in.out[op::moe_gate_up::out::y];
  const Tensor& gate = worker.tensor(in, 0);
  const Tensor& up = worker.tensor(in, 1);
  const Routing routing = route(worker, in.in[op::moe_gate_up::in::choice], rows, chosen, experts);
  const int pairs = rows * chosen;
  for (int place = 0; place < pairs; ++place) {
    const int row = routing.pair[place] / chosen;
    routing.from[place] = row;
    routing.to[place] = static_cast<int32_t>(row * y.stride + routing.pair[place] % chosen * inner);
  }
  // Strips of all groups in one line, each as long as the time it takes; a range has the strips that begin in it.
  const int strips = matmul::strips_of(inner);
  const int length = strips * (pairs + routing.groups * reading_rows);
  for_own_strips(in, worker, length, [&](int begin, int end) {
    int start = 0;
    for (int group = 0; group < routing.groups && start < end; ++group) {
      const int cost = routing.size(group) + reading_rows;
      const int low = std::min(divide_up(begin - start, cost), strips);
      const int high = std::min(divide_up(end - start, cost), strips);
      start += strips * cost;
      if (low >= high) continue;
      const int place = routing.begin[group];
      matmul::SwigluArgs args{};
      args.gate = gate.weights(routing.expert[group]);
      args.up = up.weights(routing.expert[group]);
      args.input = input;
      args.input.row_index = routing.from + place;
      args.m = routing.size(group);
      args.strip_begin = low;
      args.strip_end = high;
      args.y = worker.at(y, 0);
      args.y_stride = 1;
      args.y_index = routing.to + place;
      args.scratch = worker.matmul_scratch;
      worker.matmul().swiglu(args);
    }
  });
}

}  // namespace cortex
