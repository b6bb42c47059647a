// Products of rows with the experts that they chose: see experts.cu.
#pragma once

#include "../device/operand_view.h"
#include "../weights/layout.h"
#include "ops.h"

namespace cortex {

// Which pairs (a row and one of its choices; pair = row * chosen + slot) go through which expert. In device memory.
struct Routing {
  int32_t* expert_start;
  // A tile is at most `tile_pairs` pairs of one expert: [expert, first place, pairs].
  int32_t* tiles;
  int32_t* tile_count;
  // Pairs by expert.
  int32_t* order;
  int tile_pairs;
  // Most tiles that there may be.
  int most_tiles;
};

// Rows [first_row, first_row + rows) of an instruction, as far as the step has them.
struct RowRange {
  int first;
  int rows;
};

// x of pair p lies at row p / chosen (x_by_pair: its slot-th part), y of pair p likewise.
struct PairRows {
  View view;
  // Elements from one slot of a row to the next; 0 where all have the same.
  int slot_stride;
};

struct ExpertProduct {
  const Tensor* matrix;
  // Null, or of the same format: y = silu(x . matrix^T) * (x . up^T).
  const Tensor* up;
  PairRows x;
  PairRows y;
  int chosen;
};

inline constexpr int expert_tile_pairs = 8;

size_t routing_bytes(int rows, int chosen, int experts);

// Lays the routing out in scratch and enqueues what fills it.
Routing route(const Instruction& in, Worker& worker, const Operand& choice, RowRange range, int chosen, int experts, uint8_t* scratch);

void multiply_experts(const Instruction& in, Worker& worker, const ExpertProduct& product, const Routing& routing);

}  // namespace cortex
