#include "ops.h"

namespace cortex {

OpFunction op_function(Opcode op) {
  switch (op) {
    case Opcode::embed: return cortex_embed;
    case Opcode::rms_norm: return cortex_rms_norm;
    case Opcode::add_rms_norm: return cortex_add_rms_norm;
    case Opcode::layer_norm: return cortex_layer_norm;
    case Opcode::linear: return cortex_linear;
    case Opcode::linear_add: return cortex_linear_add;
    case Opcode::linear_swiglu: return cortex_linear_swiglu;
    case Opcode::add: return cortex_add;
    case Opcode::mul: return cortex_mul;
    case Opcode::scale: return cortex_scale;
    case Opcode::silu: return cortex_silu;
    case Opcode::gelu: return cortex_gelu;
    case Opcode::sigmoid: return cortex_sigmoid;
    case Opcode::swiglu: return cortex_swiglu;
    case Opcode::sigmoid_mul: return cortex_sigmoid_mul;
    case Opcode::head_norm: return cortex_head_norm;
    case Opcode::rope: return cortex_rope;
    case Opcode::kv_append: return cortex_kv_append;
    case Opcode::attend: return cortex_attend;
    case Opcode::qk_norm_rope_append: return cortex_qk_norm_rope_append;
    case Opcode::expose_rows: return cortex_expose_rows;
    case Opcode::gather_rows: return cortex_gather_rows;
    case Opcode::sample: return cortex_sample;
    case Opcode::all_reduce: return cortex_all_reduce;
    case Opcode::gather: return cortex_gather;
    case Opcode::add_bias: return cortex_add_bias;
    case Opcode::conv1d_silu: return cortex_conv1d_silu;
    case Opcode::delta_gates: return cortex_delta_gates;
    case Opcode::gated_delta: return cortex_gated_delta;
    case Opcode::rms_norm_gated: return cortex_rms_norm_gated;
    case Opcode::router_topk: return cortex_router_topk;
    case Opcode::moe_gate_up: return cortex_moe_gate_up;
    case Opcode::moe_down: return cortex_moe_down;
    case Opcode::load_patches: return cortex_load_patches;
    case Opcode::patch_position: return cortex_patch_position;
    case Opcode::rope_2d: return cortex_rope_2d;
    case Opcode::attend_dense: return cortex_attend_dense;
    case Opcode::patch_merge: return cortex_patch_merge;
    case Opcode::store_features: return cortex_store_features;
    default: return nullptr;
  }
}

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

bool quantises_input(const Instruction& in, const ProgramSpec& program) {
  const int role = quantised_input_of(in.op);
  if (!is_product(in.op) || (role >= 0 && in.in[role].present())) return false;
  for (int i = 0; i < 4; ++i) {
    if (in.weights[i] < 0) continue;
    if (matmul::needs_quantised(program.tensors[static_cast<size_t>(in.weights[i])].format)) return true;
  }
  return false;
}

bool uses_rank_scratch(const Instruction& in, const ProgramSpec& program) {
  return in.op == Opcode::attend || quantises_input(in, program);
}

}  // namespace cortex
