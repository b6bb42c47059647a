#include "read_bandwidth.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "memory.h"
#include "team.h"
#include "topology.h"

namespace cortex {

namespace {

constexpr size_t line = 64;
constexpr size_t prefetch_ahead = 3072;
constexpr size_t buffer_bytes = size_t{1} << 29;
constexpr int passes = 5;

typedef uint64_t Lanes __attribute__((vector_size(line)));

struct Probe {
  Block block;
  int threads;
  // Kept, so that no read can be left out.
  Lanes sums[64];
};

uint8_t* part_of(const Probe& probe, int worker, size_t& bytes) {
  bytes = probe.block.size() / static_cast<size_t>(probe.threads) / (4 * line) * (4 * line);
  return probe.block.data() + static_cast<size_t>(worker) * bytes;
}

void touch(void* argument, int worker) {
  size_t bytes;
  uint8_t* part = part_of(*static_cast<Probe*>(argument), worker, bytes);
  std::memset(part, worker + 1, bytes);
}

// Four independent sums: loads and not additions are the limit.
void read(void* argument, int worker) {
  Probe& probe = *static_cast<Probe*>(argument);
  size_t bytes;
  const uint8_t* part = part_of(probe, worker, bytes);
  Lanes sums[4] = {};
  for (size_t at = 0; at < bytes; at += 4 * line) {
    for (size_t i = 0; i < 4; ++i) {
      __builtin_prefetch(part + at + i * line + prefetch_ahead);
      Lanes lanes;
      std::memcpy(&lanes, part + at + i * line, line);
      sums[i] += lanes;
    }
  }
  probe.sums[worker] = sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace

Status read_bandwidth(int threads, double& bytes_per_second) {
  Probe probe;
  probe.threads = std::clamp(threads > 0 ? threads : topology().parallelism, 1, 64);
  if (!probe.block.allocate(buffer_bytes)) {
    Status status = failure(Code::out_of_memory, "bandwidth probe");
    status.want_bytes = static_cast<double>(buffer_bytes);
    status.have_bytes = machine_memory().free_bytes;
    return status;
  }
  Team team(probe.threads);
  team.run(touch, &probe);
  bytes_per_second = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const auto begun = std::chrono::steady_clock::now();
    team.run(read, &probe);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    size_t bytes;
    part_of(probe, 0, bytes);
    bytes_per_second =
        std::max(bytes_per_second, static_cast<double>(bytes) * static_cast<double>(probe.threads) / took.count());
  }
  return Status{};
}

}  // namespace cortex
