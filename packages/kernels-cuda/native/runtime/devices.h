// The devices of this process: what they are, which are lost, and how many models each holds.
#pragma once

#include <cortex/runtime/status.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace cortex {

struct DeviceFacts {
  std::string name;
  double memory_bytes;
  // 80, 86, 89, 90, 100, 120
  int capability;
  int processors;
  // Shared memory that one block may ask for.
  size_t shared_bytes;
};

class Devices {
 public:
  // Those of the process.
  static Devices& instance();

  // Asked once; empty and a status where there are none.
  Status list(std::vector<DeviceFacts>& facts);
  double free_bytes(int device);

  // Counts a model in. Refuses a lost device as long as models of before are there; after the last of them its context is
  // made anew.
  Status enter(int device);
  void leave(int device);

  // From now on everything on the device answers `device_lost` with this reason.
  void lose(int device, const std::string& reason);
  // The reason, empty for a device that works.
  std::string lost(int device);

 private:
  struct Entry {
    DeviceFacts facts;
    int models = 0;
    std::string lost;
  };

  Status list_locked();

  std::mutex mutex_;
  bool listed_ = false;
  std::vector<Entry> entries_;
};

}  // namespace cortex
