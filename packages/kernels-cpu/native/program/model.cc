#include "model.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <new>

#include "../ops/attend.h"
#include "../ops/attend_dense.h"
#include "../ops/moe_down.h"
#include "../ops/ops.h"
#include "../ops/routing.h"
#include "../runtime/topology.h"
#include "interpreter.h"

namespace cortex {

namespace {

constexpr size_t alignment = 64;
// Uploads below this are packed by the device thread alone.
constexpr size_t parallel_pack_bytes = 256 << 10;
constexpr int max_threads = 1024;

// Lays out one block: sizes first, addresses once the block is there.
class Layout {
 public:
  size_t take(size_t bytes) {
    const size_t start = size_;
    size_ += (bytes + alignment - 1) / alignment * alignment;
    return start;
  }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
};

Status no_memory(double want) {
  Status status = failure(Code::out_of_memory, "model memory");
  status.want_bytes = want;
  status.have_bytes = machine_memory().free_bytes;
  return status;
}

Status check_limits(const Limits& l) {
  const auto within = [](int value, int low, int high) { return value >= low && value <= high; };
  const bool sane = within(l.max_rows, 1, 1 << 20) && within(l.max_sequences, 1, 1 << 16) &&
                    within(l.max_sampled, 1, 1 << 20) && within(l.max_context, 1, 1 << 28) &&
                    within(l.pages, 1, 1 << 26) && within(l.vocab, 1, 1 << 24) && within(l.max_bias, 0, 1 << 20) &&
                    within(l.max_top_logprobs, 0, 1 << 10) && within(l.max_patches, 0, 1 << 20) &&
                    within(l.patch_width, 0, 1 << 20) && within(l.max_features, 0, 1 << 20) && within(l.feature_width, 0, 1 << 20) && within(l.snapshots, 0, 1 << 16) &&
                    int64_t{l.max_sequences} * l.pages_per_slot() < (int64_t{1} << 30);
  if (sane) return {};
  return failure(Code::program_invalid, "the step limits are out of range");
}

struct PackJob {
  Tensor* tensor;
  const uint8_t* bytes;
  size_t row_bytes;
  int first_row;
  int rows;
  int workers;
};

void pack_part(void* argument, int worker) {
  const PackJob& job = *static_cast<PackJob*>(argument);
  const TensorSpec& spec = job.tensor->spec;
  if (spec.is_vector()) {
    if (worker == 0) std::memcpy(job.tensor->data + static_cast<size_t>(job.first_row) * sizeof(float), job.bytes, static_cast<size_t>(job.rows) * job.row_bytes);
    return;
  }
  // Whole strips each, so that no two workers write to one cache line but at the ends.
  const int first_strip = job.first_row / matmul::strip_rows;
  const int strips = (job.first_row + job.rows - 1) / matmul::strip_rows - first_strip + 1;
  const auto boundary = [&](int part) {
    const int strip = first_strip + static_cast<int>(int64_t{strips} * part / job.workers);
    return std::clamp(strip * matmul::strip_rows, job.first_row, job.first_row + job.rows);
  };
  const int begin = boundary(worker);
  const int end = worker + 1 == job.workers ? job.first_row + job.rows : boundary(worker + 1);
  if (begin >= end) return;
  const int expert_rows = job.tensor->expert_rows();
  for (int row = begin; row < end;) {
    const int first = row % expert_rows;
    const int count = std::min(end - row, expert_rows - first);
    matmul::pack_rows(spec.format, job.tensor->expert_data(row / expert_rows), expert_rows, spec.cols, first, count,
                      job.bytes + static_cast<size_t>(row - job.first_row) * job.row_bytes);
    row += count;
  }
}

// Few enough bytes for the second-level cache of the worker that reads and packs them.
constexpr size_t piece_bytes = 256 << 10;
// Packed at a time while nobody waits for the device: a fraction of a millisecond each.
constexpr size_t idle_pieces_per_worker = 2;

struct PackPieces {
  Model* model;
  // Workers take the next piece: one that other work slows down takes fewer.
  std::atomic<size_t> next;
  size_t end;
};

void pack_pieces(void* argument, int worker) {
  PackPieces& job = *static_cast<PackPieces*>(argument);
  Model& model = *job.model;
  Block& buffer = model.staging[static_cast<size_t>(worker)].raw;
  for (size_t i; !model.problem.any() && (i = job.next++) < job.end;) {
    const auto& [tensor, span] = model.pieces[i];
    const size_t row_bytes = matmul::file_row_bytes(tensor->spec.format, tensor->spec.cols);
    const size_t bytes = static_cast<size_t>(span.rows) * row_bytes;
    if (buffer.size() < bytes && !buffer.allocate(bytes)) return model.problem.set(span.file_index, "there is no memory to read it");
    const std::string reason = span.file->read(buffer.data(), bytes, span.offset);
    if (!reason.empty()) return model.problem.set(span.file_index, reason);
    PackJob pack{tensor, buffer.data(), row_bytes, span.row_start, span.rows, 1};
    pack_part(&pack, 0);
  }
}

// Tensors that only products and lookups read, which can do so from files: none is packed by a rule of its own.
std::vector<bool> tensors_that_wait(const Rank& rank) {
  std::vector<bool> waits(rank.spec.tensors.size(), true);
  for (const Instruction& in : rank.program.instructions) {
    const int readers = in.op == Opcode::linear || in.op == Opcode::linear_add ? 4 : in.op == Opcode::linear_swiglu ? 2 : in.op == Opcode::embed ? 1 : 0;
    for (int i = readers; i < static_cast<int>(std::size(in.weights)); ++i) {
      if (in.weights[i] >= 0) waits[static_cast<size_t>(in.weights[i])] = false;
    }
  }
  for (const ConvKernelSpec& kernel : rank.program.conv_kernels) {
    for (int i = 0; i < kernel.segments; ++i) waits[static_cast<size_t>(kernel.tensors[i])] = false;
  }
  for (const RopeTableSpec& table : rank.program.rope_tables) waits[static_cast<size_t>(table.tensor)] = false;
  for (size_t i = 0; i < waits.size(); ++i) {
    if (rank.spec.tensors[i].is_vector() || rank.program.tensor_experts[i] > 1) waits[i] = false;
  }
  return waits;
}

void interpret_part(void* argument, int worker) {
  interpret(static_cast<Model*>(argument)->workers[static_cast<size_t>(worker)]);
}

}  // namespace

size_t tensor_bytes(const TensorSpec& spec, int experts) {
  if (spec.is_vector()) return static_cast<size_t>(spec.rows) * sizeof(float);
  return static_cast<size_t>(experts) * matmul::packed_bytes(spec.format, spec.rows / experts, spec.cols);
}

Model::~Model() { team.reset(); }

std::unique_ptr<Model> Model::load(ModelSpec spec, int32_t* step_words, Status& status) {
  try {
    auto model = std::make_unique<Model>();
    model->spec = std::move(spec);
    status = model->build(step_words);
    if (!status.ok()) model.reset();
    return model;
  } catch (const std::bad_alloc&) {
    status = no_memory(0);
    return nullptr;
  }
}

Status Model::measure(ModelSpec spec, std::vector<RankMemory>& memory) {
  try {
    Model model;
    model.spec = std::move(spec);
    model.measured_only = true;
    const Status status = model.build(nullptr);
    memory = std::move(model.memory);
    return status;
  } catch (const std::bad_alloc&) {
    return no_memory(0);
  }
}

Status Model::build(int32_t* step_words) {
  Status status = check_limits(spec.limits);
  if (!status.ok()) return status;
  status = check_step_layout(spec.limits, spec.offsets, spec.step_words);
  if (!status.ok()) return status;
  if (spec.programs.empty()) return failure(Code::program_invalid, "there is no rank");
  std::vector<DecodedProgram> decoded(spec.programs.size());
  for (size_t i = 0; i < spec.programs.size(); ++i) {
    const ProgramSpec& program = spec.programs[i];
    if (program.rank != static_cast<int>(i)) return failure(Code::program_invalid, format_text("rank %d stands at %zu", program.rank, i));
    if (program.arena_elements < 0 || program.arena_elements > int64_t{1} << 40) {
      return failure(Code::program_invalid, format_text("arena of %lld elements", static_cast<long long>(program.arena_elements)));
    }
    status = decode_program(program, spec.limits, op_function, decoded[i]);
    if (!status.ok()) return status;
  }
  status = match_collectives(decoded);
  if (!status.ok()) return status;

  const int rank_count = static_cast<int>(spec.programs.size());
  int threads = spec.threads > 0 ? spec.threads : topology().parallelism;
  threads = std::clamp(threads, rank_count, std::max(rank_count, max_threads));
  for (int i = 0; i < rank_count; ++i) {
    auto rank = std::make_unique<Rank>();
    rank->rank = i;
    rank->workers = threads / rank_count + (i < threads % rank_count ? 1 : 0);
    rank->program = std::move(decoded[static_cast<size_t>(i)]);
    rank->spec = spec.programs[static_cast<size_t>(i)];
    ranks.push_back(std::move(rank));
  }
  for (auto& rank : ranks) {
    for (int i = 0; i < rank->workers; ++i) {
      Worker worker{};
      worker.model = this;
      worker.rank = rank.get();
      worker.index = i;
      worker.global_index = static_cast<int>(workers.size());
      workers.push_back(worker);
    }
  }
  for (auto& rank : ranks) {
    status = allocate_rank(*rank);
    if (!status.ok()) return status;
  }
  if (measured_only) return {};
  step = std::make_unique<Step>(spec.limits, spec.offsets, step_words);
  team = std::make_unique<Team>(static_cast<int>(workers.size()));
  all.configure(team->workers(), team->spin_ns());
  for (auto& rank : ranks) rank->barrier->configure(rank->workers, team->spin_ns());
  return {};
}

Status Model::allocate_rank(Rank& rank) {
  const Limits& limits = spec.limits;
  const size_t max_m = static_cast<size_t>(std::max(limits.max_rows, limits.max_sampled));
  Layout weights;
  const std::vector<bool> waits = tensors_that_wait(rank);
  std::vector<size_t> tensor_starts(rank.spec.tensors.size());
  // What the first step needs in memory lies together: between the matrices each norm would take a huge page of its own.
  for (const bool waiting : {false, true}) {
    for (size_t i = 0; i < tensor_starts.size(); ++i) {
      if (waits[i] != waiting) continue;
      tensor_starts[i] = weights.take(tensor_bytes(rank.spec.tensors[i], rank.program.tensor_experts[i]));
    }
  }
  Layout cache;
  std::vector<size_t> layer_starts;
  for (const KvLayerSpec& layer : rank.spec.kv) {
    const size_t head = size_t{2} * page_tokens * static_cast<size_t>(layer.head_dim) * kv_element_bytes(spec.kv_format);
    layer_starts.push_back(cache.take(head * static_cast<size_t>(layer.kv_heads) * static_cast<size_t>(limits.pages)));
  }
  Layout states;
  std::vector<size_t> state_starts;
  for (const StateLayerSpec& layer : rank.spec.state) {
    const size_t slots = static_cast<size_t>(limits.states()) * sizeof(float);
    state_starts.push_back(states.take(slots * static_cast<size_t>(layer.conv_elements)));
    state_starts.push_back(states.take(slots * static_cast<size_t>(layer.delta_elements)));
  }
  Layout scratch;
  std::vector<size_t> kernel_starts;
  for (const ConvKernelSpec& kernel : rank.program.conv_kernels) {
    kernel_starts.push_back(scratch.take(static_cast<size_t>(kernel.taps) * static_cast<size_t>(kernel.channels) * sizeof(float)));
  }
  std::vector<size_t> rope_starts;
  for (const RopeTableSpec& table : rank.program.rope_tables) {
    rope_starts.push_back(scratch.take(size_t{2} * static_cast<size_t>(limits.max_rows) *
                                       static_cast<size_t>(table.rotary_dim / 2) * sizeof(float)));
  }
  size_t quantised_bytes = 0;
  size_t split_bytes = 0;
  size_t matmul_bytes = 0;
  size_t routing_bytes = 0;
  size_t moe_bytes = 0;
  for (const Instruction& in : rank.program.instructions) {
    if (!is_product(in.op)) continue;
    // A row may go through one expert several times, if whoever made the choice says so.
    const size_t most = in.symbol < 2 ? max_m : static_cast<size_t>(limits.max_of(in.symbol));
    const size_t pairs = most * static_cast<size_t>(chosen_experts_of(in));
    const size_t input_rows = in.op == Opcode::moe_down ? pairs : most;
    if (quantises_input(in, rank.spec)) {
      quantised_bytes = std::max(quantised_bytes, input_rows * matmul::quantised_row_bytes(product_columns(in)));
    }
    if (spec.matmul->split_rows != nullptr && may_split_input(in, rank.spec)) {
      split_bytes = std::max(split_bytes, input_rows * matmul::split_row_bytes(product_columns(in)));
    }
    for (int i = 0; i < 4; ++i) {
      if (in.weights[i] < 0) continue;
      const TensorSpec& tensor = rank.spec.tensors[static_cast<size_t>(in.weights[i])];
      matmul_bytes = std::max(matmul_bytes, matmul::linear_scratch_bytes(*spec.matmul, tensor.format, tensor.cols, static_cast<int32_t>(pairs)));
    }
    if (in.op == Opcode::moe_gate_up || in.op == Opcode::moe_down) {
      routing_bytes = std::max(routing_bytes, routing_words(pairs, chosen_experts_of(in), experts_of(in)) * sizeof(int32_t));
    }
    if (in.op == Opcode::moe_down) moe_bytes = std::max(moe_bytes, moe_sums_bytes(pairs, in.n));
  }
  size_t vision_bytes = 0;
  for (const Instruction& in : rank.program.instructions) {
    if (in.op == Opcode::attend_dense) {
      vision_bytes = std::max(vision_bytes, attend_dense_scratch_bytes(in.param(op::attend_dense::param::headDim), limits.max_patches));
    }
    if (in.op == Opcode::patch_position) vision_bytes = std::max(vision_bytes, static_cast<size_t>(in.n) * sizeof(float));
  }
  int head_dim = 0;
  for (const KvLayerSpec& layer : rank.spec.kv) head_dim = std::max(head_dim, layer.head_dim);
  const size_t quantised_start = scratch.take(quantised_bytes);
  const size_t split_start = scratch.take(split_bytes);
  const size_t partials_start = scratch.take(head_dim > 0 ? attend_partials_bytes(head_dim) : 0);
  struct WorkerStarts {
    size_t matmul;
    size_t routing;
    size_t moe;
    size_t attend;
    size_t vision;
    size_t logits;
    size_t weights;
    size_t counts;
  };
  const size_t vocab_bytes = rank.rank == 0 ? static_cast<size_t>(limits.vocab) * sizeof(float) : 0;
  std::vector<WorkerStarts> worker_starts;
  for (int i = 0; i < rank.workers; ++i) {
    worker_starts.push_back({scratch.take(matmul_bytes), scratch.take(routing_bytes), scratch.take(moe_bytes),
                             scratch.take(head_dim > 0 ? attend_scratch_bytes(head_dim) : 0),
                             scratch.take(vision_bytes),
                             scratch.take(vocab_bytes), scratch.take(vocab_bytes), scratch.take(vocab_bytes)});
  }
  const size_t activation_bytes = static_cast<size_t>(rank.spec.arena_elements) * sizeof(float);
  const double total = static_cast<double>(weights.size()) + static_cast<double>(cache.size()) +
                       static_cast<double>(states.size()) + static_cast<double>(scratch.size()) + static_cast<double>(activation_bytes);
  memory.push_back({static_cast<double>(weights.size()), static_cast<double>(cache.size()), static_cast<double>(states.size()),
                    static_cast<double>(scratch.size()) + static_cast<double>(activation_bytes)});
  if (measured_only) return {};
  if (total > machine_memory().free_bytes || !rank.weights.allocate(weights.size()) || !rank.cache.allocate(cache.size()) ||
      !rank.states.allocate(states.size()) ||
      !rank.scratch.allocate(scratch.size()) || !rank.activations.allocate(activation_bytes)) {
    return no_memory(total);
  }

  rank.arena = reinterpret_cast<float*>(rank.activations.data());
  for (size_t i = 0; i < tensor_starts.size(); ++i) {
    const TensorSpec& tensor = rank.spec.tensors[i];
    uint8_t* data = rank.weights.data() + tensor_starts[i];
    rank.tensors.push_back({tensor, rank.program.tensor_experts[i], data, std::vector<bool>(static_cast<size_t>(tensor.rows)), 0,
                            waits[i], {}});
    const Tensor& made = rank.tensors.back();
    if (tensor.is_vector()) continue;
    for (int expert = 0; expert < made.experts; ++expert) {
      matmul::packed_init(tensor.format, made.expert_data(expert), made.expert_rows(), tensor.cols);
    }
  }
  for (size_t i = 0; i < layer_starts.size(); ++i) {
    const KvLayerSpec& layer = rank.spec.kv[i];
    const size_t head = size_t{2} * page_tokens * static_cast<size_t>(layer.head_dim) * kv_element_bytes(spec.kv_format);
    rank.kv.push_back({layer.kv_heads, layer.head_dim, rank.cache.data() + layer_starts[i], head,
                       head * static_cast<size_t>(layer.kv_heads)});
  }
  for (size_t i = 0; i < rank.spec.state.size(); ++i) {
    rank.state.push_back({rank.spec.state[i], reinterpret_cast<float*>(rank.states.data() + state_starts[2 * i]),
                          reinterpret_cast<float*>(rank.states.data() + state_starts[2 * i + 1])});
  }
  uint8_t* base = rank.scratch.data();
  for (size_t i = 0; i < kernel_starts.size(); ++i) {
    rank.conv_kernels.push_back({rank.program.conv_kernels[i].taps, reinterpret_cast<float*>(base + kernel_starts[i])});
  }
  for (size_t i = 0; i < rope_starts.size(); ++i) {
    const RopeTableSpec& table = rank.program.rope_tables[i];
    auto* cosine = reinterpret_cast<float*>(base + rope_starts[i]);
    rank.rope_tables.push_back(
        {table, cosine, cosine + static_cast<size_t>(limits.max_rows) * static_cast<size_t>(table.rotary_dim / 2)});
  }
  rank.quantised = base + quantised_start;
  rank.split = base + split_start;
  rank.partials = attend_partials(base + partials_start, head_dim);
  for (Worker& worker : workers) {
    if (worker.rank != &rank) continue;
    const WorkerStarts& starts = worker_starts[static_cast<size_t>(worker.index)];
    worker.matmul_scratch = base + starts.matmul;
    worker.routing = reinterpret_cast<int32_t*>(base + starts.routing);
    worker.moe_sums = reinterpret_cast<float*>(base + starts.moe);
    worker.attend_scratch = reinterpret_cast<float*>(base + starts.attend);
    worker.vision_scratch = base + starts.vision;
    worker.logits = reinterpret_cast<float*>(base + starts.logits);
    worker.weights = reinterpret_cast<float*>(base + starts.weights);
    worker.counts = reinterpret_cast<uint32_t*>(base + starts.counts);
  }
  rank.counters = std::make_unique<Counter[]>(rank.program.instructions.size());
  rank.barrier = std::make_unique<Barrier>();
  return {};
}

Status Model::claim_rows(int rank_index, int tensor_index, int64_t row_start, int64_t count, Tensor*& claimed) {
  const auto invalid = [](std::string reason) { return failure(Code::upload_invalid, std::move(reason)); };
  if (rank_index < 0 || rank_index >= static_cast<int>(ranks.size())) {
    return invalid(format_text("rank %d of %zu", rank_index, ranks.size()));
  }
  Rank& rank = *ranks[static_cast<size_t>(rank_index)];
  if (tensor_index < 0 || tensor_index >= static_cast<int>(rank.tensors.size())) {
    return invalid(format_text("tensor %d of %zu", tensor_index, rank.tensors.size()));
  }
  if (sealed) return invalid("the weights are sealed");
  Tensor& tensor = rank.tensors[static_cast<size_t>(tensor_index)];
  if (row_start < 0 || count < 1 || count > tensor.spec.rows || row_start > tensor.spec.rows - count) {
    return invalid(format_text("rows %lld to %lld of %d", static_cast<long long>(row_start),
                               static_cast<long long>(row_start + count), tensor.spec.rows));
  }
  for (int64_t row = row_start; row < row_start + count; ++row) {
    if (tensor.filled[static_cast<size_t>(row)]) return invalid(format_text("row %lld is filled already", static_cast<long long>(row)));
  }
  for (int64_t row = row_start; row < row_start + count; ++row) tensor.filled[static_cast<size_t>(row)] = true;
  tensor.rows_filled += static_cast<int>(count);
  claimed = &tensor;
  return {};
}

Status Model::upload(int rank_index, int tensor_index, int64_t row_start, const uint8_t* bytes, size_t size) {
  const bool known = rank_index >= 0 && rank_index < static_cast<int>(ranks.size()) && tensor_index >= 0 &&
                     tensor_index < static_cast<int>(ranks[static_cast<size_t>(rank_index)]->tensors.size());
  size_t row_bytes = 1;
  if (known) {
    const TensorSpec& spec = ranks[static_cast<size_t>(rank_index)]->tensors[static_cast<size_t>(tensor_index)].spec;
    row_bytes = matmul::file_row_bytes(spec.format, spec.cols);
  }
  if (size == 0 || size % row_bytes != 0) {
    return failure(Code::upload_invalid, format_text("%zu bytes are not whole rows of %zu", size, row_bytes));
  }
  Tensor* tensor = nullptr;
  const auto count = static_cast<int64_t>(size / row_bytes);
  const Status status = claim_rows(rank_index, tensor_index, row_start, count, tensor);
  if (!status.ok()) return status;
  PackJob job{tensor, bytes, row_bytes, static_cast<int>(row_start), static_cast<int>(count), 1};
  if (size < parallel_pack_bytes) {
    pack_part(&job, 0);
  } else {
    job.workers = team->workers();
    team->run(pack_part, &job);
  }
  return {};
}

Status Model::upload_files(const std::vector<std::string>& names, const std::vector<FileRows>& parts) {
  for (size_t i = files.size(); i < names.size(); ++i) {
    files.push_back(std::make_unique<InputFile>(names[i]));
    if (files.back()->descriptor() >= 0) continue;
    const Status status = failure(Code::file_invalid, format_text("it cannot be opened (%s)", std::strerror(errno)), static_cast<int>(i));
    files.pop_back();
    return status;
  }
  if (staging.empty()) staging.resize(workers.size());
  const size_t before = pieces.size();
  for (const FileRows& part : parts) {
    if (part.file < 0 || part.file >= static_cast<int>(files.size())) {
      return failure(Code::upload_invalid, format_text("file %d of %zu", part.file, files.size()));
    }
    Tensor* tensor = nullptr;
    const Status status = claim_rows(part.rank, part.tensor, part.row_start, part.rows, tensor);
    if (!status.ok()) return status;
    const InputFile& file = *files[static_cast<size_t>(part.file)];
    const auto bytes = part.rows * static_cast<int64_t>(matmul::file_row_bytes(tensor->spec.format, tensor->spec.cols));
    const std::string reason = file.lacks(part.offset, bytes);
    if (!reason.empty()) return failure(Code::file_invalid, reason, part.file);
    file.will_read(part.offset, bytes);
    const FileSpan span{&file, part.file, static_cast<int>(part.row_start), static_cast<int>(part.rows), part.offset};
    if (tensor->can_wait) {
      tensor->spans.push_back(span);
    } else {
      add_pieces(*tensor, span);
    }
  }
  return pieces.size() > before ? run_pieces(pieces.size()) : Status{};
}

void Model::add_pieces(Tensor& tensor, const FileSpan& span) {
  const auto row_bytes = static_cast<int64_t>(matmul::file_row_bytes(tensor.spec.format, tensor.spec.cols));
  const int strips = static_cast<int>(static_cast<int64_t>(piece_bytes) / (row_bytes * matmul::strip_rows));
  const int most = std::max(1, strips) * matmul::strip_rows;
  for (int row = 0; row < span.rows; row += most) {
    pieces.push_back({&tensor, {span.file, span.file_index, span.row_start + row, std::min(most, span.rows - row), span.offset + row * row_bytes}});
  }
}

Status Model::run_pieces(size_t most) {
  const size_t end = std::min(pieces.size(), most);
  PackPieces job{this, {packed_pieces}, end};
  team->run(pack_pieces, &job);
  Status status = problem.take();
  // What a failure left undone is tried again by whoever has to have it, and says why it cannot.
  if (status.ok()) packed_pieces = end;
  return status;
}

Status Model::pack_rest() {
  const Status status = run_pieces(pieces.size());
  if (!status.ok()) return status;
  for (auto& rank : ranks) {
    for (Tensor& tensor : rank->tensors) tensor.spans.clear();
  }
  pieces.clear();
  packed_pieces = 0;
  staging.clear();
  files.clear();
  return {};
}

bool Model::idle_work() {
  if (packed_pieces == pieces.size()) return false;
  const size_t most = packed_pieces + idle_pieces_per_worker * workers.size();
  if (most < pieces.size()) return run_pieces(most).ok();
  pack_rest();
  return false;
}

Status Model::seal() {
  for (const auto& rank : ranks) {
    for (size_t i = 0; i < rank->tensors.size(); ++i) {
      const Tensor& tensor = rank->tensors[i];
      if (tensor.rows_filled == tensor.spec.rows) continue;
      // Which tensor it is travels in the fields of other failures: names are known to TypeScript.
      Status status = failure(Code::upload_invalid, format_text("%d of its %d rows are filled; all are wanted",
                                                                tensor.rows_filled, tensor.spec.rows),
                              static_cast<int>(i));
      status.want_bytes = rank->rank;
      return status;
    }
  }
  for (auto& rank : ranks) {
    for (Tensor& tensor : rank->tensors) {
      for (const FileSpan& span : tensor.spans) add_pieces(tensor, span);
    }
  }
  for (auto& rank : ranks) read_conv_kernels(*rank);
  sealed = true;
  return {};
}

void Model::read_conv_kernels(Rank& rank) {
  for (size_t i = 0; i < rank.conv_kernels.size(); ++i) {
    const ConvKernelSpec& kernel = rank.program.conv_kernels[i];
    std::vector<float> taps(static_cast<size_t>(kernel.taps));
    size_t channel = 0;
    for (int s = 0; s < kernel.segments; ++s) {
      const Tensor& tensor = rank.tensors[static_cast<size_t>(kernel.tensors[s])];
      for (int row = 0; row < tensor.spec.rows; ++row, ++channel) {
        matmul::lookup_row(tensor.spec.format, tensor.data, tensor.spec.rows, tensor.spec.cols, row, taps.data());
        for (size_t j = 0; j < taps.size(); ++j) {
          rank.conv_kernels[i].values[j * static_cast<size_t>(kernel.channels) + channel] = taps[j];
        }
      }
    }
  }
}

void Model::copy_state(const StateCopy& copy) {
  if (copy.from == copy.to) return;
  for (auto& rank : ranks) {
    for (const StateLayer& layer : rank->state) {
      std::memcpy(layer.conv_of(copy.to), layer.conv_of(copy.from), static_cast<size_t>(layer.spec.conv_elements) * sizeof(float));
      std::memcpy(layer.delta_of(copy.to), layer.delta_of(copy.from), static_cast<size_t>(layer.spec.delta_elements) * sizeof(float));
    }
  }
}

Status Model::run_step(double& device_ns) {
  if (!sealed) return failure(Code::step_invalid, "model is not sealed");
  if (has_stepped && !pieces.empty()) {
    const Status status = pack_rest();
    if (!status.ok()) return status;
  }
  const auto start = std::chrono::steady_clock::now();
  Status status = step->read();
  if (!status.ok()) return status;
  has_stepped = true;
  for (auto& rank : ranks) {
    for (size_t i = 0; i < rank->program.instructions.size(); ++i) {
      rank->counters[i].next.store(0, std::memory_order_relaxed);
    }
  }
  for (const StateCopy& copy : step->copies) copy_state(copy);
  team->run(interpret_part, this);
  if (problem.any()) return problem.take();
  device_ns = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
  return {};
}

}  // namespace cortex
