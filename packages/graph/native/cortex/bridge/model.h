// The native functions that load, fill, run and free models, the same for every backend; src/native/binding.ts has their types.
#pragma once

#include <napi.h>

#include <memory>

#include "../runtime/native_backend.h"
#include "device.h"

namespace cortex::bridge {

// createDevice(thread name): device
// closeDevice(device): Promise<null | failure>
// load(device, spec): Promise<{ handle, buffer, memory, threads } | failure>
// measure(spec): { memory } | failure
// upload(handle, rank, tensor, rowStart, bytes): Promise<null | failure>
// seal(handle): Promise<null | failure>
// step(handle): Promise<nanoseconds | failure>
// unload(handle): Promise<null | failure>
//
// The backend lives as long as the process.
void export_models(Napi::Env env, Napi::Object exports, NativeBackend& backend);

// The first argument of a function that works on a device.
std::shared_ptr<Device> device_of(const Napi::CallbackInfo& info);

}  // namespace cortex::bridge
