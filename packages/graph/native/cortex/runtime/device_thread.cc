#include "device_thread.h"

#include <chrono>
#include <utility>

#include "thread_name.h"

namespace cortex {

namespace {
constexpr auto grace = std::chrono::milliseconds(25);
}

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

bool DeviceThread::submit_idle(std::function<bool()> work) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return false;
    idle_.push_back(std::move(work));
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
  idle_.clear();
}

void DeviceThread::loop() {
  name_thread(name_.c_str());
  std::unique_lock lock(mutex_);
  const auto has_job = [this] { return stopping_ || !jobs_.empty(); };
  for (bool was_idle = false;;) {
    wake_.wait(lock, [&] { return has_job() || !idle_.empty(); });
    // What follows a job at once finds the device, and its processors, free.
    if (!was_idle && jobs_.empty()) wake_.wait_for(lock, grace, has_job);
    if (stopping_) return;
    was_idle = jobs_.empty();
    if (was_idle) {
      std::function<bool()> work = std::move(idle_.front());
      idle_.pop_front();
      lock.unlock();
      if (!work()) work = nullptr;
      lock.lock();
      if (work) idle_.push_back(std::move(work));
    } else {
      std::function<void()> job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      // What it holds may end with it, and not while others wait for this queue.
      job = nullptr;
      lock.lock();
    }
  }
}

}  // namespace cortex
