#include "../device/each_element.h"
#include "../device/peers.h"
#include "ops.h"

namespace cortex {

// Each rank writes its columns beside those of the others, into rank 0's operand.
void cortex_gather(const Instruction& in, Worker& worker) {
  const PeerOperands peers = peer_operands(in, worker);
  const View x = view_of(worker, in.in[0]);
  float* y = peers.out[0] + in.param(op::gather::param::columnStart);
  const int64_t stride = peers.out_stride[0];
  each_element(worker, in, in.k, [=] __device__(int row, int column) { y[row * stride + column] = x.row(row)[column]; });
}

}  // namespace cortex
