// The library as the shared bridge sees it.
#pragma once

#include <cortex/runtime/native_backend.h>

#include <string>

#include "../library/api.h"

namespace cortex::bridge {

// Opens a library for the life of the process; null and the reason where it cannot be used here.
const CortexCudaApi* open_library(const std::string& file, std::string& reason);

class CudaBackend : public NativeBackend {
 public:
  explicit CudaBackend(const CortexCudaApi* api) : api_(api) {}

  std::shared_ptr<uint8_t> allocate_step_buffer(size_t bytes, double& free_bytes) override;
  std::unique_ptr<NativeModel> load(LoadSpec spec, int32_t* step_words, Status& status) override;
  Status measure(LoadSpec spec, std::vector<RankMemory>& memory) override;

 private:
  const CortexCudaApi* api_;
};

}  // namespace cortex::bridge
