#include "step_buffers.h"

#include <algorithm>
#include <cstring>

namespace cortex {

namespace {

constexpr size_t word_bytes = sizeof(int32_t);

size_t words(int64_t count) { return static_cast<size_t>(count) * word_bytes; }

DeviceSample device_sample(const SampleRow& sample) {
  const SamplingParams& params = sample.params;
  return {sample.row,
          sample.slot,
          sample.masked ? 1 : 0,
          static_cast<uint32_t>(sample.counter),
          static_cast<uint32_t>(params.seed),
          static_cast<uint32_t>(params.seed >> 32),
          params.temperature,
          params.top_k,
          params.top_p,
          params.min_p,
          params.repetition_penalty,
          params.presence_penalty,
          params.frequency_penalty,
          params.bias_count,
          params.top_logprobs,
          params.history_length,
          params.prompt_length};
}

}  // namespace

StepBuffers::StepBuffers(const Limits& l) : limits_(l) {
  counts_ = layout_.take(words(count::size));
  tokens_ = layout_.take(words(l.max_rows));
  positions_ = layout_.take(words(int64_t{3} * l.max_rows));
  row_sequence_ = layout_.take(words(l.max_rows));
  row_index_ = layout_.take(words(l.max_rows));
  sequences_ = layout_.take(sizeof(DeviceSequence) * static_cast<size_t>(l.max_sequences));
  samples_ = layout_.take(sizeof(DeviceSample) * static_cast<size_t>(l.max_sampled));
  copies_ = layout_.take(sizeof(DeviceCopy) * static_cast<size_t>(l.max_copies()));
  places_ = layout_.take(sizeof(DevicePatch) * static_cast<size_t>(l.max_patches));
  images_ = layout_.take(sizeof(DeviceImage) * static_cast<size_t>(l.max_patches));
  pages_ = layout_.take(words(int64_t{l.max_sequences} * l.pages_per_slot()));
  masks_ = layout_.take(words(int64_t{l.max_sampled} * l.mask_words()));
  history_ = layout_.take(words(int64_t{l.max_sequences} * l.max_context));
  bias_token_ = layout_.take(words(int64_t{l.max_sequences} * l.max_bias));
  bias_value_ = layout_.take(words(int64_t{l.max_sequences} * l.max_bias));
  pixels_ = layout_.take(words(int64_t{l.max_patches} * l.patch_width));
  features_ = layout_.take(words(int64_t{l.max_features} * l.feature_width));
  output_ = layout_.take(words(int64_t{l.max_sampled} * sampled_word::size));
  top_token_ = layout_.take(words(int64_t{l.max_sampled} * l.max_top_logprobs));
  top_logprob_ = layout_.take(words(int64_t{l.max_sampled} * l.max_top_logprobs));
  logits_ = layout_.take(l.expose_logits ? words(int64_t{l.max_sampled} * l.vocab) : 0);
}

StepView StepBuffers::view(uint8_t* b) const {
  StepView view{};
  view.counts = reinterpret_cast<const int32_t*>(b + counts_);
  view.tokens = reinterpret_cast<const int32_t*>(b + tokens_);
  view.positions = reinterpret_cast<const int32_t*>(b + positions_);
  view.row_sequence = reinterpret_cast<const int32_t*>(b + row_sequence_);
  view.row_index = reinterpret_cast<const int32_t*>(b + row_index_);
  view.sequences = reinterpret_cast<const DeviceSequence*>(b + sequences_);
  view.pages = reinterpret_cast<const int32_t*>(b + pages_);
  view.samples = reinterpret_cast<const DeviceSample*>(b + samples_);
  view.copies = reinterpret_cast<const DeviceCopy*>(b + copies_);
  view.places = reinterpret_cast<const DevicePatch*>(b + places_);
  view.images = reinterpret_cast<const DeviceImage*>(b + images_);
  view.masks = reinterpret_cast<const uint32_t*>(b + masks_);
  view.history = reinterpret_cast<const int32_t*>(b + history_);
  view.bias_token = reinterpret_cast<const int32_t*>(b + bias_token_);
  view.bias_value = reinterpret_cast<const float*>(b + bias_value_);
  view.pixels = reinterpret_cast<const float*>(b + pixels_);
  view.features = reinterpret_cast<float*>(b + features_);
  view.output = reinterpret_cast<int32_t*>(b + output_);
  view.top_token = reinterpret_cast<int32_t*>(b + top_token_);
  view.top_logprob = reinterpret_cast<float*>(b + top_logprob_);
  view.logits = reinterpret_cast<float*>(b + logits_);
  view.max_rows = limits_.max_rows;
  view.max_sequences = limits_.max_sequences;
  view.max_sampled = limits_.max_sampled;
  view.max_context = limits_.max_context;
  view.max_patches = limits_.max_patches;
  view.max_features = limits_.max_features;
  view.patch_width = limits_.patch_width;
  view.feature_width = limits_.feature_width;
  view.vocab = limits_.vocab;
  view.max_bias = limits_.max_bias;
  view.max_top_logprobs = limits_.max_top_logprobs;
  view.pages_per_slot = limits_.pages_per_slot();
  view.mask_words = limits_.mask_words();
  return view;
}

size_t StepBuffers::head_bytes(const Step& step) const {
  return pages_ + words(static_cast<int64_t>(step.sequences.size()) * limits_.pages_per_slot());
}

int StepBuffers::feature_rows(const Step& step) const {
  int rows = 0;
  for (int row = 0; row < step.rows; ++row) rows = std::max(rows, -step.tokens[static_cast<size_t>(row)]);
  return rows;
}

// `use` gets where a part starts in the blocks, where in the shared words, and its bytes.
template <typename Use>
void StepBuffers::each_input(const Step& step, Use use) const {
  const StepOffsets& o = step.offsets();
  for (size_t i = 0; i < step.samples.size(); ++i) {
    const SampleRow& sample = step.samples[i];
    if (sample.masked) {
      const auto at = static_cast<int64_t>(i) * limits_.mask_words();
      use(masks_ + words(at), o.masks + at, words(limits_.mask_words()));
    }
    if (sample.params.has_penalties()) {
      const int64_t at = int64_t{sample.slot} * limits_.max_context;
      use(history_ + words(at), o.history + at, words(sample.params.history_length));
    }
    if (sample.params.bias_count > 0) {
      const int64_t at = int64_t{sample.slot} * limits_.max_bias;
      use(bias_token_ + words(at), o.biasToken + at, words(sample.params.bias_count));
      use(bias_value_ + words(at), o.biasValue + at, words(sample.params.bias_count));
    }
  }
  if (step.patches > 0) use(pixels_, o.pixels, words(int64_t{step.patches} * limits_.patch_width));
  if (const int rows = feature_rows(step); rows > 0) use(features_, o.features, words(int64_t{rows} * limits_.feature_width));
}

template <typename Use>
void StepBuffers::each_output(const Step& step, Use use) const {
  const StepOffsets& o = step.offsets();
  if (step.sampled > 0) {
    use(output_, o.output, words(int64_t{step.sampled} * sampled_word::size));
    const size_t top = words(int64_t{step.sampled} * limits_.max_top_logprobs);
    const bool wants_top = std::any_of(step.samples.begin(), step.samples.end(),
                                       [](const SampleRow& sample) { return sample.params.top_logprobs > 0; });
    if (wants_top) {
      use(top_token_, o.topToken, top);
      use(top_logprob_, o.topLogprob, top);
    }
    if (limits_.expose_logits) use(logits_, o.logits, words(int64_t{step.sampled} * limits_.vocab));
  }
  if (step.features > 0) use(features_, o.features, words(int64_t{step.features} * limits_.feature_width));
}

void StepBuffers::pack(const Step& step, uint8_t* b) const {
  int32_t* counts = reinterpret_cast<int32_t*>(b + counts_);
  counts[count::rows] = step.rows;
  counts[count::sampled] = step.sampled;
  counts[count::patches] = step.patches;
  counts[count::features] = step.features;
  counts[count::sequences] = static_cast<int32_t>(step.sequences.size());
  counts[count::copies] = static_cast<int32_t>(step.copies.size());
  counts[count::images] = static_cast<int32_t>(step.images.size());
  counts[count::size - 1] = 0;
  const size_t rows = words(step.rows);
  std::memcpy(b + tokens_, step.tokens.data(), rows);
  for (size_t axis = 0; axis < 3; ++axis) {
    const size_t start = axis * static_cast<size_t>(limits_.max_rows);
    std::memcpy(b + positions_ + start * word_bytes, step.positions.data() + start, rows);
  }
  std::memcpy(b + row_sequence_, step.row_sequence.data(), rows);
  std::memcpy(b + row_index_, step.row_index.data(), rows);
  auto* sequences = reinterpret_cast<DeviceSequence*>(b + sequences_);
  for (const StepSequence& s : step.sequences) *sequences++ = {s.slot, s.first_row, s.rows, s.length, s.pages_start};
  auto* samples = reinterpret_cast<DeviceSample*>(b + samples_);
  for (const SampleRow& sample : step.samples) *samples++ = device_sample(sample);
  auto* copies = reinterpret_cast<DeviceCopy*>(b + copies_);
  for (const StateCopy& copy : step.copies) *copies++ = {copy.from, copy.to};
  auto* places = reinterpret_cast<DevicePatch*>(b + places_);
  for (int i = 0; i < step.patches; ++i) {
    const PatchPlace& place = step.places[static_cast<size_t>(i)];
    *places++ = {place.y, place.x, place.grid_height, place.grid_width};
  }
  auto* images = reinterpret_cast<DeviceImage*>(b + images_);
  for (const PatchRange& image : step.images) *images++ = {image.begin, image.end};
  std::memcpy(b + pages_, step.pages.data(), head_bytes(step) - pages_);
  each_input(step, [&](size_t start, int64_t from, size_t bytes) { std::memcpy(b + start, step.words() + from, bytes); });
}

cudaError_t StepBuffers::send(const Step& step, const uint8_t* host, uint8_t* device, cudaStream_t stream) const {
  cudaError_t error = cudaMemcpyAsync(device, host, head_bytes(step), cudaMemcpyHostToDevice, stream);
  each_input(step, [&](size_t start, int64_t, size_t bytes) {
    if (error == cudaSuccess && bytes > 0) error = cudaMemcpyAsync(device + start, host + start, bytes, cudaMemcpyHostToDevice, stream);
  });
  return error;
}

cudaError_t StepBuffers::receive(const Step& step, const uint8_t* device, uint8_t* host, cudaStream_t stream) const {
  cudaError_t error = cudaSuccess;
  each_output(step, [&](size_t start, int64_t, size_t bytes) {
    if (error == cudaSuccess && bytes > 0) error = cudaMemcpyAsync(host + start, device + start, bytes, cudaMemcpyDeviceToHost, stream);
  });
  return error;
}

void StepBuffers::unpack(const Step& step, const uint8_t* host) const {
  each_output(step, [&](size_t start, int64_t to, size_t bytes) { std::memcpy(step.words() + to, host + start, bytes); });
}

}  // namespace cortex
