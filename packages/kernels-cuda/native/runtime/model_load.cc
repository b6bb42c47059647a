// Loading: what the spec says is proven, memory is taken, weights arrive.
#include <algorithm>
#include <new>

#include "../device/peers.h"
#include "../ops/ops.h"
#include "../weights/layout.h"
#include "cuda_check.h"
#include "model.h"

namespace cortex {

namespace {

Status check_limits(const Limits& l) {
  const auto within = [](int value, int low, int high) { return value >= low && value <= high; };
  const bool sane = within(l.max_rows, 1, 1 << 20) && within(l.max_sequences, 1, 1 << 16) &&
                    within(l.max_sampled, 1, 1 << 20) && within(l.max_context, 1, 1 << 28) && within(l.pages, 1, 1 << 26) &&
                    within(l.vocab, 1, 1 << 24) && within(l.max_bias, 0, 1 << 20) && within(l.max_top_logprobs, 0, 1 << 10) &&
                    within(l.max_patches, 0, 1 << 20) && within(l.patch_width, 0, 1 << 20) &&
                    within(l.max_features, 0, 1 << 20) && within(l.feature_width, 0, 1 << 20) &&
                    within(l.snapshots, 0, 1 << 16) && int64_t{l.max_sequences} * l.pages_per_slot() < (int64_t{1} << 30);
  if (sane) return {};
  return failure(Code::program_invalid, "the step limits are out of range");
}

// Optional operands are quantised rows, a form that this backend has none of.
Status refuse_quantised(const DecodedProgram& program) {
  for (const Instruction& in : program.instructions) {
    const auto& signature = *std::find_if(std::begin(op_signatures), std::end(op_signatures),
                                          [&](const OpSignature& s) { return s.code == in.op; });
    for (int i = 0; i < 4; ++i) {
      if ((signature.optional_inputs >> i & 1u) && in.in[i].present()) {
        return failure(Code::program_invalid, format_text("has a quantised input %d; there is no such form here", i), in.index);
      }
    }
    for (int i = 0; i < 3; ++i) {
      if ((signature.optional_outputs >> i & 1u) && in.out[i].present()) {
        return failure(Code::program_invalid, format_text("has a quantised output %d; there is no such form here", i), in.index);
      }
    }
  }
  return {};
}

// Proves a spec and says what each rank takes.
Status plan(const LoadSpec& spec, const std::vector<DeviceFacts>& devices, std::vector<DecodedProgram>& decoded,
            std::vector<RankPlan>& plans) {
  if (Status status = check_limits(spec.limits); !status.ok()) return status;
  if (Status status = check_step_layout(spec.limits, spec.offsets, spec.step_words); !status.ok()) return status;
  if (spec.programs.empty()) return failure(Code::program_invalid, "there is no rank");
  if (spec.programs.size() > max_ranks) {
    return failure(Code::program_invalid, format_text("has %zu ranks; at most %d are served", spec.programs.size(), max_ranks));
  }
  decoded.resize(spec.programs.size());
  for (size_t i = 0; i < spec.programs.size(); ++i) {
    const ProgramSpec& program = spec.programs[i];
    if (program.rank != static_cast<int>(i)) return failure(Code::program_invalid, format_text("rank %d stands at %zu", program.rank, i));
    if (program.arena_elements < 0 || program.arena_elements > int64_t{1} << 40) {
      return failure(Code::program_invalid, format_text("arena of %lld elements", static_cast<long long>(program.arena_elements)));
    }
    const int device = spec.devices[i];
    if (device < 0 || device >= static_cast<int>(devices.size())) {
      return failure(Code::program_invalid, format_text("rank %zu names device %d; there are %zu", i, device, devices.size()));
    }
    if (Status status = decode_program(program, spec.limits, op_function, decoded[i]); !status.ok()) return status;
    if (Status status = refuse_quantised(decoded[i]); !status.ok()) return status;
    plans.push_back(plan_rank(program, decoded[i], spec, devices[static_cast<size_t>(device)].processors));
  }
  return match_collectives(decoded);
}

Status no_host_memory() { return failure(Code::out_of_memory, "model memory on the host"); }

}  // namespace

Rank::~Rank() {
  if (!entered) return;
  static_cast<void>(cudaSetDevice(device));
  uploader.reset();
  if (arrived) static_cast<void>(cudaEventDestroy(arrived));
  if (stream) static_cast<void>(cudaStreamDestroy(stream));
  for (DeviceBlock* block : {&weights, &arena, &cache, &states, &scratch, &step}) block->release();
  Devices::instance().leave(device);
}

Model::~Model() {
  if (!ranks.empty()) static_cast<void>(cudaSetDevice(ranks[0]->device));
  graphs_.clear();
  if (begin_) static_cast<void>(cudaEventDestroy(begin_));
  if (end_) static_cast<void>(cudaEventDestroy(end_));
}

std::unique_ptr<Model> Model::load(LoadSpec spec, int32_t* step_words, Status& status) {
  try {
    auto model = std::make_unique<Model>();
    model->spec = std::move(spec);
    status = model->settle(model->build(step_words));
    if (!status.ok()) model.reset();
    return model;
  } catch (const std::bad_alloc&) {
    status = no_host_memory();
    return nullptr;
  }
}

Status Model::measure(const LoadSpec& spec, std::vector<RankMemory>& memory) {
  try {
    std::vector<DeviceFacts> devices;
    if (Status status = Devices::instance().list(devices); !status.ok()) return status;
    std::vector<DecodedProgram> decoded;
    std::vector<RankPlan> plans;
    if (Status status = plan(spec, devices, decoded, plans); !status.ok()) return status;
    for (const RankPlan& rank : plans) memory.push_back(rank.memory());
    return {};
  } catch (const std::bad_alloc&) {
    return no_host_memory();
  }
}

Status Model::build(int32_t* step_words) {
  std::vector<DeviceFacts> devices;
  if (Status status = Devices::instance().list(devices); !status.ok()) return status;
  std::vector<DecodedProgram> decoded;
  std::vector<RankPlan> plans;
  if (Status status = plan(spec, devices, decoded, plans); !status.ok()) return status;
  buffers_ = std::make_unique<StepBuffers>(spec.limits);
  for (size_t i = 0; i < plans.size(); ++i) {
    auto rank = std::make_unique<Rank>();
    rank->device = spec.devices[i];
    rank->spec = spec.programs[i];
    rank->program = std::move(decoded[i]);
    ranks.push_back(std::move(rank));
    memory.push_back(plans[i].memory());
    Rank& own = *ranks.back();
    const DeviceFacts& facts = devices[static_cast<size_t>(own.device)];
    if (Status status = Devices::instance().enter(own.device); !status.ok()) return status;
    own.entered = true;
    if (Status status = build_rank(own, plans[i], facts); !status.ok()) return status;
  }
  if (Status status = reach_peers(); !status.ok()) return status;
  CORTEX_CUDA(cudaSetDevice(ranks[0]->device), "preparing steps");
  CORTEX_CUDA(cudaEventCreateWithFlags(&begin_, cudaEventDefault), "preparing steps");
  CORTEX_CUDA(cudaEventCreateWithFlags(&end_, cudaEventDefault), "preparing steps");
  if (Status status = host_step_.allocate(buffers_->host_bytes(), "step on the host"); !status.ok()) return status;
  step_ = std::make_unique<Step>(spec.limits, spec.offsets, step_words);
  return {};
}

Status Model::build_rank(Rank& rank, const RankPlan& plan, const DeviceFacts& facts) {
  struct Wanted {
    DeviceBlock* block;
    size_t bytes;
    const char* what;
  };
  const Wanted wanted[] = {{&rank.weights, plan.weight_bytes, "weights"},     {&rank.cache, plan.kv_bytes, "keys and values"},
                           {&rank.states, plan.state_bytes, "states"},        {&rank.arena, plan.arena_bytes, "activations"},
                           {&rank.scratch, plan.scratch_bytes, "scratch"},    {&rank.step, plan.step_bytes, "steps"}};
  // All or nothing, before the first is taken.
  double total = 0;
  for (const Wanted& each : wanted) total += static_cast<double>(each.bytes);
  const double free_bytes = Devices::instance().free_bytes(rank.device);
  if (total > free_bytes) {
    Status status = failure(Code::out_of_memory, "model memory");
    status.want_bytes = total;
    status.have_bytes = free_bytes;
    return status;
  }
  for (const Wanted& each : wanted) {
    if (Status status = each.block->allocate(rank.device, each.bytes, each.what); !status.ok()) return status;
  }
  // A program need not write all that is answered.
  CORTEX_CUDA(cudaMemset(rank.step.data(), 0, rank.step.size()), "preparing a rank");
  size_t widest_row = 16;
  size_t largest = 16;
  for (size_t i = 0; i < rank.spec.tensors.size(); ++i) {
    const TensorSpec& tensor = rank.spec.tensors[i];
    const size_t row = file_row_bytes(tensor.format, tensor.cols);
    widest_row = std::max(widest_row, row);
    largest = std::max(largest, row * static_cast<size_t>(tensor.rows));
    rank.tensors.push_back({tensor, rank.program.tensor_experts[i], rank.weights.data() + plan.tensor_starts[i],
                            plan.tensor_expert_bytes[i], std::vector<bool>(static_cast<size_t>(tensor.rows)), 0});
  }
  for (size_t i = 0; i < rank.spec.kv.size(); ++i) {
    const KvLayerSpec& layer = rank.spec.kv[i];
    const size_t head = size_t{2} * page_tokens * static_cast<size_t>(layer.head_dim) * kv_element_bytes(spec.kv_format);
    rank.kv.push_back({layer.kv_heads, layer.head_dim, spec.kv_format, rank.cache.data() + plan.kv_starts[i], head,
                       head * static_cast<size_t>(layer.kv_heads)});
  }
  for (size_t i = 0; i < rank.spec.state.size(); ++i) {
    rank.state.push_back({rank.spec.state[i], reinterpret_cast<float*>(rank.states.data() + plan.state_starts[2 * i]),
                          reinterpret_cast<float*>(rank.states.data() + plan.state_starts[2 * i + 1])});
  }
  CORTEX_CUDA(cudaSetDevice(rank.device), "preparing a rank");
  CORTEX_CUDA(cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking), "preparing a rank");
  CORTEX_CUDA(cudaEventCreateWithFlags(&rank.arrived, cudaEventDisableTiming), "preparing a rank");
  rank.uploader = std::make_unique<Uploader>();
  if (Status status = rank.uploader->open(rank.device, widest_row, largest); !status.ok()) return status;
  Worker& worker = rank.worker;
  worker.model = this;
  worker.stream = rank.stream;
  worker.capability = facts.capability;
  worker.processors = facts.processors;
  worker.shared_bytes = facts.shared_bytes;
  worker.arena = reinterpret_cast<float*>(rank.arena.data());
  worker.step = buffers_->view(rank.step.data());
  worker.scratch = rank.scratch.data();
  worker.scratch_bytes = rank.scratch.size();
  worker.tensors = rank.tensors.data();
  worker.kv = rank.kv.data();
  worker.state = rank.state.data();
  worker.state_layers = static_cast<int>(rank.state.size());
  worker.rank = rank.spec.rank;
  worker.ranks = static_cast<int>(spec.programs.size());
  return {};
}

