// Written by `npm run generate` from packages/graph/src/opcodes.ts, program.ts and step.ts.
#pragma once

#include <cstdint>

namespace cortex {

inline constexpr int instruction_words = 32;
inline constexpr int page_tokens = 64;

enum class Opcode : std::int32_t {
  embed = 1,
  rms_norm = 2,
  add_rms_norm = 3,
  layer_norm = 4,
  linear = 5,
  linear_add = 6,
  linear_swiglu = 7,
  add = 8,
  mul = 9,
  scale = 10,
  silu = 11,
  gelu = 12,
  sigmoid = 13,
  swiglu = 14,
  sigmoid_mul = 15,
  head_norm = 16,
  rope = 17,
  kv_append = 18,
  attend = 19,
  qk_norm_rope_append = 20,
  gather_rows = 21,
  sample = 22,
  all_reduce = 23,
  gather = 24,
  add_bias = 25,
  expose_rows = 26,
  conv1d_silu = 32,
  delta_gates = 33,
  gated_delta = 34,
  rms_norm_gated = 35,
  router_topk = 40,
  moe_gate_up = 41,
  moe_down = 42,
  attend_dense = 48,
  rope_2d = 49,
  patch_merge = 50,
  load_patches = 51,
  patch_position = 52,
  store_features = 53,
};

// Masks have bit i for role i; weight masks have bit i for weight word i.
struct OpSignature {
  Opcode code;
  const char* name;
  int inputs;
  unsigned optional_inputs;
  int outputs;
  unsigned optional_outputs;
  bool variadic_weights;
  unsigned required_weights;
  unsigned allowed_weights;
  int params;
  unsigned float_params;
};

inline constexpr OpSignature op_signatures[] = {
    {Opcode::embed, "embed", 0, 0, 1, 0, false, 1, 1, 1, 0},
    {Opcode::rms_norm, "rms_norm", 1, 0, 2, 2, false, 1, 1, 1, 1},
    {Opcode::add_rms_norm, "add_rms_norm", 2, 0, 3, 4, false, 1, 1, 1, 1},
    {Opcode::layer_norm, "layer_norm", 1, 0, 1, 0, false, 3, 3, 1, 1},
    {Opcode::linear, "linear", 2, 2, 1, 0, true, 0, 31, 0, 0},
    {Opcode::linear_add, "linear_add", 3, 4, 1, 0, true, 0, 31, 0, 0},
    {Opcode::linear_swiglu, "linear_swiglu", 2, 2, 2, 2, true, 0, 15, 0, 0},
    {Opcode::add, "add", 2, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::mul, "mul", 2, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::scale, "scale", 1, 0, 1, 0, false, 0, 0, 1, 1},
    {Opcode::silu, "silu", 1, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::gelu, "gelu", 1, 0, 1, 0, false, 0, 0, 1, 0},
    {Opcode::sigmoid, "sigmoid", 1, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::swiglu, "swiglu", 2, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::sigmoid_mul, "sigmoid_mul", 2, 0, 1, 0, false, 0, 0, 1, 0},
    {Opcode::head_norm, "head_norm", 1, 0, 1, 0, false, 1, 1, 2, 2},
    {Opcode::rope, "rope", 1, 0, 1, 0, false, 1, 1, 5, 4},
    {Opcode::kv_append, "kv_append", 2, 0, 0, 0, false, 0, 0, 2, 0},
    {Opcode::attend, "attend", 1, 0, 2, 2, false, 0, 0, 4, 4},
    {Opcode::qk_norm_rope_append, "qk_norm_rope_append", 3, 0, 1, 0, false, 4, 7, 7, 18},
    {Opcode::gather_rows, "gather_rows", 1, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::sample, "sample", 1, 0, 0, 0, false, 0, 0, 0, 0},
    {Opcode::all_reduce, "all_reduce", 1, 0, 1, 0, false, 0, 0, 0, 0},
    {Opcode::gather, "gather", 1, 0, 1, 0, false, 0, 0, 1, 0},
    {Opcode::add_bias, "add_bias", 1, 0, 1, 0, false, 1, 1, 0, 0},
    {Opcode::expose_rows, "expose_rows", 1, 0, 0, 0, false, 0, 0, 0, 0},
    {Opcode::conv1d_silu, "conv1d_silu", 1, 0, 1, 0, true, 0, 15, 1, 0},
    {Opcode::delta_gates, "delta_gates", 2, 0, 2, 0, false, 3, 3, 0, 0},
    {Opcode::gated_delta, "gated_delta", 3, 0, 1, 0, false, 0, 0, 4, 0},
    {Opcode::rms_norm_gated, "rms_norm_gated", 2, 0, 2, 2, false, 1, 1, 2, 2},
    {Opcode::router_topk, "router_topk", 1, 0, 1, 0, false, 0, 0, 2, 0},
    {Opcode::moe_gate_up, "moe_gate_up", 2, 0, 1, 0, true, 0, 15, 2, 0},
    {Opcode::moe_down, "moe_down", 2, 0, 1, 0, true, 0, 15, 2, 0},
    {Opcode::attend_dense, "attend_dense", 3, 0, 1, 0, false, 0, 0, 2, 2},
    {Opcode::rope_2d, "rope_2d", 1, 0, 1, 0, false, 1, 1, 1, 0},
    {Opcode::patch_merge, "patch_merge", 1, 0, 1, 0, false, 0, 0, 1, 0},
    {Opcode::load_patches, "load_patches", 0, 0, 1, 0, false, 0, 0, 1, 0},
    {Opcode::patch_position, "patch_position", 0, 0, 1, 0, false, 1, 1, 1, 0},
    {Opcode::store_features, "store_features", 1, 0, 0, 0, false, 0, 0, 0, 0},
};

// Positions of each op by role name: cortex::op::<op>::{in,out,weight,param}::<role>.
namespace op {
namespace embed {
namespace in {
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int table = 0;
}  // namespace weight
namespace param {
inline constexpr int vocabStart = 0;
}  // namespace param
}  // namespace embed

namespace rms_norm {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
inline constexpr int quantised = 1;
}  // namespace out
namespace weight {
inline constexpr int weight = 0;
}  // namespace weight
namespace param {
inline constexpr int eps = 0;
}  // namespace param
}  // namespace rms_norm

namespace add_rms_norm {
namespace in {
inline constexpr int residual = 0;
inline constexpr int delta = 1;
}  // namespace in
namespace out {
inline constexpr int sum = 0;
inline constexpr int y = 1;
inline constexpr int quantised = 2;
}  // namespace out
namespace weight {
inline constexpr int weight = 0;
}  // namespace weight
namespace param {
inline constexpr int eps = 0;
}  // namespace param
}  // namespace add_rms_norm

namespace layer_norm {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int weight = 0;
inline constexpr int bias = 1;
}  // namespace weight
namespace param {
inline constexpr int eps = 0;
}  // namespace param
}  // namespace layer_norm

