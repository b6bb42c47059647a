// Large zeroed blocks from the operating system, on huge pages where there are any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cortex {

// Owns one mapping; aligned to 2 MB from 2 MB up, to a page (at least 64 bytes) below.
class Block {
 public:
  Block() = default;
  ~Block();
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // False when the system refuses.
  bool allocate(size_t bytes);
  void release();

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_size_ = 0;
};

struct MachineMemory {
  double total_bytes;
  // What a new allocation may take: free memory, bounded by the cgroup's limit.
  double free_bytes;
};

MachineMemory machine_memory();

}  // namespace cortex
