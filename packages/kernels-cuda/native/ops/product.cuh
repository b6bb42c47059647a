// Products of a few rows with weights, at the speed of memory: a warp holds some rows of weights, its lanes read 16 bytes of
// one row at a time, and every block of weights meets the rows of x, which lie in shared memory. Rows of x are quantised to
// int8 there for block formats (an instruction then multiplies four weights; decoding to floats would cost more time than
// reading them), else kept as float32. One template for every format, used by the ops whose rows of x stand in a window and
// by those that choose experts.
#pragma once

#include <cuda_runtime.h>

#include "../device/warp.h"
#include "../weights/blocks.cuh"

namespace cortex {

// How rows of x lie in shared memory, one after another: `planes` arrays of 16 bytes for every block of weights, so that
// lanes of a warp read neighbouring places, then for block formats what scales the int8.
template <Format format>
struct StagedRows {
  using Weights = Blocks<format>;
  static constexpr int planes = format == Format::F32 ? 1 : 2;
  static constexpr int bytes_per_block = 16 * planes + (Weights::quantised ? 8 : 0);

  __host__ __device__ static constexpr int blocks_of(int columns) { return (columns + Weights::columns - 1) / Weights::columns; }
  // Columns of a part that takes at most `bytes` of shared memory for `rows` rows: a multiple of 256.
  __host__ __device__ static constexpr int part_columns(int rows, int bytes) {
    return bytes / (rows * bytes_per_block) * Weights::columns / 256 * 256;
  }

  struct Scale {
    float scale;
    // Sums of the first and the last 16 int8.
    short sums[2];
  };

  uint4* words;
  int blocks;

  __device__ __forceinline__ uint4 plane(int row, int plane, int block) const {
    return words[(row * planes + plane) * blocks + block];
  }
  __device__ __forceinline__ Scale* scales(int rows) const { return reinterpret_cast<Scale*>(words + rows * planes * blocks); }
};

// What a block's threads write when they stage: columns [first, first + count) of rows; zeros beyond `cols` and for rows that
// are null. All threads of the block call it; a barrier has to follow.
template <Format format, int rows_of_x>
__device__ __forceinline__ void stage_rows(const StagedRows<format>& staged, const float* const (&x)[rows_of_x], int first, int cols) {
  using Weights = Blocks<format>;
  constexpr int quads_per_block = Weights::columns / 4;
  const int quads = staged.blocks * quads_per_block;
  const int padded = (quads + 31) / 32 * 32;
  auto* words = reinterpret_cast<uint32_t*>(staged.words);
#pragma unroll
  for (int row = 0; row < rows_of_x; ++row) {
    // Eight lanes have a block of 32 columns: whole warps stay together for their shuffles.
    for (int quad = static_cast<int>(threadIdx.x); quad < padded; quad += static_cast<int>(blockDim.x)) {
      const int column = first + 4 * quad;
      float values[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[i] = x[row] != nullptr && quad < quads && column + i < cols ? x[row][column + i] : 0.0f;
      }
      const int block = quad / quads_per_block;
      const int place = quad % quads_per_block;
      if constexpr (Weights::quantised) {
        // As integers, so that a NaN is the largest.
        unsigned largest = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) largest = max(largest, __float_as_uint(values[i]) & 0x7fffffffu);
#pragma unroll
        for (int other = 4; other > 0; other /= 2) largest = max(largest, __shfl_xor_sync(whole_warp, largest, other));
        const float scale = __uint_as_float(largest) / 127.0f;
        const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        uint32_t word = 0;
        int sum = 0;
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int code = min(max(__float2int_rn(values[i] * inverse), -127), 127);
          word |= (static_cast<uint32_t>(code) & 0xffu) << (8 * i);
          sum += code;
        }
        sum += __shfl_xor_sync(whole_warp, sum, 1);
        sum += __shfl_xor_sync(whole_warp, sum, 2);
        if (quad < quads) {
          words[((row * staged.planes + place / 4) * staged.blocks + block) * 4 + place % 4] = word;
          auto& meta = staged.scales(rows_of_x)[row * staged.blocks + block];
          if (place == 0) meta.scale = scale;
          if (place % 4 == 0) meta.sums[place / 4] = static_cast<short>(sum);
        }
      } else if (quad < quads) {
        staged.words[(row * staged.planes + place) * staged.blocks + block] =
            make_uint4(__float_as_uint(values[0]), __float_as_uint(values[1]), __float_as_uint(values[2]), __float_as_uint(values[3]));
      }
    }
  }
}

