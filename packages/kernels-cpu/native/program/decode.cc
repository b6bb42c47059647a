#include "decode.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "../ops/ops.h"
#include "hazards.h"

namespace cortex {

namespace {

constexpr int max_width = 1 << 24;
constexpr int max_head_dim = 4096;
constexpr int most_experts = 1 << 16;

// Elements of one indivisible block along a row, by matmul::Format.
constexpr int block_elements[] = {1, 1, 1, 32, 32, 256, 256, 256};

const OpSignature* find_signature(int32_t opcode) {
  for (const auto& signature : op_signatures) {
    if (static_cast<int32_t>(signature.code) == opcode) return &signature;
  }
  return nullptr;
}

// Collects the first thing that is wrong with one instruction.
class Checker {
 public:
  Checker(const ProgramSpec& program, const Limits& limits, Instruction& instruction, const OpSignature& signature)
      : program_(program), limits_(limits), instruction_(instruction), signature_(signature) {}

  Status result;

  bool require(bool condition, std::string reason) {
    if (!condition && result.ok()) {
      result = failure(Code::program_invalid, std::string("'") + signature_.name + "' " + reason, instruction_.index);
    }
    return condition;
  }

  void input(int role, int64_t width, int symbol) { operand("input", role, instruction_.in[role], width, symbol); }
  void input(int role, int64_t width) { input(role, width, instruction_.symbol); }
  void output(int role, int64_t width) { operand("output", role, instruction_.out[role], width, instruction_.symbol); }

  void quantised(const Operand& operand, const char* kind, int role, int width) {
    if (!operand.present()) return;
    const int64_t elements = static_cast<int64_t>(matmul::quantised_row_bytes(width) / sizeof(float));
    if (!require(elements > 0, format_text("has a quantised %s %d of width %d; a multiple of 32 is wanted", kind, role, width))) {
      return;
    }
    require(operand.stride == elements,
            format_text("has a quantised %s %d of stride %lld; %lld is wanted", kind, role,
                        static_cast<long long>(operand.stride), static_cast<long long>(elements)));
    require(operand.offset % 16 == 0, format_text("has a quantised %s %d that does not start at a multiple of 16", kind, role));
    this->operand(kind, role, operand, elements, instruction_.symbol);
  }

  const TensorSpec* tensor(int position) {
    const int index = instruction_.weights[position];
    if (index < 0) return nullptr;
    return &program_.tensors[static_cast<size_t>(index)];
  }

  void vector(int position, int length) {
    const TensorSpec* spec = tensor(position);
    if (!spec) return;
    require(spec->is_vector() && spec->rows == length,
            format_text("has weight %d of shape [%d, %d]; a float32 vector of %d is wanted", position, spec->rows, spec->cols,
                        length));
  }

  // 1 to 4 segments whose rows make n; returns how many.
  int matrices(int64_t rows_in_all) {
    const int columns = product_columns(instruction_);
    int64_t rows = 0;
    int count = 0;
    for (int i = 0; i < 4; ++i) {
      const TensorSpec* spec = tensor(i);
      if (!spec) continue;
      require(i == count, format_text("has weight %d without weight %d", i, i - 1));
      require(spec->cols == columns && !spec->is_vector(),
              format_text("has weight %d of shape [%d, %d]; %d columns are wanted", i, spec->rows, spec->cols, columns));
      rows += spec->rows;
      ++count;
    }
    require(count > 0, "has no weight");
    if (rows_in_all > 0) {
      require(rows == rows_in_all, format_text("has weights of %lld rows; %lld are wanted", static_cast<long long>(rows),
                                                static_cast<long long>(rows_in_all)));
    }
    return count;
  }

  void same_width() {
    require(instruction_.k == instruction_.n, format_text("has width %d in and %d out", instruction_.k, instruction_.n));
  }

  void symbol(int wanted) {
    require(instruction_.symbol == wanted, format_text("has row symbol %d; %d is wanted", instruction_.symbol, wanted));
  }

  void epsilon(int position) {
    const float eps = instruction_.param_float(position);
    require(std::isfinite(eps) && eps >= 0, "has an epsilon that is not a positive number");
  }

  bool head_dim(int width, int dim) {
    return require(dim > 0 && dim <= max_head_dim && width % dim == 0,
                   format_text("has head dimension %d for width %d", dim, width));
  }

