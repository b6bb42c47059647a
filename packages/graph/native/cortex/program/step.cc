#include "step.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace cortex {

namespace {

// The field goes before the first blank of the message, the reason after it.
Status invalid(const char* field, const std::string& reason) {
  return failure(Code::step_invalid, std::string(field) + ' ' + reason);
}

float float_at(const int32_t* word) {
  float value;
  std::memcpy(&value, word, sizeof value);
  return value;
}

}  // namespace

Step::Step(const Limits& limits, const StepOffsets& offsets, int32_t* words)
    : limits_(limits), offsets_(offsets), words_(words) {
  const auto rows_max = static_cast<size_t>(limits.max_rows);
  tokens.resize(rows_max);
  positions.resize(3 * rows_max);
  row_sequence.resize(rows_max);
  row_index.resize(rows_max);
  places.resize(static_cast<size_t>(limits.max_patches));
  images.reserve(static_cast<size_t>(limits.max_patches));
  sequences.reserve(static_cast<size_t>(limits.max_sequences));
  pages.resize(static_cast<size_t>(limits.max_sequences) * static_cast<size_t>(limits.pages_per_slot()));
  samples.reserve(static_cast<size_t>(limits.max_sampled));
  copies.reserve(static_cast<size_t>(limits.max_copies()));
  page_written_.resize(static_cast<size_t>(limits.pages));
  slot_seen_.resize(static_cast<size_t>(limits.max_sequences));
}

Status Step::read() {
  const int32_t* header = words_ + offsets_.header;
  rows = header[header_word::rows];
  sampled = header[header_word::sampled];
  const int sequence_count = header[header_word::sequences];
  patches = header[header_word::patches];
  features = header[header_word::features];
  if (rows < 0 || rows > limits_.max_rows) return invalid("header", format_text("counts %d rows; 0 to %d are wanted", rows, limits_.max_rows));
  if (sequence_count < 0 || sequence_count > limits_.max_sequences) {
    return invalid("header", format_text("counts %d sequences; 0 to %d are wanted", sequence_count, limits_.max_sequences));
  }
  if (sampled < 0 || sampled > limits_.max_sampled) {
    return invalid("header", format_text("counts %d sampled rows; 0 to %d are wanted", sampled, limits_.max_sampled));
  }
  if (patches < 0 || patches > limits_.max_patches) {
    return invalid("header", format_text("counts %d patches; 0 to %d are wanted", patches, limits_.max_patches));
  }
  if (features < 0 || features > limits_.max_features) {
    return invalid("header", format_text("counts %d feature rows; 0 to %d are wanted", features, limits_.max_features));
  }
  if (Status status = read_patches(); !status.ok()) return status;
  if (Status status = read_copies(header[header_word::copies]); !status.ok()) return status;
  ++sequence_;
  const auto count = static_cast<size_t>(rows);
  std::memcpy(tokens.data(), words_ + offsets_.tokens, count * sizeof(int32_t));
  for (size_t i = 0; i < count; ++i) {
    if (tokens[i] < -limits_.max_features || tokens[i] >= limits_.vocab) {
      return invalid("tokens", format_text("holds %d in row %zu; the vocabulary has %d", tokens[i], i, limits_.vocab));
    }
  }
  const auto stride = static_cast<size_t>(limits_.max_rows);
  for (size_t axis = 0; axis < 3; ++axis) {
    std::memcpy(positions.data() + axis * stride, words_ + offsets_.positions + axis * stride, count * sizeof(int32_t));
  }
  Status status = read_sequences(sequence_count);
  return status.ok() ? read_samples() : status;
}

Status Step::read_copies(int count) {
  if (count < 0 || count > limits_.max_copies()) {
    return invalid("header", format_text("counts %d state copies; 0 to %d are wanted", count, limits_.max_copies()));
  }
  copies.clear();
  const int32_t* words = words_ + offsets_.stateCopies;
  for (int i = 0; i < count; ++i) {
    const StateCopy copy{words[2 * i], words[2 * i + 1]};
    for (const int state : {copy.from, copy.to}) {
      if (state < 0 || state >= limits_.states()) {
        return invalid("stateCopies", format_text("names state %d; there are %d", state, limits_.states()));
      }
    }
    copies.push_back(copy);
  }
  return {};
}

Status Step::read_patches() {
  images.clear();
  const int32_t* words = words_ + offsets_.patches;
  const int64_t stride = limits_.max_patches;
  const auto place_invalid = [](int patch) { return invalid("patches", format_text("has patch %d outside of its image", patch)); };
  for (int i = 0; i < patches; ++i) {
    const int image = words[patch_word::image * stride + i];
    const int last = static_cast<int>(images.size()) - 1;
    const PatchPlace place{words[patch_word::y * stride + i], words[patch_word::x * stride + i],
                           words[patch_word::gridHeight * stride + i], words[patch_word::gridWidth * stride + i]};
    if (place.y < 0 || place.y >= place.grid_height || place.grid_height > limits_.max_patches) return place_invalid(i);
    if (place.x < 0 || place.x >= place.grid_width || place.grid_width > limits_.max_patches) return place_invalid(i);
    places[static_cast<size_t>(i)] = place;
    if (image == last + 1) {
      images.push_back({i, i + 1});
    } else if (image == last && last >= 0) {
      images.back().end = i + 1;
    } else {
      return invalid("patches", format_text("has patch %d of image %d after those of image %d", i, image, last));
    }
  }
  return {};
}

