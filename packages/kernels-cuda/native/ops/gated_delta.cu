// Gated delta rule, token by token. Columns of a state know nothing of each other: a warp takes some columns of one head
// through all tokens of a sequence, its lanes share their rows, and the state is read once and written once. With q and k of
// unit length and q scaled:  d = beta (v - decay S^T k);  y = decay S^T q + (k . q) d;  S = decay S + k d^T.
#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../device/warp.h"
#include "../ptx/memory.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int warps = 4;
constexpr int threads = warps * warp_threads;
// Tokens whose queries and keys are made ready together.
constexpr int token_block = 16;

struct Token {
  float qk;
  float decay;
  float beta;
};

struct Heads {
  int key_dim;
  int value_dim;
  int heads;
  int key_heads;
  bool tiled;
};

constexpr size_t shared_bytes(int key_dim) {
  return sizeof(float) * 2 * token_block * static_cast<size_t>(key_dim) + sizeof(Token) * token_block;
}

// A column is shared by `parts` lanes; part p has rows p * rows and on of the state.
template <int rows, int parts>
__global__ void __launch_bounds__(threads, 3)
    gated_delta_kernel(StepView step, View qkv, View beta, View g, View y, float* states, int64_t state_elements, Heads heads) {
  constexpr int padded_dim = rows * parts;
  constexpr int warp_columns = warp_threads / parts;
  float* const queries = ptx::dynamic_shared<float>();
  float* const keys = queries + token_block * padded_dim;
  auto* const tokens = reinterpret_cast<Token*>(keys + token_block * padded_dim);
  const int index = static_cast<int>(blockIdx.z);
  const int head = static_cast<int>(blockIdx.y);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (index >= step.counts[count::sequences]) return;
  const DeviceSequence sequence = step.sequences[index];
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / warp_threads;
  const int lane = lane_of(thread);
  const int column = (static_cast<int>(blockIdx.x) * warps + warp) * warp_columns + lane % warp_columns;
  const int first_row = lane / warp_columns * rows;
  const bool has_column = column < heads.value_dim;
  const int key_head = heads.tiled ? head % heads.key_heads : head / (heads.heads / heads.key_heads);
  float* state = states + static_cast<int64_t>(sequence.slot) * state_elements +
                 static_cast<int64_t>(head) * heads.key_dim * heads.value_dim + column;
  float s[rows];
  const bool is_new = sequence.length == sequence.rows;
#pragma unroll
  for (int d = 0; d < rows; ++d) {
    const bool has = has_column && !is_new && first_row + d < heads.key_dim;
    s[d] = has ? state[static_cast<int64_t>(first_row + d) * heads.value_dim] : 0.0f;
  }
  for (int first = 0; first < sequence.rows; first += token_block) {
    const int count = min(token_block, sequence.rows - first);
    __syncthreads();
    for (int t = warp; t < count; t += warps) {
      const int row = sequence.first_row + first + t;
      const float* q = qkv.row(row) + key_head * heads.key_dim;
      const float* k = q + heads.key_heads * heads.key_dim;
      float q_squares = 0.0f;
      float k_squares = 0.0f;
      float product = 0.0f;
      for (int d = lane; d < heads.key_dim; d += warp_threads) {
        q_squares += q[d] * q[d];
        k_squares += k[d] * k[d];
        product += q[d] * k[d];
      }
      // 1e-6 under the root keeps a vector of zeros what it is.
      const float q_factor = 1.0f / sqrtf((warp_sum(q_squares) + 1e-6f) * static_cast<float>(heads.key_dim));
      const float k_factor = 1.0f / sqrtf(warp_sum(k_squares) + 1e-6f);
      product = warp_sum(product) * q_factor * k_factor;
      for (int d = lane; d < padded_dim; d += warp_threads) {
        const bool has = d < heads.key_dim;
        queries[t * padded_dim + d] = has ? q[d] * q_factor : 0.0f;
        keys[t * padded_dim + d] = has ? k[d] * k_factor : 0.0f;
      }
      if (lane == 0) tokens[t] = {product, expf(g.row(row)[head]), beta.row(row)[head]};
    }
    __syncthreads();
    for (int t = 0; t < count; ++t) {
      const int row = sequence.first_row + first + t;
      const float* q = queries + t * padded_dim + first_row;
      const float* k = keys + t * padded_dim + first_row;
      const Token token = tokens[t];
      const float v = has_column ? qkv.row(row)[2 * heads.key_heads * heads.key_dim + head * heads.value_dim + column] : 0.0f;
      float memory = 0.0f;
      float out = 0.0f;
#pragma unroll
      for (int d = 0; d < rows; ++d) {
        memory += s[d] * k[d];
        out += s[d] * q[d];
      }
#pragma unroll
      for (int lanes = warp_columns; lanes < warp_threads; lanes <<= 1) {
        memory += __shfl_xor_sync(whole_warp, memory, lanes);
        out += __shfl_xor_sync(whole_warp, out, lanes);
      }
      const float delta = token.beta * (v - token.decay * memory);
#pragma unroll
      for (int d = 0; d < rows; ++d) s[d] = token.decay * s[d] + k[d] * delta;
      if (has_column && first_row == 0) y.row(row)[head * heads.value_dim + column] = token.decay * out + token.qk * delta;
    }
  }
  if (!has_column) return;
#pragma unroll
  for (int d = 0; d < rows; ++d) {
    if (first_row + d < heads.key_dim) state[static_cast<int64_t>(first_row + d) * heads.value_dim] = s[d];
  }
}

template <int rows, int parts>
void enqueue(const Instruction& in, Worker& worker, const Heads& heads) {
  const StateLayer& layer = worker.state[in.param(op::gated_delta::param::layer)];
  constexpr int block_columns = warps * warp_threads / parts;
  const dim3 grid((heads.value_dim + block_columns - 1) / block_columns, heads.heads, worker.sequences);
  launch(worker, gated_delta_kernel<rows, parts>, grid, dim3(threads), shared_bytes(rows * parts), worker.step,
         view_of(worker, in.in[op::gated_delta::in::qkv]), view_of(worker, in.in[op::gated_delta::in::beta]),
         view_of(worker, in.in[op::gated_delta::in::g]), view_of(worker, in.out[0]), layer.delta, int64_t{layer.spec.delta_elements},
         heads);
}

}  // namespace

void cortex_gated_delta(const Instruction& in, Worker& worker) {
  namespace at = op::gated_delta;
  const int key_dim = in.param(at::param::keyDim);
  const int value_dim = in.param(at::param::valueDim);
  const Heads heads{key_dim, value_dim, in.n / value_dim, (in.k - in.n) / (2 * key_dim), in.param(at::param::tiled) != 0};
  if (key_dim <= 32) return enqueue<8, 4>(in, worker, heads);
  if (key_dim <= 128) return enqueue<32, 4>(in, worker, heads);
  static_assert(max_delta_key <= 256);
  enqueue<32, 8>(in, worker, heads);
}

}  // namespace cortex
