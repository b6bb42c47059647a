// Every ISA this machine has, every format: against float64, against itself at other sizes, and against overruns.
// Prints one line per failed check and a count; exits 1 on any failure.
#include "fixture.h"

using namespace cortex::matmul;
using namespace fixture;

namespace {

int failures = 0;
int checks = 0;

void check(bool good, const char* what, const char* isa, Format format, int a, int b, double value = 0) {
  ++checks;
  if (good) return;
  ++failures;
  if (failures < 40) std::printf("FAILED %s: isa %s, %s, %d, %d: %g\n", what, isa, name_of(format), a, b, value);
}

struct Packed {
  Packed(Format format, int32_t rows, int32_t cols, Random& random)
      : bytes(packed_bytes(format, rows, cols)), file(random_file(format, rows, cols, random)) {
    weights = {format, rows, cols, bytes.data()};
    packed_init(format, bytes.data(), rows, cols);
    // Out of order and unaligned to strips.
    const size_t row_bytes = file_row_bytes(format, cols);
    const int32_t cut = rows / 3;
    pack_rows(format, bytes.data(), rows, cols, cut, rows - cut, file.data() + cut * row_bytes);
    pack_rows(format, bytes.data(), rows, cols, 0, cut, file.data());
  }
  Weights weights;
  Guarded bytes;
  std::vector<uint8_t> file;
};

struct Activations {
  Activations(int32_t m, int32_t cols, Random& random, const MatmulIsa* isa)
      : m(m), cols(cols), stride(cols + 5), quantised_bytes(quantised_row_bytes(cols)), x(stride * m),
        quantised(quantised_bytes * m + 64), split(split_row_bytes(cols) * m) {
    for (auto& value : x) value = random.normal() * (random.next() % 61 == 0 ? 12.0f : 1.0f);
    prepare(isa);
  }
  // The forms of x anew.
  void prepare(const MatmulIsa* isa) {
    if (quantised_bytes != 0) isa->quantise_rows(x.data(), stride, cols, quantised.data(), m);
    if (isa->split_rows != nullptr) isa->split_rows(x.data(), stride, cols, split.data(), m);
  }
  Input input(const int32_t* index = nullptr) {
    return {x.data(), stride, quantised.data(), quantised_bytes, index, split.data()};
  }
  // What the products see of row i.
  std::vector<double> seen(int32_t i, int32_t cols, bool through_codes) {
    std::vector<double> out(cols);
    const uint8_t* row = quantised.data() + i * quantised_bytes;
    for (int32_t k = 0; k < cols; ++k) {
      out[k] = x[i * stride + k];
      if (!through_codes) continue;
      float scale;
      std::memcpy(&scale, row + k / 32 * 64 + 32, 4);
      out[k] = static_cast<double>(scale) * reinterpret_cast<const int8_t*>(row)[k / 32 * 64 + k % 32];
    }
    return out;
  }
  int32_t m;
  int32_t cols;
  size_t stride;
  size_t quantised_bytes;
  std::vector<float> x;
  Guarded quantised;
  Guarded split;
};

void run_linear_in_parts(const MatmulIsa* isa, LinearArgs args, int32_t strips_per_part) {
  Guarded scratch(linear_scratch_bytes(*isa, args.weights.format, args.weights.cols, args.m));
  args.scratch = scratch.data();
  const int32_t strips = strips_of(args.weights.rows);
  for (int32_t begin = 0; begin < strips; begin += strips_per_part) {
    args.strip_begin = begin;
    args.strip_end = begin + strips_per_part < strips ? begin + strips_per_part : strips;
    isa->linear(args);
  }
  check(scratch.intact(), "scratch is not overrun", isa->name, args.weights.format, args.m, strips_per_part);
}

void lookup_matches_definition(Format format, int32_t rows, int32_t cols) {
  Random random{static_cast<uint64_t>(rows * 1000 + cols)};
  Packed packed(format, rows, cols, random);
  std::vector<float> out(cols);
  for (int32_t row = 0; row < rows; ++row) {
    const auto want = decode_row(format, packed.file.data() + row * file_row_bytes(format, cols), cols);
    lookup_row(format, packed.bytes.data(), rows, cols, row, out.data());
    double worst = 0;
    // Float32 rounding of values below 0.004 * 63 * 31 + ...: a wrong code or scale is off by 1e-5 at least.
    for (int32_t k = 0; k < cols; ++k) worst = std::fmax(worst, std::fabs(want[k] - out[k]) / (1e-3 + std::fabs(want[k])));
    check(worst < 2e-3, "lookup_row equals the definition", "-", format, row, cols, worst);
  }
  check(packed.bytes.intact(), "packing stays inside", "-", format, rows, cols);
}

// The bound is 40 float32 roundings of the largest partial sum. One code off by one in one row changes a sum by
// d * scale * code >= 1e-5 of it; a missing minimum, offset or block by far more.
void linear_matches_float64(const MatmulIsa* isa, Format format, int32_t rows, int32_t cols, int32_t m, bool extras) {
  Random random{static_cast<uint64_t>(rows * 7919 + cols * 31 + m)};
  Packed packed(format, rows, cols, random);
  Activations activations(m, cols, random, isa);
  check(activations.quantised.intact(), "quantise_rows stays inside", isa->name, format, m, cols);
  check(activations.split.intact(), "split_rows stays inside", isa->name, format, m, cols);
  std::vector<float> bias(rows);
  for (auto& value : bias) value = random.normal();
  const size_t y_stride = rows + 3;
  Guarded y((y_stride * (m - 1) + rows) * 4);
  for (size_t i = 0; i < y.size() / 4; ++i) y.floats()[i] = random.normal();
  std::vector<float> before(y.floats(), y.floats() + y.size() / 4);
  std::vector<int32_t> index(m);
  for (auto& entry : index) entry = static_cast<int32_t>(random.next() % m);
  LinearArgs args{};
  args.weights = packed.weights;
  args.input = activations.input(extras ? index.data() : nullptr);
  args.m = m;
  args.y = y.floats();
  args.y_stride = y_stride;
  args.bias = extras ? bias.data() : nullptr;
  args.residual = extras ? y.floats() : nullptr;
  args.residual_stride = y_stride;
  run_linear_in_parts(isa, args, 1 << 20);
  check(y.intact(), "linear stays inside y", isa->name, format, m, cols);
  std::vector<std::vector<double>> inputs;
  for (int32_t i = 0; i < m; ++i) inputs.push_back(activations.seen(i, cols, needs_quantised(format)));
  double worst = 0;
  for (int32_t row = 0; row < rows; ++row) {
    const auto weights = decode_row(format, packed.file.data() + row * file_row_bytes(format, cols), cols);
    for (int32_t i = 0; i < m; ++i) {
      const auto& x = inputs[extras ? index[i] : i];
      double sum = 0, size = 0;
      for (int32_t k = 0; k < cols; ++k) {
        sum += weights[k] * x[k];
        size += std::fabs(weights[k] * x[k]);
      }
      if (extras) sum += static_cast<double>(bias[row]) + before[i * y_stride + row];
      worst = std::fmax(worst, std::fabs(sum - y.floats()[i * y_stride + row]) / (size + 1));
    }
  }
  check(worst < 40 * 0x1p-24, "linear equals float64", isa->name, format, m, cols, worst / 0x1p-24);
  for (int32_t i = 0; i + 1 < m; ++i) {
    for (int32_t gap = rows; gap < static_cast<int32_t>(y_stride); ++gap) {
      check(y.floats()[i * y_stride + gap] == before[i * y_stride + gap], "linear leaves gaps of y alone", isa->name,
            format, i, gap);
    }
  }
}

// Row i of a product over m rows has the bits of the product of row i alone, however the strips are divided.
void linear_ignores_company(const MatmulIsa* isa, Format format, int32_t rows, int32_t cols, int32_t most) {
  Random random{static_cast<uint64_t>(cols)};
  Packed packed(format, rows, cols, random);
  Activations activations(most, cols, random, isa);
  std::vector<float> alone(static_cast<size_t>(most) * rows);
  LinearArgs args{};
  args.weights = packed.weights;
  args.y_stride = rows;
  for (int32_t i = 0; i < most; ++i) {
    args.input = activations.input(&i);
    args.m = 1;
    args.y = alone.data() + static_cast<size_t>(i) * rows;
    run_linear_in_parts(isa, args, 1);
  }
  std::vector<float> together(static_cast<size_t>(most) * rows);
  for (int32_t m = 1; m <= most; m += m < 33 ? 1 : 37) {
    for (const int32_t part : {1, 3, 1000}) {
      std::fill(together.begin(), together.end(), NAN);
      args.input = activations.input();
      args.m = m;
      args.y = together.data();
      run_linear_in_parts(isa, args, part);
      check(std::memcmp(together.data(), alone.data(), static_cast<size_t>(m) * rows * 4) == 0,
            "linear does not depend on m or on the strip range", isa->name, format, m, part);
    }
  }
  // The same row at another place.
  std::vector<int32_t> reversed(most);
  for (int32_t i = 0; i < most; ++i) reversed[i] = most - 1 - i;
  args.input = activations.input(reversed.data());
  args.m = most;
  run_linear_in_parts(isa, args, 2);
  for (int32_t i = 0; i < most; ++i) {
    check(std::memcmp(together.data() + static_cast<size_t>(i) * rows,
                      alone.data() + static_cast<size_t>(most - 1 - i) * rows, static_cast<size_t>(rows) * 4) == 0,
          "linear does not depend on a row's place", isa->name, format, i, most);
  }
  std::fill(together.begin(), together.end(), NAN);
  args.y_index = reversed.data();
  run_linear_in_parts(isa, args, 2);
  check(std::memcmp(together.data(), alone.data(), together.size() * sizeof(float)) == 0,
        "linear writes each row where it is told to", isa->name, format, most, 2);
}

void swiglu_matches_float64(const MatmulIsa* isa, Format gate, Format up, int32_t rows, int32_t cols, int32_t m) {
  Random random{static_cast<uint64_t>(rows + cols + m)};
  Packed gates(gate, rows, cols, random);
  Packed ups(up, rows, cols, random);
  Activations activations(m, cols, random, isa);
  LinearArgs args{};
  args.input = activations.input();
  args.m = m;
  args.y_stride = rows;
  std::vector<float> gate_sums(static_cast<size_t>(m) * rows), up_sums(gate_sums);
  args.weights = gates.weights;
  args.y = gate_sums.data();
  run_linear_in_parts(isa, args, 2);
  args.weights = ups.weights;
  args.y = up_sums.data();
  run_linear_in_parts(isa, args, 2);
  const size_t gate_scratch = linear_scratch_bytes(*isa, gate, cols, m);
  const size_t up_scratch = linear_scratch_bytes(*isa, up, cols, m);
  Guarded scratch(gate_scratch > up_scratch ? gate_scratch : up_scratch);
  Guarded y(static_cast<size_t>(m) * rows * 4);
  std::vector<int32_t> index(m);
  for (int32_t i = 0; i < m; ++i) index[i] = m - 1 - i;
  for (const bool indexed : {false, true}) {
    std::memset(y.data(), 0xFF, y.size());
    isa->swiglu({gates.weights, ups.weights, activations.input(indexed ? index.data() : nullptr), m, 0,
                 strips_of(rows), y.floats(), static_cast<size_t>(rows), indexed ? index.data() : nullptr, scratch.data()});
    double worst = 0;
    for (size_t i = 0; i < gate_sums.size(); ++i) {
      const double g = gate_sums[i];
      const double want = g / (1 + std::exp(-g)) * up_sums[i];
      worst = std::fmax(worst, std::fabs(want - y.floats()[i]) / (std::fabs(want) + 1e-6));
      if (!(y.floats()[i] == y.floats()[i])) worst = INFINITY;
    }
    // 1e-6 is 8 roundings; a swap of gate and up gives 1.
    check(worst < 1e-6, "swiglu equals silu(gate) * up", isa->name, gate, m, static_cast<int>(up), worst);
    check(scratch.intact() && y.intact(), "swiglu stays inside", isa->name, gate, m, cols);
  }
}

void swiglu_saturates(const MatmulIsa* isa) {
  const int32_t cols = 32, rows = 16;
  Guarded gate(packed_bytes(Format::F32, rows, cols)), up(packed_bytes(Format::F32, rows, cols));
  std::vector<float> gates(rows * cols, 0.0f), ups(rows * cols, 0.0f), x(cols, 1.0f), y(rows);
  const float values[] = {0, -0.0f, 1, -1, 20, -20, 87, -87, 89, -89, 104, -104, 1000, -1000, 3e38f, -3e38f};
  for (int32_t r = 0; r < rows; ++r) {
    gates[r * cols] = values[r];
    ups[r * cols] = 1;
  }
  pack_rows(Format::F32, gate.data(), rows, cols, 0, rows, reinterpret_cast<const uint8_t*>(gates.data()));
  pack_rows(Format::F32, up.data(), rows, cols, 0, rows, reinterpret_cast<const uint8_t*>(ups.data()));
  Guarded scratch(linear_scratch_bytes(*isa, Format::F32, cols, 1));
  isa->swiglu({{Format::F32, rows, cols, gate.data()}, {Format::F32, rows, cols, up.data()},
               {x.data(), 32, nullptr, 0, nullptr, nullptr}, 1, 0, 1, y.data(), 16, nullptr, scratch.data()});
  for (int32_t r = 0; r < rows; ++r) {
    const double g = values[r];
    const double want = g / (1 + std::exp(-g));
    check(std::fabs(y[r] - want) <= 1e-6 * std::fabs(want) + 1e-36, "swiglu of large gates", isa->name, Format::F32, r, 0, y[r]);
  }
}

void quantise_is_sound(const MatmulIsa* isa) {
  for (const int32_t cols : {32, 64, 96, 256, 896, 1024}) {
    const size_t bytes = quantised_row_bytes(cols);
    check(bytes % 64 == 0, "quantised rows are whole lines", isa->name, Format::Q8_0, cols, 0);
    Random random{static_cast<uint64_t>(cols)};
    std::vector<float> x(static_cast<size_t>(cols) * 9);
    for (auto& value : x) value = random.normal() * 3;
    for (int32_t k = 0; k < 32; ++k) {
      x[k] = 0;                                    // row 0: a block of zeros
      x[cols + k] = 1e-38f;                        // row 1: a block that counts as zero
      x[2 * cols + k] = k == 7 ? 1e30f : -1e30f;   // row 2: large
      x[3 * cols + k] = static_cast<float>(k) - 15.5f;  // row 3: ties
    }
    x[4 * cols + 5] = NAN;
    x[5 * cols + 31] = -INFINITY;
    x[6 * cols + 1] = 3e38f;
    Guarded rows(bytes * 9), portable(bytes * 9);
    isa->quantise_rows(x.data(), cols, cols, rows.data(), 9);
    matmul_isa("portable")->quantise_rows(x.data(), cols, cols, portable.data(), 9);
    check(rows.intact(), "quantise_rows stays inside", isa->name, Format::Q8_0, cols, 0);
    for (int32_t i = 0; i < 9; ++i) {
      const uint8_t* row = rows.data() + i * bytes;
      const uint8_t* other = portable.data() + i * bytes;
      // Per block 32 codes, three floats, five words; NaNs count as equal whatever their payload.
      bool same = true;
      for (int32_t block = 0; block < cols / 32; ++block) {
        const uint8_t* a = row + block * 64;
        const uint8_t* b = other + block * 64;
        same = same && std::memcmp(a, b, 32) == 0 && std::memcmp(a + 44, b + 44, 20) == 0;
        for (int w = 0; w < 3; ++w) {
          float left, right;
          std::memcpy(&left, a + 32 + w * 4, 4);
          std::memcpy(&right, b + 32 + w * 4, 4);
          same = same && (std::memcmp(&left, &right, 4) == 0 || (left != left && right != right));
        }
      }
      check(same, "quantise_rows gives the same bits on every isa", isa->name, Format::Q8_0, cols, i);
      for (int32_t k = 0; k < cols; ++k) {
        float scale;
        std::memcpy(&scale, row + k / 32 * 64 + 32, 4);
        if (i >= 4 && i <= 6 && k < 32) {
          check(scale != scale, "a block with an infinity or a NaN is poisoned", isa->name, Format::Q8_0, i, k);
          continue;
        }
        const double back = static_cast<double>(scale) * reinterpret_cast<const int8_t*>(row)[k / 32 * 64 + k % 32];
        check(std::fabs(back - x[i * cols + k]) <= 0.50001 * static_cast<double>(scale) + 1e-30,
              "codes are the nearest", isa->name, Format::Q8_0, i, k, back);
      }
    }
  }
}

// Three bfloats make every float again: a term that keeps seven bits, or a NaN that becomes an infinity, is told apart.
void split_is_exact(const MatmulIsa* isa) {
  for (const int32_t cols : {1, 31, 32, 67, 1024}) {
    Random random{static_cast<uint64_t>(cols)};
    const int32_t m = 40;
    std::vector<float> x(static_cast<size_t>(cols) * m);
    for (auto& value : x) {
      const uint32_t bits = random.next();
      std::memcpy(&value, &bits, 4);
    }
    x[0] = INFINITY;
    x[x.size() - 1] = -3.4028235e38f;
    const uint32_t low_payload = 0x7F800001u;
    std::memcpy(&x[x.size() / 2], &low_payload, 4);
    Guarded rows(split_row_bytes(cols) * m);
    isa->split_rows(x.data(), cols, cols, rows.data(), m);
    check(rows.intact(), "split_rows stays inside", isa->name, Format::BF16, cols, m);
    for (int32_t i = 0; i < m; ++i) {
      const uint8_t* row = rows.data() + i * split_row_bytes(cols);
      for (int32_t k = 0; k < (cols + 31) / 32 * 32; ++k) {
        double sum = 0;
        for (int term = 0; term < 3; ++term) {
          const uint8_t* at = row + term * split_term_bytes(cols) + k * 2;
          const uint32_t bits = static_cast<uint32_t>(at[0] | at[1] << 8) << 16;
          sum += static_cast<double>(__builtin_bit_cast(float, bits));
        }
        const double want = k < cols ? x[i * cols + k] : 0.0;
        // Below 2^-110 the last term falls under the smallest bfloat.
        const bool near = std::fabs(want) < 0x1p-110 && std::fabs(sum - want) <= 0x1p-132;
        check(sum == want || near || (sum != sum && want != want), "split_rows gives the float again", isa->name, Format::BF16, i, k, sum);
      }
    }
  }
}

void poison_reaches_the_output(const MatmulIsa* isa, Format format) {
  const int32_t rows = 20, cols = 256, m = 14;
  Random random{99};
  Packed packed(format, rows, cols, random);
  Activations activations(m, cols, random, isa);
  activations.x[3 * activations.stride + 40] = NAN;
  activations.x[5 * activations.stride + 200] = INFINITY;
  activations.prepare(isa);
  std::vector<float> y(m * rows);
  LinearArgs args{};
  args.weights = packed.weights;
  args.input = activations.input();
  args.m = m;
  args.y = y.data();
  args.y_stride = rows;
  run_linear_in_parts(isa, args, 1);
  for (int32_t i = 0; i < m; ++i) {
    for (int32_t r = 0; r < rows; ++r) {
      check(std::isfinite(y[i * rows + r]) == (i != 3 && i != 5), "poison reaches its own row only", isa->name, format, i, r);
    }
  }
}

// The largest codes against the largest activations: nothing saturates on the way.
void extremes_do_not_saturate(const MatmulIsa* isa, Format format) {
  const int32_t rows = 16, cols = 256;
  for (const int fill : {0x00, 0xFF, 0x7F, 0x80}) {
    std::vector<uint8_t> file(file_row_bytes(format, cols) * rows, static_cast<uint8_t>(fill));
    const size_t block = file_row_bytes(format, 256) / (format == Format::Q8_0 || format == Format::Q4_0 ? 8 : 1);
    for (size_t at = 0; at < file.size(); at += block) {
      put_half(&file[at + (format == Format::Q6_K ? 208 : 0)], 0.01f);
      if (format == Format::Q4_K || format == Format::Q5_K) put_half(&file[at + 2], 0.01f);
    }
    Guarded packed(packed_bytes(format, rows, cols));
    pack_rows(format, packed.data(), rows, cols, 0, rows, file.data());
    for (const float sign : {1.0f, -1.0f}) {
      for (const int32_t m : {1, 13}) {
        std::vector<float> x(cols * m, sign * 127.0f), y(rows * m);
        Guarded quantised(quantised_row_bytes(cols) * m);
        isa->quantise_rows(x.data(), cols, cols, quantised.data(), m);
        LinearArgs args{};
        args.weights = {format, rows, cols, packed.data()};
        args.input = {nullptr, 0, quantised.data(), quantised_row_bytes(cols), nullptr, nullptr};
        args.m = m;
        args.y = y.data();
        args.y_stride = rows;
        run_linear_in_parts(isa, args, 1);
        double want = 0;
        for (const double weight : decode_row(format, file.data(), cols)) want += weight * 127.0 * static_cast<double>(sign);
        for (const float value : y) {
          check(std::fabs(value - want) <= 1e-5 * std::fabs(want) + 1e-2, "extremes do not saturate", isa->name, format, fill, m, value - want);
        }
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const Format format : formats) {
    for (const int32_t rows : {1, 16, 37}) {
      if (!needs_quantised(format)) {
        lookup_matches_definition(format, rows, 1);
        lookup_matches_definition(format, rows, 67);
      } else if (format == Format::Q8_0 || format == Format::Q4_0) {
        lookup_matches_definition(format, rows, 32);
        lookup_matches_definition(format, rows, 96);
      }
      lookup_matches_definition(format, rows, 512);
    }
  }
  for (const char* name : {"portable", "avx2", "avx512", "amx"}) {
    if (argc > 1 && std::strcmp(argv[1], name) != 0) continue;
    const MatmulIsa* isa = matmul_isa(name);
    if (isa == nullptr) {
      std::printf("isa %s is not on this machine: not tested\n", name);
      continue;
    }
    quantise_is_sound(isa);
    if (isa->split_rows != nullptr) split_is_exact(isa);
    swiglu_saturates(isa);
    for (const Format format : formats) {
      const bool dense = !needs_quantised(format);
      const bool narrow = format == Format::Q8_0 || format == Format::Q4_0;
      for (const int32_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 25}) {
        linear_matches_float64(isa, format, 40, 512, m, m % 2 == 0);
        if (dense) linear_matches_float64(isa, format, 19, 131, m, m % 3 == 0);
        if (dense) linear_matches_float64(isa, format, 70, 1, m, false);
        if (narrow) linear_matches_float64(isa, format, 33, 96, m, m % 3 == 0);
        if (narrow) linear_matches_float64(isa, format, 16, 32, m, false);
      }
      linear_matches_float64(isa, format, 17, 2304, 3, true);
      linear_matches_float64(isa, format, 17, 2304, 14, true);
      linear_ignores_company(isa, format, 90, dense ? 333 : narrow ? 352 : 512, 33);
      linear_ignores_company(isa, format, 20, 2560, 300);
      for (const int32_t m : {1, 5, 19}) swiglu_matches_float64(isa, format, Format::Q6_K, 44, 256, m);
      swiglu_matches_float64(isa, Format::BF16, format, 31, 768, 30);
      poison_reaches_the_output(isa, format);
      if (!dense) extremes_do_not_saturate(isa, format);
    }
  }
  std::printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
