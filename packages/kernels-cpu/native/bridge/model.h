// The native functions that load, fill, run and free one model.
#pragma once

#include <napi.h>

namespace cortex::bridge {

// createDevice(): device
Napi::Value create_device(const Napi::CallbackInfo& info);
// closeDevice(device): Promise<null | failure>
Napi::Value close_device(const Napi::CallbackInfo& info);
// load(device, spec): Promise<{ handle, buffer, memory } | failure>
Napi::Value load(const Napi::CallbackInfo& info);
// measure(spec): { memory } | failure
Napi::Value measure(const Napi::CallbackInfo& info);
// upload(handle, rank, tensor, rowStart, bytes): Promise<null | failure>
Napi::Value upload(const Napi::CallbackInfo& info);
// seal(handle): Promise<null | failure>
Napi::Value seal(const Napi::CallbackInfo& info);
// step(handle): Promise<nanoseconds | failure>
Napi::Value step(const Napi::CallbackInfo& info);
// unload(handle): Promise<null | failure>
Napi::Value unload(const Napi::CallbackInfo& info);
// readBandwidth(device, threads): Promise<bytes per second | failure>
Napi::Value read_bandwidth(const Napi::CallbackInfo& info);
// probe(): { parallelism, totalBytes, freeBytes, isas }
Napi::Value probe(const Napi::CallbackInfo& info);
// quantisedRowBytes(width): bytes
Napi::Value quantised_row_bytes(const Napi::CallbackInfo& info);

}  // namespace cortex::bridge
