// Weights that are still in files: where they lie, and how a product reads them there.
//
// The first step after a load reads what it needs strip by strip, packs it in cache and multiplies, so that no memory for
// the weights is taken before there is a token. Packing all of them comes after it.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include <cortex/program/spec.h>
#include <cortex/runtime/status.h>

#include "../matmul/matmul.h"
#include "../runtime/input_file.h"
#include "../runtime/memory.h"

namespace cortex {

// Rows of a tensor that lie one after another in a file.
struct FileSpan {
  const InputFile* file;
  int file_index;
  int row_start;
  int rows;
  int64_t offset;
};

// The first failure among the workers of one piece of work.
class FirstFailure {
 public:
  bool any() const { return failed_.load(std::memory_order_relaxed); }
  void set(int file, std::string reason) {
    if (!failed_.exchange(true)) status_ = failure(Code::file_invalid, std::move(reason), file);
  }
  // Only while no worker runs.
  Status take() {
    Status status = std::move(status_);
    status_ = {};
    failed_ = false;
    return status;
  }

 private:
  std::atomic<bool> failed_{false};
  Status status_;
};

// What one worker reads into and packs into: two places, since a gated product has two weights.
struct Staging {
  Block raw;
  Block packed[2];
};

// Strips that are staged at a time: few enough for the second-level cache.
int staged_strips(const TensorSpec& spec);

// Reads rows [row, row + count) of a tensor of these spans.
bool read_rows(const TensorSpec& spec, const std::vector<FileSpan>& spans, int row, int count, uint8_t* target, FirstFailure& problem);

// Packs strips [strip, strip + count) into `staging.packed[place]`; null and a failure when they cannot be read.
const uint8_t* stage_strips(const TensorSpec& spec, const std::vector<FileSpan>& spans, int strip, int count, Staging& staging,
                            int place, FirstFailure& problem);

// Staged strips as a matrix of their own.
inline matmul::Weights staged_weights(const TensorSpec& spec, int strip, int count, const uint8_t* data) {
  const int left = spec.rows - strip * matmul::strip_rows;
  return {spec.format, left < count * matmul::strip_rows ? left : count * matmul::strip_rows, spec.cols, data};
}

}  // namespace cortex
