// A program and the limits of its steps as TypeScript describes them, before anything is believed.
#pragma once

#include <cstdint>
#include <vector>

#include "../generated/opcodes.h"
#include "format.h"

namespace cortex {

struct TensorSpec {
  matmul::Format format;
  int rows;
  int cols;
  bool lookup;

  // Vectors and constants are plain float32, matrices are packed.
  bool is_vector() const { return cols == 1 && format == matmul::Format::F32; }
};

struct KvLayerSpec {
  int kv_heads;
  int head_dim;
};

// Recurrent state of one layer, in float32 elements per sequence.
struct StateLayerSpec {
  int conv_elements;
  int delta_elements;
};

struct ProgramSpec {
  int rank;
  std::vector<int32_t> words;
  std::vector<TensorSpec> tensors;
  int64_t arena_elements;
  std::vector<KvLayerSpec> kv;
  std::vector<StateLayerSpec> state;
  int vocab;
};

struct Limits {
  int max_rows;
  int max_sequences;
  int max_sampled;
  int max_context;
  int pages;
  int vocab;
  int max_bias;
  int max_top_logprobs;
  bool expose_logits;
  // Recurrent states beside those of the slots.
  int snapshots;
  // Of a vision tower; all zero without one.
  int max_patches;
  int patch_width;
  int max_features;
  int feature_width;

  int mask_words() const { return (vocab + 31) / 32; }
  int states() const { return max_sequences + snapshots; }
  int max_copies() const { return snapshots > 0 ? 2 * max_sequences : 0; }
  int pages_per_slot() const { return (max_context + page_tokens - 1) / page_tokens; }
  // Most rows that an instruction of this row symbol has.
  int max_of(int symbol) const {
    const int most[] = {max_rows, max_sampled, max_patches, max_features};
    return most[symbol];
  }
};

}  // namespace cortex
