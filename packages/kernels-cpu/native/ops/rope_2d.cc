#include <cmath>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// Angles at a time: more than any head has but the widest.
constexpr int max_half = 2048;

}  // namespace

void cortex_rope_2d(const Instruction& in, Worker& worker) {
  const int head_dim = in.param(op::rope_2d::param::headDim);
  const float* frequency = worker.tensor(in, op::rope_2d::weight::inverseFrequency).values();
  const int half = head_dim / 2;
  const int quarter = half / 2;
  const Range own = own_rows(worker, worker.rows(in));
  float cosine[max_half];
  float sine[max_half];
  for (int row = own.begin; row < own.end; ++row) {
    const PatchPlace& place = worker.step().places[static_cast<size_t>(row)];
    for (int i = 0; i < half; ++i) {
      const float angle = static_cast<float>(i < quarter ? place.y : place.x) * frequency[i % quarter];
      cosine[i] = std::cos(angle);
      sine[i] = std::sin(angle);
    }
    for (int column = 0; column < in.n; column += head_dim) {
      worker.kernels().rotate(worker.at(in.in[0], row) + column, cosine, sine, head_dim, head_dim,
                              worker.at(in.out[0], row) + column);
    }
  }
}

}  // namespace cortex
