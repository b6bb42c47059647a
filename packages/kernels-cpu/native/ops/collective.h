// How ranks meet: one process, one memory, so a collective reads the others' arenas between two meetings.
#pragma once

#include "partition.h"

namespace cortex {

// The same collective as another rank's program has it.
inline const Instruction& peer_instruction(const Instruction& in, const Rank& peer) {
  return peer.program.instructions[static_cast<size_t>(peer.program.collectives[static_cast<size_t>(in.collective)])];
}

inline float* row_of(const Rank& rank, const Operand& operand, int row) {
  return rank.arena + operand.offset + row * operand.stride;
}

}  // namespace cortex
