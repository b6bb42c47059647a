// A model as TypeScript describes it, before anything is believed.
#pragma once

#include <vector>

#include "../matmul/matmul.h"
#include "../simd/kernels.h"
#include <cortex/program/spec.h>

namespace cortex {

struct ModelSpec {
  std::vector<ProgramSpec> programs;
  Limits limits;
  StepOffsets offsets;
  int64_t step_words;
  KvFormat kv_format;
  // Over all ranks; 0: what the machine allows.
  int threads;
  const Kernels* kernels;
  const matmul::MatmulIsa* matmul;
};

}  // namespace cortex
