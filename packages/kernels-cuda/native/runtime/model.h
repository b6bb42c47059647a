// One loaded model: its ranks, their memory, and how their programs run. Everything here belongs to one device thread.
#pragma once

#include <cuda_runtime.h>

#include <cortex/program/decode.h>
#include <cortex/program/step.h>
#include <cortex/runtime/native_backend.h>

#include <memory>
#include <string>
#include <vector>

#include "../device/worker.h"
#include "device_memory.h"
#include "devices.h"
#include "graph_cache.h"
#include "memory_plan.h"
#include "step_buffers.h"
#include "uploader.h"

namespace cortex {

struct Rank {
  Rank() = default;
  ~Rank();
  Rank(const Rank&) = delete;
  Rank& operator=(const Rank&) = delete;

  int device = 0;
  // Whether the device counts this rank.
  bool entered = false;
  ProgramSpec spec;
  DecodedProgram program;
  DeviceBlock weights;
  DeviceBlock arena;
  DeviceBlock cache;
  DeviceBlock states;
  DeviceBlock scratch;
  DeviceBlock step;
  std::vector<Tensor> tensors;
  std::vector<KvLayer> kv;
  std::vector<StateLayer> state;
  // Gone once the weights are sealed.
  std::unique_ptr<Uploader> uploader;
  cudaStream_t stream = nullptr;
  // Recorded where the ranks meet.
  cudaEvent_t arrived = nullptr;
  Worker worker{};
};

struct Model : NativeModel {
  ~Model() override;

  // Null and a status when the spec is refused or memory does not suffice.
  static std::unique_ptr<Model> load(LoadSpec spec, int32_t* step_words, Status& status);
  static Status measure(const LoadSpec& spec, std::vector<RankMemory>& memory);

  Status upload(int rank, int tensor, int64_t row_start, const uint8_t* bytes, size_t size) override;
  Status seal() override;
  Status run_step(double& device_ns) override;
  const std::vector<RankMemory>& rank_memory() const override { return memory; }
  // Host threads that work on it.
  int thread_count() const override { return 1; }

  LoadSpec spec;
  std::vector<std::unique_ptr<Rank>> ranks;
  std::vector<RankMemory> memory;

 private:
  Status build(int32_t* step_words);
  Status build_rank(Rank& rank, const RankPlan& plan, const DeviceFacts& facts);
  Status reach_peers();
  Status run(const StepShape& shape, double& device_ns);
  Status run_program(const StepShape& shape);
  Status enqueue(const StepShape& shape);
  Status enqueue_instruction(Rank& rank, int index);
  Status meet();
  Status capture(const StepShape& shape, cudaGraphExec_t& graph);
  Status copy_states();
  Status wait(double& device_ns);
  // Keeps the reason where a device is lost: from then on every call answers it.
  Status settle(Status status);
  Status lost() const;

  std::unique_ptr<StepBuffers> buffers_;
  PinnedBlock host_step_;
  std::unique_ptr<Step> step_;
  GraphCache graphs_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
  bool sealed_ = false;
};

}  // namespace cortex
