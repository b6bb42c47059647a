// Stands for NVIDIA's header of this name where kernels are compiled by a plain C++ compiler: device code becomes code of
// fibers (block.h), streams run at once, captured graphs are closures that are run again. Same names, same numbers of
// errors; only what this backend uses. A test instrument, not a device.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "block.h"

#define CORTEX_EMULATION 1

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define CORTEX_VECTOR(element, name, bytes)                                                                            \
  struct alignas(2 * bytes) name##2 { element x, y; };                                                                  \
  struct name##3 { element x, y, z; };                                                                                  \
  struct alignas(4 * bytes > 16 ? 16 : 4 * bytes) name##4 { element x, y, z, w; };                                      \
  inline name##2 make_##name##2(element x, element y) { return {x, y}; }                                                \
  inline name##3 make_##name##3(element x, element y, element z) { return {x, y, z}; }                                  \
  inline name##4 make_##name##4(element x, element y, element z, element w) { return {x, y, z, w}; }
CORTEX_VECTOR(float, float, 4)
CORTEX_VECTOR(int, int, 4)
CORTEX_VECTOR(unsigned, uint, 4)
CORTEX_VECTOR(short, short, 2)
CORTEX_VECTOR(unsigned short, ushort, 2)
CORTEX_VECTOR(signed char, char, 1)
CORTEX_VECTOR(unsigned char, uchar, 1)
#undef CORTEX_VECTOR

// Of the thread that runs: see block.cc.
using cortex::emulation::blockDim;
using cortex::emulation::blockIdx;
using cortex::emulation::gridDim;
using cortex::emulation::threadIdx;
inline constexpr int warpSize = 32;

// Where a thread met others: the line that called.
#define CORTEX_HERE \
  ::cortex::emulation::Place { file, line }
#define CORTEX_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CORTEX_CALLER) { cortex::emulation::self().block->meet_block(0, CORTEX_HERE); }
inline int __syncthreads_or(int predicate, CORTEX_CALLER) {
  return cortex::emulation::self().block->meet_block(predicate, CORTEX_HERE).set != 0;
}
inline int __syncthreads_and(int predicate, CORTEX_CALLER) {
  const auto votes = cortex::emulation::self().block->meet_block(predicate, CORTEX_HERE);
  return votes.set == votes.threads;
}
inline int __syncthreads_count(int predicate, CORTEX_CALLER) {
  return cortex::emulation::self().block->meet_block(predicate, CORTEX_HERE).set;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, CORTEX_CALLER) {
  cortex::emulation::self().block->meet_warp(nullptr, mask, nullptr, CORTEX_HERE);
}

namespace cortex::emulation {

template <typename T>
struct Exchange {
  T value;
  int source;
  T result;
};

template <typename T>
void exchange(void* const* operands, unsigned mask) {
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) == 0) continue;
    auto& mine = *static_cast<Exchange<T>*>(operands[lane]);
    const void* other = operands[mine.source];
    // What an absent lane holds is undefined.
    if (other != nullptr) mine.result = static_cast<const Exchange<T>*>(other)->value;
    else std::memset(&mine.result, 0xff, sizeof mine.result);
  }
}

template <typename T>
T shuffle(unsigned mask, T value, int source, Place place) {
  Exchange<T> mine{value, source, value};
  self().block->meet_warp(exchange<T>, mask, &mine, place);
  return mine.result;
}

struct Vote {
  int predicate;
  unsigned set;
  unsigned present;
};

inline void vote(void* const* operands, unsigned mask) {
  unsigned set = 0;
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1) && static_cast<const Vote*>(operands[lane])->predicate != 0) set |= 1u << lane;
  }
  for (int lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1) static_cast<Vote*>(operands[lane])->set = set, static_cast<Vote*>(operands[lane])->present = mask;
  }
}

