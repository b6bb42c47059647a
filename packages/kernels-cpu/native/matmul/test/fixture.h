// Random weights in file formats, decoded here independently of the kernels, and memory that traps overruns.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "../matmul.h"

namespace fixture {

using cortex::matmul::Format;

constexpr Format formats[] = {Format::F32,  Format::F16,  Format::BF16, Format::Q8_0,
                              Format::Q4_0, Format::Q4_K, Format::Q5_K, Format::Q6_K};
inline const char* name_of(Format format) {
  static const char* names[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"};
  return names[static_cast<int>(format)];
}

struct Random {
  uint64_t state;
  uint32_t next() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    uint32_t x = static_cast<uint32_t>(state >> 32);
    x ^= x >> 15;
    return x * 0x2c1b3c6du ^ (x >> 12);
  }
  float uniform() { return static_cast<float>(next() >> 8) * 0x1p-24f; }
  float normal() { return std::sqrt(-2.0f * std::log(uniform() + 1e-9f)) * std::cos(6.2831853f * uniform()); }
};

inline uint16_t to_half(float value) { return __builtin_bit_cast(uint16_t, static_cast<_Float16>(value)); }
inline double from_half(uint16_t half) { return static_cast<double>(__builtin_bit_cast(_Float16, half)); }
inline double from_half(const uint8_t* bytes) { return from_half(static_cast<uint16_t>(bytes[0] | bytes[1] << 8)); }

inline void put_half(uint8_t* bytes, float value) {
  const uint16_t half = to_half(value);
  bytes[0] = static_cast<uint8_t>(half);
  bytes[1] = static_cast<uint8_t>(half >> 8);
}

// rows x cols in the file's own bytes.
inline std::vector<uint8_t> random_file(Format format, int32_t rows, int32_t cols, Random& random) {
  const size_t row_bytes = cortex::matmul::file_row_bytes(format, cols);
  std::vector<uint8_t> file(row_bytes * rows);
  if (format == Format::F32 || format == Format::F16 || format == Format::BF16) {
    for (size_t i = 0; i < static_cast<size_t>(rows) * cols; ++i) {
      const float value = random.normal() * 0.05f;
      if (format == Format::F32) std::memcpy(&file[i * 4], &value, 4);
      else if (format == Format::F16) put_half(&file[i * 2], value);
      else {
        const uint16_t top = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, value) >> 16);
        std::memcpy(&file[i * 2], &top, 2);
      }
    }
    return file;
  }
  for (auto& byte : file) byte = static_cast<uint8_t>(random.next() >> 9);
  const size_t block = format == Format::Q8_0 ? 34 : format == Format::Q4_0 ? 18 : format == Format::Q4_K ? 144
                     : format == Format::Q5_K ? 176 : 210;
  for (size_t at = 0; at < file.size(); at += block) {
    const float d = (random.uniform() - 0.3f) * 0.004f;
    if (format == Format::Q6_K) put_half(&file[at + 208], d * 0.1f);
    else put_half(&file[at], d);
    if (format == Format::Q4_K || format == Format::Q5_K) put_half(&file[at + 2], random.uniform() * 0.004f);
  }
  return file;
}

// One row to float64, straight from the definition of the formats.
inline std::vector<double> decode_row(Format format, const uint8_t* row, int32_t cols) {
  std::vector<double> out(cols);
  for (int32_t k = 0; k < cols; ++k) {
    switch (format) {
      case Format::F32: {
        float value;
        std::memcpy(&value, row + k * 4, 4);
        out[k] = value;
        break;
      }
      case Format::F16: out[k] = from_half(row + k * 2); break;
      case Format::BF16: {
        const uint32_t bits = static_cast<uint32_t>(row[k * 2] | row[k * 2 + 1] << 8) << 16;
        out[k] = __builtin_bit_cast(float, bits);
        break;
      }
      case Format::Q8_0: {
        const uint8_t* b = row + k / 32 * 34;
        out[k] = from_half(b) * static_cast<int8_t>(b[2 + k % 32]);
        break;
      }
      case Format::Q4_0: {
        const uint8_t* b = row + k / 32 * 18;
        const int l = k % 32;
        const int q = l < 16 ? b[2 + l] & 15 : b[2 + l - 16] >> 4;
        out[k] = from_half(b) * (q - 8);
        break;
      }
      case Format::Q4_K:
      case Format::Q5_K: {
        const bool five = format == Format::Q5_K;
        const uint8_t* b = row + k / 256 * (five ? 176 : 144);
        const uint8_t* s = b + 4;
        const int j = k % 256 / 32, l = k % 32;
        const int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
        const int mn = j < 4 ? s[j + 4] & 63 : (s[j + 4] >> 4) | (s[j] >> 6) << 4;
        const uint8_t byte = b[(five ? 48 : 16) + 32 * (j / 2) + l];
        int q = j % 2 == 0 ? byte & 15 : byte >> 4;
        if (five) q |= (b[16 + l] >> j & 1) << 4;
        out[k] = from_half(b) * sc * q - from_half(b + 2) * mn;
        break;
      }
      case Format::Q6_K: {
        const uint8_t* b = row + k / 256 * 210;
        const int n = k % 256 / 128, part = k % 128 / 32, l = k % 32;
        const uint8_t ql = b[64 * n + l + (part % 2) * 32];
        const uint8_t qh = b[128 + 32 * n + l];
        const int q = (part < 2 ? ql & 15 : ql >> 4) | (qh >> (2 * part) & 3) << 4;
        const int scale = static_cast<int8_t>(b[192 + 8 * n + l / 16 + 2 * part]);
        out[k] = from_half(b + 208) * scale * (q - 32);
        break;
      }
    }
  }
  return out;
}

// 64-byte aligned bytes between two guard zones.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes) {
    const size_t padded = (bytes + 63) & ~size_t{63};
    whole_ = static_cast<uint8_t*>(std::aligned_alloc(64, padded + 2 * guard));
    std::memset(whole_, 0xA5, padded + 2 * guard);
  }
  ~Guarded() { std::free(whole_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  uint8_t* data() { return whole_ + guard; }
  float* floats() { return reinterpret_cast<float*>(data()); }
  size_t size() const { return bytes_; }
  bool intact() const {
    for (size_t i = 0; i < guard; ++i) {
      if (whole_[i] != 0xA5 || whole_[guard + bytes_ + i] != 0xA5) return false;
    }
    return true;
  }

 private:
  static constexpr size_t guard = 256;
  size_t bytes_;
  uint8_t* whole_;
};

}  // namespace fixture
