#include <cmath>
#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// Tokens whose queries and keys are made ready together.
constexpr int token_block = 16;

}  // namespace

// Each worker takes a value head through all tokens of a sequence: nothing of a state is shared.
void cortex_gated_delta(const Instruction& in, Worker& worker) {
  const int key_dim = in.param(op::gated_delta::param::keyDim);
  const int value_dim = in.param(op::gated_delta::param::valueDim);
  const bool tiled = in.param(op::gated_delta::param::tiled) != 0;
  const int heads = in.n / value_dim;
  const int key_heads = (in.k - in.n) / (2 * key_dim);
  const StateLayer& layer = worker.rank->state[static_cast<size_t>(in.param(op::gated_delta::param::layer))];
  const Operand& qkv = in.in[op::gated_delta::in::qkv];
  const auto& sequences = worker.step().sequences;
  const Range own = split(static_cast<int>(sequences.size()) * heads, worker.index, worker.workers());
  alignas(64) float q_block[token_block * max_delta_key];
  alignas(64) float k_block[token_block * max_delta_key];
  float qk[token_block];
  float decay[token_block];
  float beta[token_block];
  for (int i = own.begin; i < own.end; ++i) {
    const StepSequence& sequence = sequences[static_cast<size_t>(i / heads)];
    const int head = i % heads;
    const int key_head = tiled ? head % key_heads : head / (heads / key_heads);
    const size_t elements = static_cast<size_t>(key_dim) * static_cast<size_t>(value_dim);
    float* state = layer.delta_of(sequence.slot) + static_cast<size_t>(head) * elements;
    if (sequence.length == sequence.rows) std::memset(state, 0, elements * sizeof(float));
    for (int first = 0; first < sequence.rows; first += token_block) {
      const int tokens = std::min(token_block, sequence.rows - first);
      const int row = sequence.first_row + first;
      for (int t = 0; t < tokens; ++t) {
        const float* q = worker.at(qkv, row + t) + key_head * key_dim;
        const float* k = q + key_heads * key_dim;
        qk[t] = worker.kernels().delta_prepare(q, k, key_dim, q_block + t * key_dim, k_block + t * key_dim);
        decay[t] = std::exp(worker.at(in.in[op::gated_delta::in::g], row + t)[head]);
        beta[t] = worker.at(in.in[op::gated_delta::in::beta], row + t)[head];
      }
      DeltaSpan span{};
      span.key_dim = key_dim;
      span.value_dim = value_dim;
      span.tokens = tokens;
      span.q = q_block;
      span.k = k_block;
      span.qk = qk;
      span.decay = decay;
      span.beta = beta;
      span.v = worker.at(qkv, row) + 2 * key_heads * key_dim + head * value_dim;
      span.v_stride = static_cast<size_t>(qkv.stride);
      span.state = state;
      span.y = worker.at(in.out[0], row) + head * value_dim;
      span.y_stride = static_cast<size_t>(in.out[0].stride);
      worker.kernels().delta_rule(span);
    }
  }
}

}  // namespace cortex
