#include "checker.h"

#include <cmath>

#include "op_facts.h"

namespace cortex {

namespace {
constexpr int most_experts = 1 << 16;
}

bool Checker::require(bool condition, std::string reason) {
  if (!condition && result.ok()) {
    result = failure(Code::program_invalid, std::string("'") + signature_.name + "' " + reason, instruction_.index);
  }
  return condition;
}

void Checker::quantised(const Operand& operand, const char* kind, int role, int width) {
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

const TensorSpec* Checker::tensor(int position) {
  const int index = instruction_.weights[position];
  if (index < 0) return nullptr;
  return &program_.tensors[static_cast<size_t>(index)];
}

void Checker::vector(int position, int length) {
  const TensorSpec* spec = tensor(position);
  if (!spec) return;
  require(spec->is_vector() && spec->rows == length,
          format_text("has weight %d of shape [%d, %d]; a float32 vector of %d is wanted", position, spec->rows, spec->cols,
                      length));
}

int Checker::matrices(int64_t rows_in_all) {
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

void Checker::same_width() {
  require(instruction_.k == instruction_.n, format_text("has width %d in and %d out", instruction_.k, instruction_.n));
}

void Checker::symbol(int wanted) {
  require(instruction_.symbol == wanted, format_text("has row symbol %d; %d is wanted", instruction_.symbol, wanted));
}

void Checker::epsilon(int position) {
  const float eps = instruction_.param_float(position);
  require(std::isfinite(eps) && eps >= 0, "has an epsilon that is not a positive number");
}

bool Checker::head_dim(int width, int dim) {
  return require(dim > 0 && dim <= max_head_dim && width % dim == 0,
                 format_text("has head dimension %d for width %d", dim, width));
}

int Checker::experts(int width, const Operand& operand) {
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

const KvLayerSpec* Checker::layer(int position, int dim) {
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

const StateLayerSpec* Checker::state_layer(int position) {
  const int index = instruction_.param(position);
  if (!require(index >= 0 && index < static_cast<int>(program_.state.size()),
               format_text("names state layer %d of %zu", index, program_.state.size()))) {
    return nullptr;
  }
  return &program_.state[static_cast<size_t>(index)];
}

void Checker::conv_kernel(std::vector<ConvKernelSpec>& kernels) {
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

void Checker::rotary(int first, int weight, std::vector<RopeTableSpec>& tables) {
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

void Checker::operand(const char* kind, int role, const Operand& operand, int64_t width, int symbol) {
  if (!operand.present()) return;
  const int64_t rows = limits_.max_of(symbol);
  require(width >= 1 && operand.stride >= width,
          format_text("has %s %d of stride %lld; at least %lld is wanted", kind, role,
                      static_cast<long long>(operand.stride), static_cast<long long>(width)));
  require(operand.offset + (rows - 1) * operand.stride + width <= program_.arena_elements,
          format_text("has %s %d that ends past the arena of %lld elements", kind, role,
                      static_cast<long long>(program_.arena_elements)));
}

}  // namespace cortex