// sums[i][r] += columns of block `at` of the part, of weight block i with row r of x.
template <Format format, int rows_of_x, int weight_rows>
__device__ __forceinline__ void multiply_blocks(const StagedRows<format>& staged, int at, const Blocks<format> (&weights)[weight_rows],
                                                float (&sums)[weight_rows][rows_of_x]) {
  using Weights = Blocks<format>;
  if constexpr (Weights::quantised) {
    uint32_t codes[weight_rows][8];
    float factors[weight_rows][2];
    float minimums[weight_rows];
#pragma unroll
    for (int i = 0; i < weight_rows; ++i) {
#pragma unroll
      for (int w = 0; w < 8; ++w) codes[i][w] = weights[i].quads(w);
      factors[i][0] = weights[i].factor(0);
      factors[i][1] = format == Format::Q6_K ? weights[i].factor(1) : factors[i][0];
      minimums[i] = weights[i].minimum();
    }
    const auto* scales = staged.scales(rows_of_x);
#pragma unroll
    for (int r = 0; r < rows_of_x; ++r) {
      const uint4 low = staged.plane(r, 0, at);
      const uint4 high = staged.plane(r, 1, at);
      const auto meta = scales[r * staged.blocks + at];
      const uint32_t x[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
#pragma unroll
      for (int i = 0; i < weight_rows; ++i) {
        int halves[2] = {-Weights::offset * meta.sums[0], -Weights::offset * meta.sums[1]};
#pragma unroll
        for (int w = 0; w < 8; ++w) halves[w / 4] = __dp4a(static_cast<int>(codes[i][w]), static_cast<int>(x[w]), halves[w / 4]);
        float sum;
        if constexpr (format == Format::Q6_K) {
          sum = factors[i][0] * static_cast<float>(halves[0]) + factors[i][1] * static_cast<float>(halves[1]);
        } else {
          sum = factors[i][0] * static_cast<float>(halves[0] + halves[1]);
        }
        if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
          sum -= minimums[i] * static_cast<float>(meta.sums[0] + meta.sums[1]);
        }
        sums[i][r] += meta.scale * sum;
      }
    }
  } else {
#pragma unroll
    for (int plane = 0; plane < StagedRows<format>::planes; ++plane) {
      float values[weight_rows][4];
#pragma unroll
      for (int i = 0; i < weight_rows; ++i) weights[i].quad_values(plane, values[i]);
#pragma unroll
      for (int r = 0; r < rows_of_x; ++r) {
        const uint4 words = staged.plane(r, plane, at);
        const float x[4] = {__uint_as_float(words.x), __uint_as_float(words.y), __uint_as_float(words.z), __uint_as_float(words.w)};
#pragma unroll
        for (int i = 0; i < weight_rows; ++i) {
#pragma unroll
          for (int c = 0; c < 4; ++c) sums[i][r] += values[i][c] * x[c];
        }
      }
    }
  }
}

// Asks for what multiply_part reads first of these rows, before x is known.
template <Format format, int weight_rows>
__device__ __forceinline__ void prefetch_rows(const Matrix* const (&matrices)[weight_rows], const int (&rows)[weight_rows], int part,
                                              int split) {
  constexpr int bytes = 16 * Blocks<format>::loads;
  // Twice what a lane has under way.
  constexpr int ahead = weight_rows >= 4 ? 2 : 8 / weight_rows;
  const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
  for (int a = 0; a < ahead; ++a) {
    const uint32_t at = static_cast<uint32_t>((32 * (part + a * split) + lane) * bytes);
#pragma unroll
    for (int i = 0; i < weight_rows; ++i) {
      if (at < matrices[i]->codes_stride) ptx::prefetch_l2(matrices[i]->codes + static_cast<size_t>(rows[i]) * matrices[i]->codes_stride + at);
    }
  }
}

// sums[i][r] += the staged part, whose first block is `first`, of weight rows `rows` of the matrices with row r of x. Lanes of
// `split` warps share the columns; this warp is the `part`-th of them.
template <Format format, int rows_of_x, int weight_rows>
__device__ __forceinline__ void multiply_part(const StagedRows<format>& staged, const Matrix* const (&matrices)[weight_rows],
                                              const int (&rows)[weight_rows], int first, int part, int split,
                                              float (&sums)[weight_rows][rows_of_x]) {
  using Weights = Blocks<format>;
  // Blocks that a lane has under way at once, over all rows.
  constexpr int ahead = weight_rows >= 4 ? 1 : 4 / weight_rows;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int stride = 32 * split;
  for (int at = 32 * part + lane; at < staged.blocks; at += ahead * stride) {
    Weights weights[ahead][weight_rows];
#pragma unroll
    for (int a = 0; a < ahead; ++a) {
      if (at + a * stride < staged.blocks) {
#pragma unroll
        for (int i = 0; i < weight_rows; ++i) weights[a][i] = Weights::load(*matrices[i], rows[i], first + at + a * stride);
      }
    }
#pragma unroll
    for (int a = 0; a < ahead; ++a) {
      if (at + a * stride < staged.blocks) multiply_blocks<format, rows_of_x, weight_rows>(staged, at + a * stride, weights[a], sums);
    }
  }
}

}  // namespace cortex
