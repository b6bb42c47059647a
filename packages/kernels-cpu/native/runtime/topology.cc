#include "topology.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

namespace cortex {

namespace {

#ifdef __linux__
// Processors that the quota of the unified hierarchy is worth, over all levels of this process's group; 0: no quota.
double cgroup_processors() {
  FILE* file = std::fopen("/proc/self/cgroup", "r");
  if (!file) return 0;
  char line[4096];
  std::string path;
  while (std::fgets(line, sizeof line, file)) {
    if (std::strncmp(line, "0::", 3) == 0) path = line + 3;
  }
  std::fclose(file);
  while (!path.empty() && (path.back() == '\n' || path.back() == '/')) path.pop_back();
  double least = 0;
  for (;;) {
    double quota = 0;
    double period = 0;
    if (FILE* limit = std::fopen(("/sys/fs/cgroup" + path + "/cpu.max").c_str(), "r")) {
      if (std::fscanf(limit, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0) {
        least = least == 0 ? quota / period : std::min(least, quota / period);
      }
      std::fclose(limit);
    }
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return least;
    path.resize(slash);
  }
}
#endif

}  // namespace

Topology topology() {
  Topology result;
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
    for (int i = 0; i < CPU_SETSIZE; ++i) {
      if (CPU_ISSET(i, &mask)) result.processors.push_back(i);
    }
  }
  result.parallelism = static_cast<int>(result.processors.size());
  const double quota = cgroup_processors();
  if (quota > 0) result.parallelism = std::min(result.parallelism, std::max(1, static_cast<int>(quota)));
#else
  result.parallelism = static_cast<int>(std::thread::hardware_concurrency());
#endif
  result.parallelism = std::max(1, result.parallelism);
  return result;
}

void pin_thread(int processor) {
#ifdef __linux__
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(processor, &mask);
  pthread_setaffinity_np(pthread_self(), sizeof mask, &mask);
#else
  static_cast<void>(processor);
#endif
}

}  // namespace cortex
