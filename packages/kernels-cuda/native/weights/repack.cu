#include "repack.h"

namespace cortex {
namespace {

constexpr int threads = 256;

// Where a thread writes: the planes of a Matrix, which is otherwise read only.
__device__ uint8_t* writable(const uint8_t* plane) { return const_cast<uint8_t*>(plane); }

struct SixBits {
  uint8_t scale;
  uint8_t minimum;
};

// Scale and minimum of block j of eight, from the twelve bytes of a super-block.
__device__ SixBits six_bits(const uint8_t* s, int j) {
  if (j < 4) return {static_cast<uint8_t>(s[j] & 63), static_cast<uint8_t>(s[j + 4] & 63)};
  return {static_cast<uint8_t>((s[j + 4] & 15) | (s[j - 4] >> 6) << 4), static_cast<uint8_t>((s[j + 4] >> 4) | (s[j] >> 6) << 4)};
}

// 32 columns of one row, from the file's block that holds them.
template <Format format>
__device__ void repack_block(const Matrix& to, int row, int block, const uint8_t* from) {
  const size_t at = static_cast<size_t>(row);
  uint8_t* codes = writable(to.codes) + at * to.codes_stride + static_cast<size_t>(block) * (format == Format::Q8_0 ? 32 : 16);
  uint8_t* scales = writable(to.scales) + at * to.scales_stride + static_cast<size_t>(block) * 2;
  if constexpr (format == Format::Q8_0 || format == Format::Q4_0) {
    constexpr int bytes = format == Format::Q8_0 ? 32 : 16;
    scales[0] = from[0];
    scales[1] = from[1];
    for (int i = 0; i < bytes; ++i) codes[i] = from[2 + i];
  } else if constexpr (format == Format::Q4_K || format == Format::Q5_K) {
    const int j = block % 8;
    const SixBits six = six_bits(from + 4, j);
    scales[0] = six.scale;
    scales[1] = six.minimum;
    const uint8_t* nibbles = from + (format == Format::Q4_K ? 16 : 48) + j / 2 * 32;
    const int shift = j % 2 * 4;
    for (int i = 0; i < 16; ++i) {
      codes[i] = static_cast<uint8_t>((nibbles[i] >> shift & 15) | (nibbles[16 + i] >> shift & 15) << 4);
    }
    if constexpr (format == Format::Q5_K) {
      uint32_t high = 0;
      for (int i = 0; i < 16; ++i) {
        const int place = i % 4 * 8 + i / 4;
        high |= static_cast<uint32_t>(from[16 + i] >> j & 1) << place | static_cast<uint32_t>(from[32 + i] >> j & 1) << (place + 4);
      }
      *reinterpret_cast<uint32_t*>(writable(to.high) + at * to.high_stride + static_cast<size_t>(block) * 4) = high;
    }
    if (j == 0) {
      uint8_t* super = writable(to.supers) + at * to.supers_stride + static_cast<size_t>(block / 8) * 4;
      for (int i = 0; i < 4; ++i) super[i] = from[i];
    }
  } else {
    const int j = block % 8;
    // The file's low halves hold blocks 0 and 2, 1 and 3 of each four in one byte, its high bits all four.
    const uint8_t* low = from + j / 4 * 64 + j % 2 * 32;
    const uint8_t* top = from + 128 + j / 4 * 32;
    const int low_shift = j / 2 % 2 * 4;
    const int top_shift = j % 4 * 2;
    uint32_t high[2] = {0, 0};
    for (int i = 0; i < 16; ++i) {
      codes[i] = static_cast<uint8_t>((low[i] >> low_shift & 15) | (low[16 + i] >> low_shift & 15) << 4);
      const int place = i % 4 * 8 + i / 4 * 2;
      high[0] |= static_cast<uint32_t>(top[i] >> top_shift & 3) << place;
      high[1] |= static_cast<uint32_t>(top[16 + i] >> top_shift & 3) << place;
    }
    auto* words = reinterpret_cast<uint32_t*>(writable(to.high) + at * to.high_stride + static_cast<size_t>(block) * 8);
    words[0] = high[0];
    words[1] = high[1];
    scales[0] = from[192 + 2 * j];
    scales[1] = from[192 + 2 * j + 1];
    if (j == 0) {
      uint8_t* super = writable(to.supers) + at * to.supers_stride + static_cast<size_t>(block / 8) * 4;
      super[0] = from[208];
      super[1] = from[209];
      super[2] = super[3] = 0;
    }
  }
}

template <Format format>
__global__ void __launch_bounds__(threads) repack_blocks(Matrix to, int row_start, int row_count, const uint8_t* from) {
  const int blocks = to.cols / 32;
  const int64_t index = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (index >= int64_t{blocks} * row_count) return;
  const int row = static_cast<int>(index / blocks);
  const int block = static_cast<int>(index % blocks);
  constexpr int per_file_block = file_block_columns(format) / 32;
  repack_block<format>(to, row_start + row, block,
                       from + static_cast<size_t>(row) * file_row_bytes(format, to.cols) +
                           static_cast<size_t>(block / per_file_block) * file_block_bytes(format));
}

// Element by element, as a row of a file may begin anywhere; zeros after its end.
template <typename Element>
__global__ void __launch_bounds__(threads) repack_dense(Matrix to, int row_start, int row_count, const uint8_t* from) {
  const int width = static_cast<int>(to.codes_stride / sizeof(Element));
  const int64_t index = int64_t{blockIdx.x} * threads + threadIdx.x;
  if (index >= int64_t{width} * row_count) return;
  const int64_t row = index / width;
  const int column = static_cast<int>(index % width);
  Element value = 0;
  if (column < to.cols) value = reinterpret_cast<const Element*>(from)[row * to.cols + column];
  reinterpret_cast<Element*>(writable(to.codes) + static_cast<size_t>(row_start + row) * to.codes_stride)[column] = value;
}

}  // namespace

void repack(cudaStream_t stream, Format format, uint8_t* data, int rows, int cols, int row_start, int row_count,
            const uint8_t* file_rows) {
  const Matrix matrix = matrix_at(format, data, rows, cols);
  const auto enqueue = [&](void (*kernel)(Matrix, int, int, const uint8_t*), int per_row) {
    const int64_t count = int64_t{per_row} * row_count;
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(static_cast<unsigned>((count + threads - 1) / threads));
    config.blockDim = dim3(threads);
    config.stream = stream;
    static_cast<void>(cudaLaunchKernelEx(&config, kernel, matrix, row_start, row_count, file_rows));
  };
  switch (format) {
    case Format::F32: return enqueue(repack_dense<uint32_t>, static_cast<int>(matrix.codes_stride / 4));
    case Format::F16:
    case Format::BF16: return enqueue(repack_dense<uint16_t>, static_cast<int>(matrix.codes_stride / 2));
    case Format::Q8_0: return enqueue(repack_blocks<Format::Q8_0>, cols / 32);
    case Format::Q4_0: return enqueue(repack_blocks<Format::Q4_0>, cols / 32);
    case Format::Q4_K: return enqueue(repack_blocks<Format::Q4_K>, cols / 32);
    case Format::Q5_K: return enqueue(repack_blocks<Format::Q5_K>, cols / 32);
    case Format::Q6_K: return enqueue(repack_blocks<Format::Q6_K>, cols / 32);
  }
}

}  // namespace cortex
