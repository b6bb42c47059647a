// Weights of floats to block formats as a model is loaded: the same bytes as the encoders in packages/graph/src/formats, which
// say what every format means. All arithmetic is theirs: double, in the same order, never contracted.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../matmul/matmul.h"

namespace cortex::quantise {

// Elements and bytes of one block.
size_t block_elements(matmul::Format format);
size_t block_bytes(matmul::Format format);

// Whether `to` can be made from `from`: floats to a block format.
bool converts(matmul::Format from, matmul::Format to);

// Converts `elements`, whole blocks of `to`. False when one of them is not finite.
bool convert(matmul::Format from, matmul::Format to, const uint8_t* source, size_t elements, uint8_t* target);

}  // namespace cortex::quantise
