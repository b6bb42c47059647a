// How an op's work is divided among a rank's workers. Which worker computes an element never changes its value.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../program/model.h"

namespace cortex {

struct Range {
  int begin;
  int end;
};

// Contiguous share `part` of `parts`; shares differ by at most one.
inline Range split(int total, int part, int parts) {
  return {static_cast<int>(int64_t{total} * part / parts), static_cast<int>(int64_t{total} * (part + 1) / parts)};
}

inline Range own_rows(const Worker& worker, int rows) { return split(rows, worker.index, worker.workers()); }

// Columns that are handed out together, so that one wide row occupies every worker.
inline constexpr int chunk_columns = 1024;

// body(row, first column, columns) over this worker's share of [rows, n]
template <typename Body>
void for_own_chunks(const Worker& worker, int rows, int n, Body&& body) {
  const int chunks = (n + chunk_columns - 1) / chunk_columns;
  const Range own = split(rows * chunks, worker.index, worker.workers());
  for (int i = own.begin; i < own.end; ++i) {
    const int column = i % chunks * chunk_columns;
    body(i / chunks, column, std::min(chunk_columns, n - column));
  }
}

}  // namespace cortex
