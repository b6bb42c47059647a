#include "memory_plan.h"

#include <algorithm>

#include "../ops/ops.h"
#include "../weights/layout.h"
#include "step_buffers.h"

namespace cortex {

RankMemory RankPlan::memory() const {
  return {static_cast<double>(weight_bytes), static_cast<double>(kv_bytes), static_cast<double>(state_bytes),
          static_cast<double>(arena_bytes + scratch_bytes + step_bytes)};
}

RankPlan plan_rank(const ProgramSpec& program, const DecodedProgram& decoded, const LoadSpec& spec, int processors) {
  RankPlan plan;
  const Limits& limits = spec.limits;
  Layout weights;
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec& tensor = program.tensors[i];
    const int experts = decoded.tensor_experts[i];
    const size_t bytes = tensor.is_vector() ? static_cast<size_t>(tensor.rows) * sizeof(float)
                                            : matrix_bytes(tensor.format, tensor.rows / experts, tensor.cols);
    plan.tensor_expert_bytes.push_back(bytes);
    plan.tensor_starts.push_back(weights.take(tensor.is_vector() ? bytes : bytes * static_cast<size_t>(experts)));
  }
  plan.weight_bytes = weights.size();
  Layout cache;
  for (const KvLayerSpec& layer : program.kv) {
    const size_t head = size_t{2} * page_tokens * static_cast<size_t>(layer.head_dim) * kv_element_bytes(spec.kv_format);
    plan.kv_starts.push_back(cache.take(head * static_cast<size_t>(layer.kv_heads) * static_cast<size_t>(limits.pages)));
  }
  plan.kv_bytes = cache.size();
  Layout states;
  for (const StateLayerSpec& layer : program.state) {
    const size_t slots = static_cast<size_t>(limits.states()) * sizeof(float);
    plan.state_starts.push_back(states.take(slots * static_cast<size_t>(layer.conv_elements)));
    plan.state_starts.push_back(states.take(slots * static_cast<size_t>(layer.delta_elements)));
  }
  plan.state_bytes = states.size();
  plan.arena_bytes = static_cast<size_t>(program.arena_elements) * sizeof(float);
  const ScratchFacts facts{limits, &program, spec.kv_format, processors};
  for (const Instruction& instruction : decoded.instructions) {
    const OpEntry* entry = op_entry(instruction.op);
    if (entry && entry->scratch) plan.scratch_bytes = std::max(plan.scratch_bytes, entry->scratch(instruction, facts));
  }
  plan.step_bytes = StepBuffers(limits).device_bytes();
  return plan;
}

}  // namespace cortex
