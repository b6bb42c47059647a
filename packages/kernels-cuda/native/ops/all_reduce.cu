#include "../device/each_element.h"
#include "../device/peers.h"
#include "ops.h"

namespace cortex {

// Each rank makes a share of the columns for all of them: it reads every rank's part and writes every rank's sum, so it may
// run in place, and all ranks hold the same bits.
void cortex_all_reduce(const Instruction& in, Worker& worker) {
  const PeerOperands peers = peer_operands(in, worker);
  const int begin = static_cast<int>(static_cast<int64_t>(in.n) * peers.rank / peers.ranks);
  const int end = static_cast<int>(static_cast<int64_t>(in.n) * (peers.rank + 1) / peers.ranks);
  each_element(worker, in, end - begin, [=] __device__(int row, int place) {
    const int column = begin + place;
    float sum = peers.in[0][row * peers.in_stride[0] + column];
    for (int rank = 1; rank < peers.ranks; ++rank) sum += peers.in[rank][row * peers.in_stride[rank] + column];
    for (int rank = 0; rank < peers.ranks; ++rank) peers.out[rank][row * peers.out_stride[rank] + column] = sum;
  });
}

}  // namespace cortex
