#include "input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <cortex/runtime/status.h>

namespace cortex {

InputFile::InputFile(const std::string& path) : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

InputFile::~InputFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

std::string InputFile::lacks(int64_t offset, int64_t bytes) const {
  struct stat found;
  if (fstat(descriptor_, &found) != 0) return format_text("its size is not known (%s)", std::strerror(errno));
  if (offset >= 0 && bytes >= 0 && offset <= found.st_size && bytes <= found.st_size - offset) return {};
  return format_text("it ends at byte %lld; its header promised more", static_cast<long long>(found.st_size));
}

// Whether a few bytes of a range can be had without waiting for a disk; false where the system does not tell.
bool InputFile::seems_cached(int64_t offset, int64_t bytes) const {
#ifdef RWF_NOWAIT
  for (const int64_t place : {int64_t{0}, bytes / 2, bytes - 1}) {
    uint8_t byte;
    const iovec target{&byte, 1};
    if (preadv2(descriptor_, &target, 1, offset + place, RWF_NOWAIT) != 1) return false;
  }
  return true;
#else
  (void)offset;
  (void)bytes;
  return false;
#endif
}

void InputFile::will_read(int64_t offset, int64_t bytes) const {
#ifdef POSIX_FADV_WILLNEED
  // The system looks at every page that it is asked for, which takes longer than reading what it already has.
  if (bytes < 1 || seems_cached(offset, bytes)) return;
  posix_fadvise(descriptor_, offset, bytes, POSIX_FADV_WILLNEED);
#else
  (void)offset;
  (void)bytes;
#endif
}

std::string InputFile::read(uint8_t* target, size_t bytes, int64_t offset) const {
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_, target, bytes, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return format_text("it cannot be read at byte %lld (%s)", static_cast<long long>(offset), std::strerror(errno));
    if (got == 0) return format_text("it ends at byte %lld; its header promised more", static_cast<long long>(offset));
    target += got;
    bytes -= static_cast<size_t>(got);
    offset += got;
  }
  return {};
}

}  // namespace cortex
