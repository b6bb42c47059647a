#include "cuda_library.h"

#include <dlfcn.h>

#include <cstdlib>

namespace cortex::bridge {

namespace {

Status status_of(const CortexCudaStatus& from) {
  Status status = failure(static_cast<Code>(from.code), from.message, from.instruction);
  status.want_bytes = from.want_bytes;
  status.have_bytes = from.have_bytes;
  return status;
}

// A LoadSpec in plain C; lives as long as the spec it is of.
class PlainSpec {
 public:
  explicit PlainSpec(const LoadSpec& spec) {
    const Limits& l = spec.limits;
    limits_ = {l.max_rows, l.max_sequences, l.max_sampled, l.max_context, l.pages, l.vocab, l.max_bias, l.max_top_logprobs,
               l.expose_logits ? 1 : 0, l.snapshots, l.max_patches, l.patch_width, l.max_features, l.feature_width};
    const size_t count = spec.programs.size();
    tensors_.resize(count);
    kv_.resize(count);
    state_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const ProgramSpec& program = spec.programs[i];
      for (const TensorSpec& t : program.tensors) tensors_[i].insert(tensors_[i].end(), {static_cast<int32_t>(t.format), t.rows, t.cols, t.lookup});
      for (const KvLayerSpec& layer : program.kv) kv_[i].insert(kv_[i].end(), {layer.kv_heads, layer.head_dim});
      for (const StateLayerSpec& layer : program.state) state_[i].insert(state_[i].end(), {layer.conv_elements, layer.delta_elements});
      programs_.push_back({program.rank, program.words.data(), program.words.size(), tensors_[i].data(), program.tensors.size(),
                           kv_[i].data(), program.kv.size(), state_[i].data(), program.state.size(), program.arena_elements,
                           program.vocab});
    }
    plain_ = {programs_.data(), count, spec.devices.data(), limits_.data(), reinterpret_cast<const int64_t*>(&spec.offsets),
              spec.step_words, static_cast<int32_t>(spec.kv_format)};
  }

  const CortexCudaSpec* get() const { return &plain_; }

 private:
  std::vector<int32_t> limits_;
  std::vector<std::vector<int32_t>> tensors_;
  std::vector<std::vector<int32_t>> kv_;
  std::vector<std::vector<int32_t>> state_;
  std::vector<CortexCudaProgram> programs_;
  CortexCudaSpec plain_;
};

std::vector<RankMemory> memory_of(const std::vector<CortexCudaMemory>& ranks) {
  std::vector<RankMemory> memory;
  for (const CortexCudaMemory& rank : ranks) memory.push_back({rank.weight_bytes, rank.kv_bytes, rank.state_bytes, rank.activation_bytes});
  return memory;
}

class CudaModel : public NativeModel {
 public:
  CudaModel(const CortexCudaApi* api, CortexCudaModel* model, std::vector<RankMemory> memory)
      : api_(api), model_(model), memory_(std::move(memory)) {}
  ~CudaModel() override { api_->free_model(model_); }

  Status upload(int rank, int tensor, int64_t row_start, const uint8_t* bytes, size_t size) override {
    return status_of(api_->upload(model_, rank, tensor, row_start, bytes, size));
  }
  Status seal() override { return status_of(api_->seal(model_)); }
  Status run_step(double& device_ns) override { return status_of(api_->step(model_, &device_ns)); }
  const std::vector<RankMemory>& rank_memory() const override { return memory_; }
  int thread_count() const override { return 1; }

 private:
  const CortexCudaApi* api_;
  CortexCudaModel* model_;
  std::vector<RankMemory> memory_;
};

// The driver itself is asked first: the runtime inside the library only says that something is wrong.
std::string driver_problem() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return std::string("no NVIDIA driver: ") + dlerror();
  using Initialise = int (*)(unsigned);
  using Version = int (*)(int*);
  const auto initialise = reinterpret_cast<Initialise>(dlsym(driver, "cuInit"));
  const auto version = reinterpret_cast<Version>(dlsym(driver, "cuDriverGetVersion"));
  if (!initialise || !version) return "no NVIDIA driver: libcuda.so.1 lacks cuInit";
  if (const int code = initialise(0); code != 0) return format_text("no NVIDIA driver: cuInit answers %d", code);
  return {};
}

}  // namespace

const CortexCudaApi* open_library(const std::string& file, std::string& reason) {
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    reason = dlerror();
    return nullptr;
  }
  using Answer = const CortexCudaApi* (*)();
  const auto answer = reinterpret_cast<Answer>(dlsym(library, "cortex_cuda_api"));
  const CortexCudaApi* api = answer ? answer() : nullptr;
  if (!api || api->version != cortex_cuda_api_version) {
    reason = "'" + file + "' is no CUDA library of this release";
    return nullptr;
  }
  if (api->needs_driver) reason = driver_problem();
  return reason.empty() ? api : nullptr;
}

// Ordinary memory: a step is proven and packed into pinned memory of the library.
std::shared_ptr<uint8_t> CudaBackend::allocate_step_buffer(size_t bytes, double& free_bytes) {
  free_bytes = 0;
  return {static_cast<uint8_t*>(std::calloc(bytes, 1)), std::free};
}

std::unique_ptr<NativeModel> CudaBackend::load(LoadSpec spec, int32_t* step_words, Status& status) {
  const PlainSpec plain(spec);
  std::vector<CortexCudaMemory> memory(spec.programs.size());
  CortexCudaModel* model = nullptr;
  status = status_of(api_->load(plain.get(), step_words, memory.data(), &model));
  return status.ok() ? std::make_unique<CudaModel>(api_, model, memory_of(memory)) : nullptr;
}

Status CudaBackend::measure(LoadSpec spec, std::vector<RankMemory>& memory) {
  const PlainSpec plain(spec);
  std::vector<CortexCudaMemory> ranks(spec.programs.size());
  const Status status = status_of(api_->measure(plain.get(), ranks.data()));
  if (status.ok()) memory = memory_of(ranks);
  return status;
}

}  // namespace cortex::bridge
