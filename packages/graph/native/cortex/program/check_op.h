// What each op wants of its operands, weights and parameters.
#pragma once

#include "checker.h"

namespace cortex {

// Also gives the instruction its rotary table and its convolution kernel.
void check_op(Checker& check, Instruction& in, const ProgramSpec& program, const Limits& limits, DecodedProgram& decoded);

}  // namespace cortex
