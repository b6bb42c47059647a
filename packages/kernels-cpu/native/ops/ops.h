// What decoding and the interpreter ask about an op.
#pragma once

#include <cstdint>

#include "../program/instruction.h"
#include "../program/spec.h"

namespace cortex {

// Query heads that share one cache head: a tile of attention must hold one row's.
inline constexpr int max_query_group = 64;

// Bounds of buffers that the hybrid ops keep on the stack.
inline constexpr int max_delta_key = 256;
inline constexpr int max_conv_taps = 16;

using OpFunction = void (*)(const Instruction&, Worker&);

// Null for an op that this backend does not have.
OpFunction op_function(Opcode op);

struct OperandWidths {
  int64_t in[4];
  int64_t out[3];
};

// Columns of each operand in float32 elements, quantised ones included.
OperandWidths operand_widths(const Instruction& instruction, const ProgramSpec& program);

inline int sigmoid_mul_gate_width(const Instruction& in) {
  return in.param(op::sigmoid_mul::param::broadcast) ? 1 : in.n;
}

// Cache layer that the op touches, -1 for none, and whether it writes to it.
int cache_layer_of(const Instruction& instruction);
bool writes_cache(const Instruction& instruction);

// Kinds of recurrent state: an op that touches one reads it and writes it.
enum class StateKind { none, conv, delta };
StateKind state_kind_of(Opcode op);
int state_layer_of(const Instruction& instruction);

// Position of the quantised input, -1 when the op has no such role.
int quantised_input_of(Opcode op);

// Multiplies its first input with its matrices.
bool is_product(Opcode op);

// Experts that a product chooses from, whose matrices stand one after another in each of its tensors; 1 for the others.
int experts_of(const Instruction& instruction);
// Experts that each row goes through; 1 for the others.
int chosen_experts_of(const Instruction& instruction);
// Columns of the matrices of a product.
int product_columns(const Instruction& instruction);

// A product whose weights want quantised rows and whose program has none makes them in the rank's scratch; attention
// keeps the partial results of long sequences there.
bool quantises_input(const Instruction& instruction, const ProgramSpec& program);
bool uses_rank_scratch(const Instruction& instruction, const ProgramSpec& program);

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

}  // namespace cortex
