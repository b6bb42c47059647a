#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// Channels that one worker takes at a time.
constexpr int channel_block = 256;

}  // namespace

// Each worker takes a run of channels through all tokens of a sequence: the window that it reads is the one it writes.
void cortex_conv1d_silu(const Instruction& in, Worker& worker) {
  const ConvKernel& kernel = worker.rank->conv_kernels[static_cast<size_t>(in.conv_kernel)];
  const StateLayer& layer = worker.rank->state[static_cast<size_t>(in.param(op::conv1d_silu::param::layer))];
  const auto& sequences = worker.step().sequences;
  const int before = kernel.taps - 1;
  const int blocks = (in.n + channel_block - 1) / channel_block;
  const Range own = split(static_cast<int>(sequences.size()) * blocks, worker.index, worker.workers());
  const float* window[max_conv_taps];
  float past[max_conv_taps * channel_block];
  for (int i = own.begin; i < own.end; ++i) {
    const StepSequence& sequence = sequences[static_cast<size_t>(i / blocks)];
    const int column = i % blocks * channel_block;
    const int count = std::min(channel_block, in.n - column);
    const size_t bytes = static_cast<size_t>(count) * sizeof(float);
    const auto state_row = [&](int row) {
      return layer.conv_of(sequence.slot) + static_cast<size_t>(row) * static_cast<size_t>(in.n) + column;
    };
    const bool is_first = sequence.length == sequence.rows;
    for (int row = 0; row < before; ++row) {
      if (is_first) std::memset(past + row * channel_block, 0, bytes);
      else std::memcpy(past + row * channel_block, state_row(row), bytes);
    }
    // Input `token` of this step, or the past before it.
    const auto input = [&](int token) -> const float* {
      return token < 0 ? past + (before + token) * channel_block
                       : worker.at(in.in[op::conv1d_silu::in::x], sequence.first_row + token) + column;
    };
    for (int token = 0; token < sequence.rows; ++token) {
      for (int tap = 0; tap < kernel.taps; ++tap) window[tap] = input(token - before + tap);
      worker.kernels().conv_silu(window, kernel.values + column, static_cast<size_t>(in.n), kernel.taps, count,
                                 worker.at(in.out[0], sequence.first_row + token) + column);
    }
    for (int row = 0; row < before; ++row) std::memcpy(state_row(row), input(sequence.rows - before + row), bytes);
  }
}

}  // namespace cortex
