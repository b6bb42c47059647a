// A file that several threads read at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace cortex {

class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  // Below 0 when it cannot be opened: errno says why.
  int descriptor() const { return descriptor_; }

  // Why it does not hold a range, else nothing.
  std::string lacks(int64_t offset, int64_t bytes) const;

  // Lets the system fetch a range that lies on a disk while what comes before it is worked on.
  void will_read(int64_t offset, int64_t bytes) const;

  // Fills `target` from `offset`; says why it cannot, else nothing.
  std::string read(uint8_t* target, size_t bytes, int64_t offset) const;

 private:
  bool seems_cached(int64_t offset, int64_t bytes) const;

  int descriptor_;
};

}  // namespace cortex
