#include "ops.h"

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