Status Model::reach_peers() {
  for (const auto& rank : ranks) {
    for (const auto& peer : ranks) {
      if (rank->device == peer->device) continue;
      int can = 0;
      CORTEX_CUDA(cudaDeviceCanAccessPeer(&can, rank->device, peer->device), "asking whether devices reach each other");
      if (!can) {
        return failure(Code::program_invalid, format_text("devices %d and %d do not reach each other's memory; ranks on one device "
                                                          "are wanted", rank->device, peer->device));
      }
      CORTEX_CUDA(cudaSetDevice(rank->device), "letting devices reach each other");
      const cudaError_t error = cudaDeviceEnablePeerAccess(peer->device, 0);
      if (error != cudaErrorPeerAccessAlreadyEnabled) CORTEX_CUDA(error, "letting devices reach each other");
      static_cast<void>(cudaGetLastError());
    }
  }
  return {};
}

Status Model::upload(int rank_index, int tensor_index, int64_t row_start, const uint8_t* bytes, size_t size) {
  const auto invalid = [](std::string reason) { return failure(Code::upload_invalid, std::move(reason)); };
  if (Status status = lost(); !status.ok()) return status;
  if (rank_index < 0 || rank_index >= static_cast<int>(ranks.size())) {
    return invalid(format_text("rank %d of %zu", rank_index, ranks.size()));
  }
  Rank& rank = *ranks[static_cast<size_t>(rank_index)];
  if (tensor_index < 0 || tensor_index >= static_cast<int>(rank.tensors.size())) {
    return invalid(format_text("tensor %d of %zu", tensor_index, rank.tensors.size()));
  }
  if (sealed_) return invalid("the weights are sealed");
  Tensor& tensor = rank.tensors[static_cast<size_t>(tensor_index)];
  const size_t row_bytes = file_row_bytes(tensor.spec.format, tensor.spec.cols);
  if (size == 0 || size % row_bytes != 0) {
    return invalid(format_text("%zu bytes are not whole rows of %zu", size, row_bytes));
  }
  const auto count = static_cast<int64_t>(size / row_bytes);
  if (row_start < 0 || row_start + count > tensor.spec.rows) {
    return invalid(format_text("rows %lld to %lld of %d", static_cast<long long>(row_start),
                               static_cast<long long>(row_start + count), tensor.spec.rows));
  }
  const auto begin = tensor.filled.begin() + row_start;
  const auto taken = std::find(begin, begin + count, true);
  if (taken != begin + count) {
    return invalid(format_text("row %lld is filled already", static_cast<long long>(taken - tensor.filled.begin())));
  }
  std::fill(begin, begin + count, true);
  tensor.rows_filled += static_cast<int>(count);
  return settle(rank.uploader->upload(tensor, static_cast<int>(row_start), static_cast<int>(count), bytes));
}

