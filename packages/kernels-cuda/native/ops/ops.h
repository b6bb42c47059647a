// The ops of this backend.
#pragma once

#include <cortex/program/kv_format.h>
#include <cortex/program/op_facts.h>

#include "../device/worker.h"

namespace cortex {

// What an op may ask when it says how much scratch it wants at most.
struct ScratchFacts {
  Limits limits;
  const ProgramSpec* program;
  KvFormat kv_format;
  int processors;
};

// Bytes of Worker::scratch that the instruction needs at most, for any step within the limits.
using ScratchFunction = size_t (*)(const Instruction&, const ScratchFacts&);

struct OpEntry {
  Opcode op;
  OpFunction run;
  // Null: none.
  ScratchFunction scratch = nullptr;
};

// Null for an op that this backend does not have.
const OpEntry* op_entry(Opcode op);
OpFunction op_function(Opcode op);

// One function per op, each in the file of its name.
void cortex_embed(const Instruction&, Worker&);
void cortex_rms_norm(const Instruction&, Worker&);
void cortex_add_rms_norm(const Instruction&, Worker&);
void cortex_layer_norm(const Instruction&, Worker&);
void cortex_linear(const Instruction&, Worker&);
void cortex_linear_add(const Instruction&, Worker&);
void cortex_linear_swiglu(const Instruction&, Worker&);
void cortex_add(const Instruction&, Worker&);
void cortex_mul(const Instruction&, Worker&);
void cortex_scale(const Instruction&, Worker&);
void cortex_silu(const Instruction&, Worker&);
void cortex_gelu(const Instruction&, Worker&);
void cortex_sigmoid(const Instruction&, Worker&);
void cortex_swiglu(const Instruction&, Worker&);
void cortex_sigmoid_mul(const Instruction&, Worker&);
void cortex_head_norm(const Instruction&, Worker&);
void cortex_rope(const Instruction&, Worker&);
void cortex_kv_append(const Instruction&, Worker&);
void cortex_attend(const Instruction&, Worker&);
void cortex_qk_norm_rope_append(const Instruction&, Worker&);
void cortex_expose_rows(const Instruction&, Worker&);
void cortex_gather_rows(const Instruction&, Worker&);
void cortex_sample(const Instruction&, Worker&);
void cortex_all_reduce(const Instruction&, Worker&);
void cortex_gather(const Instruction&, Worker&);
void cortex_add_bias(const Instruction&, Worker&);
void cortex_load_patches(const Instruction&, Worker&);
void cortex_patch_position(const Instruction&, Worker&);
void cortex_rope_2d(const Instruction&, Worker&);
void cortex_attend_dense(const Instruction&, Worker&);
void cortex_patch_merge(const Instruction&, Worker&);
void cortex_store_features(const Instruction&, Worker&);
void cortex_conv1d_silu(const Instruction&, Worker&);
void cortex_delta_gates(const Instruction&, Worker&);
void cortex_gated_delta(const Instruction&, Worker&);
void cortex_rms_norm_gated(const Instruction&, Worker&);
void cortex_router_topk(const Instruction&, Worker&);
void cortex_moe_gate_up(const Instruction&, Worker&);
void cortex_moe_down(const Instruction&, Worker&);

size_t attend_scratch(const Instruction&, const ScratchFacts&);
size_t sample_scratch(const Instruction&, const ScratchFacts&);
size_t moe_gate_up_scratch(const Instruction&, const ScratchFacts&);
size_t moe_down_scratch(const Instruction&, const ScratchFacts&);

}  // namespace cortex
