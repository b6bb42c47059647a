// Kernels that make each element of a [rows, width] operand by itself: a block takes a run of columns of one row.
#pragma once

#include "../ptx/order.h"
#include "launch.h"
#include "operand_view.h"

namespace cortex {

inline constexpr int element_threads = 256;

// `compute(row, column)` runs once for every element of the rows that the step has of the instruction's symbol.
template <typename Compute>
__global__ void __launch_bounds__(element_threads) each_element_kernel(const int32_t* row_count, int width, Compute compute) {
  const int row = blockIdx.x;
  const int column = blockIdx.y * element_threads + threadIdx.x;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  if (row < *row_count && column < width) compute(row, column);
}

template <typename Compute>
inline void each_element(Worker& worker, const Instruction& in, int width, Compute compute) {
  const unsigned blocks = (width + element_threads - 1) / element_threads;
  launch(worker, each_element_kernel<Compute>, dim3(worker.rows(in), blocks), dim3(element_threads), 0,
         worker.step.counts + in.symbol, width, compute);
}

}  // namespace cortex
