#include "rope_table.h"

#include <cmath>

#include "partition.h"

namespace cortex {

namespace {

// Axis of angle i under interleaved sections: T H W T H W ..., H and W as long as theirs last, T for the rest.
int axis_of(const RopeTableSpec& spec, int i) {
  if (i % 3 == 1 && i < 3 * spec.section_h) return 1;
  if (i % 3 == 2 && i < 3 * spec.section_w) return 2;
  return 0;
}

}  // namespace

void fill_rope_tables(Worker& worker) {
  const Step& step = worker.step();
  const int max_rows = step.limits().max_rows;
  const Range rows = split(step.rows, worker.index, worker.workers());
  for (const RopeTable& table : worker.rank->rope_tables) {
    const float* frequency = worker.rank->tensors[static_cast<size_t>(table.spec.tensor)].values();
    const int half = table.spec.rotary_dim / 2;
    for (int row = rows.begin; row < rows.end; ++row) {
      float* cosine = table.cosine + int64_t{row} * half;
      float* sine = table.sine + int64_t{row} * half;
      for (int i = 0; i < half; ++i) {
        const int position = step.positions[static_cast<size_t>(axis_of(table.spec, i) * max_rows + row)];
        const float angle = static_cast<float>(position) * frequency[i];
        cosine[i] = std::cos(angle) * table.spec.attention_factor;
        sine[i] = std::sin(angle) * table.spec.attention_factor;
      }
    }
  }
}

}  // namespace cortex
