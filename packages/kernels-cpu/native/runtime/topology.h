// Which processors this process may use.
#pragma once

#include <vector>

namespace cortex {

struct Topology {
  // Processors of the affinity mask, in order; empty where the system has no such thing.
  std::vector<int> processors;
  // How many threads may run at once: the mask, bounded by the cgroup's processor quota. At least 1.
  int parallelism = 1;
};

Topology topology();

// Keeps the calling thread on one processor; where that is not possible the thread stays free, which is only slower.
void pin_thread(int processor);

}  // namespace cortex
