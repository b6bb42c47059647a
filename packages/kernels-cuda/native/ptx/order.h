// Order between kernels of a stream, and between devices.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#if defined(CORTEX_EMULATION)
#include "../emulation/ptx/order.h"
#else

namespace cortex::ptx {

// Until all that the stream's earlier kernels wrote is there. The first read of what another kernel writes, and the first
// write, come after it; weights and what the host wrote before the step may be read ahead.
__device__ __forceinline__ void wait_for_predecessor() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel's blocks may start as soon as there is room for them.
__device__ __forceinline__ void let_successor_start() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Flags that another device reads or writes.
__device__ __forceinline__ uint32_t load_acquire_system(const uint32_t* from) {
  uint32_t value;
  asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(value) : "l"(from) : "memory");
  return value;
}

__device__ __forceinline__ void store_release_system(uint32_t* to, uint32_t value) {
  asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory");
}

}  // namespace cortex::ptx
#endif
