// Speed of one thread, by thread CPU time: GB/s of packed weights and GMAC/s, beside what a plain read of the same memory
// reaches in the same minute. With `cached` first, four strips are read
// over and over instead: what arithmetic alone allows. Usage: bench [cached] [isa [format | all [m ...]]]
#include <sys/mman.h>
#include <time.h>

#include "fixture.h"

using namespace cortex::matmul;
using namespace fixture;

namespace {

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

constexpr int32_t rows = 4096;
constexpr int32_t cols = 4096;
constexpr size_t memory_bytes = size_t{640} << 20;

uint8_t* map_memory(size_t bytes) {
  void* at = mmap(nullptr, bytes + (size_t{2} << 20), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) std::exit(2);
  uint8_t* aligned = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(at) + (2u << 20) - 1) & ~uintptr_t{(2u << 20) - 1});
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return aligned;
}

using Words = long long __attribute__((vector_size(64), aligned(64)));

// GB/s of a read that does nothing else.
double probe(const uint8_t* memory, size_t bytes) {
  const double begin = thread_seconds();
  Words sum[4] = {};
  for (size_t at = 0; at < bytes; at += 256) {
    for (size_t i = 0; i < 4; ++i) {
      __builtin_prefetch(memory + at + 1536 + i * 64);
      sum[i] ^= *reinterpret_cast<const Words*>(memory + at + i * 64);
    }
  }
  Words all = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
  asm volatile("" : : "r"(&all) : "memory");
  return static_cast<double>(bytes) / (thread_seconds() - begin) * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  const bool cached = argc > 1 && std::strcmp(argv[1], "cached") == 0;
  if (cached) {
    --argc;
    ++argv;
  }
  const MatmulIsa* isa = matmul_isa(argc > 1 ? argv[1] : "auto");
  if (isa == nullptr) return std::printf("no such isa here\n"), 1;
  uint8_t* memory = map_memory(memory_bytes);
  std::memset(memory, 1, memory_bytes);
  Random random{1};
  for (const Format format : formats) {
    if (argc > 2 && std::strcmp(argv[2], "all") != 0 && std::strcmp(argv[2], name_of(format)) != 0) continue;
    const size_t bytes = packed_bytes(format, rows, cols);
    const size_t copies = memory_bytes / bytes;
    {
      const auto file = random_file(format, 64, cols, random);
      for (int32_t row = 0; row < rows; row += 64) pack_rows(format, memory, rows, cols, row, 64, file.data());
      for (size_t i = 1; i < copies; ++i) std::memcpy(memory + i * bytes, memory, bytes);
    }
    int32_t counts[16] = {1, 2, 4, 8, 16, 64, 480};
    int count = 7;
    if (argc > 3) {
      count = 0;
      for (int i = 3; i < argc && count < 16; ++i) counts[count++] = std::atoi(argv[i]);
    }
    for (int c = 0; c < count; ++c) {
      const int32_t m = counts[c];
      std::vector<float> x(static_cast<size_t>(m) * cols), y(static_cast<size_t>(m) * rows);
      for (auto& value : x) value = random.normal();
      Guarded quantised(quantised_row_bytes(cols) * m);
      isa->quantise_rows(x.data(), cols, cols, quantised.data(), m);
      Guarded scratch(linear_scratch_bytes(*isa, format, cols, m));
      Guarded split(isa->splits(format) ? split_row_bytes(cols) * static_cast<size_t>(m) : 0);
      if (isa->splits(format)) isa->split_rows(x.data(), cols, cols, split.data(), m);
      LinearArgs args{};
      args.input = {x.data(), cols, quantised.data(), quantised_row_bytes(cols), nullptr, split.data()};
      args.m = m;
      args.y = y.data();
      args.y_stride = rows;
      args.scratch = scratch.data();
      // Few strips of each copy when there are many rows, so that a run stays short.
      const int32_t strips = cached ? 4 : m >= 64 ? 32 : rows / strip_rows;
      double best = 0, read = 0;
      for (int round = 0; round < 4; ++round) {
        read = std::fmax(read, probe(memory, memory_bytes));
        const size_t runs = cached ? 4096 / static_cast<size_t>(m) + 1 : m >= 16 ? 2 : copies;
        const double begin = thread_seconds();
        for (size_t run = 0; run < runs; ++run) {
          args.weights = {format, rows, cols, memory + (cached ? 0 : run % copies * bytes)};
          args.strip_end = strips;
          isa->linear(args);
        }
        best = std::fmax(best, static_cast<double>(runs) / (thread_seconds() - begin));
      }
      const double part = static_cast<double>(strips) * strip_rows / rows;
      const double rate = best * static_cast<double>(bytes) * part * 1e-9;
      std::printf("%-8s %-5s m %3d  %6.2f GB/s = %.2f of read %5.2f   %7.1f GMAC/s\n", isa->name, name_of(format), m, rate,
                  rate / read, read, best * part * rows * cols * m * 1e-9);
      std::fflush(stdout);
    }
  }
  return 0;
}
