#include "../device/each_element.h"
#include "elementwise.cuh"
#include "experts.h"

namespace cortex {

namespace {

bool formats_differ(const TensorSpec& gate, const TensorSpec& up) { return gate.format != up.format; }

}  // namespace

size_t moe_gate_up_scratch(const Instruction& in, const ScratchFacts& facts) {
  const int rows = facts.limits.max_of(in.symbol);
  const auto spec = [&](int position) { return facts.program->tensors[static_cast<size_t>(in.weights[position])]; };
  const size_t up = formats_differ(spec(0), spec(1)) ? static_cast<size_t>(rows) * static_cast<size_t>(in.n) * sizeof(float) : 0;
  return routing_bytes(rows, in.param(op::moe_gate_up::param::k), in.param(op::moe_gate_up::param::experts)) + up;
}

void cortex_moe_gate_up(const Instruction& in, Worker& worker) {
  const int chosen = in.param(op::moe_gate_up::param::k);
  const int experts = in.param(op::moe_gate_up::param::experts);
  const int inner = in.n / chosen;
  const int rows = worker.rows(in);
  const Tensor& gate = worker.tensor(in, 0);
  const Tensor& up = worker.tensor(in, 1);
  const Routing routing = route(in, worker, in.in[op::moe_gate_up::in::choice], {0, rows}, chosen, experts, worker.scratch);
  const View y = view_of(worker, in.out[0]);
  const PairRows x{view_of(worker, in.in[op::moe_gate_up::in::x]), 0};
  if (!formats_differ(gate.spec, up.spec)) {
    return multiply_experts(in, worker, {&gate, &up, x, {y, inner}, chosen}, routing);
  }
  const View other{reinterpret_cast<float*>(worker.scratch + routing_bytes(rows, chosen, experts)), in.n};
  multiply_experts(in, worker, {&gate, nullptr, x, {y, inner}, chosen}, routing);
  multiply_experts(in, worker, {&up, nullptr, x, {other, inner}, chosen}, routing);
  each_element(worker, in, in.n, [=] __device__(int row, int column) {
    float& value = y.row(row)[column];
    value = silu(value) * other.row(row)[column];
  });
}

}  // namespace cortex
