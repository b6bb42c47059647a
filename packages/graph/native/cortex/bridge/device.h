// The device thread as JavaScript sees it: jobs go in, promises settle. One wake of the event loop per job.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../runtime/device_thread.h"
#include "../runtime/status.h"

namespace cortex::bridge {

// One promise. Made and settled on the JavaScript thread; `work` runs on the device thread between.
struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred deferred;
  std::function<Status()> work;
  // Value of the promise when the status is ok; absent: null.
  std::function<Napi::Value(Napi::Env)> result;
  // Kept alive until the promise settles.
  std::vector<Napi::ObjectReference> keep;
  Status status;
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  // Its thread has this name.
  static std::shared_ptr<Device> create(Napi::Env env, std::string name);

  explicit Device(std::string name) : thread_(std::move(name)) {}

  // The promise resolves to the job's result, or to a failure array.
  Napi::Promise submit(Napi::Env env, std::unique_ptr<Job> job);

  // Work for a device that nobody waits for (DeviceThread::submit_idle).
  void submit_idle(std::function<bool()> work) { thread_.submit_idle(std::move(work)); }

  // Ends the thread after the jobs before it; later jobs answer `disposed`.
  Napi::Promise close(Napi::Env env);

 private:
  static void settle(Napi::Env env, Napi::Function, Device* device, Job* job);
  static void on_environment_exit(void* device);

  using Wake = Napi::TypedThreadSafeFunction<Device, Job, &Device::settle>;

  void retire(Napi::Env env);

  DeviceThread thread_;
  Wake wake_;
  int pending_ = 0;
  bool closing_ = false;
  // Holds the device until it is closed or the environment ends, whatever the garbage collector does.
  std::shared_ptr<Device> self_;
};

// [code, instruction, wantBytes, haveBytes, message]
Napi::Value failure_value(Napi::Env env, const Status& status);

}  // namespace cortex::bridge
