// This backend as the shared bridge sees it.
#pragma once

#include <cortex/runtime/native_backend.h>

namespace cortex::bridge {

class CpuBackend : public NativeBackend {
 public:
  std::shared_ptr<uint8_t> allocate_step_buffer(size_t bytes, double& free_bytes) override;
  std::unique_ptr<NativeModel> load(LoadSpec spec, int32_t* step_words, Status& status) override;
  Status measure(LoadSpec spec, std::vector<RankMemory>& memory) override;
};

}  // namespace cortex::bridge
