// What sequences keep between steps, in device memory.
#pragma once

#include <cortex/program/kv_format.h>
#include <cortex/program/spec.h>

#include <cstddef>
#include <cstdint>

namespace cortex {

// [page][kv head]{K [64][head_dim], V [64][head_dim]}
struct KvLayer {
  int kv_heads;
  int head_dim;
  KvFormat format;
  uint8_t* data;
  // Keys and values of one head of one page, and a whole page.
  size_t head_bytes;
  size_t page_bytes;
};

// Recurrent state of one layer: [state][conv_elements] and [state][delta_elements]; slots first, then snapshots.
struct StateLayer {
  StateLayerSpec spec;
  float* conv;
  float* delta;
};

}  // namespace cortex