  // Columns of one expert in an operand that has those of every chosen one; 0 when they are refused.
  int experts(int width, const Operand& operand) {
    const int chosen = chosen_experts_of(instruction_);
    const int all = experts_of(instruction_);
    if (!require(chosen >= 1 && chosen <= all && all <= most_experts && width % chosen == 0,
                 format_text("has %d of %d experts for a width of %d", chosen, all, width))) {
      return 0;
    }
    // Rows of experts are counted, and columns of them named, in 32 bits.
    const int64_t rows = limits_.max_of(instruction_.symbol);
    const int64_t strips = matmul::strips_of(width / chosen);
    require(rows * operand.stride <= INT32_MAX && strips * (rows * chosen + int64_t{8} * all) <= INT32_MAX,
            format_text("works on %lld rows of stride %lld", static_cast<long long>(rows),
                        static_cast<long long>(operand.stride)));
    return result.ok() ? width / chosen : 0;
  }

  const KvLayerSpec* layer(int position, int dim) {
    const int index = instruction_.param(position);
    if (!require(index >= 0 && index < static_cast<int>(program_.kv.size()),
                 format_text("names cache layer %d of %zu", index, program_.kv.size()))) {
      return nullptr;
    }
    const KvLayerSpec& spec = program_.kv[static_cast<size_t>(index)];
    if (!require(spec.head_dim == dim, format_text("has head dimension %d; cache layer %d has %d", dim, index, spec.head_dim))) {
      return nullptr;
    }
    return &spec;
  }

  const StateLayerSpec* state_layer(int position) {
    const int index = instruction_.param(position);
    if (!require(index >= 0 && index < static_cast<int>(program_.state.size()),
                 format_text("names state layer %d of %zu", index, program_.state.size()))) {
      return nullptr;
    }
    return &program_.state[static_cast<size_t>(index)];
  }

  // Segments of one number of taps, whose channels make n.
  void conv_kernel(std::vector<ConvKernelSpec>& kernels) {
    ConvKernelSpec kernel{{-1, -1, -1, -1}, 0, 0, 0};
    int64_t channels = 0;
    for (int i = 0; i < 4; ++i) {
      const TensorSpec* spec = tensor(i);
      if (!spec) continue;
      if (!require(i == kernel.segments, format_text("has weight %d without weight %d", i, i - 1))) return;
      if (i == 0) kernel.taps = spec->cols;
      require(spec->cols == kernel.taps, format_text("has kernels of %d and %d taps", kernel.taps, spec->cols));
      channels += spec->rows;
      kernel.tensors[kernel.segments++] = instruction_.weights[i];
    }
    require(kernel.segments > 0, "has no weight");
    require(kernel.taps >= 2 && kernel.taps <= max_conv_taps,
            format_text("has a kernel of %d taps; 2 to %d are wanted", kernel.taps, max_conv_taps));
    require(channels == instruction_.n,
            format_text("has kernels of %lld channels; %d are wanted", static_cast<long long>(channels), instruction_.n));
    if (!result.ok()) return;
    kernel.channels = instruction_.n;
    instruction_.conv_kernel = static_cast<int>(kernels.size());
    kernels.push_back(kernel);
  }

  // `first` is where the shared rotary parameters start.
  void rotary(int first, int weight, std::vector<RopeTableSpec>& tables) {
    symbol(0);
    const int dim = instruction_.param(first);
    const int rotary_dim = instruction_.param(first + 1);
    const RopeTableSpec table{instruction_.weights[weight], rotary_dim, instruction_.param_float(first + 2),
                              instruction_.param(first + 3), instruction_.param(first + 4)};
    if (!require(rotary_dim > 0 && rotary_dim % 2 == 0 && rotary_dim <= dim,
                 format_text("rotates %d columns of a head of %d", rotary_dim, dim))) {
      return;
    }
    require(std::isfinite(table.attention_factor), "has an attention factor that is not a number");
    require(table.section_h >= 0 && table.section_w >= 0 && table.section_h <= rotary_dim && table.section_w <= rotary_dim,
            "has rotary sections outside the rotated columns");
    vector(weight, rotary_dim / 2);
    if (!result.ok()) return;
    for (size_t i = 0; i < tables.size(); ++i) {
      if (tables[i] == table) instruction_.rope_table = static_cast<int>(i);
    }
    if (instruction_.rope_table < 0) {
      instruction_.rope_table = static_cast<int>(tables.size());
      tables.push_back(table);
    }
  }

