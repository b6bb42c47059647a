#include "uploader.h"

#include <algorithm>
#include <cstring>

#include "../weights/repack.h"
#include "cuda_check.h"

namespace cortex {

namespace {

// Large enough that a copy runs at the speed of the bus.
constexpr size_t part_bytes = size_t{16} << 20;

}  // namespace

Uploader::~Uploader() { static_cast<void>(finish()); }

Status Uploader::open(int device, size_t widest_row_bytes, size_t largest_tensor_bytes) {
  device_ = device;
  CORTEX_CUDA(cudaSetDevice(device), "opening the way for weights");
  CORTEX_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "opening the way for weights");
  const size_t bytes = std::max(widest_row_bytes, std::min(part_bytes, largest_tensor_bytes));
  for (int i = 0; i < ring; ++i) {
    CORTEX_CUDA(cudaEventCreateWithFlags(&done_[i], cudaEventDisableTiming), "opening the way for weights");
    if (Status status = host_[i].allocate(bytes, "upload buffer on the host"); !status.ok()) return status;
    if (Status status = raw_[i].allocate(device, bytes, "upload buffer"); !status.ok()) return status;
  }
  return {};
}

Status Uploader::upload(const Tensor& tensor, int first_row, int rows, const uint8_t* bytes) {
  CORTEX_CUDA(cudaSetDevice(device_), "sending weights");
  const size_t row_bytes = file_row_bytes(tensor.spec.format, tensor.spec.cols);
  const int most = static_cast<int>(std::max<size_t>(1, host_[0].size() / row_bytes));
  const int expert_rows = tensor.spec.is_vector() ? tensor.spec.rows : tensor.expert_rows();
  for (int row = first_row; row < first_row + rows;) {
    const int count = std::min({most, first_row + rows - row, expert_rows - row % expert_rows});
    Status status = send(tensor, row, count, bytes + static_cast<size_t>(row - first_row) * row_bytes, row_bytes);
    if (!status.ok()) return status;
    row += count;
  }
  return {};
}

Status Uploader::send(const Tensor& tensor, int first_row, int rows, const uint8_t* bytes, size_t row_bytes) {
  const int slot = next_;
  next_ = (next_ + 1) % ring;
  const size_t size = static_cast<size_t>(rows) * row_bytes;
  CORTEX_CUDA(cudaEventSynchronize(done_[slot]), "sending weights");
  std::memcpy(host_[slot].data(), bytes, size);
  if (tensor.spec.is_vector()) {
    uint8_t* to = tensor.data + static_cast<size_t>(first_row) * sizeof(float);
    CORTEX_CUDA(cudaMemcpyAsync(to, host_[slot].data(), size, cudaMemcpyHostToDevice, stream_), "sending weights");
  } else {
    const int expert_rows = tensor.expert_rows();
    uint8_t* matrix = tensor.data + static_cast<size_t>(first_row / expert_rows) * tensor.expert_bytes;
    CORTEX_CUDA(cudaMemcpyAsync(raw_[slot].data(), host_[slot].data(), size, cudaMemcpyHostToDevice, stream_), "sending weights");
    repack(stream_, tensor.spec.format, matrix, expert_rows, tensor.spec.cols, first_row % expert_rows, rows, raw_[slot].data());
    CORTEX_CUDA(cudaGetLastError(), "repacking weights");
  }
  CORTEX_CUDA(cudaEventRecord(done_[slot], stream_), "sending weights");
  return {};
}

Status Uploader::finish() {
  if (!stream_) return {};
  static_cast<void>(cudaSetDevice(device_));
  const cudaError_t error = cudaStreamSynchronize(stream_);
  for (int i = 0; i < ring; ++i) {
    if (done_[i]) static_cast<void>(cudaEventDestroy(done_[i]));
    done_[i] = nullptr;
    host_[i].release();
    raw_[i].release();
  }
  static_cast<void>(cudaStreamDestroy(stream_));
  stream_ = nullptr;
  CORTEX_CUDA(error, "repacking weights");
  return {};
}

}  // namespace cortex