Status Step::read_sequences(int count) {
  const int pages_per_slot = limits_.pages_per_slot();
  sequences.clear();
  std::fill(row_sequence.begin(), row_sequence.begin() + rows, -1);
  for (int i = 0; i < count; ++i) {
    StepSequence sequence{words_[offsets_.sequenceSlot + i], words_[offsets_.sequenceRow + i],
                          words_[offsets_.sequenceRows + i], words_[offsets_.sequenceLength + i], i * pages_per_slot};
    if (sequence.slot < 0 || sequence.slot >= limits_.max_sequences) {
      return invalid("sequenceSlot", format_text("is %d for sequence %d; there are %d", sequence.slot, i, limits_.max_sequences));
    }
    if (slot_seen_[static_cast<size_t>(sequence.slot)] == sequence_) {
      return invalid("sequenceSlot", format_text("names slot %d twice", sequence.slot));
    }
    slot_seen_[static_cast<size_t>(sequence.slot)] = sequence_;
    if (sequence.rows < 1 || sequence.first_row < 0 || sequence.first_row > rows - sequence.rows) {
      return invalid("sequenceRows", format_text("gives sequence %d %d rows from row %d of %d", i, sequence.rows,
                                                 sequence.first_row, rows));
    }
    if (sequence.length < sequence.rows || sequence.length > limits_.max_context) {
      return invalid("sequenceLength", format_text("is %d for sequence %d; %d to %d are wanted", sequence.length, i,
                                                   sequence.rows, limits_.max_context));
    }
    for (int r = 0; r < sequence.rows; ++r) {
      const auto row = static_cast<size_t>(sequence.first_row + r);
      if (row_sequence[row] >= 0) return invalid("sequenceRow", format_text("gives row %zu to two sequences", row));
      row_sequence[row] = i;
      row_index[row] = sequence.length - sequence.rows + r;
    }
    const int used = (sequence.length + page_tokens - 1) / page_tokens;
    int32_t* own = pages.data() + sequence.pages_start;
    std::memcpy(own, words_ + offsets_.pageTable + int64_t{sequence.slot} * pages_per_slot,
                static_cast<size_t>(used) * sizeof(int32_t));
    const int first_written = (sequence.length - sequence.rows) / page_tokens;
    for (int p = 0; p < used; ++p) {
      if (own[p] < 0 || own[p] >= limits_.pages) {
        return invalid("pageTable", format_text("names page %d as page %d of slot %d; the pool has %d", own[p], p,
                                                sequence.slot, limits_.pages));
      }
      if (p < first_written) continue;
      auto& written = page_written_[static_cast<size_t>(own[p])];
      if (written == sequence_) return invalid("pageTable", format_text("has page %d written to twice", own[p]));
      written = sequence_;
    }
    sequences.push_back(sequence);
  }
  return {};
}

Status Step::read_samples() {
  samples.clear();
  for (int i = 0; i < sampled; ++i) {
    SampleRow sample{};
    sample.row = words_[offsets_.sampleRow + i];
    sample.slot = words_[offsets_.sampleSlot + i];
    sample.counter = static_cast<uint32_t>(words_[offsets_.sampleCounter + i]);
    if (sample.counter > INT32_MAX) return invalid("sampleCounter", format_text("is negative for sampled row %d", i));
    if (sample.row < 0 || sample.row >= rows) return invalid("sampleRow", format_text("is %d of %d rows", sample.row, rows));
    if (sample.slot < 0 || sample.slot >= limits_.max_sequences) {
      return invalid("sampleSlot", format_text("is %d of %d slots", sample.slot, limits_.max_sequences));
    }
    Status status = read_sampling(sample.slot, sample.params);
    if (!status.ok()) return status;
    const int32_t masked = words_[offsets_.sampleMasked + i];
    if (masked != 0 && masked != 1) return invalid("sampleMasked", format_text("is %d for sampled row %d", masked, i));
    sample.masked = masked == 1;
    samples.push_back(sample);
  }
  return {};
}

