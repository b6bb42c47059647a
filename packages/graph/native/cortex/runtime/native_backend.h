// What a backend's native code gives the bridge, which knows nothing else of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "../program/load_spec.h"
#include "status.h"

namespace cortex {

// Bytes that one rank takes.
struct RankMemory {
  double weight_bytes;
  double kv_bytes;
  double state_bytes;
  double activation_bytes;
};

// Rows of a tensor that lie one after another in a file, which is named by its place among others.
struct FileRows {
  int rank;
  int tensor;
  int64_t row_start;
  int64_t rows;
  int file;
  int64_t offset;
};

// One loaded model. The device thread alone calls it and ends it.
class NativeModel {
 public:
  virtual ~NativeModel() = default;

  virtual Status upload(int rank, int tensor, int64_t row_start, const uint8_t* bytes, size_t size) = 0;
  // Whether upload_files() is served.
  virtual bool reads_files() const { return false; }
  // Rows that lie in files; `names` begins with those of earlier calls. On failure file_invalid names the file by its place.
  virtual Status upload_files(const std::vector<std::string>&, const std::vector<FileRows>&) {
    return failure(Code::upload_invalid, "this device reads no files");
  }
  // A little of what can be done while nobody waits for the device; false when nothing is left. Called from seal() on.
  virtual bool idle_work() { return false; }
  // On failure `instruction` is the tensor and `want_bytes` the rank that lacks rows.
  virtual Status seal() = 0;
  virtual Status run_step(double& device_ns) = 0;
  virtual const std::vector<RankMemory>& rank_memory() const = 0;
  // Worker threads over all ranks.
  virtual int thread_count() const = 0;
};

class NativeBackend {
 public:
  virtual ~NativeBackend() = default;

  // Zeroed memory that a model and JavaScript share; null when there is none, and `free_bytes` says what there is.
  virtual std::shared_ptr<uint8_t> allocate_step_buffer(size_t bytes, double& free_bytes) = 0;
  // On the device thread. Null and a status when the spec is refused or memory does not suffice.
  virtual std::unique_ptr<NativeModel> load(LoadSpec spec, int32_t* step_words, Status& status) = 0;
  // What `load` would allocate for each rank, without allocating any of it; on any thread.
  virtual Status measure(LoadSpec spec, std::vector<RankMemory>& memory) = 0;
};

}  // namespace cortex
