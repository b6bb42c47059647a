// Memory that is taken once and given back with its owner.
#pragma once

#include <cortex/runtime/status.h>

#include <cstddef>
#include <cstdint>

namespace cortex {

// One allocation on a device.
class DeviceBlock {
 public:
  DeviceBlock() = default;
  ~DeviceBlock() { release(); }
  DeviceBlock(const DeviceBlock&) = delete;
  DeviceBlock& operator=(const DeviceBlock&) = delete;

  // `what` names it in a failure.
  Status allocate(int device, size_t bytes, const char* what);
  void release();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  int device_ = 0;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Memory of the host that devices copy from and to by themselves.
class PinnedBlock {
 public:
  PinnedBlock() = default;
  ~PinnedBlock() { release(); }
  PinnedBlock(const PinnedBlock&) = delete;
  PinnedBlock& operator=(const PinnedBlock&) = delete;

  Status allocate(size_t bytes, const char* what);
  void release();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

// Lays out one block: sizes first, addresses once the block is there.
class Layout {
 public:
  static constexpr size_t alignment = 256;

  size_t take(size_t bytes) {
    const size_t start = size_;
    size_ += (bytes + alignment - 1) / alignment * alignment;
    return start;
  }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
};

}  // namespace cortex
