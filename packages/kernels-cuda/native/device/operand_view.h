// An operand as kernels take it.
#pragma once

#include "worker.h"

namespace cortex {

// [rows, width] float32
struct View {
  float* data;
  int64_t stride;

  __device__ __forceinline__ float* row(int row) const { return data + row * stride; }
};

inline View view_of(const Worker& worker, const Operand& operand) { return {worker.at(operand), operand.stride}; }

}  // namespace cortex
