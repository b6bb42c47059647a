// What a test may set and ask of the emulated devices.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda_runtime.h"

namespace cortex::emulation {

struct Settings {
  int devices = 1;
  int capability = 90;
  int processors = 4;
  std::size_t memory_bytes = std::size_t{4} << 30;
  // Begins the random order of threads.
  std::uint64_t seed = 1;
};

// Applies to what is called from now on; errors that stuck are forgotten.
void configure(const Settings& settings);
const Settings& settings();

// The `after`-th next call of the runtime function of that name (1: the very next) answers with the error instead of doing
// anything; errors that stick on a real device stick here. Launches are "cudaLaunchKernelEx".
void fail_call(const std::string& function, int after, cudaError_t error);
void forget_failures();

// Bytes that cudaMalloc gave out on a device and that were not freed, and their highest sum.
std::size_t allocated_bytes(int device);
std::size_t peak_bytes(int device);

// What the last kernel that went wrong did, else empty.
std::string last_failure();

}  // namespace cortex::emulation
