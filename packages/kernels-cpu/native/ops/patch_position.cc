#include <algorithm>
#include <cmath>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// The two places of a line of `side` between which place `index` of `count` falls, and the share of the second.
struct Between {
  int places[2];
  float shares[2];
};

Between between(int index, int count, int side) {
  const float step = count == 1 ? 0.0f : static_cast<float>(side - 1) / static_cast<float>(count - 1);
  const float at = static_cast<float>(index) * step;
  const int low = std::min(static_cast<int>(at), side - 1);
  const float share = at - static_cast<float>(low);
  return {{low, std::min(low + 1, side - 1)}, {1.0f - share, share}};
}

}  // namespace

void cortex_patch_position(const Instruction& in, Worker& worker) {
  const Tensor& table = worker.tensor(in, op::patch_position::weight::table);
  const int side = in.param(op::patch_position::param::side);
  const Step& step = worker.step();
  float* line = reinterpret_cast<float*>(worker.vision_scratch);
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    const PatchPlace& place = step.places[static_cast<size_t>(row)];
    const Between y = between(place.y, place.grid_height, side);
    const Between x = between(place.x, place.grid_width, side);
    float* out = worker.at(in.out[0], row);
    std::fill(out, out + in.n, 0.0f);
    for (int i = 0; i < 4; ++i) {
      const float share = y.shares[i / 2] * x.shares[i % 2];
      const int32_t corner = y.places[i / 2] * side + x.places[i % 2];
      matmul::lookup_row(table.spec.format, table.data, table.spec.rows, table.spec.cols, corner, line);
      for (int c = 0; c < in.n; ++c) out[c] += share * line[c];
    }
  }
}

}  // namespace cortex
