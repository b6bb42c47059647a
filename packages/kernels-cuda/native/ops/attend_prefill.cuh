// Attention of prompts over a 16-bit cache with matrix instructions. A block of four warps takes 64 queries of one sequence and
// cache head (a query is a row and a head of the group; neighbours share a row), 16 per warp, and passes over the keys in
// tiles: scores, an online softmax in registers, values. The next keys are on their way while values are summed, and values
// while scores are made. Queries and weights are split into two 16-bit terms each, so that only the cache is rounded.
#pragma once

#include "../device/kv_element.h"
#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../device/warp.h"
#include "../ptx/memory.h"
#include "../ptx/mma.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

// Sequences with more rows in the step are prompts.
inline constexpr int few_rows = 4;

template <typename Element>
constexpr bool takes_prompts(int head_dim) {
  return sizeof(typename Element::Stored) == 2 && (head_dim == 64 || head_dim == 128 || head_dim == 256);
}

namespace prefill {

inline constexpr int warps = 4;
inline constexpr int threads = warps * warp_threads;
inline constexpr int warp_queries = 16;
inline constexpr int queries = warps * warp_queries;

// Keys of a tile: what is staged stays below the 99 KiB of a block on the smaller devices.
constexpr int keys_of(int dim) { return dim == 256 ? 32 : 64; }

constexpr size_t shared_bytes(int dim) {
  return sizeof(uint16_t) * static_cast<size_t>(dim) * static_cast<size_t>(2 * queries + 2 * keys_of(dim));
}

// Rows of `dim` 16-bit elements; pieces of 16 bytes change places by row, so that eight rows' pieces lie in different banks.
template <int dim>
__device__ __forceinline__ int piece_at(int row, int piece) {
  return row * dim + ((piece ^ (row & 7)) << 3);
}

__device__ __forceinline__ uint32_t pack(KvF16, float low, float high) { return ptx::pack_halves(low, high); }
__device__ __forceinline__ uint32_t pack(KvBF16, float low, float high) { return ptx::pack_bfloats(low, high); }
__device__ __forceinline__ void multiply(KvF16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { ptx::mma_half(d, a, b); }
__device__ __forceinline__ void multiply(KvBF16, float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { ptx::mma_bfloat(d, a, b); }

// Two numbers as the sum of two terms.
struct Terms {
  uint32_t high;
  uint32_t low;
};

template <typename Element>
__device__ __forceinline__ Terms split_pair(float a, float b) {
  const uint32_t high = pack(Element{}, a, b);
  const float a_left = a - Element::load(static_cast<uint16_t>(high));
  const float b_left = b - Element::load(static_cast<uint16_t>(high >> 16));
  return {high, pack(Element{}, a_left, b_left)};
}

// Keys or values [first, first + keys) of a head to shared memory; zeros from `end` on.
template <typename Element, int dim>
__device__ __forceinline__ void stage(uint16_t* to, const KvView<Element>& cache, const int32_t* pages, int head, bool of_values,
                                      int first, int end) {
  constexpr int keys = keys_of(dim);
  constexpr int pieces = dim / 8;
  // A tile never crosses a page.
  const int page = pages[first / page_tokens];
  const uint16_t* from = (of_values ? cache.values(page, head) : cache.keys(page, head)) + first % page_tokens * dim;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < keys * pieces; i += threads) {
    const int row = i / pieces;
    ptx::copy16_async(to + piece_at<dim>(row, i % pieces), from + row * dim + i % pieces * 8, first + row < end ? 16 : 0);
  }
}

template <typename Element, int dim>
__global__ void __launch_bounds__(threads)
    prefill_kernel(StepView step, View q, View y, KvView<Element> cache, int group, int window, float scale) {
  constexpr int keys = keys_of(dim);
  constexpr int key_tiles = keys / 8;
  constexpr int value_tiles = dim / 8;
  auto* const q_high = ptx::dynamic_shared<uint16_t>();
  auto* const q_low = q_high + queries * dim;
  auto* const k_tile = q_low + queries * dim;
  auto* const v_tile = k_tile + keys * dim;
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / warp_threads;
  const int lane = lane_of(thread);
  const int head = static_cast<int>(blockIdx.y);
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  // Later tiles see more keys: they begin first.
  int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const int sequences = step.counts[count::sequences];
  int index = 0;
  for (; index < sequences; ++index) {
    const int rows = step.sequences[index].rows;
    const int tiles = rows > few_rows ? (rows * group + queries - 1) / queries : 0;
    if (tile < tiles) break;
    tile -= tiles;
  }
  if (index == sequences) return;
  const DeviceSequence sequence = step.sequences[index];
  const int32_t* pages = step.pages + sequence.pages_start;
  const int first_query = tile * queries;
  const int all_queries = sequence.rows * group;
  const int start = sequence.length - sequence.rows;
  const auto position_of = [&](int query) { return start + min(query, all_queries - 1) / group; };
  // Keys that some query sees, from the start of a tile.
  const int end = position_of(first_query + queries - 1) + 1;
  const int begin = window > 0 ? max(0, position_of(first_query) - window + 1) / keys * keys : 0;

  stage<Element, dim>(k_tile, cache, pages, head, false, begin, end);
  ptx::copies_commit();
  for (int i = thread; i < queries * (dim / 8); i += threads) {
    const int query = i / (dim / 8);
    const int piece = i % (dim / 8);
    uint4 high = make_uint4(0, 0, 0, 0);
    uint4 low = make_uint4(0, 0, 0, 0);
    if (first_query + query < all_queries) {
      const int named = first_query + query;
      const float* from = q.row(sequence.first_row + named / group) + (head * group + named % group) * dim + piece * 8;
      const auto terms = [&](int at) { return split_pair<Element>(from[at] * scale, from[at + 1] * scale); };
      const Terms all[4] = {terms(0), terms(2), terms(4), terms(6)};
      high = make_uint4(all[0].high, all[1].high, all[2].high, all[3].high);
      low = make_uint4(all[0].low, all[1].low, all[2].low, all[3].low);
    }
    *reinterpret_cast<uint4*>(q_high + piece_at<dim>(query, piece)) = high;
    *reinterpret_cast<uint4*>(q_low + piece_at<dim>(query, piece)) = low;
  }

  // Rows of this lane's results: 4 g + t has queries g and g + 8 of the warp.
  const int base = warp * warp_queries;
  int last_key[2];
  int first_key[2];
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    last_key[r] = position_of(first_query + base + lane / 4 + 8 * r);
    first_key[r] = window > 0 ? last_key[r] - window + 1 : 0;
  }
  float acc[value_tiles][4] = {};
  float most[2] = {-INFINITY, -INFINITY};
  float total[2] = {0.0f, 0.0f};
  const int matrix = lane / 8;
  const int matrix_row = lane % 8;
  for (int first = begin; first < end; first += keys) {
    ptx::copies_wait<0>();
    __syncthreads();
    // Values of the tile before are done with.
    stage<Element, dim>(v_tile, cache, pages, head, true, first, end);
    ptx::copies_commit();
    float scores[key_tiles][4] = {};
#pragma unroll
    for (int k = 0; k < dim / 16; ++k) {
      uint32_t high[4];
      uint32_t low[4];
      const int q_row = base + matrix_row + (matrix & 1) * 8;
      ptx::load_matrices(high, q_high + piece_at<dim>(q_row, 2 * k + matrix / 2));
      ptx::load_matrices(low, q_low + piece_at<dim>(q_row, 2 * k + matrix / 2));
#pragma unroll
      for (int n = 0; n < key_tiles; n += 2) {
        uint32_t words[4];
        ptx::load_matrices(words, k_tile + piece_at<dim>(n * 8 + matrix_row + matrix / 2 * 8, 2 * k + (matrix & 1)));
        const uint32_t left[2] = {words[0], words[1]};
        const uint32_t right[2] = {words[2], words[3]};
        multiply(Element{}, scores[n], high, left);
        multiply(Element{}, scores[n + 1], high, right);
        multiply(Element{}, scores[n], low, left);
        multiply(Element{}, scores[n + 1], low, right);
      }
    }
    float largest[2] = {most[0], most[1]};
#pragma unroll
    for (int n = 0; n < key_tiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first + n * 8 + lane % 4 * 2 + i % 2;
        if (key > last_key[i / 2] || key < first_key[i / 2]) scores[n][i] = -INFINITY;
        largest[i / 2] = fmaxf(largest[i / 2], scores[n][i]);
      }
    }
    float fade[2];
    float sums[2] = {0.0f, 0.0f};
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(whole_warp, largest[r], 1));
      largest[r] = fmaxf(largest[r], __shfl_xor_sync(whole_warp, largest[r], 2));
      // A query may see nothing of its first tiles.
      fade[r] = largest[r] == -INFINITY ? 1.0f : expf(most[r] - largest[r]);
      most[r] = largest[r];
    }
