// Attention of a few queries that see the same keys, in float32, for any cache format and head size: keys pass in blocks of
// 64, each in three strides: scores, an online softmax, values. A block of threads takes a tile of queries and a run of keys.
#pragma once

#include "../device/kv_element.h"
#include "../device/warp.h"

namespace cortex {

inline constexpr int attend_threads = 128;
inline constexpr int attend_warps = attend_threads / warp_threads;
inline constexpr int attend_keys = page_tokens;

// 16 bytes of the cache, or one element where heads are no multiple of that.
template <typename Element, bool wide>
struct Pack {
  using Stored = typename Element::Stored;
  static constexpr int count = wide ? 16 / sizeof(Stored) : 1;

  float values[count];

  __device__ __forceinline__ static Pack load(const Stored* from) {
    Pack pack;
    if constexpr (wide) {
      const uint4 words = __ldg(reinterpret_cast<const uint4*>(from));
      const uint32_t all[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        if constexpr (sizeof(Stored) == 4) {
          pack.values[i] = __uint_as_float(all[i]);
        } else {
          pack.values[2 * i] = Element::load(static_cast<uint16_t>(all[i]));
          pack.values[2 * i + 1] = Element::load(static_cast<uint16_t>(all[i] >> 16));
        }
      }
    } else {
      pack.values[0] = Element::load(*from);
    }
    return pack;
  }
};

// Keys and values of 64 tokens of one head, `stride` elements from token to token.
template <typename Stored>
struct KeyBlock {
  const Stored* keys;
  const Stored* values;
  int64_t key_stride;
  int64_t value_stride;
};

// Columns of values that a block of threads can sum at once.
template <typename Element, bool wide>
constexpr int attend_columns = attend_threads * Pack<Element, wide>::count;

template <int queries>
constexpr size_t attend_tile_bytes(int head_dim, int columns) {
  return sizeof(float) * static_cast<size_t>(queries) * static_cast<size_t>(head_dim + columns + attend_keys + 3);
}

// Keys [begin, end) of `block_of(64-key block)` for the queries at q (null: none), values of columns
// [column, column + columns). `write(query, column, sum, max, weights)` has what the values add up to, still to be divided by
// the sum of weights relative to exp(max).
template <typename Element, bool wide, int queries, typename BlockOf, typename Write>
__device__ __forceinline__ void attend_tile(float* shared, const float* const (&q)[queries], int head_dim, int column, int columns,
                                            int begin, int end, float scale, BlockOf block_of, Write write) {
  using P = Pack<Element, wide>;
  // [query][head_dim], [query][columns], [query][64]
  float* const staged = shared;
  float* const sums = staged + queries * head_dim;
  float* const weights = sums + queries * columns;
  float* const maximum = weights + queries * attend_keys;
  float* const total = maximum + queries;
  float* const fade = total + queries;
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = lane_of(thread);
  const int warp = thread / warp_threads;
#pragma unroll
  for (int i = 0; i < queries; ++i) {
    for (int c = thread; c < head_dim; c += attend_threads) staged[i * head_dim + c] = q[i] ? q[i][c] * scale : 0.0f;
  }
  if (thread < queries) maximum[thread] = -INFINITY, total[thread] = 0.0f;
  // Eight lanes share a key; each has two keys in work.
  const int part = lane % 8;
  const int slot = warp * 4 + lane / 8;
  constexpr int slots = attend_warps * 4;
  const int packs = head_dim / P::count;
  // Threads of a group have a column pack each; groups share the keys.
  const int packs_here = columns / P::count;
  const int groups = attend_threads / packs_here;
  const int group = thread / packs_here;
  const int value_column = thread % packs_here * P::count;
  float acc[queries][P::count] = {};
  __syncthreads();
  for (int first = begin / attend_keys * attend_keys; first < end; first += attend_keys) {
    const auto block = block_of(first / attend_keys);
    for (int key = slot; key < attend_keys; key += 2 * slots) {
      const bool has[2] = {first + key >= begin && first + key < end, first + key + slots >= begin && first + key + slots < end};
      float dots[queries][2] = {};
      for (int pack = part; pack < packs; pack += 8) {
        P k[2] = {};
#pragma unroll
        for (int j = 0; j < 2; ++j) {
          if (has[j]) k[j] = P::load(block.keys + (key + j * slots) * block.key_stride + pack * P::count);
        }
#pragma unroll
        for (int i = 0; i < queries; ++i) {
#pragma unroll
          for (int c = 0; c < P::count; ++c) {
            const float value = staged[i * head_dim + pack * P::count + c];
            dots[i][0] += value * k[0].values[c];
            dots[i][1] += value * k[1].values[c];
          }
        }
      }
#pragma unroll
      for (int i = 0; i < queries; ++i) {
#pragma unroll
        for (int j = 0; j < 2; ++j) {
#pragma unroll
          for (int lanes = 4; lanes > 0; lanes >>= 1) dots[i][j] += __shfl_xor_sync(whole_warp, dots[i][j], lanes);
          if (part == 0) weights[i * attend_keys + key + j * slots] = has[j] ? dots[i][j] : -INFINITY;
        }
      }
    }
    __syncthreads();
    for (int i = warp; i < queries; i += attend_warps) {
      float* mine = weights + i * attend_keys;
      const float low = mine[lane];
      const float high = mine[lane + warp_threads];
      const float before = maximum[i];
      const float most = fmaxf(before, warp_max(fmaxf(low, high)));
      const float low_weight = expf(low - most);
      const float high_weight = expf(high - most);
      const float sum = warp_sum(low_weight + high_weight);
      mine[lane] = low_weight;
      mine[lane + warp_threads] = high_weight;
      // Every lane has read the maximum of the keys before.
      __syncwarp();
      if (lane == 0) {
        fade[i] = expf(before - most);
        total[i] = total[i] * fade[i] + sum;
        maximum[i] = most;
      }
    }
    __syncthreads();
    if (group < groups) {
#pragma unroll
      for (int i = 0; i < queries; ++i) {
        const float factor = fade[i];
#pragma unroll
        for (int c = 0; c < P::count; ++c) acc[i][c] *= factor;
      }
      const int last = min(attend_keys, end - first);
      // What lies before the first key is left out: nothing times what is there may not be a number.
      int key = group;
      while (first + key < begin) key += groups;
#pragma unroll 4
      for (; key < last; key += groups) {
        const P v = P::load(block.values + key * block.value_stride + column + value_column);
#pragma unroll
        for (int i = 0; i < queries; ++i) {
          const float weight = weights[i * attend_keys + key];
#pragma unroll
          for (int c = 0; c < P::count; ++c) acc[i][c] += weight * v.values[c];
        }
      }
    }
    __syncthreads();
  }
  for (int turn = 0; turn < groups; ++turn) {
    if (group == turn) {
#pragma unroll
      for (int i = 0; i < queries; ++i) {
#pragma unroll
        for (int c = 0; c < P::count; ++c) {
          float& sum = sums[i * columns + value_column + c];
          sum = turn == 0 ? acc[i][c] : sum + acc[i][c];
        }
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < queries; ++i) {
    if (!q[i]) continue;
    for (int c = thread; c < columns; c += attend_threads) write(i, column + c, sums[i * columns + c], maximum[i], total[i]);
  }
}

}  // namespace cortex
