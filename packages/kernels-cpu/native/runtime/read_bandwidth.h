// How fast this machine reads memory: the roof under which decoding stays.
#pragma once

#include <cortex/runtime/status.h>

namespace cortex {

// Bytes per second that `threads` threads (0: what the machine allows) read together, each its own part of a buffer far
// larger than any cache, on huge pages and with every line prefetched. Best of a few passes.
Status read_bandwidth(int threads, double& bytes_per_second);

}  // namespace cortex
