// Row kernels of every op but the matrix products: one table per instruction set, all from `body.h`.
//
// A kernel sees one row or one tile, never the batch: a row's result cannot depend on what runs beside it. Sums run in a
// fixed order per table; results differ between tables in the last bits. Pointers need no alignment.
#pragma once

#include <cortex/program/kv_format.h>

#include <cstddef>
#include <cstdint>

namespace cortex {

// Keys of one attention span: a run of whole 64-token pages of one sequence and one kv head.
// A page of a head is K^T [headDim][64], then V [64][headDim]: scores need no sum across lanes.
struct AttendSpan {
  KvFormat format;
  int head_dim;
  // Page p of the sequence starts at base + pages[p] * page_bytes.
  const uint8_t* base;
  size_t page_bytes;
  const int32_t* pages;
  // Cache indices [key_begin, key_end); key_begin is a multiple of 64.
  int key_begin;
  int key_end;
  // Query rows of this tile; query i sees the keys [first_key[i], last_key[i]].
  int queries;
  const float* const* q;
  const int* first_key;
  const int* last_key;
  float scale;
  // Results, not yet divided by `sum`: acc[i * head_dim ...]; max is -inf and sum 0 where a query sees no key here.
  float* acc;
  float* max;
  float* sum;
  // [queries][64]
  float* scores;
};

// Consecutive tokens of one head of one sequence, through the gated delta rule.
struct DeltaSpan {
  int key_dim;
  int value_dim;
  int tokens;
  // [tokens][key_dim], as `delta_prepare` made them, with their products.
  const float* q;
  const float* k;
  const float* qk;
  // [tokens]: what the state is multiplied by, and how much of a value is written.
  const float* decay;
  const float* beta;
  const float* v;
  size_t v_stride;
  // [key_dim][value_dim]
  float* state;
  float* y;
  size_t y_stride;
};

// What one pass over the logits finds.
struct LogitScan {
  float max;
  // First index that holds max.
  int index;
  // A NaN or +inf is among them.
  bool bad;
};

struct Kernels {
  const char* name;

  void (*rms_norm)(const float* x, const float* weight, float eps, int n, float* y);
  void (*add_rms_norm)(const float* a, const float* b, const float* weight, float eps, int n, float* sum, float* y);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float eps, int n, float* y);

  void (*add)(const float* a, const float* b, int n, float* y);
  void (*mul)(const float* a, const float* b, int n, float* y);
  void (*scale)(const float* x, float factor, int n, float* y);
  void (*silu)(const float* x, int n, float* y);
  void (*gelu)(const float* x, bool tanh, int n, float* y);
  void (*sigmoid)(const float* x, int n, float* y);
  void (*swiglu)(const float* gate, const float* up, int n, float* y);
  void (*sigmoid_mul)(const float* x, const float* gate, int n, float* y);

  // Rotates the pairs (i, i + rotary_dim / 2) of one head; the columns from rotary_dim on are copied. May run in place.
  void (*rotate)(const float* x, const float* cosine, const float* sine, int head_dim, int rotary_dim, float* y);

  // Writes one head of one token into its page.
  void (*store_key)(KvFormat format, const float* k, int head_dim, int token, uint8_t* page);
  void (*store_value)(KvFormat format, const float* v, int head_dim, int token, uint8_t* page);

  void (*attend)(const AttendSpan& span);
  // (acc, max, sum) of the spans so far takes in the next span's.
  void (*attend_merge)(float* acc, float* max, float* sum, const float* next_acc, float next_max, float next_sum, int n);

  // Query and key of unit length, the query scaled by n^-0.5 besides; returns their product.
  float (*delta_prepare)(const float* q, const float* k, int n, float* q_unit, float* k_unit);
  void (*delta_rule)(const DeltaSpan& span);
  // y = silu(sum over j in [0, taps) of kernel[j * kernel_stride + i] * x[j][i])
  void (*conv_silu)(const float* const* x, const float* kernel, size_t kernel_stride, int taps, int n, float* y);

  LogitScan (*scan)(const float* x, int n);
  // weights[i] = exp((x[i] - max) / temperature); weights may be null. Returns their sum.
  double (*exp_sum)(const float* x, int n, float max, float temperature, float* weights);
  int (*count_at_least)(const float* x, int n, float threshold);
};

// "amx" | "avx512" | "avx2" | "portable"; null when this machine or this build lacks it.
const Kernels* kernels_by_name(const char* name);

}  // namespace cortex
