#include "../device/each_element.h"
#include "experts.h"

namespace cortex {

namespace {

// Rows whose products wait together for their sums.
constexpr int most_rows = 1024;

int rows_together(int rows) { return rows < most_rows ? rows : most_rows; }

}  // namespace

size_t moe_down_scratch(const Instruction& in, const ScratchFacts& facts) {
  const int chosen = in.param(op::moe_down::param::k);
  const int rows = rows_together(facts.limits.max_of(in.symbol));
  const size_t products = static_cast<size_t>(rows) * static_cast<size_t>(chosen) * static_cast<size_t>(in.n);
  return routing_bytes(rows, chosen, in.param(op::moe_down::param::experts)) + products * sizeof(float);
}

void cortex_moe_down(const Instruction& in, Worker& worker) {
  const int chosen = in.param(op::moe_down::param::k);
  const int experts = in.param(op::moe_down::param::experts);
  const int inner = in.k / chosen;
  const int width = in.n;
  const int rows = worker.rows(in);
  const Operand& choice = in.in[op::moe_down::in::choice];
  const View choices = view_of(worker, choice);
  const View out = view_of(worker, in.out[0]);
  const PairRows y{view_of(worker, in.in[op::moe_down::in::y]), inner};
  const int most = rows_together(rows);
  for (int first = 0; first < rows; first += most) {
    const Routing routing = route(in, worker, choice, {first, most}, chosen, experts, worker.scratch);
    // [rows of this run][chosen][width]
    const View products{reinterpret_cast<float*>(worker.scratch + routing_bytes(most, chosen, experts)), int64_t{chosen} * width};
    const View from_first{products.data - first * products.stride, products.stride};
    multiply_experts(in, worker, {&worker.tensor(in, 0), nullptr, y, {from_first, width}, chosen}, routing);
    // In the order of the slots: the sum of a row does not depend on what other rows chose.
    each_element(worker, in, width, [=] __device__(int row, int column) {
      if (row < first || row >= first + most) return;
      const float* of_row = choices.row(row);
      const float* product = from_first.row(row) + column;
      float sum = 0.0f;
      for (int slot = 0; slot < chosen; ++slot) {
        const bool has_expert = of_row[slot] >= 0.0f && of_row[slot] < static_cast<float>(experts);
        sum += (has_expert ? of_row[chosen + slot] : NAN) * product[static_cast<int64_t>(slot) * width];
      }
      out.row(row)[column] = sum;
    });
  }
}

}  // namespace cortex
