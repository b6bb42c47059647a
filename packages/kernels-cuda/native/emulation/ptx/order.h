// Twin of ptx/order.h. Streams run at once, so there is nothing to wait for: that a kernel waits is counted.
#pragma once

namespace cortex::ptx {

inline void wait_for_predecessor() { emulation::self().block->waited_for_predecessor(); }
inline void let_successor_start() {}
inline uint32_t load_acquire_system(const uint32_t* from) { return __atomic_load_n(from, __ATOMIC_ACQUIRE); }
inline void store_release_system(uint32_t* to, uint32_t value) { __atomic_store_n(to, value, __ATOMIC_RELEASE); }

}  // namespace cortex::ptx
