#include "file_rows.h"

#include <algorithm>
#include <cstring>

namespace cortex {

namespace {

constexpr size_t staged_bytes = 128 << 10;

bool make_room(Block& block, size_t bytes) { return block.size() >= bytes || block.allocate(bytes); }

}  // namespace

int staged_strips(const TensorSpec& spec) {
  const size_t strip = matmul::file_row_bytes(spec.format, spec.cols) * matmul::strip_rows;
  return static_cast<int>(std::max<size_t>(2, staged_bytes / strip));
}

bool read_rows(const TensorSpec& spec, const std::vector<FileSpan>& spans, int row, int count, uint8_t* target, FirstFailure& problem) {
  const size_t row_bytes = matmul::file_row_bytes(spec.format, spec.cols);
  for (const int end = row + count; row < end;) {
    const auto holds = [row](const FileSpan& span) { return row >= span.row_start && row - span.row_start < span.rows; };
    const auto span = std::find_if(spans.begin(), spans.end(), holds);
    if (span == spans.end()) {
      problem.set(0, format_text("row %d is in none of its parts", row));
      return false;
    }
    const int first = row - span->row_start;
    const int taken = std::min(end - row, span->rows - first);
    const size_t bytes = static_cast<size_t>(taken) * row_bytes;
    const std::string reason = span->file->read(target, bytes, span->offset + int64_t{first} * static_cast<int64_t>(row_bytes));
    if (!reason.empty()) {
      problem.set(span->file_index, reason);
      return false;
    }
    target += bytes;
    row += taken;
  }
  return true;
}

const uint8_t* stage_strips(const TensorSpec& spec, const std::vector<FileSpan>& spans, int strip, int count, Staging& staging,
                            int place, FirstFailure& problem) {
  const int most = std::max(count, staged_strips(spec));
  const int row = strip * matmul::strip_rows;
  const int rows = std::min(count * matmul::strip_rows, spec.rows - row);
  const size_t row_bytes = matmul::file_row_bytes(spec.format, spec.cols);
  const size_t strip_bytes = matmul::packed_strip_bytes(spec.format, spec.cols);
  Block& packed = staging.packed[place];
  if (!make_room(staging.raw, static_cast<size_t>(most) * matmul::strip_rows * row_bytes) ||
      !make_room(packed, static_cast<size_t>(most) * strip_bytes)) {
    problem.set(0, "there is no memory to read it");
    return nullptr;
  }
  if (!read_rows(spec, spans, row, rows, staging.raw.data(), problem)) return nullptr;
  matmul::packed_init(spec.format, packed.data(), rows, spec.cols);
  matmul::pack_rows(spec.format, packed.data(), rows, spec.cols, 0, rows, staging.raw.data());
  return packed.data();
}

}  // namespace cortex
