// The one thread that a device's loads, uploads, steps and frees run on, in the order they were submitted.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace cortex {

class DeviceThread {
 public:
  // Named for the tools of the operating system, such as `cpu-dev-0`.
  explicit DeviceThread(std::string name);
  ~DeviceThread();
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  // False once stop() was called: the job will not run.
  bool submit(std::function<void()> job);

  // `work` is called again and again while no job waits, until it answers false.
  bool submit_idle(std::function<bool()> work);

  // Lets the job that runs end, drops the others, joins. Safe to call twice; not from the thread itself.
  void stop();

 private:
  void loop();

  std::string name_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::deque<std::function<bool()>> idle_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cortex
