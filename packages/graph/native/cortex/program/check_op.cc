#include "check_op.h"

#include <cmath>

#include "op_facts.h"

namespace cortex {

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

}  // namespace cortex
