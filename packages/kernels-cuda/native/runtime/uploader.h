// Weights on their way to a device: a ring of pinned buffers on the host, one of raw rows on the device, a copy and a repacking
// kernel for each on a stream of their own. The host fills one buffer while the device works on the other.
#pragma once

#include <cuda_runtime.h>

#include "../device/weights.h"
#include "device_memory.h"

namespace cortex {

class Uploader {
 public:
  Uploader() = default;
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  // `row_bytes` of the widest tensor, and no more bytes at once than the largest has.
  Status open(int device, size_t widest_row_bytes, size_t largest_tensor_bytes);

  // Rows in the tensor's own format. The bytes may be reused when it returns; what goes wrong on the device later is told by
  // the next call, or by finish().
  Status upload(const Tensor& tensor, int first_row, int rows, const uint8_t* bytes);

  // Waits for all rows and gives the buffers back.
  Status finish();

 private:
  static constexpr int ring = 2;

  Status send(const Tensor& tensor, int first_row, int rows, const uint8_t* bytes, size_t row_bytes);

  int device_ = 0;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t done_[ring] = {};
  PinnedBlock host_[ring];
  DeviceBlock raw_[ring];
  int next_ = 0;
};

}  // namespace cortex
