// What a model is loaded from, as TypeScript describes it, before anything is believed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kv_format.h"
#include "spec.h"

namespace cortex {

struct LoadSpec {
  std::vector<ProgramSpec> programs;
  // Device of each rank.
  std::vector<int> devices;
  Limits limits;
  StepOffsets offsets;
  int64_t step_words;
  KvFormat kv_format;
  // Over all ranks; 0: what the machine allows.
  int threads;
  // Which of its kernels a backend is to use, where it has several kinds.
  std::string kernels;
};

}  // namespace cortex