#pragma unroll
    for (int n = 0; n < key_tiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        scores[n][i] = scores[n][i] == -INFINITY ? 0.0f : expf(scores[n][i] - most[i / 2]);
        sums[i / 2] += scores[n][i];
      }
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      sums[r] += __shfl_xor_sync(whole_warp, sums[r], 1);
      sums[r] += __shfl_xor_sync(whole_warp, sums[r], 2);
      total[r] = total[r] * fade[r] + sums[r];
    }
#pragma unroll
    for (int n = 0; n < value_tiles; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i) acc[n][i] *= fade[i / 2];
    }
    ptx::copies_wait<0>();
    __syncthreads();
    // All warps have read the keys.
    if (first + keys < end) stage<Element, dim>(k_tile, cache, pages, head, false, first + keys, end);
    ptx::copies_commit();
#pragma unroll
    for (int k = 0; k < keys / 16; ++k) {
      uint32_t high[4];
      uint32_t low[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const float* pair = &scores[2 * k + i / 2][i % 2 * 2];
        const Terms terms = split_pair<Element>(pair[0], pair[1]);
        high[i] = terms.high;
        low[i] = terms.low;
      }
#pragma unroll
      for (int n = 0; n < value_tiles; n += 2) {
        uint32_t words[4];
        ptx::load_matrices_transposed(words, v_tile + piece_at<dim>(k * 16 + matrix_row + (matrix & 1) * 8, n + matrix / 2));
        const uint32_t left[2] = {words[0], words[1]};
        const uint32_t right[2] = {words[2], words[3]};
        multiply(Element{}, acc[n], high, left);
        multiply(Element{}, acc[n + 1], high, right);
        multiply(Element{}, acc[n], low, left);
        multiply(Element{}, acc[n + 1], low, right);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const int query = first_query + base + lane / 4 + 8 * r;
    if (query >= all_queries) continue;
    float* to = y.row(sequence.first_row + query / group) + (head * group + query % group) * dim + lane % 4 * 2;
    const float factor = 1.0f / total[r];
#pragma unroll
    for (int n = 0; n < value_tiles; ++n) {
      to[n * 8] = acc[n][2 * r] * factor;
      to[n * 8 + 1] = acc[n][2 * r + 1] * factor;
    }
  }
}

