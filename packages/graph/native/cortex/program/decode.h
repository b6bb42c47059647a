// Words to instructions, or the reason why not: every operand inside the arena for the most rows a step may have, every
// tensor of the shape that n and k want, every parameter sane, every hazard behind a barrier.
#pragma once

#include <vector>

#include "../runtime/status.h"
#include "instruction.h"
#include "spec.h"

namespace cortex {

// Angles of one rotary configuration, computed once per step for all rows.
struct RopeTableSpec {
  int tensor;
  int rotary_dim;
  float attention_factor;
  int section_h;
  int section_w;

  friend bool operator==(const RopeTableSpec&, const RopeTableSpec&) = default;
};

// The kernel of a convolution, read out of its packed segments once the weights are there.
struct ConvKernelSpec {
  int tensors[4];
  int segments;
  int taps;
  int channels;
};

struct DecodedProgram {
  std::vector<Instruction> instructions;
  std::vector<RopeTableSpec> rope_tables;
  std::vector<ConvKernelSpec> conv_kernels;
  // Experts that stand one after another in each tensor; 1 for what is not experts.
  std::vector<int> tensor_experts;
  // Instruction index of each collective, in order.
  std::vector<int> collectives;
};

// `find_op` gives the function of an op, null for one that the backend does not have.
Status decode_program(const ProgramSpec& program, const Limits& limits, FindOp find_op, DecodedProgram& decoded);

// Ranks run in lock step: their collectives must be the same, in the same order.
Status match_collectives(const std::vector<DecodedProgram>& ranks);

}  // namespace cortex
