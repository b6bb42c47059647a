#include <cstring>

#include "kernels.h"

namespace cortex {

namespace portable_kernels {
const Kernels* table();
}
#if defined(__x86_64__)
namespace avx2_kernels {
const Kernels* table();
}
namespace avx512_kernels {
const Kernels* table();
}
#endif

const Kernels* kernels_by_name(const char* name) {
#if defined(__x86_64__)
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vnni");
  // The tile unit multiplies matrices: the rest of "amx" is that of "avx512".
  if (std::strcmp(name, "avx512") == 0 || std::strcmp(name, "amx") == 0) return avx512 ? avx512_kernels::table() : nullptr;
  if (std::strcmp(name, "avx2") == 0) return avx2 ? avx2_kernels::table() : nullptr;
#endif
  if (std::strcmp(name, "portable") == 0) return portable_kernels::table();
  return nullptr;
}

}  // namespace cortex
