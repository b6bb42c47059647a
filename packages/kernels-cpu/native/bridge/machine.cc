#include "machine.h"

#include <cortex/bridge/model.h>

#include "../matmul/matmul.h"
#include "../runtime/memory.h"
#include "../runtime/read_bandwidth.h"
#include "../runtime/topology.h"
#include "../simd/kernels.h"

namespace cortex::bridge {

Napi::Value read_bandwidth(const Napi::CallbackInfo& info) {
  const auto device = device_of(info);
  const int threads = info[1].As<Napi::Number>().Int32Value();
  auto job = std::make_unique<Job>(info.Env());
  auto speed = std::make_shared<double>(0);
  job->work = [threads, speed] { return cortex::read_bandwidth(threads, *speed); };
  job->result = [speed](Napi::Env env) { return Napi::Number::New(env, *speed); };
  return device->submit(info.Env(), std::move(job));
}

Napi::Value probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object object = Napi::Object::New(env);
  const MachineMemory memory = machine_memory();
  object.Set("parallelism", topology().parallelism);
  object.Set("totalBytes", memory.total_bytes);
  object.Set("freeBytes", memory.free_bytes);
  const Napi::Array isas = Napi::Array::New(env);
  for (const char* name : {"amx", "avx512", "avx2", "portable"}) {
    if (kernels_by_name(name) && matmul::matmul_isa(name)) isas.Set(isas.Length(), name);
  }
  object.Set("isas", isas);
  return object;
}

Napi::Value quantised_row_bytes(const Napi::CallbackInfo& info) {
  const int width = info[0].As<Napi::Number>().Int32Value();
  return Napi::Number::New(info.Env(), width > 0 ? static_cast<double>(matmul::quantised_row_bytes(width)) : 0);
}

}  // namespace cortex::bridge