Status Step::read_sampling(int slot, SamplingParams& params) {
  const int32_t* words = words_ + offsets_.sampling + int64_t{slot} * sampling_word::size;
  params.temperature = float_at(words + sampling_word::temperature);
  params.top_k = words[sampling_word::topK];
  params.top_p = float_at(words + sampling_word::topP);
  params.min_p = float_at(words + sampling_word::minP);
  params.repetition_penalty = float_at(words + sampling_word::repetitionPenalty);
  params.presence_penalty = float_at(words + sampling_word::presencePenalty);
  params.frequency_penalty = float_at(words + sampling_word::frequencyPenalty);
  params.seed = static_cast<uint64_t>(static_cast<uint32_t>(words[sampling_word::seedLow])) |
                static_cast<uint64_t>(static_cast<uint32_t>(words[sampling_word::seedHigh])) << 32;
  params.bias_count = words[sampling_word::biasCount];
  params.top_logprobs = words[sampling_word::topLogprobs];
  params.history_length = words[sampling_word::historyLength];
  params.prompt_length = words[sampling_word::promptLength];
  const auto bad = [slot](const char* name) { return invalid("sampling", format_text("has %s of slot %d out of range", name, slot)); };
  if (!std::isfinite(params.temperature)) return bad("temperature");
  if (params.top_k < 0) return bad("topK");
  if (!(params.top_p >= 0 && params.top_p <= 1)) return bad("topP");
  if (!(params.min_p >= 0 && params.min_p <= 1)) return bad("minP");
  if (!(params.repetition_penalty > 0 && std::isfinite(params.repetition_penalty))) return bad("repetitionPenalty");
  if (!std::isfinite(params.presence_penalty)) return bad("presencePenalty");
  if (!std::isfinite(params.frequency_penalty)) return bad("frequencyPenalty");
  if (params.bias_count < 0 || params.bias_count > limits_.max_bias) return bad("biasCount");
  if (params.top_logprobs < -1 || params.top_logprobs > limits_.max_top_logprobs) return bad("topLogprobs");
  if (params.history_length < 0 || params.history_length > limits_.max_context) return bad("historyLength");
  if (params.prompt_length < 0 || params.prompt_length > params.history_length) return bad("promptLength");
  const int32_t* bias = words_ + offsets_.biasToken + int64_t{slot} * limits_.max_bias;
  const float* values = floats(offsets_.biasValue) + int64_t{slot} * limits_.max_bias;
  for (int i = 0; i < params.bias_count; ++i) {
    if (bias[i] < 0 || bias[i] >= limits_.vocab) return bad("a bias token");
    if (!std::isfinite(values[i])) return bad("a bias value");
  }
  if (params.has_penalties()) {
    const int32_t* history = words_ + offsets_.history + int64_t{slot} * limits_.max_context;
    for (int i = 0; i < params.history_length; ++i) {
      if (history[i] < 0 || history[i] >= limits_.vocab) return bad("a history token");
    }
  }
  return {};
}

Status check_step_layout(const Limits& l, const StepOffsets& o, int64_t words) {
  struct Array {
    const char* name;
    int64_t start;
    int64_t length;
  };
  const int64_t sequences = l.max_sequences;
  const Array arrays[] = {
      {"header", o.header, header_word::size},
      {"tokens", o.tokens, l.max_rows},
      {"positions", o.positions, int64_t{3} * l.max_rows},
      {"sequenceSlot", o.sequenceSlot, sequences},
      {"sequenceRow", o.sequenceRow, sequences},
      {"sequenceRows", o.sequenceRows, sequences},
      {"sequenceLength", o.sequenceLength, sequences},
      {"sampleRow", o.sampleRow, l.max_sampled},
      {"sampleSlot", o.sampleSlot, l.max_sampled},
      {"sampleCounter", o.sampleCounter, l.max_sampled},
      {"pageTable", o.pageTable, sequences * l.pages_per_slot()},
      {"sampling", o.sampling, sequences * sampling_word::size},
      {"history", o.history, sequences * l.max_context},
      {"biasToken", o.biasToken, sequences * l.max_bias},
      {"biasValue", o.biasValue, sequences * l.max_bias},
      {"output", o.output, int64_t{l.max_sampled} * sampled_word::size},
      {"topToken", o.topToken, int64_t{l.max_sampled} * l.max_top_logprobs},
      {"topLogprob", o.topLogprob, int64_t{l.max_sampled} * l.max_top_logprobs},
      {"logits", o.logits, l.expose_logits ? int64_t{l.max_sampled} * l.vocab : 0},
      {"patches", o.patches, int64_t{patch_word::size} * l.max_patches},
      {"pixels", o.pixels, int64_t{l.max_patches} * l.patch_width},
      {"features", o.features, int64_t{l.max_features} * l.feature_width},
      {"stateCopies", o.stateCopies, int64_t{2} * l.max_copies()},
      {"sampleMasked", o.sampleMasked, l.max_sampled},
      {"masks", o.masks, int64_t{l.max_sampled} * l.mask_words()},
  };
  int64_t end = 0;
  for (const Array& array : arrays) {
    if (array.start < end || array.length > words - array.start) {
      return failure(Code::program_invalid, format_text("step array '%s' does not fit the layout", array.name));
    }
    end = array.start + array.length;
  }
  return {};
}

}  // namespace cortex
