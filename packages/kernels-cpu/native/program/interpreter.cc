#include "interpreter.h"

#include "../ops/rope_table.h"

namespace cortex {

void interpret(Worker& worker) {
  Rank& rank = *worker.rank;
  if (!rank.rope_tables.empty()) {
    fill_rope_tables(worker);
    worker.meet();
  }
  for (const Instruction& instruction : rank.program.instructions) {
    // A collective begins with a meeting of all ranks, which is one of this rank too.
    if (instruction.barrier && instruction.collective < 0) worker.meet();
    instruction.run(instruction, worker);
  }
}

}  // namespace cortex
