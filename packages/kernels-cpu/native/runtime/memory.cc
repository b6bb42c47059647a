#include "memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace cortex {

namespace {

constexpr size_t huge_page = size_t{2} << 20;

// First number in a one-line file, or -1.
double read_number(const std::string& path) {
  FILE* file = std::fopen(path.c_str(), "r");
  if (!file) return -1;
  double value = -1;
  if (std::fscanf(file, "%lf", &value) != 1) value = -1;
  std::fclose(file);
  return value;
}

// Folder of this process's group in the unified hierarchy, or empty.
std::string cgroup_folder() {
  FILE* file = std::fopen("/proc/self/cgroup", "r");
  if (!file) return {};
  char line[4096];
  std::string folder;
  while (std::fgets(line, sizeof line, file)) {
    if (std::strncmp(line, "0::", 3) != 0) continue;
    folder = std::string("/sys/fs/cgroup") + (line + 3);
    while (!folder.empty() && (folder.back() == '\n' || folder.back() == '/')) folder.pop_back();
  }
  std::fclose(file);
  return folder;
}

}  // namespace

Block::~Block() { release(); }

Block::Block(Block&& other) noexcept { *this = std::move(other); }

Block& Block::operator=(Block&& other) noexcept {
  if (this == &other) return *this;
  release();
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  mapping_ = std::exchange(other.mapping_, nullptr);
  mapping_size_ = std::exchange(other.mapping_size_, 0);
  return *this;
}

bool Block::allocate(size_t bytes) {
  release();
  if (bytes == 0) return true;
  const bool huge = bytes >= huge_page;
  const size_t size = bytes + (huge ? huge_page : 0);
  if (size < bytes) return false;
  void* mapping = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return false;
  auto address = reinterpret_cast<uintptr_t>(mapping);
  if (huge) address = (address + huge_page - 1) & ~(huge_page - 1);
  mapping_ = mapping;
  mapping_size_ = size;
  data_ = reinterpret_cast<uint8_t*>(address);
  size_ = bytes;
#ifdef MADV_HUGEPAGE
  // Advice only: without huge pages the memory is the same, a few percent slower.
  if (huge) madvise(data_, size_, MADV_HUGEPAGE);
#endif
  return true;
}

void Block::release() {
  if (mapping_) munmap(mapping_, mapping_size_);
  data_ = nullptr;
  size_ = 0;
  mapping_ = nullptr;
  mapping_size_ = 0;
}

MachineMemory machine_memory() {
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  MachineMemory memory{};
  memory.total_bytes = page * static_cast<double>(sysconf(_SC_PHYS_PAGES));
  memory.free_bytes = memory.total_bytes;
#ifdef __linux__
  if (FILE* file = std::fopen("/proc/meminfo", "r")) {
    char line[256];
    double kilobytes = 0;
    while (std::fgets(line, sizeof line, file)) {
      if (std::sscanf(line, "MemAvailable: %lf kB", &kilobytes) == 1) memory.free_bytes = kilobytes * 1024;
    }
    std::fclose(file);
  }
  const std::string folder = cgroup_folder();
  if (!folder.empty()) {
    const double limit = read_number(folder + "/memory.max");
    const double used = read_number(folder + "/memory.current");
    if (limit > 0) {
      memory.total_bytes = std::min(memory.total_bytes, limit);
      if (used >= 0) memory.free_bytes = std::min(memory.free_bytes, std::max(0.0, limit - used));
    }
  }
#endif
  return memory;
}

}  // namespace cortex