 private:
  void operand(const char* kind, int role, const Operand& operand, int64_t width, int symbol) {
    if (!operand.present()) return;
    const int64_t rows = limits_.max_of(symbol);
    require(width >= 1 && operand.stride >= width,
            format_text("has %s %d of stride %lld; at least %lld is wanted", kind, role,
                        static_cast<long long>(operand.stride), static_cast<long long>(width)));
    require(operand.offset + (rows - 1) * operand.stride + width <= program_.arena_elements,
            format_text("has %s %d that ends past the arena of %lld elements", kind, role,
                        static_cast<long long>(program_.arena_elements)));
  }

  const ProgramSpec& program_;
  const Limits& limits_;
  Instruction& instruction_;
  const OpSignature& signature_;
};

void check_op(Checker& check, Instruction& in, const ProgramSpec& program, const Limits& limits, DecodedProgram& decoded) {
  switch (in.op) {
    case Opcode::embed: {
      check.symbol(0);
      check.output(op::embed::out::y, in.n);
      const TensorSpec* table = check.tensor(op::embed::weight::table);
      check.require(table->lookup && table->cols == in.n && !table->is_vector(),
                    format_text("has a table of shape [%d, %d]; a lookup table of %d columns is wanted", table->rows,
                                table->cols, in.n));
      check.require(in.param(op::embed::param::vocabStart) >= 0, "starts before token 0");
      check.require(limits.max_features == 0 || in.n == limits.feature_width,
                    format_text("makes rows of %d; features are rows of %d", in.n, limits.feature_width));
      return;
    }
    case Opcode::rms_norm:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      check.quantised(in.out[1], "output", 1, in.n);
      check.vector(0, in.n);
      check.epsilon(0);
      return;
    case Opcode::add_rms_norm:
      check.same_width();
      check.input(0, in.n);
      check.input(1, in.n);
      check.output(0, in.n);
      check.output(1, in.n);
      check.quantised(in.out[2], "output", 2, in.n);
      check.vector(0, in.n);
      check.epsilon(0);
      return;
    case Opcode::layer_norm:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      check.vector(0, in.n);
      check.vector(1, in.n);
      check.epsilon(0);
      return;
    case Opcode::linear:
      check.input(0, in.k);
      check.quantised(in.in[1], "input", 1, in.k);
      check.output(0, in.n);
      check.matrices(in.n);
      check.vector(4, in.n);
      return;
    case Opcode::linear_add:
      check.input(0, in.k);
      check.input(1, in.n);
      check.quantised(in.in[2], "input", 2, in.k);
      check.output(0, in.n);
      check.matrices(in.n);
      check.vector(4, in.n);
      return;
    case Opcode::linear_swiglu: {
      check.input(0, in.k);
      check.quantised(in.in[1], "input", 1, in.k);
      check.output(0, in.n);
      check.quantised(in.out[1], "output", 1, in.n);
      const int count = check.matrices(0);
      if (!check.require(count == 2, format_text("has %d weights; gate and up are wanted", count))) return;
      check.require(check.tensor(0)->rows == in.n && check.tensor(1)->rows == in.n,
                    format_text("has weights of %d and %d rows; %d each are wanted", check.tensor(0)->rows,
                                check.tensor(1)->rows, in.n));
      return;
    }
    case Opcode::add:
    case Opcode::mul:
    case Opcode::swiglu:
      check.same_width();
      check.input(0, in.n);
      check.input(1, in.n);
      check.output(0, in.n);
      return;
    case Opcode::sigmoid_mul:
      check.same_width();
      check.input(0, in.n);
      check.input(1, sigmoid_mul_gate_width(in));
      check.output(0, in.n);
      return;
    case Opcode::scale:
      check.require(std::isfinite(in.param_float(0)), "has a factor that is not a number");
      [[fallthrough]];
    case Opcode::silu:
    case Opcode::gelu:
    case Opcode::sigmoid:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      return;
    case Opcode::add_bias:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      check.vector(0, in.n);
      return;
    case Opcode::head_norm:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      if (check.head_dim(in.n, in.param(op::head_norm::param::headDim))) {
        check.vector(0, in.param(op::head_norm::param::headDim));
      }
      check.epsilon(op::head_norm::param::eps);
      return;
    case Opcode::rope:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      if (check.head_dim(in.n, in.param(op::rope::param::headDim))) {
        check.rotary(op::rope::param::headDim, op::rope::weight::inverseFrequency, decoded.rope_tables);
      }
      return;
    case Opcode::kv_append: {
      check.symbol(0);
      const KvLayerSpec* layer = check.layer(op::kv_append::param::layer, in.param(op::kv_append::param::headDim));
      if (!layer) return;
      check.require(in.k == layer->kv_heads * layer->head_dim,
                    format_text("appends width %d; the cache has %d heads of %d", in.k, layer->kv_heads, layer->head_dim));
      check.input(0, in.k);
      check.input(1, in.k);
      return;
    }
    case Opcode::attend: {
      check.symbol(0);
      check.same_width();
      const int dim = in.param(op::attend::param::headDim);
      const KvLayerSpec* layer = check.layer(op::attend::param::layer, dim);
      if (!layer || !check.head_dim(in.n, dim)) return;
      check.require(in.n / dim % layer->kv_heads == 0,
                    format_text("has %d query heads over %d cache heads", in.n / dim, layer->kv_heads));
      check.require(in.n / dim / layer->kv_heads <= max_query_group,
                    format_text("has %d query heads per cache head; at most %d are served", in.n / dim / layer->kv_heads,
                                max_query_group));
      check.require(in.param(op::attend::param::window) >= 0, "has a negative window");
      check.require(std::isfinite(in.param_float(op::attend::param::scale)), "has a scale that is not a number");
      check.input(0, in.n);
      check.output(0, in.n);
      check.quantised(in.out[1], "output", 1, in.n);
      return;
    }
    case Opcode::qk_norm_rope_append: {
      check.same_width();
      const int dim = in.param(op::qk_norm_rope_append::param::headDim);
      const KvLayerSpec* layer = check.layer(op::qk_norm_rope_append::param::layer, dim);
      if (!layer || !check.head_dim(in.n, dim)) return;
      const int64_t width = int64_t{layer->kv_heads} * layer->head_dim;
      check.input(0, in.n);
      check.input(1, width);
      check.input(2, width);
      check.output(0, in.n);
      check.vector(op::qk_norm_rope_append::weight::qNorm, dim);
      check.vector(op::qk_norm_rope_append::weight::kNorm, dim);
      check.epsilon(op::qk_norm_rope_append::param::eps);
      check.rotary(op::qk_norm_rope_append::param::headDim, op::qk_norm_rope_append::weight::inverseFrequency,
                   decoded.rope_tables);
      return;
    }
    case Opcode::gather_rows:
      check.symbol(1);
      check.same_width();
      check.input(0, in.n, 0);
      check.output(0, in.n);
      return;
    case Opcode::sample:
      check.symbol(1);
      check.require(in.k == limits.vocab && program.vocab == limits.vocab,
                    format_text("reads %d logits; the vocabulary has %d", in.k, limits.vocab));
      check.input(0, in.k);
      return;
    case Opcode::expose_rows:
      check.symbol(1);
      check.require(limits.expose_logits && in.k <= limits.vocab,
                    format_text("exposes rows of %d; there is room for %d", in.k, limits.expose_logits ? limits.vocab : 0));
      check.input(0, in.k);
      return;
    case Opcode::load_patches:
      check.symbol(2);
      check.require(in.n == limits.patch_width && in.n == in.param(op::load_patches::param::width),
                    format_text("makes rows of %d; patches are rows of %d", in.n, limits.patch_width));
      check.output(0, in.n);
      return;
    case Opcode::patch_position: {
      check.symbol(2);
      const int64_t side = in.param(op::patch_position::param::side);
      const TensorSpec* table = check.tensor(op::patch_position::weight::table);
      check.require(table->lookup && !table->is_vector() && table->cols == in.n && side >= 1 && table->rows == side * side,
                    format_text("has a table of shape [%d, %d]; a lookup table of %lld rows is wanted", table->rows, table->cols,
                                static_cast<long long>(side * side)));
      check.output(0, in.n);
      return;
    }
    case Opcode::rope_2d: {
      check.symbol(2);
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      const int dim = in.param(op::rope_2d::param::headDim);
      if (!check.head_dim(in.n, dim)) return;
      check.require(dim % 4 == 0, format_text("has heads of %d; a multiple of 4 is wanted", dim));
      check.vector(op::rope_2d::weight::inverseFrequency, dim / 4);
      return;
    }
    case Opcode::attend_dense:
      check.symbol(2);
      check.same_width();
      check.input(0, in.n);
      check.input(1, in.n);
      check.input(2, in.n);
      check.output(0, in.n);
      check.head_dim(in.n, in.param(op::attend_dense::param::headDim));
      check.require(std::isfinite(in.param_float(op::attend_dense::param::scale)), "has a scale that is not a number");
      return;
    case Opcode::patch_merge: {
      check.symbol(3);
      const int64_t merge = in.param(op::patch_merge::param::merge);
      check.require(merge >= 1 && merge <= 64 && in.k * merge * merge == in.n,
                    format_text("merges %lld x %lld patches of %d into %d", static_cast<long long>(merge),
                                static_cast<long long>(merge), in.k, in.n));
      check.input(0, in.k, 2);
      check.output(0, in.n);
      return;
    }
    case Opcode::store_features:
      check.symbol(3);
      check.require(in.k == limits.feature_width,
                    format_text("stores rows of %d; features are rows of %d", in.k, limits.feature_width));
      check.input(0, in.k);
      return;
    case Opcode::all_reduce:
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      return;
    case Opcode::gather: {
      const int start = in.param(op::gather::param::columnStart);
      check.require(start >= 0 && int64_t{start} + in.k <= in.n,
                    format_text("puts columns %d to %lld into %d", start, static_cast<long long>(int64_t{start} + in.k), in.n));
      check.input(0, in.k);
      check.output(0, in.n);
      return;
    }
    case Opcode::conv1d_silu: {
      check.symbol(0);
      check.same_width();
      check.input(0, in.n);
      check.output(0, in.n);
      const StateLayerSpec* layer = check.state_layer(op::conv1d_silu::param::layer);
      check.conv_kernel(decoded.conv_kernels);
      if (!layer || in.conv_kernel < 0) return;
      const int64_t elements = int64_t{decoded.conv_kernels[static_cast<size_t>(in.conv_kernel)].taps - 1} * in.n;
      check.require(layer->conv_elements == elements,
                    format_text("keeps %lld elements of its past; the state layer has %d", static_cast<long long>(elements),
                                layer->conv_elements));
      return;
    }
    case Opcode::delta_gates:
      check.same_width();
      check.input(0, in.n);
      check.input(1, in.n);
      check.output(0, in.n);
      check.output(1, in.n);
      check.vector(op::delta_gates::weight::decay, in.n);
      check.vector(op::delta_gates::weight::dtBias, in.n);
      return;
    case Opcode::gated_delta: {
      check.symbol(0);
      const int key_dim = in.param(op::gated_delta::param::keyDim);
      const int value_dim = in.param(op::gated_delta::param::valueDim);
      const int tiled = in.param(op::gated_delta::param::tiled);
      check.require(tiled == 0 || tiled == 1, "has a tiled parameter that is neither 0 nor 1");
      check.require(key_dim >= 1 && key_dim <= max_delta_key,
                    format_text("has keys of %d columns; 1 to %d are served", key_dim, max_delta_key));
      if (!check.head_dim(in.n, value_dim) || !check.result.ok()) return;
      const int heads = in.n / value_dim;
      const int keys = in.k - in.n;
      const int key_heads = keys / (2 * key_dim);
      if (!check.require(keys > 0 && keys % (2 * key_dim) == 0 && heads % key_heads == 0,
                         format_text("has width %d for %d value heads of %d and keys of %d", in.k, heads, value_dim, key_dim))) {
        return;
      }
      check.input(0, in.k);
      check.input(1, heads);
      check.input(2, heads);
      check.output(0, in.n);
      const StateLayerSpec* layer = check.state_layer(op::gated_delta::param::layer);
      if (!layer) return;
      const int64_t elements = int64_t{in.n} * key_dim;
      check.require(layer->delta_elements == elements,
                    format_text("keeps %lld elements; the state layer has %d", static_cast<long long>(elements),
                                layer->delta_elements));
      return;
    }
    case Opcode::rms_norm_gated:
      check.same_width();
      check.input(0, in.n);
      check.input(1, in.n);
      check.output(0, in.n);
      check.quantised(in.out[1], "output", 1, in.n);
      if (check.head_dim(in.n, in.param(op::rms_norm_gated::param::headDim))) {
        check.vector(op::rms_norm_gated::weight::weight, in.param(op::rms_norm_gated::param::headDim));
      }
      check.epsilon(op::rms_norm_gated::param::eps);
      return;
    case Opcode::router_topk: {
      const int chosen = in.param(op::router_topk::param::k);
      check.require(chosen >= 1 && chosen <= in.k && in.n == 2 * chosen,
                    format_text("chooses %d of %d experts into a width of %d", chosen, in.k, in.n));
      check.input(0, in.k);
      check.output(0, in.n);
      return;
    }
    case Opcode::moe_gate_up: {
      const int wide = check.experts(in.n, in.out[0]);
      if (wide == 0) return;
      check.input(0, in.k);
      check.input(1, int64_t{2} * chosen_experts_of(in));
      check.output(0, in.n);
      const int count = check.matrices(0);
      if (!check.require(count == 2, format_text("has %d weights; gate and up are wanted", count))) return;
      const int64_t rows = int64_t{experts_of(in)} * wide;
      check.require(check.tensor(0)->rows == rows && check.tensor(1)->rows == rows,
                    format_text("has weights of %d and %d rows; %lld each are wanted", check.tensor(0)->rows,
                                check.tensor(1)->rows, static_cast<long long>(rows)));
      return;
    }
    case Opcode::moe_down: {
      if (check.experts(in.k, in.in[0]) == 0) return;
      check.input(0, in.k);
      check.input(1, int64_t{2} * chosen_experts_of(in));
      check.output(0, in.n);
      const int count = check.matrices(int64_t{experts_of(in)} * in.n);
      check.require(count == 1, format_text("has %d weights; one is wanted", count));
      return;
    }
    default:
      return;
  }
}

Status decode_instruction(const ProgramSpec& program, const Limits& limits, int index, DecodedProgram& decoded) {
  const int32_t* words = program.words.data() + static_cast<size_t>(index) * instruction_words;
  const OpSignature* signature = find_signature(words[word::opcode]);
  if (!signature) return failure(Code::program_invalid, format_text("opcode %d is not known", words[word::opcode]), index);
  Instruction in{};
  in.op = signature->code;
  in.symbol = words[word::rows];
  in.n = words[word::n];
  in.k = words[word::k];
  in.index = index;
  in.run = op_function(in.op);
  std::memcpy(in.params, words + word::params, sizeof in.params);
  Checker check(program, limits, in, *signature);
  check.require(in.run != nullptr, "is not among the ops of this backend");
  if (!check.require(in.symbol >= 0 && in.symbol <= 3, format_text("has row symbol %d; 0 to 3 are wanted", in.symbol))) {
    return check.result;
  }
  check.require(limits.max_of(in.symbol) > 0, format_text("has row symbol %d, of which a step has none", in.symbol));
  check.require(words[word::barrier] == 0 || words[word::barrier] == 1, "has a barrier word that is neither 0 nor 1");
  in.barrier = words[word::barrier] != 0;
  check.require(in.n >= 1 && in.n <= max_width && in.k >= 0 && in.k <= max_width,
                format_text("has widths n = %d, k = %d", in.n, in.k));
  check.require(in.k >= 1 || signature->inputs == 0, "has an input of width 0");
  for (int i = 0; i < 4; ++i) {
    in.in[i] = {words[word::inputs + 2 * i], words[word::inputs + 2 * i + 1]};
    const bool wanted = i < signature->inputs && !(signature->optional_inputs >> i & 1u);
    check.require(in.in[i].offset >= -1, format_text("has input %d at offset %lld", i, static_cast<long long>(in.in[i].offset)));
    check.require(!wanted || in.in[i].present(), format_text("lacks input %d", i));
    check.require(i < signature->inputs || !in.in[i].present(), format_text("has an input %d that it does not take", i));
  }
  for (int i = 0; i < 3; ++i) {
    in.out[i] = {words[word::outputs + 2 * i], words[word::outputs + 2 * i + 1]};
    const bool wanted = i < signature->outputs && !(signature->optional_outputs >> i & 1u);
    check.require(in.out[i].offset >= -1, format_text("has output %d at offset %lld", i, static_cast<long long>(in.out[i].offset)));
    check.require(!wanted || in.out[i].present(), format_text("lacks output %d", i));
    check.require(i < signature->outputs || !in.out[i].present(), format_text("has an output %d that it does not make", i));
  }
  for (int i = 0; i < 5; ++i) {
    in.weights[i] = words[word::weights + i];
    check.require(in.weights[i] >= -1 && in.weights[i] < static_cast<int>(program.tensors.size()),
                  format_text("names tensor %d of %zu", in.weights[i], program.tensors.size()));
    const bool present = in.weights[i] >= 0;
    check.require(present || !(signature->required_weights >> i & 1u), format_text("lacks weight %d", i));
    check.require(!present || (signature->allowed_weights >> i & 1u), format_text("has a weight %d that it does not take", i));
  }
  if (!check.result.ok()) return check.result;
  check_op(check, in, program, limits, decoded);
  if (!check.result.ok()) return check.result;
  if (in.op == Opcode::all_reduce || in.op == Opcode::gather) {
    in.collective = static_cast<int>(decoded.collectives.size());
    decoded.collectives.push_back(index);
  }
  decoded.instructions.push_back(in);
  return {};
}

// How many experts stand in each tensor: all that read it must agree.
Status divide_tensors(const ProgramSpec& program, DecodedProgram& decoded) {
  decoded.tensor_experts.assign(program.tensors.size(), 0);
  for (const Instruction& in : decoded.instructions) {
    for (const int tensor : in.weights) {
      if (tensor < 0) continue;
      int& experts = decoded.tensor_experts[static_cast<size_t>(tensor)];
      if (experts != 0 && experts != experts_of(in)) {
        return failure(Code::program_invalid,
                       format_text("it reads tensor %d as %d experts, another instruction as %d", tensor, experts_of(in), experts),
                       in.index);
      }
      experts = experts_of(in);
    }
  }
  for (int& experts : decoded.tensor_experts) experts = std::max(experts, 1);
  return {};
}

}  // namespace

Status decode_program(const ProgramSpec& program, const Limits& limits, DecodedProgram& decoded) {
  if (program.words.size() % instruction_words != 0) {
    return failure(Code::program_invalid, format_text("%zu words are not whole instructions", program.words.size()));
  }
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorSpec& tensor = program.tensors[i];
    const int format = static_cast<int>(tensor.format);
    if (format < 0 || format >= static_cast<int>(std::size(block_elements))) {
      return failure(Code::program_invalid, format_text("tensor %zu has format %d", i, format));
    }
    if (tensor.rows < 1 || tensor.cols < 1 || tensor.rows > max_width || tensor.cols > max_width ||
        tensor.cols % block_elements[format] != 0) {
      return failure(Code::program_invalid, format_text("tensor %zu has shape [%d, %d]", i, tensor.rows, tensor.cols));
    }
  }
  for (size_t i = 0; i < program.kv.size(); ++i) {
    const KvLayerSpec& layer = program.kv[i];
    if (layer.kv_heads < 1 || layer.kv_heads > 4096 || layer.head_dim < 1 || layer.head_dim > max_head_dim) {
      return failure(Code::program_invalid,
                     format_text("cache layer %zu has %d heads of %d", i, layer.kv_heads, layer.head_dim));
    }
  }
  for (size_t i = 0; i < program.state.size(); ++i) {
    const StateLayerSpec& layer = program.state[i];
    if (layer.conv_elements < 0 || layer.delta_elements < 0) {
      return failure(Code::program_invalid,
                     format_text("state layer %zu has %d and %d elements", i, layer.conv_elements, layer.delta_elements));
    }
  }
  const int count = static_cast<int>(program.words.size() / instruction_words);
  for (int i = 0; i < count; ++i) {
    Status status = decode_instruction(program, limits, i, decoded);
    if (!status.ok()) return status;
  }
  Status status = divide_tensors(program, decoded);
  if (!status.ok()) return status;
  return check_hazards(program, limits, decoded.instructions);
}

Status match_collectives(const std::vector<DecodedProgram>& ranks) {
  for (size_t rank = 1; rank < ranks.size(); ++rank) {
    const auto& first = ranks[0];
    const auto& other = ranks[rank];
    if (other.collectives.size() != first.collectives.size()) {
      return failure(Code::program_invalid, format_text("rank %zu has %zu collectives and rank 0 has %zu", rank,
                                                        other.collectives.size(), first.collectives.size()));
    }
    for (size_t i = 0; i < first.collectives.size(); ++i) {
      const Instruction& a = first.instructions[static_cast<size_t>(first.collectives[i])];
      const Instruction& b = other.instructions[static_cast<size_t>(other.collectives[i])];
      if (a.op != b.op || a.symbol != b.symbol || a.n != b.n) {
        return failure(Code::program_invalid, format_text("collective %zu of rank %zu is not that of rank 0", i, rank),
                       b.index);
      }
    }
  }
  return {};
}

}  // namespace cortex
