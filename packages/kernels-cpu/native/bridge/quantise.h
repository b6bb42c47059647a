#pragma once

#include <napi.h>

namespace cortex::bridge {

// convertWeights(from, to, bytes): a promise of the converted bytes, made on Node's worker pool.
Napi::Value convert_weights(const Napi::CallbackInfo& info);

}  // namespace cortex::bridge
