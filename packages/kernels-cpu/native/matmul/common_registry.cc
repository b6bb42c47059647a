#include <cstring>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "common_driver.h"

namespace cortex::matmul {
namespace {

const MatmulIsa* avx2_if_there() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    return avx2_isa();
  }
#endif
  return nullptr;
}

const MatmulIsa* avx512_if_there() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni")) {
    return avx512_isa();
  }
#endif
  return nullptr;
}

// The tile unit's registers are large: Linux saves them only for processes that asked.
const MatmulIsa* amx_if_there() {
#if defined(__x86_64__) && defined(__linux__)
  constexpr unsigned bfloat_tiles = 1u << 22 | 1u << 24;
  constexpr long request_state = 0x1023;
  constexpr long tile_data = 18;
  unsigned a, b, c, d;
  if (avx512_if_there() == nullptr || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return nullptr;
  if ((d & bfloat_tiles) != bfloat_tiles || syscall(SYS_arch_prctl, request_state, tile_data) != 0) return nullptr;
  return amx_isa();
#else
  return nullptr;
#endif
}

}  // namespace

const MatmulIsa* matmul_isa(const char* name) {
  if (std::strcmp(name, "portable") == 0) return portable_isa();
  if (std::strcmp(name, "avx2") == 0) return avx2_if_there();
  if (std::strcmp(name, "avx512") == 0) return avx512_if_there();
  if (std::strcmp(name, "amx") == 0) return amx_if_there();
  if (std::strcmp(name, "auto") != 0) return nullptr;
  const MatmulIsa* best = amx_if_there();
  if (best == nullptr) best = avx512_if_there();
  if (best == nullptr) best = avx2_if_there();
  return best != nullptr ? best : portable_isa();
}

size_t linear_scratch_bytes(const MatmulIsa& isa, Format format, int32_t cols, int32_t max_m) {
  int32_t rows = resident_rows(format, cols, isa.splits(format));
  if (max_m < rows) rows = max_m;
  // A swiglu of two formats gathers two forms of a row.
  const size_t split = isa.split_rows == nullptr ? 0 : split_row_bytes(cols);
  const size_t gathered = dense_row_bytes(cols) + quantised_row_bytes(cols) + split;
  return work_bytes + 2 * sums_bytes(rows) + static_cast<size_t>(rows) * gathered;
}

}  // namespace cortex::matmul
