#include "hazards.h"

#include <algorithm>

#include "op_facts.h"

namespace cortex {

namespace {

struct Region {
  Operand operand;
  int64_t width;
  int64_t rows;
  int instruction;

  int64_t end() const { return operand.offset + (rows - 1) * operand.stride + width; }
};

bool overlap(const Region& a, const Region& b) {
  if (a.operand.offset >= b.end() || b.operand.offset >= a.end()) return false;
  if (a.operand.stride != b.operand.stride || a.rows == 1 || b.rows == 1) return true;
  // Columns of the same matrix, or of two that lie one in the other's rows: compare within one row.
  const int64_t stride = a.operand.stride;
  int64_t shift = (b.operand.offset - a.operand.offset) % stride;
  if (shift < 0) shift += stride;
  return shift < a.width || shift + b.width > stride;
}

struct Accesses {
  std::vector<Region> reads;
  std::vector<Region> writes;
};

Accesses accesses_of(const Instruction& in, const ProgramSpec& program, const Limits& limits) {
  Accesses result;
  const OpSignature& signature =
      *std::find_if(std::begin(op_signatures), std::end(op_signatures), [&](const auto& s) { return s.code == in.op; });
  const int64_t rows = limits.max_of(in.symbol);
  const OperandWidths widths = operand_widths(in, program);
  for (int i = 0; i < signature.inputs; ++i) {
    if (!in.in[i].present()) continue;
    const int64_t input_rows = in.op == Opcode::gather_rows   ? limits.max_rows
                               : in.op == Opcode::patch_merge ? limits.max_patches
                                                              : rows;
    result.reads.push_back({in.in[i], widths.in[i], input_rows, in.index});
  }
  for (int i = 0; i < signature.outputs; ++i) {
    if (in.out[i].present()) result.writes.push_back({in.out[i], widths.out[i], rows, in.index});
  }
  return result;
}

// Row by row or head by head from the first column on: an output may be exactly one of the inputs.
bool works_in_place(Opcode op) {
  switch (op) {
    case Opcode::linear:
    case Opcode::linear_swiglu:
    case Opcode::attend:
    case Opcode::gather_rows:
    case Opcode::gather:
    case Opcode::conv1d_silu:
    case Opcode::gated_delta:
    case Opcode::rms_norm_gated:
    case Opcode::router_topk:
    case Opcode::moe_gate_up:
    case Opcode::moe_down:
    case Opcode::attend_dense:
    case Opcode::patch_merge:
      return false;
    default:
      return true;
  }
}

Status check_own_operands(const Instruction& in, const Accesses& accesses) {
  for (size_t i = 0; i < accesses.writes.size(); ++i) {
    const Region& written = accesses.writes[i];
    for (size_t j = 0; j < i; ++j) {
      if (overlap(written, accesses.writes[j])) {
        return failure(Code::program_invalid, format_text("output %zu overlaps output %zu", i, j), in.index);
      }
    }
    for (size_t j = 0; j < accesses.reads.size(); ++j) {
      const Region& read = accesses.reads[j];
      if (!overlap(written, read)) continue;
      const bool same = written.operand == read.operand && written.width == read.width;
      // The product's own input is read long after the first outputs are written; its residual is not.
      const bool in_place = works_in_place(in.op) && !(in.op == Opcode::linear_add && j != op::linear_add::in::residual);
      if (!same || !in_place) {
        return failure(Code::program_invalid, format_text("output %zu overlaps input %zu", i, j), in.index);
      }
    }
  }
  return {};
}

const Region* find_overlap(const std::vector<Region>& earlier, const std::vector<Region>& later) {
  for (const Region& a : earlier) {
    for (const Region& b : later) {
      if (overlap(a, b)) return &a;
    }
  }
  return nullptr;
}

}  // namespace

Status check_hazards(const ProgramSpec& program, const Limits& limits, std::vector<Instruction>& instructions) {
  std::vector<Region> read;
  std::vector<Region> written;
  std::vector<int> cache_writers(program.kv.size(), -1);
  std::vector<int> cache_readers(program.kv.size(), -1);
  // Last instruction that touched each layer's window and matrices.
  std::vector<int> conv_users(program.state.size(), -1);
  std::vector<int> delta_users(program.state.size(), -1);
  // Last instruction that stored features, and the last that took some.
  int features_writer = -1;
  int features_reader = -1;
  int logits_writer = -1;
  bool scratch_used = false;
  const auto forget = [&] {
    read.clear();
    written.clear();
    std::fill(cache_writers.begin(), cache_writers.end(), -1);
    std::fill(cache_readers.begin(), cache_readers.end(), -1);
    std::fill(conv_users.begin(), conv_users.end(), -1);
    std::fill(delta_users.begin(), delta_users.end(), -1);
    features_writer = features_reader = logits_writer = -1;
    scratch_used = false;
  };
  for (Instruction& in : instructions) {
    const Accesses accesses = accesses_of(in, program, limits);
    Status status = check_own_operands(in, accesses);
    if (!status.ok()) return status;
    const bool scratch = uses_rank_scratch(in, program);
    if (scratch && scratch_used) in.barrier = true;
    // A collective begins and ends with a meeting of all ranks.
    if (in.barrier || in.collective >= 0) forget();
    const Region* conflict = find_overlap(written, accesses.reads);
    if (!conflict) conflict = find_overlap(written, accesses.writes);
    if (!conflict) conflict = find_overlap(read, accesses.writes);
    int other = conflict ? conflict->instruction : -1;
    if (in.op == Opcode::store_features) {
      other = std::max({other, features_writer, features_reader});
      features_writer = in.index;
    }
    if (in.op == Opcode::sample || in.op == Opcode::expose_rows) {
      other = std::max(other, logits_writer);
      logits_writer = in.index;
    }
    if (in.op == Opcode::embed) {
      other = std::max(other, features_writer);
      features_reader = in.index;
    }
    const int layer = cache_layer_of(in);
    if (layer >= 0) {
      const size_t i = static_cast<size_t>(layer);
      if (writes_cache(in)) {
        other = std::max({other, cache_writers[i], cache_readers[i]});
        cache_writers[i] = in.index;
      } else {
        other = std::max(other, cache_writers[i]);
        cache_readers[i] = in.index;
      }
    }
    if (const StateKind kind = state_kind_of(in.op); kind != StateKind::none) {
      auto& users = kind == StateKind::conv ? conv_users : delta_users;
      int& user = users[static_cast<size_t>(state_layer_of(in))];
      other = std::max(other, user);
      user = in.index;
    }
    if (other >= 0) {
      return failure(Code::program_invalid,
                     format_text("it shares memory with instruction %d; a barrier between them is wanted", other), in.index);
    }
    read.insert(read.end(), accesses.reads.begin(), accesses.reads.end());
    written.insert(written.end(), accesses.writes.begin(), accesses.writes.end());
    scratch_used = scratch_used || scratch;
    if (in.collective >= 0) forget();
  }
  return {};
}

}  // namespace cortex
