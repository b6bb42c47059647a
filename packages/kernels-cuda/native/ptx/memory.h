// Loads that pass a cache by, copies to shared memory that run beside the threads, and a block's dynamic shared memory.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#if defined(CORTEX_EMULATION)
#include "../emulation/ptx/memory.h"
#else

namespace cortex::ptx {

// 16 bytes of read-only memory that this block reads once.
__device__ __forceinline__ uint4 load16_once(const void* from) {
  uint4 value;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(from));
  return value;
}

__device__ __forceinline__ void prefetch_l2(const void* from) { asm volatile("prefetch.global.L2 [%0];" ::"l"(from)); }

__device__ __forceinline__ uint32_t shared_address(const void* at) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(at));
}

// 16 bytes from global to shared memory; only the first `bytes` of them are read, the others become zero.
__device__ __forceinline__ void copy16_async(void* shared, const void* global, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes) : "memory");
}

__device__ __forceinline__ void copies_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Until at most `left` of this thread's latest groups are under way.
template <int left>
__device__ __forceinline__ void copies_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

template <typename T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char cortex_dynamic_shared[];
  return reinterpret_cast<T*>(cortex_dynamic_shared);
}

}  // namespace cortex::ptx
#endif
