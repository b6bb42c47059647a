// Where a row's keys and values lie in the pages of its sequence.
#pragma once

#include "../program/model.h"

namespace cortex {

inline uint8_t* page_of(const KvLayer& layer, int page, int head) {
  return layer.data + static_cast<size_t>(page) * layer.page_bytes + static_cast<size_t>(head) * layer.head_bytes;
}

// Writes one head of one row into its page; a row of no sequence has none.
inline void append_head(const Worker& worker, const KvLayer& layer, int row, int head, const float* k, const float* v) {
  const Step& step = worker.step();
  const int owner = step.row_sequence[static_cast<size_t>(row)];
  if (owner < 0) return;
  const StepSequence& sequence = step.sequences[static_cast<size_t>(owner)];
  const int index = step.row_index[static_cast<size_t>(row)];
  const int page = step.pages[static_cast<size_t>(sequence.pages_start + index / page_tokens)];
  uint8_t* data = page_of(layer, page, head);
  const KvFormat format = worker.model->spec.kv_format;
  worker.kernels().store_key(format, k, layer.head_dim, index % page_tokens, data);
  worker.kernels().store_value(format, v, layer.head_dim, index % page_tokens, data);
}

}  // namespace cortex