inline Vote ballot(unsigned mask, int predicate, Place place) {
  Vote mine{predicate, 0, 0};
  self().block->meet_warp(vote, mask, &mine, place);
  return mine;
}

}  // namespace cortex::emulation

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, CORTEX_CALLER) {
  const int lane = cortex::emulation::self().lane;
  return cortex::emulation::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), CORTEX_HERE);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, CORTEX_CALLER) {
  const int lane = cortex::emulation::self().lane;
  const int other = lane ^ lanes;
  return cortex::emulation::shuffle(mask, value, other / width > lane / width ? lane : other, CORTEX_HERE);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned lanes, int width = 32, CORTEX_CALLER) {
  const int lane = cortex::emulation::self().lane;
  const int other = lane + static_cast<int>(lanes);
  return cortex::emulation::shuffle(mask, value, other / width == lane / width ? other : lane, CORTEX_HERE);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned lanes, int width = 32, CORTEX_CALLER) {
  const int lane = cortex::emulation::self().lane;
  const int other = lane - static_cast<int>(lanes);
  return cortex::emulation::shuffle(mask, value, other >= (lane & ~(width - 1)) ? other : lane, CORTEX_HERE);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, CORTEX_CALLER) {
  return cortex::emulation::ballot(mask, predicate, CORTEX_HERE).set;
}
inline int __any_sync(unsigned mask, int predicate, CORTEX_CALLER) {
  return cortex::emulation::ballot(mask, predicate, CORTEX_HERE).set != 0;
}
inline int __all_sync(unsigned mask, int predicate, CORTEX_CALLER) {
  const auto vote = cortex::emulation::ballot(mask, predicate, CORTEX_HERE);
  return vote.set == vote.present;
}
inline unsigned __activemask() = delete;

// Arithmetic. Approximations of the device are exact here.
using std::isinf;
using std::isnan;
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __sinf(float x) { return std::sin(x); }
inline float __cosf(float x) { return std::cos(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float exp10f(float x) { return std::pow(10.0f, x); }
inline int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __brev(unsigned x) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i) result |= (x >> i & 1) << (31 - i);
  return result;
}
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>(std::uint64_t{x} * y >> 32); }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const std::uint64_t bytes = std::uint64_t{y} << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned choice = selector >> (4 * i) & 15;
    const unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7))) & 0xff;
    result |= ((choice & 8) ? ((byte & 0x80) ? 0xffu : 0u) : byte) << (8 * i);
  }
  return result;
}
inline unsigned __vsub4(unsigned x, unsigned y) {
  unsigned result = 0;
  for (int i = 0; i < 32; i += 8) result |= (((x >> i) - (y >> i)) & 0xff) << i;
  return result;
}
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return c;
}
inline float __saturatef(float x) { return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x; }

#define CORTEX_LEAST(type)                                     \
  inline type min(type a, type b) { return b < a ? b : a; }    \
  inline type max(type a, type b) { return a < b ? b : a; }
CORTEX_LEAST(int)
CORTEX_LEAST(unsigned)
CORTEX_LEAST(long)
CORTEX_LEAST(unsigned long)
CORTEX_LEAST(long long)
CORTEX_LEAST(unsigned long long)
#undef CORTEX_LEAST
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
inline double min(double a, double b) { return std::fmin(a, b); }
inline double max(double a, double b) { return std::fmax(a, b); }

template <typename T>
T __ldg(const T* from) { return *from; }
template <typename T>
T __ldcg(const T* from) { return *from; }
template <typename T>
T __ldcs(const T* from) { return *from; }
template <typename T>
void __stcg(T* to, T value) { *to = value; }
template <typename T>
void __stcs(T* to, T value) { *to = value; }

// Ranks are threads of the host: atomics are real.
template <typename T>
T atomicCAS(T* at, T expected, T wanted) {
  __atomic_compare_exchange_n(at, &expected, wanted, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
template <typename T>
T atomicExch(T* at, T value) {
  T old;
  __atomic_exchange(at, &value, &old, __ATOMIC_SEQ_CST);
  return old;
}
template <typename T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "sums of floats have a fixed order: results may not vary from run to run");
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
template <typename T>
T atomicSub(T* at, std::type_identity_t<T> value) { return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST); }
template <typename T>
T atomicOr(T* at, std::type_identity_t<T> value) { return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); }
template <typename T>
T atomicAnd(T* at, std::type_identity_t<T> value) { return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); }
template <typename T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  T old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
  while (old < value && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
  return old;
}
template <typename T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  T old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
  while (value < old && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
  return old;
}
inline unsigned atomicInc(unsigned* at, unsigned last) {
  unsigned old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
  while (!__atomic_compare_exchange_n(at, &old, old >= last ? 0 : old + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
  return old;
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __nanosleep(unsigned) {}

#include "runtime_api.h"
