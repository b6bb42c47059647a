// The only way to start a kernel. On capability 90 and later the kernel may begin while the one before it ends: it calls
// ptx::wait_for_predecessor() before it reads what that one wrote, and everything else it does before that overlaps.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "worker.h"

namespace cortex {

// Shared memory beyond what every kernel gets has to be asked for; once per kernel, remembered by the driver.
template <typename... Parameters>
inline void allow_shared(void (*kernel)(Parameters...), size_t bytes) {
  constexpr size_t everyone = 48 << 10;
  if (bytes > everyone) {
    cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  }
}

template <typename... Parameters, typename... Arguments>
inline void launch(Worker& worker, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments&&... arguments) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  allow_shared(kernel, shared_bytes);
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = worker.stream;
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = worker.capability >= 90 ? 1 : 0;
  // What it answers is kept by the driver as the last error, which the runtime asks for after every instruction.
  static_cast<void>(cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...));
}

}  // namespace cortex
