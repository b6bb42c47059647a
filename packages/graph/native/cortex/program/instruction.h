// One instruction, decoded and proven once at load: from here on nothing is checked again.
#pragma once

#include <cstdint>

#include "../generated/opcodes.h"

namespace cortex {

// One thread of a backend, which defines it.
struct Worker;
struct Instruction;

using OpFunction = void (*)(const Instruction& instruction, Worker& worker);
using FindOp = OpFunction (*)(Opcode op);

// A [rows, width] window of a rank's arena, in float32 elements.
struct Operand {
  int64_t offset = -1;
  int64_t stride = 0;

  bool present() const { return offset >= 0; }
  friend bool operator==(const Operand& a, const Operand& b) { return a.offset == b.offset && a.stride == b.stride; }
};

struct Instruction {
  Opcode op;
  // 0 rows, 1 sampled
  int symbol;
  int n;
  int k;
  Operand in[4];
  Operand out[3];
  int weights[5];
  int32_t params[8];
  // The rank's workers meet before it.
  bool barrier;
  // Place among the rank's instructions; names its work counter.
  int index;
  // Place among the rank's collectives, -1 for the others.
  int collective = -1;
  // Rotary table that it reads, -1 for none.
  int rope_table = -1;
  // Convolution kernel that it reads, -1 for none.
  int conv_kernel = -1;
  OpFunction run = nullptr;

  int param(int position) const { return params[position]; }
  float param_float(int position) const {
    float value;
    __builtin_memcpy(&value, &params[position], sizeof value);
    return value;
  }
};

}  // namespace cortex
