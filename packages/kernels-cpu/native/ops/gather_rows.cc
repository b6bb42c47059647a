#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

void cortex_gather_rows(const Instruction& in, Worker& worker) {
  const Step& step = worker.step();
  const Range own = own_rows(worker, worker.rows(in));
  for (int i = own.begin; i < own.end; ++i) {
    std::memcpy(worker.at(in.out[0], i), worker.at(in.in[0], step.samples[static_cast<size_t>(i)].row),
                static_cast<size_t>(in.n) * sizeof(float));
  }
}

}  // namespace cortex
