#include <cstring>

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

}  // namespace

const MatmulIsa* matmul_isa(const char* name) {
  if (std::strcmp(name, "portable") == 0) return portable_isa();
  if (std::strcmp(name, "avx2") == 0) return avx2_if_there();
  if (std::strcmp(name, "avx512") == 0) return avx512_if_there();
  if (std::strcmp(name, "auto") != 0) return nullptr;
  const MatmulIsa* best = avx512_if_there();
  if (best == nullptr) best = avx2_if_there();
  return best != nullptr ? best : portable_isa();
}

size_t linear_scratch_bytes(Format format, int32_t cols, int32_t max_m) {
  int32_t rows = resident_rows(format, cols);
  if (max_m < rows) rows = max_m;
  // A swiglu of a dense and a quantised matrix gathers both forms of a row.
  const size_t gathered = input_row_bytes(Format::F32, cols) + quantised_row_bytes(cols);
  return work_bytes + 2 * sums_bytes(rows) + static_cast<size_t>(rows) * gathered;
}

}  // namespace cortex::matmul
