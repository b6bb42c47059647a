// What an op enqueues with. An op never waits and never allocates: everything that varies between steps is in `step`, which
// kernels read on the device; everything else is an argument that a captured graph keeps.
#pragma once

#include <cuda_runtime.h>

#include <cortex/program/instruction.h>

#include <cstddef>
#include <cstdint>

#include "cache.h"
#include "step_view.h"
#include "weights.h"

namespace cortex {

struct Model;

struct Worker {
  Model* model;
  cudaStream_t stream;
  // 80, 86, 89, 90, 100, 120
  int capability;
  // Streaming multiprocessors.
  int processors;
  // Shared memory that one block may ask for.
  size_t shared_bytes;
  // Device memory; operands are float32 [rows, width] windows that begin at multiples of 16 elements.
  float* arena;
  StepView step;
  // Most rows of each symbol (rows, sampled, patches, features) of the step that is enqueued: sizes of grids. A graph that was
  // captured with them replays for every step that has no more.
  int bucket[4];
  // Likewise of sequences, and of tokens of the longest one.
  int sequences;
  int max_length;
  // Most rows of one sequence; 1: every sequence has one row, as in decoding.
  int max_sequence_rows;
  // Shared by all ops; nothing survives an instruction.
  uint8_t* scratch;
  size_t scratch_bytes;
  const Tensor* tensors;
  const KvLayer* kv;
  const StateLayer* state;
  int state_layers;
  int rank;
  int ranks;

  int rows(const Instruction& instruction) const { return bucket[instruction.symbol]; }
  float* at(const Operand& operand) const { return arena + operand.offset; }
  bool has_tensor(const Instruction& instruction, int position) const { return instruction.weights[position] >= 0; }
  const Tensor& tensor(const Instruction& instruction, int position) const { return tensors[instruction.weights[position]]; }
};

}  // namespace cortex
