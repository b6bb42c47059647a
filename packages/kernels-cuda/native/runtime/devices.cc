#include "devices.h"

#include <cuda_runtime.h>

#include "cuda_check.h"

namespace cortex {

Devices& Devices::instance() {
  static Devices devices;
  return devices;
}

Status Devices::list(std::vector<DeviceFacts>& facts) {
  const std::lock_guard lock(mutex_);
  const Status status = list_locked();
  facts.clear();
  for (const Entry& entry : entries_) facts.push_back(entry.facts);
  return status;
}

Status Devices::list_locked() {
  if (listed_) return {};
  int count = 0;
  CORTEX_CUDA(cudaGetDeviceCount(&count), "counting devices");
  std::vector<Entry> entries;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    CORTEX_CUDA(cudaGetDeviceProperties(&properties, i), "asking what a device is");
    Entry entry;
    entry.facts = {properties.name, static_cast<double>(properties.totalGlobalMem), properties.major * 10 + properties.minor,
                   properties.multiProcessorCount, properties.sharedMemPerBlockOptin};
    entries.push_back(entry);
  }
  entries_ = std::move(entries);
  listed_ = true;
  return {};
}

double Devices::free_bytes(int device) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  if (cudaSetDevice(device) != cudaSuccess || cudaMemGetInfo(&free_bytes, &total_bytes) != cudaSuccess) return 0;
  return static_cast<double>(free_bytes);
}

Status Devices::enter(int device) {
  const std::lock_guard lock(mutex_);
  if (Status status = list_locked(); !status.ok()) return status;
  if (device < 0 || device >= static_cast<int>(entries_.size())) {
    return failure(Code::program_invalid, format_text("device %d is wanted; there are %zu", device, entries_.size()));
  }
  Entry& entry = entries_[static_cast<size_t>(device)];
  if (!entry.lost.empty()) {
    if (entry.models > 0) return failure(Code::device_lost, entry.lost);
    CORTEX_CUDA(cudaSetDevice(device), "making a lost device anew");
    CORTEX_CUDA(cudaDeviceReset(), "making a lost device anew");
    entry.lost.clear();
  }
  ++entry.models;
  return {};
}

void Devices::leave(int device) {
  const std::lock_guard lock(mutex_);
  --entries_[static_cast<size_t>(device)].models;
}

void Devices::lose(int device, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[static_cast<size_t>(device)];
  if (entry.lost.empty()) entry.lost = reason;
}

std::string Devices::lost(int device) {
  const std::lock_guard lock(mutex_);
  return entries_[static_cast<size_t>(device)].lost;
}

}  // namespace cortex
