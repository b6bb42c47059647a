// What JavaScript asks of the machine and of the kernels, without a model.
#pragma once

#include <napi.h>

namespace cortex::bridge {

// readBandwidth(device, threads): Promise<bytes per second | failure>
Napi::Value read_bandwidth(const Napi::CallbackInfo& info);
// probe(): { parallelism, totalBytes, freeBytes, isas }
Napi::Value probe(const Napi::CallbackInfo& info);
// quantisedRowBytes(width): bytes
Napi::Value quantised_row_bytes(const Napi::CallbackInfo& info);

}  // namespace cortex::bridge
