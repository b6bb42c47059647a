// One step as the engine wrote it: copied out of the shared buffer, then proven, so that a caller who writes on while the
// step runs can spoil its own answer but nothing else.
#pragma once

#include <cstdint>
#include <vector>

#include "../runtime/status.h"
#include "spec.h"

namespace cortex {

struct StepSequence {
  int slot;
  int first_row;
  int rows;
  // Tokens in the cache once this step's rows are there.
  int length;
  // Start of its page ids in Step::pages.
  int pages_start;
};

struct SamplingParams {
  float temperature;
  int top_k;
  float top_p;
  float min_p;
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  uint64_t seed;
  int bias_count;
  int top_logprobs;
  int history_length;
  int prompt_length;

  bool has_penalties() const {
    return repetition_penalty != 1.0f || presence_penalty != 0.0f || frequency_penalty != 0.0f;
  }
};

// A recurrent state that is made what another is.
struct StateCopy {
  int from;
  int to;
};

struct SampleRow {
  int row;
  int slot;
  uint64_t counter;
  SamplingParams params;
  // Only the tokens of the row's mask may be chosen.
  bool masked;
};

// Where a patch lies in the grid of its image.
struct PatchPlace {
  int y;
  int x;
  int grid_height;
  int grid_width;
};

struct PatchRange {
  int begin;
  int end;
};

class Step {
 public:
  Step(const Limits& limits, const StepOffsets& offsets, int32_t* words);

  // Copies and checks the input; on failure nothing of it may run.
  Status read();

  int rows_of(int symbol) const {
    const int counts[] = {rows, sampled, patches, features};
    return counts[symbol];
  }
  int32_t* words() const { return words_; }
  float* floats(int64_t offset) const { return reinterpret_cast<float*>(words_ + offset); }
  const StepOffsets& offsets() const { return offsets_; }
  const Limits& limits() const { return limits_; }

  int rows = 0;
  int sampled = 0;
  int patches = 0;
  int features = 0;
  // Below zero: -1 - i is feature row i.
  std::vector<int32_t> tokens;
  std::vector<PatchPlace> places;
  // Patches of each image, one after another.
  std::vector<PatchRange> images;
  // [3][max_rows]
  std::vector<int32_t> positions;
  std::vector<StepSequence> sequences;
  std::vector<int32_t> pages;
  // Per row: its sequence (-1: none), and its place in that sequence's cache.
  std::vector<int> row_sequence;
  std::vector<int> row_index;
  std::vector<SampleRow> samples;
  // In order, before anything runs.
  std::vector<StateCopy> copies;

 private:
  Status read_sequences(int count);
  Status read_patches();
  Status read_samples();
  Status read_copies(int count);
  Status read_sampling(int slot, SamplingParams& params);

  const Limits limits_;
  const StepOffsets offsets_;
  int32_t* const words_;
  // Last step that wrote to each page, to find two sequences that write to one.
  std::vector<uint64_t> page_written_;
  std::vector<uint64_t> slot_seen_;
  uint64_t sequence_ = 0;
};

// Whether every array of the layout lies inside the buffer and none overlaps another.
Status check_step_layout(const Limits& limits, const StepOffsets& offsets, int64_t words);

}  // namespace cortex
