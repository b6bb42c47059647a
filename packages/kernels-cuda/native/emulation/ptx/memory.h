// Twin of ptx/memory.h. An asynchronous copy arrives when its thread waits for it; until then its place is poison.
#pragma once

namespace cortex::ptx {

inline uint4 load16_once(const void* from) { return *static_cast<const uint4*>(from); }
inline void prefetch_l2(const void*) {}

inline void copy16_async(void* shared, const void* global, int bytes = 16) {
  emulation::copy_later(shared, global, static_cast<std::size_t>(bytes), static_cast<std::size_t>(16 - bytes));
}
inline void copies_commit() { emulation::commit_copies(); }
template <int left>
inline void copies_wait() { emulation::wait_copies(left); }

template <typename T>
inline T* dynamic_shared() { return reinterpret_cast<T*>(emulation::self().block->dynamic_shared()); }

}  // namespace cortex::ptx
