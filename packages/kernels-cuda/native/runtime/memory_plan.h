// What one rank takes on its device, byte by byte: `measure` answers it and `load` allocates it.
#pragma once

#include <cortex/program/decode.h>
#include <cortex/program/load_spec.h>
#include <cortex/runtime/native_backend.h>

#include <vector>

#include "device_memory.h"

namespace cortex {

struct RankPlan {
  std::vector<size_t> tensor_starts;
  std::vector<size_t> tensor_expert_bytes;
  std::vector<size_t> kv_starts;
  // Convolution window and matrices of each layer in turn.
  std::vector<size_t> state_starts;
  size_t weight_bytes = 0;
  size_t kv_bytes = 0;
  size_t state_bytes = 0;
  size_t arena_bytes = 0;
  size_t scratch_bytes = 0;
  size_t step_bytes = 0;

  RankMemory memory() const;
};

RankPlan plan_rank(const ProgramSpec& program, const DecodedProgram& decoded, const LoadSpec& spec, int processors);

}  // namespace cortex
