#include "device_memory.h"

#include <cuda_runtime.h>

#include <utility>

#include "cuda_check.h"

namespace cortex {

Status DeviceBlock::allocate(int device, size_t bytes, const char* what) {
  release();
  if (bytes == 0) return {};
  CORTEX_CUDA(cudaSetDevice(device), what);
  void* data = nullptr;
  if (const cudaError_t error = cudaMalloc(&data, bytes); error != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    Status status = cuda_status(error, what);
    if (status.code == Code::out_of_memory) {
      size_t free_bytes = 0;
      size_t total_bytes = 0;
      static_cast<void>(cudaMemGetInfo(&free_bytes, &total_bytes));
      status.want_bytes = static_cast<double>(bytes);
      status.have_bytes = static_cast<double>(free_bytes);
    }
    return status;
  }
  device_ = device;
  data_ = static_cast<uint8_t*>(data);
  size_ = bytes;
  return {};
}

// A lost device refuses to free: its memory went with its context.
void DeviceBlock::release() {
  if (data_ && cudaSetDevice(device_) == cudaSuccess) static_cast<void>(cudaFree(data_));
  data_ = nullptr;
  size_ = 0;
}

Status PinnedBlock::allocate(size_t bytes, const char* what) {
  release();
  if (bytes == 0) return {};
  void* data = nullptr;
  CORTEX_CUDA(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), what);
  data_ = static_cast<uint8_t*>(data);
  size_ = bytes;
  return {};
}

void PinnedBlock::release() {
  if (data_) static_cast<void>(cudaFreeHost(data_));
  data_ = nullptr;
  size_ = 0;
}

}  // namespace cortex
