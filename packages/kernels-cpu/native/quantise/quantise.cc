#include "quantise.h"

#include <cmath>
#include <cstring>

#include "scale_search.h"

namespace cortex::quantise {

namespace {

using matmul::Format;

uint32_t load_word(const uint8_t* bytes) { return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8; }

double from_half(uint32_t bits) {
  const double sign = bits & 0x8000u ? -1 : 1;
  const int exponent = static_cast<int>(bits >> 10) & 31;
  const double fraction = bits & 1023u;
  if (exponent == 31) return fraction != 0 ? std::nan("") : sign * INFINITY;
  if (exponent == 0) return sign * fraction * 0x1p-24;
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Stores a value as a half float and answers what was kept.
double write_half(uint8_t* bytes, double value) {
  const float single = static_cast<float>(value);
  const uint32_t sign = std::signbit(single) ? 0x8000u : 0;
  const double magnitude = std::fabs(static_cast<double>(single));
  uint32_t bits;
  if (std::isnan(single)) {
    bits = 0x7E00u;
  } else if (magnitude >= 65536) {
    bits = sign | 0x7C00u;
  } else {
    const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
    const double units = round_half_even(std::ldexp(magnitude, 10 - exponent));
    // The leading one adds one to the exponent field, and so does a carry out of the fraction.
    bits = sign | (static_cast<uint32_t>((exponent + 14) << 10) + static_cast<uint32_t>(units));
  }
  bytes[0] = static_cast<uint8_t>(bits & 255u);
  bytes[1] = static_cast<uint8_t>(bits >> 8);
  return from_half(bits);
}

// What a level that overflowed or is not a number leaves in a byte: nothing.
int level_of(double value) { return std::isfinite(value) ? static_cast<int>(value) : 0; }

void encode_q8_0(const float* values, uint8_t* out) {
  double peak = 0;
  for (int i = 0; i < 32; ++i) peak = most(peak, std::fabs(static_cast<double>(values[i])));
  const float d = static_cast<float>(peak / 127);
  const float inverse = d == 0 ? 0.0f : 1.0f / d;
  write_half(out, static_cast<double>(d));
  for (int i = 0; i < 32; ++i) {
    const float scaled = values[i] * inverse;
    const int level = level_of(std::floor(std::fabs(static_cast<double>(scaled)) + 0.5));
    out[2 + i] = static_cast<uint8_t>(scaled < 0 ? -level : level);
  }
}

void encode_q4_0(const float* values, uint8_t* out) {
  float extreme = 0;
  for (int i = 0; i < 32; ++i) {
    if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  }
  const float d = extreme / -8.0f;
  const float inverse = d == 0 ? 0.0f : 1.0f / d;
  write_half(out, static_cast<double>(d));
  const auto level = [&](int i) {
    const float shifted = values[i] * inverse + 8.5f;
    return shifted >= 15.0f ? 15 : level_of(std::trunc(static_cast<double>(shifted)));
  };
  for (int i = 0; i < 16; ++i) out[2 + i] = static_cast<uint8_t>(level(i) | (level(16 + i) << 4));
}

// Scale and minimum of sub-block j into the twelve packed bytes.
void write_packed(uint8_t* bytes, int j, int scale, int minimum) {
  if (j < 4) {
    bytes[j] |= static_cast<uint8_t>(scale);
    bytes[j + 4] |= static_cast<uint8_t>(minimum);
    return;
  }
  bytes[j + 4] = static_cast<uint8_t>((scale & 15) | ((minimum & 15) << 4));
  bytes[j - 4] |= static_cast<uint8_t>((scale >> 4) << 6);
  bytes[j] |= static_cast<uint8_t>((minimum >> 4) << 6);
}

void encode_affine(const float* values, uint8_t* out, bool fifth_bit, const AffineSearch& search) {
  ScaleAndMinimum found[lanes];
  double max_scale = -INFINITY;
  double max_minimum = -INFINITY;
  search_scales_and_minima(values, search, found);
  for (int s = 0; s < 8; ++s) {
    max_scale = most(max_scale, found[s].scale);
    max_minimum = most(max_minimum, found[s].minimum);
  }
  const double d = write_half(out, max_scale / 63);
  const double dmin = write_half(out + 2, max_minimum / 63);
  const auto six_bits = [](double value, double max) {
    return max > 0 ? level_of(clamp(round_half_even((63 / max) * value), 0, 63)) : 0;
  };
  uint8_t* bits = out + 16;
  uint8_t* nibbles = fifth_bit ? bits + 32 : bits;
  for (int s = 0; s < 8; ++s) {
    const int scale = six_bits(found[s].scale, max_scale);
    const int minimum = six_bits(found[s].minimum, max_minimum);
    write_packed(out + 4, s, scale, minimum);
    const double unit = d * scale;
    for (int l = 0; l < 32; ++l) {
      const double x = static_cast<double>(values[32 * s + l]);
      const double raw = unit == 0 ? 0 : round_half_even((x + dmin * minimum) / unit);
      const int q = level_of(clamp(raw, 0, search.levels));
      nibbles[32 * (s >> 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (s & 1)));
      if (fifth_bit) bits[l] |= static_cast<uint8_t>((q >> 4) << s);
    }
  }
}

void encode_q6_k(const float* values, uint8_t* out) {
  double found[16];
  double extreme = 0;
  for (int s = 0; s < 16; s += lanes) search_scales(values + 16 * s, 32, found + s);
  for (int s = 0; s < 16; ++s) {
    if (std::fabs(found[s]) > std::fabs(extreme)) extreme = found[s];
  }
  if (extreme == 0) return;
  const double d = write_half(out + 208, -extreme / 128);
  for (int s = 0; s < 16; ++s) {
    const double rounded = round_half_even((-128 * found[s]) / extreme);
    const double scale = rounded > 127 ? 127 : rounded;
    out[192 + s] = static_cast<uint8_t>(level_of(scale));
    const double unit = d * scale;
    for (int i = 0; i < 16; ++i) {
      const int e = 16 * s + i;
      const double raw = unit == 0 ? 0 : round_half_even(static_cast<double>(values[e]) / unit);
      const double shifted = clamp(raw, -32, 31) + 32;
      const int q = level_of(shifted);
      const int half = e >> 7;
      const int quarter = (e >> 5) & 3;
      const int l = e & 31;
      out[64 * half + 32 * (quarter & 1) + l] |= static_cast<uint8_t>((q & 15) << (4 * (quarter >> 1)));
      out[128 + 32 * half + l] |= static_cast<uint8_t>((q >> 4) << (2 * quarter));
    }
  }
}

// Elements of `format` from the first of `source` on, as float32; false when one is not finite.
bool decode(Format format, const uint8_t* source, size_t count, float* out) {
  for (size_t i = 0; i < count; ++i) {
    if (format == Format::F32) {
      std::memcpy(out + i, source + 4 * i, 4);
    } else if (format == Format::F16) {
      out[i] = static_cast<float>(from_half(load_word(source + 2 * i)));
    } else {
      const uint32_t bits = load_word(source + 2 * i) << 16;
      std::memcpy(out + i, &bits, 4);
    }
    if (!std::isfinite(out[i])) return false;
  }
  return true;
}

}  // namespace

size_t block_elements(Format format) {
  switch (format) {
    case Format::Q8_0:
    case Format::Q4_0: return 32;
    case Format::Q4_K:
    case Format::Q5_K:
    case Format::Q6_K: return 256;
    default: return 1;
  }
}

size_t block_bytes(Format format) { return matmul::file_row_bytes(format, static_cast<int32_t>(block_elements(format))); }

bool converts(Format from, Format to) { return block_elements(from) == 1 && block_elements(to) > 1; }

bool convert(Format from, Format to, const uint8_t* source, size_t elements, uint8_t* target) {
  const size_t block = block_elements(to);
  const size_t bytes = block_bytes(to);
  const size_t element_bytes = block_bytes(from);
  float values[256];
  for (size_t at = 0; at < elements; at += block, target += bytes) {
    if (!decode(from, source + at * element_bytes, block, values)) return false;
    std::memset(target, 0, bytes);
    switch (to) {
      case Format::Q8_0: encode_q8_0(values, target); break;
      case Format::Q4_0: encode_q4_0(values, target); break;
      case Format::Q4_K: encode_affine(values, target, false, {15, -1, 0.1, 20}); break;
      case Format::Q5_K: encode_affine(values, target, true, {31, -0.5, 0.1, 15}); break;
      default: encode_q6_k(values, target); break;
    }
  }
  return true;
}

}  // namespace cortex::quantise
