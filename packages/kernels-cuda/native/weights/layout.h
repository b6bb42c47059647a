// How a matrix lies in device memory: row after row, in planes of one kind of bytes each, so that 16 bytes that a lane loads
// are values of one row.
//   codes   F32, F16, BF16: the row, zeros up to 16 bytes; Q8_0: int8; else nibbles: of each 32 columns 16 bytes, byte i with
//           column i in its low and column 16 + i in its high half
//   high    Q5_K: of each 32 columns a word, columns 4 w + b and 16 + 4 w + b in bits w and 4 + w of byte b;
//           Q6_K: two words, for columns 0 to 15 and 16 to 31, columns 4 w + b in bits 2 w and 2 w + 1 of byte b
//   scales  of each 32 columns two bytes. Q8_0, Q4_0: d as a half float; Q4_K, Q5_K: scale and minimum, six bits each;
//           Q6_K: the two int8 scales of 16 columns
//   supers  of each 256 columns a word of two half floats: d, and dmin (Q4_K, Q5_K) or nothing
// Values are kept as the file has them: nothing is rounded. Used by everything that reads weights.
#pragma once

#include <cortex/program/format.h>

#include <cstddef>
#include <cstdint>

namespace cortex {

using matmul::Format;

struct Matrix {
  const uint8_t* codes;
  const uint8_t* high;
  const uint8_t* scales;
  const uint8_t* supers;
  // Bytes from one row to the next.
  uint32_t codes_stride;
  uint32_t high_stride;
  uint32_t scales_stride;
  uint32_t supers_stride;
  int rows;
  int cols;
};

inline constexpr size_t plane_alignment = 256;

constexpr bool is_block_format(Format format) { return format >= Format::Q8_0; }
constexpr bool has_supers(Format format) { return format >= Format::Q4_K; }

constexpr size_t aligned(size_t bytes, size_t alignment) { return (bytes + alignment - 1) / alignment * alignment; }

constexpr size_t codes_row_bytes(Format format, int cols) {
  const size_t columns = static_cast<size_t>(cols);
  switch (format) {
    case Format::F32: return aligned(columns * 4, 16);
    case Format::F16:
    case Format::BF16: return aligned(columns * 2, 16);
    case Format::Q8_0: return columns;
    default: return columns / 2;
  }
}

constexpr size_t high_row_bytes(Format format, int cols) {
  if (format == Format::Q5_K) return static_cast<size_t>(cols) / 8;
  return format == Format::Q6_K ? static_cast<size_t>(cols) / 4 : 0;
}

constexpr size_t scales_row_bytes(Format format, int cols) {
  return is_block_format(format) ? static_cast<size_t>(cols) / 16 : 0;
}

constexpr size_t supers_row_bytes(Format format, int cols) {
  return has_supers(format) ? static_cast<size_t>(cols) / 64 : 0;
}

// Of the matrix and its planes, from an address that is a multiple of plane_alignment to the next such.
constexpr size_t matrix_bytes(Format format, int rows, int cols) {
  const size_t count = static_cast<size_t>(rows);
  return aligned(count * codes_row_bytes(format, cols), plane_alignment) +
         aligned(count * high_row_bytes(format, cols), plane_alignment) +
         aligned(count * scales_row_bytes(format, cols), plane_alignment) +
         aligned(count * supers_row_bytes(format, cols), plane_alignment);
}

inline Matrix matrix_at(Format format, const uint8_t* data, int rows, int cols) {
  Matrix matrix{};
  matrix.rows = rows;
  matrix.cols = cols;
  const size_t count = static_cast<size_t>(rows);
  const auto place = [&](const uint8_t*& plane, uint32_t& stride, size_t row_bytes) {
    plane = data;
    stride = static_cast<uint32_t>(row_bytes);
    data += aligned(count * row_bytes, plane_alignment);
  };
  place(matrix.codes, matrix.codes_stride, codes_row_bytes(format, cols));
  place(matrix.high, matrix.high_stride, high_row_bytes(format, cols));
  place(matrix.scales, matrix.scales_stride, scales_row_bytes(format, cols));
  place(matrix.supers, matrix.supers_stride, supers_row_bytes(format, cols));
  return matrix;
}

// Columns of a block of the file formats, and its bytes.
constexpr int file_block_columns(Format format) {
  if (!is_block_format(format)) return 1;
  return has_supers(format) ? 256 : 32;
}

constexpr size_t file_block_bytes(Format format) {
  switch (format) {
    case Format::F32: return 4;
    case Format::F16:
    case Format::BF16: return 2;
    case Format::Q8_0: return 34;
    case Format::Q4_0: return 18;
    case Format::Q4_K: return 144;
    case Format::Q5_K: return 176;
    case Format::Q6_K: return 210;
  }
  return 0;
}

constexpr size_t file_row_bytes(Format format, int cols) {
  return static_cast<size_t>(cols / file_block_columns(format)) * file_block_bytes(format);
}

}  // namespace cortex
