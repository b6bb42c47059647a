#include "ops.h"

#include "product.h"

namespace cortex {

namespace {

// Every op that is here, one line each; `{op, function}` or `{op, function, scratch bytes}`.
constexpr OpEntry entries[] = {
    {Opcode::rope, cortex_rope},
    {Opcode::kv_append, cortex_kv_append},
    {Opcode::qk_norm_rope_append, cortex_qk_norm_rope_append},
    {Opcode::all_reduce, cortex_all_reduce},
    {Opcode::gather, cortex_gather},
    {Opcode::delta_gates, cortex_delta_gates},
    {Opcode::router_topk, cortex_router_topk},
    {Opcode::rope_2d, cortex_rope_2d},
    {Opcode::patch_merge, cortex_patch_merge},
    {Opcode::load_patches, cortex_load_patches},
    {Opcode::store_features, cortex_store_features},
    {Opcode::attend, cortex_attend, attend_scratch},
    {Opcode::conv1d_silu, cortex_conv1d_silu},
    {Opcode::gated_delta, cortex_gated_delta},
    {Opcode::moe_gate_up, cortex_moe_gate_up, moe_gate_up_scratch},
    {Opcode::moe_down, cortex_moe_down, moe_down_scratch},
    {Opcode::attend_dense, cortex_attend_dense},
    {Opcode::patch_position, cortex_patch_position},
    {Opcode::embed, cortex_embed},
    {Opcode::rms_norm, cortex_rms_norm},
    {Opcode::add_rms_norm, cortex_add_rms_norm},
    {Opcode::layer_norm, cortex_layer_norm},
    {Opcode::linear, cortex_linear, product_scratch},
    {Opcode::linear_add, cortex_linear_add, product_scratch},
    {Opcode::linear_swiglu, cortex_linear_swiglu, product_scratch},
    {Opcode::add, cortex_add},
    {Opcode::mul, cortex_mul},
    {Opcode::scale, cortex_scale},
    {Opcode::silu, cortex_silu},
    {Opcode::gelu, cortex_gelu},
    {Opcode::sigmoid, cortex_sigmoid},
    {Opcode::swiglu, cortex_swiglu},
    {Opcode::sigmoid_mul, cortex_sigmoid_mul},
    {Opcode::head_norm, cortex_head_norm},
    {Opcode::add_bias, cortex_add_bias},
    {Opcode::gather_rows, cortex_gather_rows},
    {Opcode::expose_rows, cortex_expose_rows},
    {Opcode::sample, cortex_sample, sample_scratch},
    {Opcode::rms_norm_gated, cortex_rms_norm_gated},
};

}  // namespace

const OpEntry* op_entry(Opcode op) {
  for (const OpEntry& entry : entries) {
    if (entry.op == op && entry.run) return &entry;
  }
  return nullptr;
}

OpFunction op_function(Opcode op) {
  const OpEntry* entry = op_entry(op);
  return entry ? entry->run : nullptr;
}

}  // namespace cortex
