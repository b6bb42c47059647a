// What the checks of the ops say of one instruction: each looks at one thing, and the first that is wrong is kept.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "decode.h"

namespace cortex {

class Checker {
 public:
  Checker(const ProgramSpec& program, const Limits& limits, Instruction& instruction, const OpSignature& signature)
      : program_(program), limits_(limits), instruction_(instruction), signature_(signature) {}

  Status result;

  // False keeps the reason, unless one is kept already.
  bool require(bool condition, std::string reason);

  void input(int role, int64_t width, int symbol) { operand("input", role, instruction_.in[role], width, symbol); }
  void input(int role, int64_t width) { input(role, width, instruction_.symbol); }
  void output(int role, int64_t width) { operand("output", role, instruction_.out[role], width, instruction_.symbol); }

  void quantised(const Operand& operand, const char* kind, int role, int width);

  // Null where the instruction has no such weight.
  const TensorSpec* tensor(int position);
  // A float32 vector of this length, if it is there.
  void vector(int position, int length);
  // 1 to 4 segments whose rows make n; returns how many.
  int matrices(int64_t rows_in_all);

  void same_width();
  void symbol(int wanted);
  void epsilon(int position);
  bool head_dim(int width, int dim);
  // Columns of one expert in an operand that has those of every chosen one; 0 when they are refused.
  int experts(int width, const Operand& operand);

  // Null when they are refused.
  const KvLayerSpec* layer(int position, int dim);
  const StateLayerSpec* state_layer(int position);
  // Segments of one number of taps, whose channels make n.
  void conv_kernel(std::vector<ConvKernelSpec>& kernels);
  // `first` is where the shared rotary parameters start.
  void rotary(int first, int weight, std::vector<RopeTableSpec>& tables);

 private:
  void operand(const char* kind, int role, const Operand& operand, int64_t width, int symbol);

  const ProgramSpec& program_;
  const Limits& limits_;
  Instruction& instruction_;
  const OpSignature& signature_;
};

}  // namespace cortex
