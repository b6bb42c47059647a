// What a model is loaded from, with the kernels of its instruction set.
#pragma once

#include <cortex/program/load_spec.h>

#include "../matmul/matmul.h"
#include "../simd/kernels.h"

namespace cortex {

struct ModelSpec : LoadSpec {
  const Kernels* kernels;
  const matmul::MatmulIsa* matmul;
};

}  // namespace cortex
