// One loaded model: its ranks, their memory and the team that runs them. Everything here belongs to the device thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "../runtime/barrier.h"
#include "../runtime/memory.h"
#include <cortex/runtime/native_backend.h>
#include <cortex/runtime/status.h>
#include "../runtime/team.h"
#include <cortex/program/decode.h>
#include "file_rows.h"
#include "model_spec.h"
#include <cortex/program/op_facts.h>
#include <cortex/program/step.h>

namespace cortex {

struct Model;

struct Tensor {
  TensorSpec spec;
  // Experts whose rows it holds one after another, else 1: each is packed as a matrix of its own, so that none shares a
  // strip with the next.
  int experts;
  // Packed matrices, or a plain vector.
  uint8_t* data;
  std::vector<bool> filled;
  int rows_filled = 0;
  // Whether its users can read it from files as well.
  bool can_wait = false;
  // Where rows lie that are not packed yet.
  std::vector<FileSpan> spans;

  int expert_rows() const { return spec.rows / experts; }
  const float* values() const { return reinterpret_cast<const float*>(data); }
  uint8_t* expert_data(int expert) const {
    return data + static_cast<size_t>(expert) * matmul::packed_bytes(spec.format, expert_rows(), spec.cols);
  }
  matmul::Weights weights(int expert = 0) const { return {spec.format, expert_rows(), spec.cols, expert_data(expert)}; }
};

// Bytes of a tensor as it is kept.
size_t tensor_bytes(const TensorSpec& spec, int experts);

// [page][kv head]{K^T [headDim][64], V [64][headDim]}
struct KvLayer {
  int kv_heads;
  int head_dim;
  uint8_t* data;
  size_t head_bytes;
  size_t page_bytes;
};

// Recurrent state of one layer: [state][conv_elements] and [state][delta_elements]; slots first, then snapshots.
struct StateLayer {
  StateLayerSpec spec;
  float* conv;
  float* delta;

  float* conv_of(int slot) const { return conv + static_cast<size_t>(slot) * static_cast<size_t>(spec.conv_elements); }
  float* delta_of(int slot) const { return delta + static_cast<size_t>(slot) * static_cast<size_t>(spec.delta_elements); }
};

// [taps][channels]
struct ConvKernel {
  int taps;
  float* values;
};

struct RopeTable {
  RopeTableSpec spec;
  // [max_rows][rotary_dim / 2] each
  float* cosine;
  float* sine;
};

// A cache line of its own: workers count work down on it.
struct alignas(64) Counter {
  std::atomic<int> next{0};
};

// Attention's results of spans of keys, waiting to be merged: (acc[head_dim], max, sum) per entry.
struct Partials {
  float* data;
  int capacity;
};

struct Rank {
  int rank;
  int workers;
  DecodedProgram program;
  ProgramSpec spec;
  Block weights;
  Block activations;
  Block cache;
  Block states;
  Block scratch;
  float* arena;
  std::vector<Tensor> tensors;
  std::vector<KvLayer> kv;
  std::vector<StateLayer> state;
  std::vector<ConvKernel> conv_kernels;
  std::vector<RopeTable> rope_tables;
  // Rows quantised by a product that the program gave none, and split ones.
  uint8_t* quantised;
  uint8_t* split;
  Partials partials;
  std::unique_ptr<Counter[]> counters;
  std::unique_ptr<Barrier> barrier;
};

// What one thread works with.
struct Worker {
  Model* model;
  Rank* rank;
  // Place in the rank's team, and among all ranks' workers.
  int index;
  int global_index;
  // What of the weights is still in files is read through this.
  Staging& staging() const;
  FirstFailure& problem() const;
  void* matmul_scratch;
  // Order of the rows by expert, and the products of one range of columns: mixtures of experts only.
  int32_t* routing;
  float* moe_sums;
  float* attend_scratch;
  // One image's keys and values of one head, or a row of a table.
  uint8_t* vision_scratch;
  // Rank 0 only: sampling.
  float* logits;
  float* weights;
  uint32_t* counts;

  const Step& step() const;
  const Kernels& kernels() const;
  const matmul::MatmulIsa& matmul() const;
  int workers() const { return rank->workers; }
  int rows(const Instruction& instruction) const;
  bool splits_input(const Instruction& instruction) const;
  float* at(const Operand& operand, int row) const { return rank->arena + operand.offset + row * operand.stride; }
  const Tensor& tensor(const Instruction& instruction, int position) const {
    return rank->tensors[static_cast<size_t>(instruction.weights[position])];
  }
  // Waits for the rank's other workers.
  void meet() const { rank->barrier->wait(); }
};

// Rows that one worker reads and packs at a time.
struct Piece {
  Tensor* tensor;
  FileSpan span;
};

struct Model : NativeModel {
  ~Model() override;

  // Null and a status when the spec is refused or memory does not suffice.
  static std::unique_ptr<Model> load(ModelSpec spec, int32_t* step_words, Status& status);

  // What `load` would allocate for each rank, without allocating any of it.
  static Status measure(ModelSpec spec, std::vector<RankMemory>& memory);

  Status upload(int rank, int tensor, int64_t row_start, const uint8_t* bytes, size_t size) override;
  bool reads_files() const override { return true; }
  // The files are read until the second step at the latest.
  Status upload_files(const std::vector<std::string>& names, const std::vector<FileRows>& parts) override;
  // Packs a little of what still lies in files, all workers at once.
  bool idle_work() override;
  Status seal() override;
  Status run_step(double& device_ns) override;
  const std::vector<RankMemory>& rank_memory() const override { return memory; }
  int thread_count() const override { return static_cast<int>(workers.size()); }

  ModelSpec spec;
  std::vector<std::unique_ptr<Rank>> ranks;
  std::vector<Worker> workers;
  std::unique_ptr<Team> team;
  std::unique_ptr<Step> step;
  Barrier all;
  std::vector<RankMemory> memory;
  bool sealed = false;
  std::vector<std::unique_ptr<InputFile>> files;
  // Of rows that are to be packed, in the order of the program; those before `packed_pieces` are.
  std::vector<Piece> pieces;
  size_t packed_pieces = 0;
  // One per worker, while weights are still in files.
  std::vector<Staging> staging;
  FirstFailure problem;
  bool has_stepped = false;
  // Sizes are computed and nothing is allocated: there is nothing to run.
  bool measured_only = false;

 private:
  Status build(int32_t* step_words);
  Status allocate_rank(Rank& rank);
  // Packs what still lies in files.
  Status pack_rest();
  Status run_pieces(size_t most);
  void add_pieces(Tensor& tensor, const FileSpan& span);
  // The tensor, once it is known to lack exactly these rows; they count as filled from now on.
  Status claim_rows(int rank, int tensor, int64_t row_start, int64_t count, Tensor*& claimed);
  void read_conv_kernels(Rank& rank);
  void copy_state(const StateCopy& copy);
};

inline const Step& Worker::step() const { return *model->step; }
inline Staging& Worker::staging() const { return model->staging[static_cast<size_t>(global_index)]; }
inline FirstFailure& Worker::problem() const { return model->problem; }
inline const Kernels& Worker::kernels() const { return *model->spec.kernels; }
inline const matmul::MatmulIsa& Worker::matmul() const { return *model->spec.matmul; }
inline bool Worker::splits_input(const Instruction& instruction) const {
  return matmul().split_rows != nullptr && may_split_input(instruction, rank->spec);
}
inline int Worker::rows(const Instruction& instruction) const { return model->step->rows_of(instruction.symbol); }

}  // namespace cortex
