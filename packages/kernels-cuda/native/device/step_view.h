// The proven step as kernels see it: device pointers that never change while a model lives, so that a captured graph replays
// with other steps. The host packs a Step (cortex/program/step.h) behind them with one copy.
#pragma once

#include <cstdint>

namespace cortex {

struct DeviceSequence {
  int32_t slot;
  int32_t first_row;
  int32_t rows;
  // Tokens in the cache once this step's rows are there.
  int32_t length;
  // Start of its page ids in StepView::pages.
  int32_t pages_start;
};

struct DeviceSample {
  int32_t row;
  int32_t slot;
  // 1: only the tokens of the row's mask may be chosen.
  int32_t masked;
  uint32_t counter;
  uint32_t seed_low;
  uint32_t seed_high;
  float temperature;
  int32_t top_k;
  float top_p;
  float min_p;
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  int32_t bias_count;
  int32_t top_logprobs;
  int32_t history_length;
  int32_t prompt_length;
};

struct DevicePatch {
  int32_t y;
  int32_t x;
  int32_t grid_height;
  int32_t grid_width;
};

// Patches [begin, end) of one image.
struct DeviceImage {
  int32_t begin;
  int32_t end;
};

struct DeviceCopy {
  int32_t from;
  int32_t to;
};

// Places in StepView::counts; the first four are the row symbols of instructions.
namespace count {
inline constexpr int rows = 0;
inline constexpr int sampled = 1;
inline constexpr int patches = 2;
inline constexpr int features = 3;
inline constexpr int sequences = 4;
inline constexpr int copies = 5;
inline constexpr int images = 6;
inline constexpr int size = 8;
}  // namespace count

struct StepView {
  // [count::size]; kernels leave rows >= counts[symbol] alone.
  const int32_t* counts;
  // [max_rows]; below zero: -1 - i is feature row i.
  const int32_t* tokens;
  // [3][max_rows]
  const int32_t* positions;
  // [max_rows]: sequence of the row (-1: none), and its place in that sequence's cache.
  const int32_t* row_sequence;
  const int32_t* row_index;
  const DeviceSequence* sequences;
  // [max_sequences][pages_per_slot], by order in the step
  const int32_t* pages;
  const DeviceSample* samples;
  const DeviceCopy* copies;
  const DevicePatch* places;
  const DeviceImage* images;
  // [max_sampled][mask_words]
  const uint32_t* masks;
  // [max_sequences][max_context], by slot. Only what the step's samples ask for is current.
  const int32_t* history;
  // [max_sequences][max_bias], by slot, likewise
  const int32_t* bias_token;
  const float* bias_value;
  // [max_patches][patch_width]
  const float* pixels;
  // [max_features][feature_width], both ways
  float* features;
  // [max_sampled][sampled_word::size], [max_sampled][max_top_logprobs] twice, [max_sampled][vocab]; copied back after the step
  int32_t* output;
  int32_t* top_token;
  float* top_logprob;
  float* logits;

  int max_rows;
  int max_sequences;
  int max_sampled;
  int max_context;
  int max_patches;
  int max_features;
  int patch_width;
  int feature_width;
  int vocab;
  int max_bias;
  int max_top_logprobs;
  int pages_per_slot;
  int mask_words;
};

}  // namespace cortex
