// The table of functions over the runtime: plain C outside, models inside. No exception crosses it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <new>
#include <vector>

#include "../ops/ops.h"
#include "../runtime/model.h"
#include "api.h"
#include "control.h"

struct CortexCudaModel {
  std::unique_ptr<cortex::Model> model;
};

namespace {

using namespace cortex;

CortexCudaStatus answer(const Status& status) {
  CortexCudaStatus result{static_cast<int32_t>(status.code), status.instruction, status.want_bytes, status.have_bytes, {}};
  std::snprintf(result.message, sizeof result.message, "%s", status.message.c_str());
  return result;
}

// What runs out of memory on the host answers so.
template <typename Work>
CortexCudaStatus guarded(Work work) {
  try {
    return answer(work());
  } catch (const std::bad_alloc&) {
    return answer(failure(Code::out_of_memory, "memory of the host"));
  }
}

LoadSpec load_spec(const CortexCudaSpec& given) {
  LoadSpec spec{};
  for (size_t i = 0; i < given.program_count; ++i) {
    const CortexCudaProgram& from = given.programs[i];
    ProgramSpec program{};
    program.rank = from.rank;
    program.words.assign(from.words, from.words + from.word_count);
    for (size_t t = 0; t < from.tensor_count; ++t) {
      const int32_t* tensor = from.tensors + 4 * t;
      program.tensors.push_back({static_cast<matmul::Format>(tensor[0]), tensor[1], tensor[2], tensor[3] != 0});
    }
    for (size_t t = 0; t < from.kv_count; ++t) program.kv.push_back({from.kv[2 * t], from.kv[2 * t + 1]});
    for (size_t t = 0; t < from.state_count; ++t) program.state.push_back({from.state[2 * t], from.state[2 * t + 1]});
    program.arena_elements = from.arena_elements;
    program.vocab = from.vocab;
    spec.programs.push_back(std::move(program));
    spec.devices.push_back(given.devices[i]);
  }
  const int32_t* l = given.limits;
  spec.limits = {l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7], l[8] != 0, l[9], l[10], l[11], l[12], l[13]};
  static_assert(sizeof(StepOffsets) == step_offset_count * sizeof(int64_t));
  __builtin_memcpy(&spec.offsets, given.offsets, sizeof spec.offsets);
  spec.step_words = given.step_words;
  spec.kv_format = static_cast<KvFormat>(given.kv_format);
  return spec;
}

void report(const std::vector<RankMemory>& ranks, CortexCudaMemory* memory) {
  for (const RankMemory& rank : ranks) *memory++ = {rank.weight_bytes, rank.kv_bytes, rank.state_bytes, rank.activation_bytes};
}

size_t list_ops(int32_t* codes, size_t capacity) {
  size_t count = 0;
  for (const OpSignature& signature : op_signatures) {
    if (!op_function(signature.code)) continue;
    if (count < capacity) codes[count] = static_cast<int32_t>(signature.code);
    ++count;
  }
  return count;
}

CortexCudaStatus list_devices(CortexCudaDevice* devices, size_t capacity, size_t* count) {
  return guarded([&] {
    std::vector<DeviceFacts> facts;
    const Status status = Devices::instance().list(facts);
    *count = facts.size();
    for (size_t i = 0; i < std::min(capacity, facts.size()); ++i) {
      CortexCudaDevice& device = devices[i];
      std::snprintf(device.name, sizeof device.name, "%s", facts[i].name.c_str());
      device.memory_bytes = facts[i].memory_bytes;
      device.free_bytes = Devices::instance().free_bytes(static_cast<int>(i));
      device.capability = facts[i].capability;
      device.processors = facts[i].processors;
    }
    return status;
  });
}

CortexCudaStatus measure(const CortexCudaSpec* spec, CortexCudaMemory* memory) {
  return guarded([&] {
    std::vector<RankMemory> ranks;
    const Status status = Model::measure(load_spec(*spec), ranks);
    if (status.ok()) report(ranks, memory);
    return status;
  });
}

CortexCudaStatus load(const CortexCudaSpec* spec, int32_t* step_words, CortexCudaMemory* memory, CortexCudaModel** model) {
  return guarded([&] {
    Status status;
    auto loaded = std::make_unique<CortexCudaModel>();
    loaded->model = Model::load(load_spec(*spec), step_words, status);
    if (!status.ok()) return status;
    report(loaded->model->memory, memory);
    *model = loaded.release();
    return status;
  });
}

CortexCudaStatus upload(CortexCudaModel* model, int32_t rank, int32_t tensor, int64_t row_start, const uint8_t* bytes, size_t size) {
  return guarded([&] { return model->model->upload(rank, tensor, row_start, bytes, size); });
}

CortexCudaStatus seal(CortexCudaModel* model) {
  return guarded([&] { return model->model->seal(); });
}

CortexCudaStatus step(CortexCudaModel* model, double* device_ns) {
  return guarded([&] { return model->model->run_step(*device_ns); });
}

void free_model(CortexCudaModel* model) { delete model; }

constexpr CortexCudaApi api{cortex_cuda_api_version, library_needs_driver, list_ops, list_devices, measure, load,
                            upload, seal, step, free_model, library_control};

}  // namespace

const CortexCudaApi* cortex_cuda_api(void) { return &api; }
