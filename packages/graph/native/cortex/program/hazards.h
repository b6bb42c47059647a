// Proof that no worker reads what another may still be writing: between two barriers no instruction touches what an
// earlier one wrote or writes what an earlier one read, and no op overlaps its own operands in a way it cannot bear.
#pragma once

#include <vector>

#include "../runtime/status.h"
#include "instruction.h"
#include "spec.h"

namespace cortex {

// Also sets `barrier` where two instructions would share the rank's scratch, which a program cannot know of.
Status check_hazards(const ProgramSpec& program, const Limits& limits, std::vector<Instruction>& instructions);

}  // namespace cortex
