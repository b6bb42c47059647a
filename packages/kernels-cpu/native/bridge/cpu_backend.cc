#include "cpu_backend.h"

#include <utility>

#include "../program/model.h"
#include "../runtime/memory.h"

namespace cortex::bridge {

namespace {

Status model_spec(LoadSpec spec, ModelSpec& result) {
  static_cast<LoadSpec&>(result) = std::move(spec);
  const char* isa = result.LoadSpec::kernels.c_str();
  result.kernels = kernels_by_name(isa);
  result.matmul = matmul::matmul_isa(isa);
  if (result.kernels && result.matmul) return {};
  return failure(Code::program_invalid, "the instruction set is not available");
}

}  // namespace

std::shared_ptr<uint8_t> CpuBackend::allocate_step_buffer(size_t bytes, double& free_bytes) {
  free_bytes = machine_memory().free_bytes;
  auto block = std::make_shared<Block>();
  if (static_cast<double>(bytes) > free_bytes || !block->allocate(bytes)) return nullptr;
  return {block, block->data()};
}

std::unique_ptr<NativeModel> CpuBackend::load(LoadSpec spec, int32_t* step_words, Status& status) {
  ModelSpec own;
  status = model_spec(std::move(spec), own);
  return status.ok() ? Model::load(std::move(own), step_words, status) : nullptr;
}

Status CpuBackend::measure(LoadSpec spec, std::vector<RankMemory>& memory) {
  ModelSpec own;
  const Status status = model_spec(std::move(spec), own);
  return status.ok() ? Model::measure(std::move(own), memory) : status;
}

}  // namespace cortex::bridge
