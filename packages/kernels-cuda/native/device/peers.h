// A collective as one rank sees it: the operands of the same instruction in every rank's program, in memory that this rank's
// device reaches. Before its kernels every rank has finished what came before, and after them every rank waits for all, so
// they may read and write any rank's memory as long as no two ranks write, or one reads and another writes, one element.
#pragma once

#include "worker.h"

namespace cortex {

inline constexpr int max_ranks = 8;

// By value into a kernel.
struct PeerOperands {
  float* in[max_ranks];
  int64_t in_stride[max_ranks];
  float* out[max_ranks];
  int64_t out_stride[max_ranks];
  int rank;
  int ranks;
};

PeerOperands peer_operands(const Instruction& collective, const Worker& worker);

}  // namespace cortex
