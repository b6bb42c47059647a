// Runs a rank's program on one of its workers; the others do the same at the same time.
#pragma once

#include "model.h"

namespace cortex {

void interpret(Worker& worker);

}  // namespace cortex
