#include "device_thread.h"

#include <utility>

#include "thread_name.h"

namespace cortex {

DeviceThread::DeviceThread(std::string name) : name_(std::move(name)), thread_(&DeviceThread::loop, this) {}

DeviceThread::~DeviceThread() { stop(); }

bool DeviceThread::submit(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void DeviceThread::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  jobs_.clear();
}

void DeviceThread::loop() {
  name_thread(name_.c_str());
  for (;;) {
    std::function<void()> job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace cortex
