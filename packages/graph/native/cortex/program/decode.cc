#include "decode.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "check_op.h"
#include "hazards.h"
#include "op_facts.h"

namespace cortex {

namespace {

constexpr int max_width = 1 << 24;

// Elements of one indivisible block along a row, by matmul::Format.
constexpr int block_elements[] = {1, 1, 1, 32, 32, 256, 256, 256};

const OpSignature* find_signature(int32_t opcode) {
  for (const auto& signature : op_signatures) {
    if (static_cast<int32_t>(signature.code) == opcode) return &signature;
  }
  return nullptr;
}

Status decode_instruction(const ProgramSpec& program, const Limits& limits, FindOp find_op, int index,
                          DecodedProgram& decoded) {
  const int32_t* words = program.words.data() + static_cast<size_t>(index) * instruction_words;
  const OpSignature* signature = find_signature(words[word::opcode]);
  if (!signature) return failure(Code::program_invalid, format_text("opcode %d is not known", words[word::opcode]), index);
  Instruction in{};
  in.op = signature->code;
  in.symbol = words[word::rows];
  in.n = words[word::n];
  in.k = words[word::k];
  in.index = index;
  in.run = find_op(in.op);
  std::memcpy(in.params, words + word::params, sizeof in.params);
  Checker check(program, limits, in, *signature);
  check.require(in.run != nullptr, "is not among the ops of this backend");
  if (!check.require(in.symbol >= 0 && in.symbol <= 3, format_text("has row symbol %d; 0 to 3 are wanted", in.symbol))) {
    return check.result;
  }
  check.require(limits.max_of(in.symbol) > 0, format_text("has row symbol %d, of which a step has none", in.symbol));
  check.require(words[word::barrier] == 0 || words[word::barrier] == 1, "has a barrier word that is neither 0 nor 1");
  in.barrier = words[word::barrier] != 0;
  check.require(in.n >= 1 && in.n <= max_width && in.k >= 0 && in.k <= max_width,
                format_text("has widths n = %d, k = %d", in.n, in.k));
  check.require(in.k >= 1 || signature->inputs == 0, "has an input of width 0");
  for (int i = 0; i < 4; ++i) {
    in.in[i] = {words[word::inputs + 2 * i], words[word::inputs + 2 * i + 1]};
    const bool wanted = i < signature->inputs && !(signature->optional_inputs >> i & 1u);
    check.require(in.in[i].offset >= -1, format_text("has input %d at offset %lld", i, static_cast<long long>(in.in[i].offset)));
    check.require(!wanted || in.in[i].present(), format_text("lacks input %d", i));
    check.require(i < signature->inputs || !in.in[i].present(), format_text("has an input %d that it does not take", i));
  }
  for (int i = 0; i < 3; ++i) {
    in.out[i] = {words[word::outputs + 2 * i], words[word::outputs + 2 * i + 1]};
    const bool wanted = i < signature->outputs && !(signature->optional_outputs >> i & 1u);
    check.require(in.out[i].offset >= -1, format_text("has output %d at offset %lld", i, static_cast<long long>(in.out[i].offset)));
    check.require(!wanted || in.out[i].present(), format_text("lacks output %d", i));
    check.require(i < signature->outputs || !in.out[i].present(), format_text("has an output %d that it does not make", i));
  }
  for (int i = 0; i < 5; ++i) {
    in.weights[i] = words[word::weights + i];
    check.require(in.weights[i] >= -1 && in.weights[i] < static_cast<int>(program.tensors.size()),
                  format_text("names tensor %d of %zu", in.weights[i], program.tensors.size()));
    const bool present = in.weights[i] >= 0;
    check.require(present || !(signature->required_weights >> i & 1u), format_text("lacks weight %d", i));
    check.require(!present || (signature->allowed_weights >> i & 1u), format_text("has a weight %d that it does not take", i));
  }
  if (!check.result.ok()) return check.result;
  check_op(check, in, program, limits, decoded);
  if (!check.result.ok()) return check.result;
  if (in.op == Opcode::all_reduce || in.op == Opcode::gather) {
    in.collective = static_cast<int>(decoded.collectives.size());
    decoded.collectives.push_back(index);
  }
  decoded.instructions.push_back(in);
  return {};
}

// How many experts stand in each tensor: all that read it must agree.
Status divide_tensors(const ProgramSpec& program, DecodedProgram& decoded) {
  decoded.tensor_experts.assign(program.tensors.size(), 0);
  for (const Instruction& in : decoded.instructions) {
    for (const int tensor : in.weights) {
      if (tensor < 0) continue;
      int& experts = decoded.tensor_experts[static_cast<size_t>(tensor)];
      if (experts != 0 && experts != experts_of(in)) {
        return failure(Code::program_invalid,
                       format_text("it reads tensor %d as %d experts, another instruction as %d", tensor, experts_of(in), experts),
                       in.index);
      }
      experts = experts_of(in);
    }
  }
  for (int& experts : decoded.tensor_experts) experts = std::max(experts, 1);
  return {};
}

}  // namespace

Status decode_program(const ProgramSpec& program, const Limits& limits, FindOp find_op, DecodedProgram& decoded) {
  if (program.words.size() % instruction_words != 0) {
    return failure(Code::program_invalid, format_text("%zu words are not whole instructions", program.words.size()));
  }
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec& tensor = program.tensors[i];
    const int format = static_cast<int>(tensor.format);
    if (format < 0 || format >= static_cast<int>(std::size(block_elements))) {
      return failure(Code::program_invalid, format_text("tensor %zu has format %d", i, format));
    }
    if (tensor.rows < 1 || tensor.cols < 1 || tensor.rows > max_width || tensor.cols > max_width ||
        tensor.cols % block_elements[format] != 0) {
      return failure(Code::program_invalid, format_text("tensor %zu has shape [%d, %d]", i, tensor.rows, tensor.cols));
    }
  }
  for (size_t i = 0; i < program.kv.size(); ++i) {
    const KvLayerSpec& layer = program.kv[i];
    if (layer.kv_heads < 1 || layer.kv_heads > 4096 || layer.head_dim < 1 || layer.head_dim > max_head_dim) {
      return failure(Code::program_invalid,
                     format_text("cache layer %zu has %d heads of %d", i, layer.kv_heads, layer.head_dim));
    }
  }
  for (size_t i = 0; i < program.state.size(); ++i) {
    const StateLayerSpec& layer = program.state[i];
    if (layer.conv_elements < 0 || layer.delta_elements < 0) {
      return failure(Code::program_invalid,
                     format_text("state layer %zu has %d and %d elements", i, layer.conv_elements, layer.delta_elements));
    }
  }
  const int count = static_cast<int>(program.words.size() / instruction_words);
  for (int i = 0; i < count; ++i) {
    Status status = decode_instruction(program, limits, find_op, i, decoded);
    if (!status.ok()) return status;
  }
  Status status = divide_tensors(program, decoded);
  if (!status.ok()) return status;
  return check_hazards(program, limits, decoded.instructions);
}

Status match_collectives(const std::vector<DecodedProgram>& ranks) {
  for (size_t rank = 1; rank < ranks.size(); ++rank) {
    const auto& first = ranks[0];
    const auto& other = ranks[rank];
    if (other.collectives.size() != first.collectives.size()) {
      return failure(Code::program_invalid, format_text("rank %zu has %zu collectives and rank 0 has %zu", rank,
                                                        other.collectives.size(), first.collectives.size()));
    }
    for (size_t i = 0; i < first.collectives.size(); ++i) {
      const Instruction& a = first.instructions[static_cast<size_t>(first.collectives[i])];
      const Instruction& b = other.instructions[static_cast<size_t>(other.collectives[i])];
      if (a.op != b.op || a.symbol != b.symbol || a.n != b.n) {
        return failure(Code::program_invalid, format_text("collective %zu of rank %zu is not that of rank 0", i, rank),
                       b.index);
      }
    }
  }
  return {};
}

}  // namespace cortex
