// How large a step is, rounded up where a captured graph is to serve many.
#pragma once

#include <cortex/program/step.h>

#include <algorithm>
#include <compare>

namespace cortex {

struct StepShape {
  // Of rows, sampled, patches, features.
  int bucket[4];
  int sequences;
  int max_length;
  int max_sequence_rows;

  friend auto operator<=>(const StepShape&, const StepShape&) = default;
};

// Powers of two up to 32, then multiples of 32.
inline int rows_bucket(int rows, int most) {
  int bucket = 1;
  while (bucket < rows && bucket < 32) bucket *= 2;
  if (bucket < rows) bucket = (rows + 31) / 32 * 32;
  return std::min(bucket, most);
}

// Powers of two from 256 on.
inline int length_bucket(int length, int most) {
  int bucket = 256;
  while (bucket < length) bucket *= 2;
  return std::min(bucket, most);
}

// A step in which every sequence has one row: it is run again and again, so its graph is worth keeping.
inline bool is_decode(const Step& step) {
  if (step.rows == 0 || step.patches > 0 || step.features > 0 || static_cast<int>(step.sequences.size()) != step.rows) return false;
  return std::all_of(step.sequences.begin(), step.sequences.end(), [](const StepSequence& s) { return s.rows == 1; });
}

// Exact, but for decoding: whether its graph is there must not show in the answer.
inline StepShape shape_of(const Step& step) {
  const Limits& limits = step.limits();
  StepShape shape{{step.rows, step.sampled, step.patches, step.features}, static_cast<int>(step.sequences.size()), 0, 0};
  for (const StepSequence& sequence : step.sequences) {
    shape.max_length = std::max(shape.max_length, sequence.length);
    shape.max_sequence_rows = std::max(shape.max_sequence_rows, sequence.rows);
  }
  if (!is_decode(step)) return shape;
  shape.bucket[0] = rows_bucket(step.rows, limits.max_rows);
  shape.bucket[1] = step.sampled == 0 ? 0 : rows_bucket(step.sampled, limits.max_sampled);
  shape.sequences = rows_bucket(shape.sequences, limits.max_sequences);
  shape.max_length = length_bucket(shape.max_length, limits.max_context);
  return shape;
}

}  // namespace cortex
