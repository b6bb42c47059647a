// Which rows go through which experts, by expert: what the grouped products walk over.
#pragma once

#include "ops.h"
#include "partition.h"

namespace cortex {

// Every (row, slot) of a choice once. A worker makes its own; all workers of a rank make the same.
struct Routing {
  // Experts that some row chose, each with the places [begin[group], begin[group + 1]).
  int groups;
  const int32_t* expert;
  const int32_t* begin;
  // row * chosen + slot of each place.
  const int32_t* pair;
  // Room for two numbers per place, for the caller.
  int32_t* from;
  int32_t* to;

  int size(int group) const { return begin[group + 1] - begin[group]; }
};

// int32 words that `route` needs for up to this many pairs.
size_t routing_words(size_t pairs, int chosen, int experts);

Routing route(const Worker& worker, const Operand& choice, int rows, int chosen, int experts);

// The experts' rows of a choice stand in memory that a program may have written anything to: what is no expert counts as the
// first, and as a weight that is not a number.
inline int expert_of(float value, int experts) {
  return value >= 0.0f && value < static_cast<float>(experts) ? static_cast<int>(value) : 0;
}
inline float weight_of(const float* choice, int slot, int chosen, int experts) {
  const float value = choice[slot];
  return value >= 0.0f && value < static_cast<float>(experts) ? choice[chosen + slot] : __builtin_nanf("");
}

}  // namespace cortex
