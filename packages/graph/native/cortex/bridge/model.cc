#include "model.h"

#include "device.h"
#include "read_spec.h"

namespace cortex::bridge {

namespace {

// A model with what it needs to outlive: its device, and the step buffer that JavaScript also holds.
struct LoadedModel {
  std::shared_ptr<Device> device;
  size_t buffer_bytes = 0;
  std::shared_ptr<uint8_t> buffer;
  // Declared last, freed first. Touched by the device thread alone, but for the last holder's delete.
  std::unique_ptr<NativeModel> model;
};

using DeviceHandle = Napi::External<std::shared_ptr<Device>>;
using ModelHandle = Napi::External<std::shared_ptr<LoadedModel>>;

template <typename T>
Napi::External<std::shared_ptr<T>> wrap(Napi::Env env, std::shared_ptr<T> value) {
  return Napi::External<std::shared_ptr<T>>::New(env, new std::shared_ptr<T>(std::move(value)),
                                                 [](Napi::BasicEnv, std::shared_ptr<T>* held) { delete held; });
}

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

NativeBackend& backend_of(const Napi::CallbackInfo& info) { return *static_cast<NativeBackend*>(info.Data()); }

// The spec's own checks come later; nothing here may overflow before them.
Status check_spec(const LoadSpec& spec) {
  constexpr int64_t most_words = int64_t{1} << 36;
  if (spec.step_words >= 1 && spec.step_words <= most_words) return {};
  return failure(Code::program_invalid, "the step buffer has no size");
}

Napi::Value describe(Napi::Env env, const std::shared_ptr<LoadedModel>& loaded) {
  const Napi::Object object = Napi::Object::New(env);
  auto* held = new std::shared_ptr<uint8_t>(loaded->buffer);
  object.Set("buffer", Napi::ArrayBuffer::New(env, loaded->buffer.get(), loaded->buffer_bytes,
                                              [](Napi::BasicEnv, void*, std::shared_ptr<uint8_t>* buffer) { delete buffer; }, held));
  object.Set("memory", describe_memory(env, loaded->model->rank_memory()));
  object.Set("threads", static_cast<double>(loaded->model->thread_count()));
  object.Set("readsFiles", loaded->model->reads_files());
  object.Set("handle", wrap(env, loaded));
  return object;
}

Napi::Value create_device(const Napi::CallbackInfo& info) {
  return wrap(info.Env(), Device::create(info.Env(), info[0].As<Napi::String>()));
}

Napi::Value close_device(const Napi::CallbackInfo& info) { return device_of(info)->close(info.Env()); }

Napi::Value load(const Napi::CallbackInfo& info) {
  auto loaded = std::make_shared<LoadedModel>();
  loaded->device = device_of(info);
  auto spec = std::make_shared<LoadSpec>(read_spec(info[1].As<Napi::Object>()));
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded, spec, backend = &backend_of(info)]() -> Status {
    Status status = check_spec(*spec);
    if (!status.ok()) return status;
    loaded->buffer_bytes = static_cast<size_t>(spec->step_words) * sizeof(int32_t);
    double free_bytes = 0;
    loaded->buffer = backend->allocate_step_buffer(loaded->buffer_bytes, free_bytes);
    if (!loaded->buffer) {
      status = failure(Code::out_of_memory, "step buffer");
      status.want_bytes = static_cast<double>(loaded->buffer_bytes);
      status.have_bytes = free_bytes;
      return status;
    }
    loaded->model = backend->load(std::move(*spec), reinterpret_cast<int32_t*>(loaded->buffer.get()), status);
    return status;
  };
  job->result = [loaded](Napi::Env env) { return describe(env, loaded); };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value measure(const Napi::CallbackInfo& info) {
  LoadSpec spec = read_spec(info[0].As<Napi::Object>());
  Status status = check_spec(spec);
  std::vector<RankMemory> memory;
  if (status.ok()) status = backend_of(info).measure(std::move(spec), memory);
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

Napi::Value upload_files(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  const auto names = info[1].As<Napi::Array>();
  auto files = std::make_shared<std::vector<std::string>>();
  for (uint32_t i = 0; i < names.Length(); ++i) files->push_back(names.Get(i).As<Napi::String>().Utf8Value());
  const auto numbers = info[2].As<Napi::Float64Array>();
  auto parts = std::make_shared<std::vector<FileRows>>();
  for (size_t i = 0; i + 6 <= numbers.ElementLength(); i += 6) {
    parts->push_back({static_cast<int>(numbers[i]), static_cast<int>(numbers[i + 1]), static_cast<int64_t>(numbers[i + 2]),
                      static_cast<int64_t>(numbers[i + 3]), static_cast<int>(numbers[i + 4]), static_cast<int64_t>(numbers[i + 5])});
  }
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded, files, parts] { return loaded->model ? loaded->model->upload_files(*files, *parts) : gone(); };
  return loaded->device->submit(info.Env(), std::move(job));
}

Napi::Value seal(const Napi::CallbackInfo& info) {
  const auto loaded = model_of(info);
  auto job = std::make_unique<Job>(info.Env());
  job->work = [loaded] {
    if (!loaded->model) return gone();
    const Status status = loaded->model->seal();
    if (status.ok()) loaded->device->submit_idle([loaded] { return loaded->model && loaded->model->idle_work(); });
    return status;
  };
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

}  // namespace

std::shared_ptr<Device> device_of(const Napi::CallbackInfo& info) { return *info[0].As<DeviceHandle>().Data(); }

void export_models(Napi::Env env, Napi::Object exports, NativeBackend& backend) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name, &backend));
  };
  add("createDevice", create_device);
  add("closeDevice", close_device);
  add("load", load);
  add("measure", measure);
  add("upload", upload);
  add("uploadFiles", upload_files);
  add("seal", seal);
  add("step", step);
  add("unload", unload);
}

}  // namespace cortex::bridge
