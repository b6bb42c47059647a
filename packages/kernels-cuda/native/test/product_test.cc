// Repacking and products on the emulation, at shapes that the conformance suite is too small for: every split of a row over
// warps, rows in parts, segments of several formats. Answers are compared with float64 sums over the file's values; the bound
// is the conformance suite's for the format. Prints the worst distance of each format.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "../emulation/runtime.h"
#include "../ops/product.h"
#include "../ops/product_tiles.h"
#include "../ptx/convert.h"
#include "../weights/repack.h"

namespace {

using namespace cortex;

const char* const names[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q5_K", "Q6_K"};
constexpr int processors = 4;
constexpr double bounds[] = {1e-5, 5e-3, 3e-2, 6e-2, 6e-2, 6e-2, 6e-2, 6e-2};

std::mt19937 random_engine(5);
float uniform() { return static_cast<float>(random_engine() % 20001) / 10000.0f - 1.0f; }

template <typename T>
struct Device {
  T* data = nullptr;
  explicit Device(const std::vector<T>& host) {
    cudaMalloc(&data, host.size() * sizeof(T));
    cudaMemcpy(data, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice);
  }
  ~Device() { cudaFree(data); }
};

float half_at(const uint8_t* at) { return ptx::half_to_float(static_cast<uint16_t>(at[0] | at[1] << 8)); }
void put_half(uint8_t* at, float value) {
  const uint16_t bits = ptx::float_to_half(value);
  at[0] = static_cast<uint8_t>(bits);
  at[1] = static_cast<uint8_t>(bits >> 8);
}

// Random bytes of a file's row, with scales that keep values near one.
void fill_row(Format format, int cols, uint8_t* row) {
  const int step = file_block_columns(format);
  const size_t bytes = file_block_bytes(format);
  for (int c = 0; c < cols; c += step, row += bytes) {
    for (size_t i = 0; i < bytes; ++i) row[i] = static_cast<uint8_t>(random_engine());
    const float unit = 0.5f + 0.25f * uniform();
    switch (format) {
      case Format::F32: {
        const float value = uniform();
        std::memcpy(row, &value, 4);
        break;
      }
      case Format::F16: put_half(row, uniform()); break;
      case Format::BF16: {
        const uint16_t bits = ptx::float_to_bfloat(uniform());
        std::memcpy(row, &bits, 2);
        break;
      }
      case Format::Q8_0: put_half(row, unit / 127); break;
      case Format::Q4_0: put_half(row, unit / 8); break;
      case Format::Q4_K: put_half(row, unit / 500), put_half(row + 2, unit / 60); break;
      case Format::Q5_K: put_half(row, unit / 1000), put_half(row + 2, unit / 60); break;
      case Format::Q6_K: put_half(row + 208, unit / 2000); break;
    }
  }
}

// The value of column c of a file's row, as the formats' description says it.
double file_value(Format format, const uint8_t* row, int c) {
  const uint8_t* b = row + static_cast<size_t>(c / file_block_columns(format)) * file_block_bytes(format);
  const int l = c % file_block_columns(format);
  const auto six = [](const uint8_t* s, int j, bool minimum) {
    if (j < 4) return s[minimum ? j + 4 : j] & 63;
    return minimum ? s[j + 4] >> 4 | (s[j] >> 6) << 4 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
  };
  switch (format) {
    case Format::F32: {
      float value;
      std::memcpy(&value, b, 4);
      return value;
    }
    case Format::F16: return half_at(b);
    case Format::BF16: return ptx::bfloat_to_float(static_cast<uint16_t>(b[0] | b[1] << 8));
    case Format::Q8_0: return double{half_at(b)} * static_cast<int8_t>(b[2 + l]);
    case Format::Q4_0: return double{half_at(b)} * ((l < 16 ? b[2 + l] & 15 : b[2 + l - 16] >> 4) - 8);
    case Format::Q4_K:
    case Format::Q5_K: {
      const int j = l / 32;
      const uint8_t* codes = b + (format == Format::Q4_K ? 16 : 48);
      int code = codes[j / 2 * 32 + l % 32] >> (j % 2 * 4) & 15;
      if (format == Format::Q5_K) code |= (b[16 + l % 32] >> j & 1) << 4;
      return double{half_at(b)} * six(b + 4, j, false) * code - double{half_at(b + 2)} * six(b + 4, j, true);
    }
    case Format::Q6_K: {
      const int n = l / 128;
      const int quarter = l % 128 / 32;
      const int i = l % 32;
      const int low = b[64 * n + i + quarter % 2 * 32] >> (quarter / 2 * 4) & 15;
      const int high = b[128 + 32 * n + i] >> (2 * quarter) & 3;
      const int scale = static_cast<int8_t>(b[192 + 8 * n + i / 16 + 2 * quarter]);
      return double{half_at(b + 208)} * scale * ((low | high << 4) - 32);
    }
  }
  return 0;
}

struct Stored {
  Format format;
  int rows;
  int cols;
  std::vector<double> values;
  uint8_t* data;
};

// A matrix in device memory, uploaded in two pieces.
Stored store(Format format, int rows, int cols) {
  const size_t row_bytes = file_row_bytes(format, cols);
  std::vector<uint8_t> file(row_bytes * static_cast<size_t>(rows));
  Stored stored{format, rows, cols, std::vector<double>(static_cast<size_t>(rows) * static_cast<size_t>(cols)), nullptr};
  for (int r = 0; r < rows; ++r) {
    uint8_t* row = &file[static_cast<size_t>(r) * row_bytes];
    fill_row(format, cols, row);
    for (int c = 0; c < cols; ++c) stored.values[static_cast<size_t>(r) * static_cast<size_t>(cols) + static_cast<size_t>(c)] = file_value(format, row, c);
  }
  const Device<uint8_t> staged(file);
  cudaMalloc(&stored.data, matrix_bytes(format, rows, cols));
  const int first = rows / 3;
  if (first > 0) repack(nullptr, format, stored.data, rows, cols, 0, first, staged.data);
  repack(nullptr, format, stored.data, rows, cols, first, rows - first, staged.data + static_cast<size_t>(first) * row_bytes);
  return stored;
}

struct Shape {
  std::vector<Format> formats;
  std::vector<int> segments;
  int cols;
  int rows;
  After after;
  bool bias;
};

// Largest difference over the root mean square of a row.
double distance_of(const Shape& shape) {
  std::vector<Stored> matrices;
  std::vector<Tensor> tensors;
  int width = 0;
  for (size_t i = 0; i < shape.segments.size(); ++i) {
    matrices.push_back(store(shape.formats[i % shape.formats.size()], shape.segments[i], shape.cols));
    Tensor tensor;
    tensor.spec = {matrices[i].format, matrices[i].rows, shape.cols, false};
    tensor.data = matrices[i].data;
    tensors.push_back(tensor);
    width += shape.segments[i];
  }
  const bool swiglu = shape.after == After::swiglu;
  if (swiglu) width /= 2;
  const int held = shape.rows + 3;
  const size_t x_stride = static_cast<size_t>(shape.cols) + 5;
  const size_t y_stride = static_cast<size_t>(width) + 7;
  const size_t x_size = aligned(static_cast<size_t>(held) * x_stride, 16);
  const size_t y_size = aligned(static_cast<size_t>(held) * y_stride, 16);
  std::vector<float> arena(x_size + 2 * y_size);
  for (float& value : arena) value = uniform();
  std::vector<float> bias(static_cast<size_t>(width));
  for (float& value : bias) value = uniform();
  const Device<float> device_bias(bias);
  Tensor bias_tensor;
  bias_tensor.data = reinterpret_cast<uint8_t*>(device_bias.data);
  tensors.push_back(bias_tensor);
  const Device<float> device_arena(arena);
  const Device<int32_t> counts({shape.rows, 0, 0, 0, 0, 0, 0, 0});
  const size_t scratch_bytes = tiles_scratch(held, shape.cols, processors) + static_cast<size_t>(held * width) * sizeof(float);
  const Device<uint8_t> scratch{std::vector<uint8_t>(scratch_bytes, 0xff)};

  Instruction in{};
  in.op = swiglu ? Opcode::linear_swiglu : shape.after == After::add_residual ? Opcode::linear_add : Opcode::linear;
  in.n = width;
  in.k = shape.cols;
  for (int& weight : in.weights) weight = -1;
  for (size_t i = 0; i < shape.segments.size(); ++i) in.weights[i] = static_cast<int>(i);
  if (shape.bias) in.weights[4] = static_cast<int>(shape.segments.size());
  in.in[0] = {0, static_cast<int64_t>(x_stride)};
  in.out[0] = {static_cast<int64_t>(x_size), static_cast<int64_t>(y_stride)};
  if (shape.after == After::add_residual) in.in[op::linear_add::in::residual] = {static_cast<int64_t>(x_size + y_size), static_cast<int64_t>(y_stride)};
  Worker worker{};
  worker.capability = 90;
  worker.processors = processors;
  worker.shared_bytes = 99 * 1024;
  worker.arena = device_arena.data;
  worker.step.counts = counts.data;
  worker.bucket[0] = held;
  worker.scratch = scratch.data;
  worker.scratch_bytes = scratch_bytes;
  worker.tensors = tensors.data();
  run_product(in, worker, shape.after);
  if (cudaGetLastError() != cudaSuccess) return INFINITY;

  std::vector<float> after(arena.size());
  cudaMemcpy(after.data(), device_arena.data, after.size() * 4, cudaMemcpyDeviceToHost);
  double worst = 0;
  for (size_t r = 0; r < static_cast<size_t>(held); ++r) {
    const float* y = &after[x_size + r * y_stride];
    const float* before = &arena[x_size + r * y_stride];
    // Rows that the step has not, and columns beside the window, stay as they are.
    for (size_t c = r < static_cast<size_t>(shape.rows) ? static_cast<size_t>(width) : 0; c < y_stride; ++c) {
      if (y[c] != before[c]) return INFINITY;
    }
    if (r >= static_cast<size_t>(shape.rows)) continue;
    std::vector<double> sums;
    for (const Stored& matrix : matrices) {
      for (size_t n = 0; n < static_cast<size_t>(matrix.rows); ++n) {
        double sum = 0;
        const size_t cols = static_cast<size_t>(shape.cols);
        for (size_t c = 0; c < cols; ++c) sum += matrix.values[n * cols + c] * double{arena[r * x_stride + c]};
        sums.push_back(sum);
      }
    }
    double squares = 0;
    double difference = 0;
    for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
      double want = sums[c];
      if (swiglu) want = sums[c] / (1 + std::exp(-sums[c])) * sums[c + static_cast<size_t>(width)];
      if (shape.bias) want += double{bias[c]};
      if (shape.after == After::add_residual) want += double{arena[x_size + y_size + r * y_stride + c]};
      squares += want * want;
      const double apart = std::abs(double{y[c]} - want);
      if (std::isnan(apart)) return INFINITY;
      difference = std::max(difference, apart);
    }
    worst = std::max(worst, difference / std::sqrt(squares / width));
  }
  for (const Stored& matrix : matrices) cudaFree(matrix.data);
  return worst;
}

}  // namespace

