// Scratch that attention needs: per worker for one tile of queries, per rank for the partial results of long sequences.
#pragma once

#include "../program/model.h"

namespace cortex {

size_t attend_scratch_bytes(int head_dim);
size_t attend_partials_bytes(int head_dim);
Partials attend_partials(uint8_t* data, int head_dim);

}  // namespace cortex