Status Model::seal() {
  if (Status status = lost(); !status.ok()) return status;
  for (const auto& rank : ranks) {
    for (size_t i = 0; i < rank->tensors.size(); ++i) {
      const Tensor& tensor = rank->tensors[i];
      if (tensor.rows_filled == tensor.spec.rows) continue;
      // Which tensor it is travels in the fields of other failures: names are known to TypeScript.
      Status status = failure(Code::upload_invalid, format_text("%d of its %d rows are filled; all are wanted",
                                                                tensor.rows_filled, tensor.spec.rows),
                              static_cast<int>(i));
      status.want_bytes = rank->spec.rank;
      return status;
    }
  }
  for (const auto& rank : ranks) {
    if (!rank->uploader) continue;
    if (Status status = settle(rank->uploader->finish()); !status.ok()) return status;
    rank->uploader.reset();
  }
  sealed_ = true;
  return {};
}

Status Model::lost() const {
  for (const auto& rank : ranks) {
    const std::string reason = Devices::instance().lost(rank->device);
    if (!reason.empty()) return failure(Code::device_lost, reason);
  }
  return {};
}

Status Model::settle(Status status) {
  if (status.code == Code::device_lost) {
    for (const auto& rank : ranks) {
      if (rank->entered) Devices::instance().lose(rank->device, status.message);
    }
  }
  return status;
}

}  // namespace cortex
