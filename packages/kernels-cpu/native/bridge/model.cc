#include "model.h"

#include "../program/model.h"
#include "../runtime/memory.h"
#include "../runtime/read_bandwidth.h"
#include "../runtime/topology.h"
#include <cortex/bridge/device.h>
#include "read_spec.h"

namespace cortex::bridge {

namespace {

// A model with what it needs to outlive: its device, and the step buffer that JavaScript also holds.
struct LoadedModel {
  std::shared_ptr<Device> device;
  std::shared_ptr<Block> buffer;
  // Declared last, freed first. Touched by the device thread alone, but for the last holder's delete.
  std::unique_ptr<Model> model;
};

using DeviceHandle = Napi::External<std::shared_ptr<Device>>;
using ModelHandle = Napi::External<std::shared_ptr<LoadedModel>>;

template <typename T>
Napi::External<std::shared_ptr<T>> wrap(Napi::Env env, std::shared_ptr<T> value) {
  return Napi::External<std::shared_ptr<T>>::New(env, new std::shared_ptr<T>(std::move(value)),
                                                 [](Napi::BasicEnv, std::shared_ptr<T>* held) { delete held; });
}

std::shared_ptr<Device> device_of(const Napi::CallbackInfo& info) { return *info[0].As<DeviceHandle>().Data(); }

std::shared_ptr<LoadedModel> model_of(const Napi::CallbackInfo& info) { return *info[0].As<ModelHandle>().Data(); }

Status gone() { return failure(Code::disposed, "the model"); }

Napi::Array describe_memory(Napi::Env env, const std::vector<RankMemory>& ranks) {
  const Napi::Array memory = Napi::Array::New(env);
  for (const RankMemory& rank : ranks) {
    const Napi::Object entry = Napi::Object::New(env);
    entry.Set("weightBytes", rank.weight_bytes);
    entry.Set("kvBytes", rank.kv_bytes);
    entry.Set("stateBytes", rank.state_bytes);
    entry.Set("activationBytes", rank.activation_bytes);
    memory.Set(memory.Length(), entry);
  }
  return memory;
}

// Why a spec cannot be looked at before its own checks.
Status check_spec(const ModelSpec& spec) {
  // The spec's own checks come later; nothing here may overflow before them.
  constexpr int64_t most_words = int64_t{1} << 36;
  if (spec.step_words < 1 || spec.step_words > most_words) {
    return failure(Code::program_invalid, "the step buffer has no size");
  }
  if (!spec.kernels || !spec.matmul) return failure(Code::program_invalid, "the instruction set is not available");
  return {};
}

Napi::Value describe(Napi::Env env, const std::shared_ptr<LoadedModel>& loaded) {
  const Napi::Object object = Napi::Object::New(env);
  auto* held = new std::shared_ptr<Block>(loaded->buffer);
  object.Set("buffer", Napi::ArrayBuffer::New(env, loaded->buffer->data(), loaded->buffer->size(),
                                              [](Napi::BasicEnv, void*, std::shared_ptr<Block>* block) { delete block; }, held));
  object.Set("memory", describe_memory(env, loaded->model->memory));
  object.Set("threads", static_cast<double>(loaded->model->workers.size()));
  object.Set("handle", wrap(env, loaded));
  return object;
}

}  // namespace

Napi::Value create_device(const Napi::CallbackInfo& info) { return wrap(info.Env(), Device::create(info.Env(), "cpu-dev-0")); }

Napi::Value close_device(const Napi::CallbackInfo& info) { return device_of(info)->close(info.Env()); }

Napi::Value load(const Napi::CallbackInfo& info) {
  auto loaded = std::make_shared<LoadedModel>();
  loaded->device = device_of(info);
  auto spec = std::make_shared<ModelSpec>(read_spec(info[1].As<Napi::Object>()));
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded, spec]() -> Status {
    Status status = check_spec(*spec);
    if (!status.ok()) return status;
    loaded->buffer = std::make_shared<Block>();
    const size_t bytes = static_cast<size_t>(spec->step_words) * sizeof(int32_t);
    if (static_cast<double>(bytes) > machine_memory().free_bytes || !loaded->buffer->allocate(bytes)) {
      status = failure(Code::out_of_memory, "step buffer");
      status.want_bytes = static_cast<double>(bytes);
      status.have_bytes = machine_memory().free_bytes;
      return status;
    }
    loaded->model = Model::load(std::move(*spec), reinterpret_cast<int32_t*>(loaded->buffer->data()), status);
    return status;
  };
  job->result = [loaded](Napi::Env env) { return describe(env, loaded); };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value measure(const Napi::CallbackInfo& info) {
  ModelSpec spec = read_spec(info[0].As<Napi::Object>());
  Status status = check_spec(spec);
  std::vector<RankMemory> memory;
  if (status.ok()) status = Model::measure(std::move(spec), memory);
  if (!status.ok()) return failure_value(info.Env(), status);
  const Napi::Object object = Napi::Object::New(info.Env());
  object.Set("memory", describe_memory(info.Env(), memory));
  return object;
}

Napi::Value upload(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  const int rank = info[1].As<Napi::Number>().Int32Value();
  const int tensor = info[2].As<Napi::Number>().Int32Value();
  const int64_t row_start = info[3].As<Napi::Number>().Int64Value();
  const auto bytes = info[4].As<Napi::Uint8Array>();
  auto job = std::make_unique<Job>(info.Env());
  job->keep.push_back(Napi::Persistent(bytes.As<Napi::Object>()));
  job->work = [loaded, rank, tensor, row_start, data = bytes.Data(), size = bytes.ByteLength()] {
    return loaded->model ? loaded->model->upload(rank, tensor, row_start, data, size) : gone();
  };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value seal(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded] { return loaded->model ? loaded->model->seal() : gone(); };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value step(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  auto job = std::make_unique<Job>(info.Env());
  auto elapsed = std::make_shared<double>(0);
  job->work = [loaded, elapsed] { return loaded->model ? loaded->model->run_step(*elapsed) : gone(); };
  job->result = [elapsed](Napi::Env env) { return Napi::Number::New(env, *elapsed); };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value unload(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded] {
    loaded->model.reset();
    return Status{};
  };
  return loaded->device->submit(info.Env(), std::move(job));
}

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
  for (const char* name : {"avx512", "avx2", "portable"}) {
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