namespace linear {
namespace in {
inline constexpr int x = 0;
inline constexpr int quantised = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int matrix = 0;
inline constexpr int bias = 4;
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace linear

namespace linear_add {
namespace in {
inline constexpr int x = 0;
inline constexpr int residual = 1;
inline constexpr int quantised = 2;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int matrix = 0;
inline constexpr int bias = 4;
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace linear_add

namespace linear_swiglu {
namespace in {
inline constexpr int x = 0;
inline constexpr int quantised = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
inline constexpr int quantised = 1;
}  // namespace out
namespace weight {
inline constexpr int matrix = 0;
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace linear_swiglu

namespace add {
namespace in {
inline constexpr int a = 0;
inline constexpr int b = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace add

namespace mul {
namespace in {
inline constexpr int a = 0;
inline constexpr int b = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace mul

namespace scale {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int factor = 0;
}  // namespace param
}  // namespace scale

namespace silu {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace silu

namespace gelu {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int tanh = 0;
}  // namespace param
}  // namespace gelu

namespace sigmoid {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace sigmoid

namespace swiglu {
namespace in {
inline constexpr int gate = 0;
inline constexpr int up = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace swiglu

namespace sigmoid_mul {
namespace in {
inline constexpr int x = 0;
inline constexpr int gate = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int broadcast = 0;
}  // namespace param
}  // namespace sigmoid_mul

namespace head_norm {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int weight = 0;
}  // namespace weight
namespace param {
inline constexpr int headDim = 0;
inline constexpr int eps = 1;
}  // namespace param
}  // namespace head_norm

namespace rope {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int inverseFrequency = 0;
}  // namespace weight
namespace param {
inline constexpr int headDim = 0;
inline constexpr int rotaryDim = 1;
inline constexpr int attentionFactor = 2;
inline constexpr int sectionH = 3;
inline constexpr int sectionW = 4;
}  // namespace param
}  // namespace rope

namespace kv_append {
namespace in {
inline constexpr int k = 0;
inline constexpr int v = 1;
}  // namespace in
namespace out {
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int layer = 0;
inline constexpr int headDim = 1;
}  // namespace param
}  // namespace kv_append

namespace attend {
namespace in {
inline constexpr int q = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
inline constexpr int quantised = 1;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int layer = 0;
inline constexpr int headDim = 1;
inline constexpr int scale = 2;
inline constexpr int window = 3;
}  // namespace param
}  // namespace attend

namespace qk_norm_rope_append {
namespace in {
inline constexpr int q = 0;
inline constexpr int k = 1;
inline constexpr int v = 2;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int qNorm = 0;
inline constexpr int kNorm = 1;
inline constexpr int inverseFrequency = 2;
}  // namespace weight
namespace param {
inline constexpr int layer = 0;
inline constexpr int eps = 1;
inline constexpr int headDim = 2;
inline constexpr int rotaryDim = 3;
inline constexpr int attentionFactor = 4;
inline constexpr int sectionH = 5;
inline constexpr int sectionW = 6;
}  // namespace param
}  // namespace qk_norm_rope_append

namespace gather_rows {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace gather_rows

namespace sample {
namespace in {
inline constexpr int logits = 0;
}  // namespace in
namespace out {
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace sample

namespace all_reduce {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace all_reduce

namespace gather {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int columnStart = 0;
}  // namespace param
}  // namespace gather

namespace add_bias {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int bias = 0;
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace add_bias

namespace expose_rows {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace expose_rows

namespace conv1d_silu {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int kernel = 0;
}  // namespace weight
namespace param {
inline constexpr int layer = 0;
}  // namespace param
}  // namespace conv1d_silu

namespace delta_gates {
namespace in {
inline constexpr int b = 0;
inline constexpr int a = 1;
}  // namespace in
namespace out {
inline constexpr int beta = 0;
inline constexpr int g = 1;
}  // namespace out
namespace weight {
inline constexpr int decay = 0;
inline constexpr int dtBias = 1;
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace delta_gates

namespace gated_delta {
namespace in {
inline constexpr int qkv = 0;
inline constexpr int beta = 1;
inline constexpr int g = 2;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int layer = 0;
inline constexpr int keyDim = 1;
inline constexpr int valueDim = 2;
inline constexpr int tiled = 3;
}  // namespace param
}  // namespace gated_delta

namespace rms_norm_gated {
namespace in {
inline constexpr int x = 0;
inline constexpr int z = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
inline constexpr int quantised = 1;
}  // namespace out
namespace weight {
inline constexpr int weight = 0;
}  // namespace weight
namespace param {
inline constexpr int headDim = 0;
inline constexpr int eps = 1;
}  // namespace param
}  // namespace rms_norm_gated

namespace router_topk {
namespace in {
inline constexpr int logits = 0;
}  // namespace in
namespace out {
inline constexpr int choice = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int k = 0;
inline constexpr int renormalise = 1;
}  // namespace param
}  // namespace router_topk

namespace moe_gate_up {
namespace in {
inline constexpr int x = 0;
inline constexpr int choice = 1;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int matrix = 0;
}  // namespace weight
namespace param {
inline constexpr int k = 0;
inline constexpr int experts = 1;
}  // namespace param
}  // namespace moe_gate_up

namespace moe_down {
namespace in {
inline constexpr int y = 0;
inline constexpr int choice = 1;
}  // namespace in
namespace out {
inline constexpr int out = 0;
}  // namespace out
namespace weight {
inline constexpr int matrix = 0;
}  // namespace weight
namespace param {
inline constexpr int k = 0;
inline constexpr int experts = 1;
}  // namespace param
}  // namespace moe_down

namespace attend_dense {
namespace in {
inline constexpr int q = 0;
inline constexpr int k = 1;
inline constexpr int v = 2;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int headDim = 0;
inline constexpr int scale = 1;
}  // namespace param
}  // namespace attend_dense

namespace rope_2d {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int inverseFrequency = 0;
}  // namespace weight
namespace param {
inline constexpr int headDim = 0;
}  // namespace param
}  // namespace rope_2d

namespace patch_merge {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int merge = 0;
}  // namespace param
}  // namespace patch_merge

namespace load_patches {
namespace in {
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
inline constexpr int width = 0;
}  // namespace param
}  // namespace load_patches

namespace patch_position {
namespace in {
}  // namespace in
namespace out {
inline constexpr int y = 0;
}  // namespace out
namespace weight {
inline constexpr int table = 0;
}  // namespace weight
namespace param {
inline constexpr int side = 0;
}  // namespace param
}  // namespace patch_position

namespace store_features {
namespace in {
inline constexpr int x = 0;
}  // namespace in
namespace out {
}  // namespace out
namespace weight {
}  // namespace weight
namespace param {
}  // namespace param
}  // namespace store_features

}  // namespace op

namespace word {
inline constexpr int opcode = 0;
inline constexpr int rows = 1;
inline constexpr int n = 2;
inline constexpr int k = 3;
inline constexpr int inputs = 4;
inline constexpr int outputs = 12;
inline constexpr int weights = 18;
inline constexpr int bias = 22;
inline constexpr int params = 23;
inline constexpr int barrier = 31;
}  // namespace word
namespace header_word {
inline constexpr int sequence = 0;
inline constexpr int rows = 1;
inline constexpr int sequences = 2;
inline constexpr int sampled = 3;
inline constexpr int patches = 4;
inline constexpr int features = 5;
inline constexpr int copies = 6;
inline constexpr int size = 16;
}  // namespace header_word
namespace sampling_word {
inline constexpr int temperature = 0;
inline constexpr int topK = 1;
inline constexpr int topP = 2;
inline constexpr int minP = 3;
inline constexpr int repetitionPenalty = 4;
inline constexpr int presencePenalty = 5;
inline constexpr int frequencyPenalty = 6;
inline constexpr int seedLow = 7;
inline constexpr int seedHigh = 8;
inline constexpr int biasCount = 9;
inline constexpr int topLogprobs = 10;
inline constexpr int historyLength = 11;
inline constexpr int promptLength = 12;
inline constexpr int size = 32;
}  // namespace sampling_word
namespace sampled_word {
inline constexpr int token = 0;
inline constexpr int flags = 1;
inline constexpr int logprob = 2;
inline constexpr int size = 4;
}  // namespace sampled_word
namespace patch_word {
inline constexpr int image = 0;
inline constexpr int y = 1;
inline constexpr int x = 2;
inline constexpr int gridHeight = 3;
inline constexpr int gridWidth = 4;
inline constexpr int size = 5;
}  // namespace patch_word

// Word offsets of the step buffer, in the order that TypeScript passes them.
struct StepOffsets {
  std::int64_t header;
  std::int64_t tokens;
  std::int64_t positions;
  std::int64_t sequenceSlot;
  std::int64_t sequenceRow;
  std::int64_t sequenceRows;
  std::int64_t sequenceLength;
  std::int64_t sampleRow;
  std::int64_t sampleSlot;
  std::int64_t sampleCounter;
  std::int64_t pageTable;
  std::int64_t sampling;
  std::int64_t history;
  std::int64_t biasToken;
  std::int64_t biasValue;
  std::int64_t output;
  std::int64_t topToken;
  std::int64_t topLogprob;
  std::int64_t logits;
  std::int64_t patches;
  std::int64_t pixels;
  std::int64_t features;
  std::int64_t stateCopies;
  std::int64_t sampleMasked;
  std::int64_t masks;
};
inline constexpr int step_offset_count = 25;

}  // namespace cortex
