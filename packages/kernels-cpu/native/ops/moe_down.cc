#include "moe_down.h"

#include "product.h"
#include "routing.h"

namespace cortex {

namespace {

// Products that wait for their sum should stay in the second-level cache.
constexpr size_t cached_bytes = size_t{1} << 20;

// Strips whose products wait together.
int strips_together(size_t pairs, int strips) {
  const size_t fit = cached_bytes / (pairs * matmul::strip_rows * sizeof(float));
  return static_cast<int>(std::clamp<size_t>(fit, 1, static_cast<size_t>(strips)));
}

// Rows of y in the form that the weights want, in the order of `routing`.
matmul::Input routed_input(const Instruction& in, const Worker& worker, const Routing& routing, int pairs, int chosen) {
  const Operand& y = in.in[op::moe_down::in::y];
  const int inner = in.k / chosen;
  const auto at = [&](int pair) { return static_cast<int32_t>(pair / chosen * y.stride + pair % chosen * inner); };
  matmul::Input input{worker.at(y, 0), 1, nullptr, 0, nullptr, nullptr};
  prepare_rows(in, worker, pairs, input, [&](int place) { return input.x + at(routing.pair[place]); });
  if (input.quantised != nullptr || input.split != nullptr) return input;
  for (int place = 0; place < pairs; ++place) routing.from[place] = at(routing.pair[place]);
  input.row_index = routing.from;
  return input;
}

// The rows of a group out of those of all.
matmul::Input rows_from_place(matmul::Input input, int place, int columns) {
  if (input.row_index != nullptr) input.row_index += place;
  if (input.quantised != nullptr) input.quantised += static_cast<size_t>(place) * input.quantised_stride;
  if (input.split != nullptr) input.split += static_cast<size_t>(place) * matmul::split_row_bytes(columns);
  return input;
}

// A matrix without its first strips.
matmul::Weights strips_from(const matmul::Weights& weights, int strip) {
  const size_t strip_bytes = matmul::packed_strip_bytes(weights.format, weights.cols);
  return {weights.format, weights.rows - strip * matmul::strip_rows, weights.cols,
          weights.data + static_cast<size_t>(strip) * strip_bytes};
}

}  // namespace

size_t moe_sums_bytes(size_t pairs, int width) {
  const size_t strip = pairs * matmul::strip_rows * sizeof(float);
  return std::max(strip, std::min(cached_bytes, strip * static_cast<size_t>(matmul::strips_of(width))));
}

void cortex_moe_down(const Instruction& in, Worker& worker) {
  const int rows = worker.rows(in);
  if (rows == 0) return;
  const int chosen = in.param(op::moe_down::param::k);
  const int experts = in.param(op::moe_down::param::experts);
  const int pairs = rows * chosen;
  const Operand& choice = in.in[op::moe_down::in::choice];
  const Tensor& down = worker.tensor(in, 0);
  const Routing routing = route(worker, choice, rows, chosen, experts);
  const matmul::Input input = routed_input(in, worker, routing, pairs, chosen);
  const int most = strips_together(static_cast<size_t>(pairs), matmul::strips_of(in.n));
  for_own_strips(in, worker, matmul::strips_of(in.n), [&](int begin, int end) {
    for (int low = begin; low < end; low += most) {
      const int high = std::min(end, low + most);
      const int first = low * matmul::strip_rows;
      const int columns = std::min(high * matmul::strip_rows, in.n) - first;
      for (int group = 0; group < routing.groups; ++group) {
        const int place = routing.begin[group];
        matmul::LinearArgs args{};
        args.weights = strips_from(down.weights(routing.expert[group]), low);
        args.input = rows_from_place(input, place, product_columns(in));
        args.m = routing.size(group);
        args.strip_end = high - low;
        args.y = worker.moe_sums;
        args.y_stride = static_cast<size_t>(columns);
        args.y_index = routing.pair + place;
        args.scratch = worker.matmul_scratch;
        worker.matmul().linear(args);
      }
      // In the order of the slots: the sum of a row does not depend on what other rows chose.
      for (int row = 0; row < rows; ++row) {
        const float* of_row = worker.at(choice, row);
        const float* products = worker.moe_sums + static_cast<size_t>(row) * chosen * columns;
        float* out = worker.at(in.out[op::moe_down::out::out], row) + first;
        for (int slot = 0; slot < chosen; ++slot) {
          const float weight = weight_of(of_row, slot, chosen, experts);
          const float* product = products + static_cast<size_t>(slot) * columns;
          if (slot == 0) {
            for (int c = 0; c < columns; ++c) out[c] = weight * product[c];
          } else {
            for (int c = 0; c < columns; ++c) out[c] += weight * product[c];
          }
        }
      }
    }
  });
}

}  // namespace cortex
