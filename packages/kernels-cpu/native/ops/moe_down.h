// Memory that the down projection of experts needs.
#pragma once

#include <cstddef>

namespace cortex {

// Bytes of one worker's products that wait for their sum, for up to `pairs` of them that are `width` wide.
size_t moe_sums_bytes(size_t pairs, int width);

}  // namespace cortex
