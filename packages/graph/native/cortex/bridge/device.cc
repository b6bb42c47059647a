#include "device.h"

namespace cortex::bridge {

std::shared_ptr<Device> Device::create(Napi::Env env, std::string name) {
  auto device = std::make_shared<Device>(std::move(name));
  device->self_ = device;
  device->wake_ = Wake::New(env, "cortex device", 0, 1, device.get());
  // An idle device must not keep the process alive.
  device->wake_.Unref(env);
  // Added after the wake: hooks run in reverse order, so the thread ends before its wake does.
  napi_add_env_cleanup_hook(env, on_environment_exit, device.get());
  return device;
}

Napi::Promise Device::submit(Napi::Env env, std::unique_ptr<Job> job) {
  const Napi::Promise promise = job->deferred.Promise();
  if (closing_) {
    job->deferred.Resolve(failure_value(env, failure(Code::disposed, "the device")));
    return promise;
  }
  if (pending_++ == 0) wake_.Ref(env);
  Job* raw = job.release();
  thread_.submit([this, raw] {
    raw->status = raw->work();
    wake_.NonBlockingCall(raw);
  });
  return promise;
}

Napi::Promise Device::close(Napi::Env env) {
  auto job = std::make_unique<Job>(env);
  job->work = [] { return Status{}; };
  job->result = [this](Napi::Env environment) -> Napi::Value {
    retire(environment);
    return environment.Null();
  };
  const Napi::Promise promise = submit(env, std::move(job));
  closing_ = true;
  return promise;
}

void Device::settle(Napi::Env env, Napi::Function, Device* device, Job* raw) {
  std::unique_ptr<Job> job(raw);
  if (env == nullptr) {
    // The environment is ending: its references are gone already.
    for (auto& reference : job->keep) reference.SuppressDestruct();
    return;
  }
  if (--device->pending_ == 0) device->wake_.Unref(env);
  const Napi::HandleScope scope(env);
  if (!job->status.ok()) {
    job->deferred.Resolve(failure_value(env, job->status));
  } else {
    job->deferred.Resolve(job->result ? job->result(env) : env.Null());
  }
}

void Device::retire(Napi::Env env) {
  thread_.stop();
  wake_.Release();
  napi_remove_env_cleanup_hook(env, on_environment_exit, this);
  // The wake may still be on its way through this device's pointer; it is only dropped, never called again.
  self_.reset();
}

void Device::on_environment_exit(void* pointer) {
  auto* device = static_cast<Device*>(pointer);
  device->thread_.stop();
  device->self_.reset();
}

Napi::Value failure_value(Napi::Env env, const Status& status) {
  const Napi::Array array = Napi::Array::New(env, 5);
  array.Set(0u, Napi::Number::New(env, static_cast<int>(status.code)));
  array.Set(1u, Napi::Number::New(env, status.instruction));
  array.Set(2u, Napi::Number::New(env, status.want_bytes));
  array.Set(3u, Napi::Number::New(env, status.have_bytes));
  array.Set(4u, Napi::String::New(env, status.message));
  return array;
}

}  // namespace cortex::bridge
