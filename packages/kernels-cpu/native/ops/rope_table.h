// Cosines and sines of every row's position, once per step for all layers and heads.
#pragma once

#include "../program/model.h"

namespace cortex {

// Fills this worker's share of the rows; meet before reading.
void fill_rope_tables(Worker& worker);

inline const float* cosine_of(const RopeTable& table, int row) { return table.cosine + int64_t{row} * (table.spec.rotary_dim / 2); }
inline const float* sine_of(const RopeTable& table, int row) { return table.sine + int64_t{row} * (table.spec.rotary_dim / 2); }

}  // namespace cortex
