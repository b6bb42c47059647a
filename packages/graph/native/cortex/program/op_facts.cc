#include "op_facts.h"

namespace cortex {

int quantised_input_of(Opcode op) {
  switch (op) {
    case Opcode::linear: return op::linear::in::quantised;
    case Opcode::linear_add: return op::linear_add::in::quantised;
    case Opcode::linear_swiglu: return op::linear_swiglu::in::quantised;
    default: return -1;
  }
}

bool is_product(Opcode op) {
  return quantised_input_of(op) >= 0 || op == Opcode::moe_gate_up || op == Opcode::moe_down;
}

int experts_of(const Instruction& in) {
  switch (in.op) {
    case Opcode::moe_gate_up: return in.param(op::moe_gate_up::param::experts);
    case Opcode::moe_down: return in.param(op::moe_down::param::experts);
    default: return 1;
  }
}

int chosen_experts_of(const Instruction& in) {
  switch (in.op) {
    case Opcode::moe_gate_up: return in.param(op::moe_gate_up::param::k);
    case Opcode::moe_down: return in.param(op::moe_down::param::k);
    default: return 1;
  }
}

int product_columns(const Instruction& in) { return in.op == Opcode::moe_down ? in.k / chosen_experts_of(in) : in.k; }

OperandWidths operand_widths(const Instruction& in, const ProgramSpec& program) {
  OperandWidths widths{{in.k, in.k, in.k, in.k}, {in.n, in.n, in.n}};
  const int64_t quantised_n = static_cast<int64_t>(matmul::quantised_row_bytes(in.n) / sizeof(float));
  const int64_t quantised_k = static_cast<int64_t>(matmul::quantised_row_bytes(in.k) / sizeof(float));
  const int quantised = quantised_input_of(in.op);
  if (quantised >= 0) widths.in[quantised] = quantised_k;
  switch (in.op) {
    case Opcode::rms_norm:
    case Opcode::rms_norm_gated:
    case Opcode::attend:
    case Opcode::linear_swiglu:
      widths.out[1] = quantised_n;
      break;
    case Opcode::add_rms_norm:
      widths.out[2] = quantised_n;
      break;
    case Opcode::linear_add:
      widths.in[op::linear_add::in::residual] = in.n;
      break;
    case Opcode::moe_gate_up:
    case Opcode::moe_down:
      widths.in[1] = int64_t{2} * chosen_experts_of(in);
      break;
    case Opcode::sigmoid_mul:
      widths.in[op::sigmoid_mul::in::gate] = sigmoid_mul_gate_width(in);
      break;
    case Opcode::gated_delta:
      widths.in[op::gated_delta::in::beta] = widths.in[op::gated_delta::in::g] =
          in.n / in.param(op::gated_delta::param::valueDim);
      break;
    case Opcode::qk_norm_rope_append: {
      const KvLayerSpec& layer = program.kv[static_cast<size_t>(cache_layer_of(in))];
      widths.in[1] = widths.in[2] = int64_t{layer.kv_heads} * layer.head_dim;
      break;
    }
    default:
      break;
  }
  return widths;
}

int cache_layer_of(const Instruction& in) {
  switch (in.op) {
    case Opcode::kv_append: return in.param(op::kv_append::param::layer);
    case Opcode::attend: return in.param(op::attend::param::layer);
    case Opcode::qk_norm_rope_append: return in.param(op::qk_norm_rope_append::param::layer);
    default: return -1;
  }
}

StateKind state_kind_of(Opcode op) {
  switch (op) {
    case Opcode::conv1d_silu: return StateKind::conv;
    case Opcode::gated_delta: return StateKind::delta;
    default: return StateKind::none;
  }
}

int state_layer_of(const Instruction& in) {
  switch (in.op) {
    case Opcode::conv1d_silu: return in.param(op::conv1d_silu::param::layer);
    case Opcode::gated_delta: return in.param(op::gated_delta::param::layer);
    default: return -1;
  }
}

bool writes_cache(const Instruction& in) {
  return in.op == Opcode::kv_append || in.op == Opcode::qk_norm_rope_append;
}

namespace {

template <typename Wanted>
bool multiplies_with(const Instruction& in, const ProgramSpec& program, Wanted&& wanted) {
  if (!is_product(in.op)) return false;
  for (int i = 0; i < 4; ++i) {
    if (in.weights[i] >= 0 && wanted(program.tensors[static_cast<size_t>(in.weights[i])].format)) return true;
  }
  return false;
}

}  // namespace

bool quantises_input(const Instruction& in, const ProgramSpec& program) {
  const int role = quantised_input_of(in.op);
  if (role >= 0 && in.in[role].present()) return false;
  return multiplies_with(in, program, matmul::needs_quantised);
}

bool may_split_input(const Instruction& in, const ProgramSpec& program) {
  return multiplies_with(in, program, [](matmul::Format format) { return format == matmul::Format::BF16; });
}

bool uses_rank_scratch(const Instruction& in, const ProgramSpec& program) {
  return in.op == Opcode::attend || quantises_input(in, program) || may_split_input(in, program);
}

}  // namespace cortex
