// The tensors of a rank in device memory. Matrices are repacked as they arrive (weights/layout.h says how); vectors are plain
// float32.
#pragma once

#include <cortex/program/spec.h>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cortex {

struct Tensor {
  TensorSpec spec;
  // Experts whose rows it holds one after another, else 1: each is stored as a matrix of its own.
  int experts = 1;
  // Device memory, 256-byte aligned.
  uint8_t* data = nullptr;
  // Bytes of one expert's matrix, padding included.
  size_t expert_bytes = 0;
  // On the host: which rows have arrived.
  std::vector<bool> filled;
  int rows_filled = 0;

  int expert_rows() const { return spec.rows / experts; }
  const float* values() const { return reinterpret_cast<const float*>(data); }
  const uint8_t* expert_data(int expert) const { return data + static_cast<size_t>(expert) * expert_bytes; }
};

}  // namespace cortex