template <typename Element, int dim>
inline void enqueue(const Instruction& in, Worker& worker, const KvLayer& layer) {
  const int group = in.n / dim / layer.kv_heads;
  // Every sequence may end with a tile that is not full.
  const int prompts = min(worker.sequences, worker.rows(in) / (few_rows + 1));
  const int tiles = (worker.rows(in) * group + queries - 1) / queries + prompts;
  launch(worker, prefill_kernel<Element, dim>, dim3(tiles, layer.kv_heads), dim3(threads), shared_bytes(dim), worker.step,
         view_of(worker, in.in[op::attend::in::q]), view_of(worker, in.out[op::attend::out::y]), kv_view<Element>(layer), group,
         in.param(op::attend::param::window), in.param_float(op::attend::param::scale));
}

}  // namespace prefill

// Enqueues the rows of all prompts of the step.
template <typename Element>
inline void attend_prompts(const Instruction& in, Worker& worker, const KvLayer& layer) {
  if constexpr (sizeof(typename Element::Stored) == 2) {
    switch (layer.head_dim) {
      case 64: return prefill::enqueue<Element, 64>(in, worker, layer);
      case 128: return prefill::enqueue<Element, 128>(in, worker, layer);
      default: return prefill::enqueue<Element, 256>(in, worker, layer);
    }
  }
}

}  // namespace cortex
