// How keys and values are stored.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cortex {

// Order known to src/native/native-spec.ts.
enum class KvFormat : int32_t { F32 = 0, F16 = 1, BF16 = 2 };

inline constexpr size_t kv_element_bytes(KvFormat format) { return format == KvFormat::F32 ? 4 : 2; }

}  // namespace cortex
