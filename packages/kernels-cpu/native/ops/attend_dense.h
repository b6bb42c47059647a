// Scratch that bidirectional attention needs per worker.
#pragma once

#include <cstddef>

namespace cortex {

size_t attend_dense_scratch_bytes(int head_dim, int max_patches);

}  // namespace cortex
