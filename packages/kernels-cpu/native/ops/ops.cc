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

}  // namespace cortex
