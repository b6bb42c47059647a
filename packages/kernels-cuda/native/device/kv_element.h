// Elements of the cache in each of its formats, and where a row's keys and values lie.
#pragma once

#include "../ptx/convert.h"
#include "worker.h"

namespace cortex {

struct KvF32 {
  using Stored = float;
  __device__ __forceinline__ static float load(float value) { return value; }
  __device__ __forceinline__ static float store(float value) { return value; }
};

struct KvF16 {
  using Stored = uint16_t;
  __device__ __forceinline__ static float load(uint16_t bits) { return ptx::half_to_float(bits); }
  __device__ __forceinline__ static uint16_t store(float value) { return ptx::float_to_half(value); }
};

struct KvBF16 {
  using Stored = uint16_t;
  __device__ __forceinline__ static float load(uint16_t bits) { return ptx::bfloat_to_float(bits); }
  __device__ __forceinline__ static uint16_t store(float value) { return ptx::float_to_bfloat(value); }
};

// Calls `body` with the element type of a format: one kernel per format, written once.
template <typename Body>
inline void with_kv_element(KvFormat format, Body body) {
  switch (format) {
    case KvFormat::F32: return body(KvF32{});
    case KvFormat::F16: return body(KvF16{});
    case KvFormat::BF16: return body(KvBF16{});
  }
}

// A cache layer as kernels take it.
template <typename Element>
struct KvView {
  using Stored = typename Element::Stored;

  uint8_t* data;
  size_t head_bytes;
  size_t page_bytes;
  int head_dim;
  int kv_heads;

  // [64][head_dim], values behind the keys
  __device__ __forceinline__ Stored* keys(int page, int head) const {
    return reinterpret_cast<Stored*>(data + static_cast<size_t>(page) * page_bytes + static_cast<size_t>(head) * head_bytes);
  }
  __device__ __forceinline__ Stored* values(int page, int head) const { return keys(page, head) + page_tokens * head_dim; }
};

template <typename Element>
inline KvView<Element> kv_view(const KvLayer& layer) {
  return {layer.data, layer.head_bytes, layer.page_bytes, layer.head_dim, layer.kv_heads};
}

// Page and place of a row in the cache of its sequence; page -1 for a row of no sequence.
struct KvPlace {
  int page;
  int token;
};

__device__ __forceinline__ KvPlace kv_place(const StepView& step, int row) {
  const int owner = step.row_sequence[row];
  if (owner < 0) return {-1, 0};
  const int index = step.row_index[row];
  return {step.pages[step.sequences[owner].pages_start + index / page_tokens], index % page_tokens};
}

}  // namespace cortex