int main() {
  emulation::configure({});
  int failures = 0;
  for (int f = 0; f < 8; ++f) {
    const auto format = static_cast<Format>(f);
    const bool k = has_supers(format);
    const int odd = is_block_format(format) ? 2 * file_block_columns(format) : 203;
    double worst = 0;
    std::string where;
    const auto run = [&](const Shape& shape) {
      const double distance = distance_of(shape);
      if (distance <= worst) return;
      worst = distance;
      where = std::to_string(shape.rows) + " rows, " + std::to_string(shape.cols) + " columns, " + std::to_string(shape.segments.size()) + " segments";
    };
    for (const int rows : {1, 2, 3, 5, 8, 17, 40, 70}) {
      run({{format}, {33, 19, 70}, odd, rows, After::nothing, true});
      run({{format}, {45}, k ? 1024 : 1056, rows, After::add_residual, false});
      run({{format}, {52, 52}, odd, rows, After::swiglu, false});
    }
    // Rows in several parts, and shared by eight warps.
    for (const int rows : {1, 8}) run({{format}, {21}, k ? 12800 : 13056, rows, After::nothing, false});
    const auto other = static_cast<Format>(f == 7 ? 5 : 7);
    const bool right = worst <= bounds[f] * 1.5;
    const double segments = distance_of({{format, other, other}, {17, 18, 19}, 512, 4, After::nothing, true});
    const double gated = distance_of({{format, other}, {40, 40}, 512, 3, After::swiglu, false});
    if (!(segments <= 6e-2 && gated <= 9e-2)) std::printf("not ok segments of two formats: %g, %g\n", segments, gated), ++failures;
    failures += right ? 0 : 1;
    std::printf("%s %-5s %.2e of %.2e (%s)\n", right ? "ok    " : "not ok", names[f], worst, bounds[f], where.c_str());
  }
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
