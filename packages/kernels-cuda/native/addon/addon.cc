// Names to functions; @helexa/graph's src/native/binding.ts and src/binding.ts here have their types.
#include <napi.h>

#include <cortex/bridge/model.h>

#include <map>
#include <memory>
#include <mutex>

#include "cuda_library.h"

namespace {

namespace bridge = cortex::bridge;

struct Library {
  const CortexCudaApi* api;
  bridge::CudaBackend backend;
};

// Libraries stay open for the life of the process: models of every environment may outlive the one that opened them.
Library* library_of(const std::string& file, std::string& reason) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Library>> open;
  const std::lock_guard lock(mutex);
  auto& entry = open[file];
  if (entry) return entry.get();
  const CortexCudaApi* api = bridge::open_library(file, reason);
  if (api) entry = std::make_unique<Library>(Library{api, bridge::CudaBackend(api)});
  return entry.get();
}

const CortexCudaApi* api_of(const Napi::CallbackInfo& info) { return static_cast<const CortexCudaApi*>(info.Data()); }

// ops(): codes
Napi::Value ops(const Napi::CallbackInfo& info) {
  int32_t codes[256];
  const size_t count = api_of(info)->ops(codes, std::size(codes));
  const Napi::Array result = Napi::Array::New(info.Env());
  for (size_t i = 0; i < count; ++i) result.Set(static_cast<uint32_t>(i), codes[i]);
  return result;
}

// devices(): { name, memoryBytes, freeBytes, capability, processors }[] | failure
Napi::Value devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  CortexCudaDevice list[64];
  size_t count = 0;
  const CortexCudaStatus status = api_of(info)->devices(list, std::size(list), &count);
  if (status.code != 0) {
    return bridge::failure_value(env, cortex::failure(static_cast<cortex::Code>(status.code), status.message));
  }
  const Napi::Object result = Napi::Object::New(env);
  const Napi::Array entries = Napi::Array::New(env);
  for (size_t i = 0; i < std::min(count, std::size(list)); ++i) {
    const Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", list[i].name);
    entry.Set("memoryBytes", list[i].memory_bytes);
    entry.Set("freeBytes", list[i].free_bytes);
    entry.Set("capability", list[i].capability);
    entry.Set("processors", list[i].processors);
    entries.Set(static_cast<uint32_t>(i), entry);
  }
  result.Set("devices", entries);
  return result;
}

// control(command): what the emulated library answers
Napi::Value control(const Napi::CallbackInfo& info) {
  const std::string command = info[0].As<Napi::String>();
  return Napi::Number::New(info.Env(), api_of(info)->control(command.c_str()));
}

// open(file): the functions of a library, or why it cannot be used
Napi::Value open(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::string reason;
  Library* library = library_of(info[0].As<Napi::String>(), reason);
  if (!library) return Napi::String::New(env, reason);
  Napi::Object exports = Napi::Object::New(env);
  bridge::export_models(env, exports, library->backend);
  void* api = const_cast<CortexCudaApi*>(library->api);
  exports.Set("ops", Napi::Function::New(env, ops, "ops", api));
  exports.Set("devices", Napi::Function::New(env, devices, "devices", api));
  if (library->api->control) exports.Set("control", Napi::Function::New(env, control, "control", api));
  return exports;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  exports.Set("open", Napi::Function::New(env, open, "open"));
  return exports;
}

}  // namespace

NODE_API_MODULE(cortex_cuda, initialise)
