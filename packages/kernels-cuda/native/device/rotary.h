// The turn of pairs (i, i + rotary_dim / 2) of a head by position * frequency[i]. The angle is rounded to float32, which is part
// of the definition.
#pragma once

#include "operand_view.h"

namespace cortex {

struct Rotary {
  const float* frequency;
  int half;
  float factor;
  int section_h;
  int section_w;
};

struct Turn {
  float cosine;
  float sine;
};

// Axis of pair i under interleaved sections: T H W T H W ..., H and W as long as theirs last, T for the rest.
__device__ __forceinline__ int axis_of(const Rotary& rotary, int pair) {
  if (pair % 3 == 1 && pair < 3 * rotary.section_h) return 1;
  if (pair % 3 == 2 && pair < 3 * rotary.section_w) return 2;
  return 0;
}

__device__ __forceinline__ Turn turn_by(float angle, float factor) {
  float sine;
  float cosine;
  sincosf(angle, &sine, &cosine);
  return {cosine * factor, sine * factor};
}

__device__ __forceinline__ Turn turn_of(const Rotary& rotary, const StepView& step, int row, int pair) {
  const int position = step.positions[axis_of(rotary, pair) * step.max_rows + row];
  return turn_by(__fmul_rn(static_cast<float>(position), rotary.frequency[pair]), rotary.factor);
}

// Elements that a head's turn moves together: a pair, or one that passes. `part` runs over [0, head_dim - half).
template <typename Read, typename Write>
__device__ __forceinline__ void rotate_part(const Rotary& rotary, const StepView& step, int row, int part, Read read, Write write) {
  if (part < rotary.half) {
    const Turn turn = turn_of(rotary, step, row, part);
    const float a = read(part);
    const float b = read(part + rotary.half);
    write(part, a * turn.cosine - b * turn.sine);
    write(part + rotary.half, b * turn.cosine + a * turn.sine);
  } else {
    write(part + rotary.half, read(part + rotary.half));
  }
}

}  // namespace cortex
