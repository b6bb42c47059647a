// Rows in the matrix products' own int8 form.
#pragma once

#include "partition.h"

namespace cortex {

inline void quantise_row(const Worker& worker, const float* x, int width, const Operand& quantised, int row) {
  worker.matmul().quantise_rows(x, 0, width, reinterpret_cast<uint8_t*>(worker.at(quantised, row)), 1);
}

// Quantises what the whole team has just written: meets, then each worker takes its rows.
inline void quantise_output(const Worker& worker, const Operand& y, int width, const Operand& quantised, int rows) {
  worker.meet();
  const Range own = own_rows(worker, rows);
  for (int row = own.begin; row < own.end; ++row) quantise_row(worker, worker.at(y, row), width, quantised, row);
}

}  // namespace cortex
