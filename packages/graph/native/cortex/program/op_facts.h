// What decoding, hazards and a backend's memory plan ask about an op; nothing here knows which backend it is.
#pragma once

#include <cstdint>

#include "instruction.h"
#include "spec.h"

namespace cortex {

// Query heads that share one cache head: a tile of attention must hold one row's.
inline constexpr int max_query_group = 64;

// A head of a cache or of a rotation; some ops keep one on the stack.
inline constexpr int max_head_dim = 4096;

// Bounds of buffers that the hybrid ops keep on the stack.
inline constexpr int max_delta_key = 256;
inline constexpr int max_conv_taps = 16;

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

// A product whose weights want quantised rows and whose program has none makes them in the rank's scratch; so does one with
// BF16 weights where a backend splits its rows, and attention keeps the partial results of long sequences there.
bool quantises_input(const Instruction& instruction, const ProgramSpec& program);
bool may_split_input(const Instruction& instruction, const ProgramSpec& program);
bool uses_rank_scratch(const Instruction& instruction, const ProgramSpec& program);

}  // namespace cortex
