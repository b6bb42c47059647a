// Loads and runs small models without Node, for the thread sanitizer: Node itself is not instrumented. Ranks, teams larger
// than the machine, uploads in parallel, steps back to back, jobs submitted from another thread. Ends with the count of
// steps, or 1 when two runs of the same step differ.
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>

#include "../program/model.h"
#include <cortex/runtime/device_thread.h>

using namespace cortex;

namespace {

constexpr int vocab = 128;
constexpr int hidden = 64;
constexpr int rows = 40;

class ProgramWriter {
 public:
  std::vector<int32_t> words;

  int32_t* instruction(Opcode op, int symbol, int n, int k, bool barrier) {
    words.resize(words.size() + instruction_words, -1);
    int32_t* at = words.data() + words.size() - instruction_words;
    at[word::opcode] = static_cast<int32_t>(op);
    at[word::rows] = symbol;
    at[word::n] = n;
    at[word::k] = k;
    std::memset(at + word::params, 0, 8 * sizeof(int32_t));
    at[word::barrier] = barrier;
    return at;
  }
};

void operand(int32_t* instruction, int start, int place, int64_t offset, int64_t stride) {
  instruction[start + 2 * place] = static_cast<int32_t>(offset);
  instruction[start + 2 * place + 1] = static_cast<int32_t>(stride);
}

// embed, then a product, append, attention, all-reduce, gathered rows, logits, sample
ProgramSpec make_program(int rank) {
  constexpr int max_rows = 64;
  constexpr int64_t x = 0, q = x + max_rows * hidden, y = q + max_rows * 3 * hidden, sum = y + max_rows * hidden,
                    last = sum + max_rows * hidden, logits = last + max_rows * hidden;
  ProgramSpec program{};
  program.rank = rank;
  program.vocab = vocab;
  program.arena_elements = logits + max_rows * vocab;
  program.kv = {{2, 32}};
  program.tensors = {{matmul::Format::F32, vocab, hidden, true},
                     {matmul::Format::Q8_0, 3 * hidden, hidden, false},
                     {matmul::Format::F16, vocab, hidden, false}};
  ProgramWriter writer;
  int32_t* in = writer.instruction(Opcode::embed, 0, hidden, 0, false);
  operand(in, word::outputs, 0, x, hidden);
  in[word::weights] = 0;
  in = writer.instruction(Opcode::linear, 0, 3 * hidden, hidden, true);
  operand(in, word::inputs, 0, x, hidden);
  operand(in, word::outputs, 0, q, 3 * hidden);
  in[word::weights] = 1;
  in = writer.instruction(Opcode::kv_append, 0, hidden, hidden, true);
  operand(in, word::inputs, 0, q + hidden, 3 * hidden);
  operand(in, word::inputs, 1, q + 2 * hidden, 3 * hidden);
  in[word::params + op::kv_append::param::headDim] = 32;
  in = writer.instruction(Opcode::attend, 0, hidden, hidden, true);
  operand(in, word::inputs, 0, q, 3 * hidden);
  operand(in, word::outputs, 0, y, hidden);
  in[word::params + op::attend::param::headDim] = 32;
  const float scale = 0.2f;
  std::memcpy(in + word::params + op::attend::param::scale, &scale, sizeof scale);
  in = writer.instruction(Opcode::all_reduce, 0, hidden, hidden, true);
  operand(in, word::inputs, 0, y, hidden);
  operand(in, word::outputs, 0, sum, hidden);
  in = writer.instruction(Opcode::gather_rows, 1, hidden, hidden, true);
  operand(in, word::inputs, 0, sum, hidden);
  operand(in, word::outputs, 0, last, hidden);
  in = writer.instruction(Opcode::linear, 1, vocab, hidden, true);
  operand(in, word::inputs, 0, last, hidden);
  operand(in, word::outputs, 0, logits, vocab);
  in[word::weights] = 2;
  in = writer.instruction(Opcode::sample, 1, vocab, vocab, true);
  operand(in, word::inputs, 0, logits, vocab);
  program.words = writer.words;
  return program;
}

ModelSpec make_spec(int ranks, int threads, int64_t& words) {
  ModelSpec spec{};
  for (int rank = 0; rank < ranks; ++rank) spec.programs.push_back(make_program(rank));
  spec.limits = {64, 2, 64, 128, 4, vocab, 0, 0, true};
  const int64_t lengths[step_offset_count] = {16, 64, 192, 2, 2, 2, 2, 64, 64, 64, 4,  64,
                                               256, 0, 0, 256, 0, 0, 64 * vocab, 0, 0, 0, 0, 64, 64 * ((vocab + 31) / 32)};
  int64_t starts[step_offset_count];
  words = 0;
  for (int i = 0; i < step_offset_count; ++i) {
    starts[i] = words;
    words += (lengths[i] + 15) / 16 * 16;
  }
  std::memcpy(&spec.offsets, starts, sizeof starts);
  spec.step_words = words;
  spec.kv_format = KvFormat::F16;
  spec.threads = threads;
  spec.kernels = kernels_by_name("portable");
  spec.matmul = matmul::matmul_isa("portable");
  return spec;
}

void write_step(const StepOffsets& at, int32_t* words) {
  words[at.header + header_word::rows] = rows;
  words[at.header + header_word::sequences] = 2;
  words[at.header + header_word::sampled] = rows;
  const float one = 1;
  for (int s = 0; s < 2; ++s) {
    words[at.sequenceSlot + s] = s;
    words[at.sequenceRow + s] = s * rows / 2;
    words[at.sequenceRows + s] = rows / 2;
    words[at.sequenceLength + s] = rows / 2;
    words[at.pageTable + 2 * s] = s;
    int32_t* sampling = words + at.sampling + s * sampling_word::size;
    std::memcpy(sampling + sampling_word::topP, &one, sizeof one);
    std::memcpy(sampling + sampling_word::repetitionPenalty, &one, sizeof one);
    std::memcpy(sampling + sampling_word::temperature, &one, sizeof one);
  }
  for (int i = 0; i < rows; ++i) {
    words[at.tokens + i] = i * 7 % vocab;
    words[at.sampleRow + i] = i;
    words[at.sampleSlot + i] = i / (rows / 2);
  }
}

int run_model(int ranks, int threads, int steps) {
  int64_t count = 0;
  ModelSpec spec = make_spec(ranks, threads, count);
  const StepOffsets at = spec.offsets;
  std::vector<int32_t> words(static_cast<size_t>(count));
  Status status;
  auto model = Model::load(std::move(spec), words.data(), status);
  if (!status.ok()) {
    std::printf("load: %s\n", status.message.c_str());
    return 1;
  }
  for (int rank = 0; rank < ranks; ++rank) {
    for (int tensor = 0; tensor < 3; ++tensor) {
      const TensorSpec& shape = model->ranks[static_cast<size_t>(rank)]->tensors[static_cast<size_t>(tensor)].spec;
      std::vector<uint8_t> bytes(static_cast<size_t>(shape.rows) * matmul::file_row_bytes(shape.format, shape.cols));
      // Small positive numbers in every format: nothing overflows.
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = i % 2 == 0 ? static_cast<uint8_t>(i * 31) : 0x2c;
      if (shape.format == matmul::Format::F32) {
        for (size_t i = 0; i + 4 <= bytes.size(); i += 4) {
          const float value = static_cast<float>(i % 97) / 97 - 0.5f;
          std::memcpy(bytes.data() + i, &value, sizeof value);
        }
      }
      model->upload(rank, tensor, 0, bytes.data(), bytes.size());
    }
  }
  status = model->seal();
  std::vector<int32_t> first;
  for (int i = 0; i < steps && status.ok(); ++i) {
    write_step(at, words.data());
    double nanoseconds = 0;
    status = model->run_step(nanoseconds);
    std::vector<int32_t> answer(words.begin() + at.output, words.end());
    if (i == 0) first = answer;
    if (answer != first) {
      std::printf("%d ranks, %d threads: step %d differs\n", ranks, threads, i);
      return 1;
    }
  }
  if (!status.ok()) std::printf("step: %s\n", status.message.c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace

int main() {
  int failures = 0;
  for (const int ranks : {1, 2, 4}) {
    for (const int threads : {1, 3, 8}) failures += run_model(ranks, threads, 25);
  }
  std::atomic<int> done{0};
  {
    DeviceThread device("cpu-dev-0");
    for (int i = 0; i < 4; ++i) device.submit([&done] { done += run_model(1, 2, 5) == 0 ? 1 : 0; });
    while (done.load() < 4) std::this_thread::yield();
    device.stop();
  }
  std::printf("%d failures\n", failures);
  return failures == 0 ? 0 : 1;
}
