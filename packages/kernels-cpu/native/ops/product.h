// What the matrix products share: their input rows and how strips are handed to workers.
#pragma once

#include "ops.h"
#include "quantise.h"

namespace cortex {

// Quantises and splits `count` rows of x in the rank's scratch, as the weights of the product want: row(i) for each of this
// worker's rows i. Then the team meets, if there was anything to do; `input` gets what was made.
template <typename Row>
void prepare_rows(const Instruction& in, const Worker& worker, int count, matmul::Input& input, Row&& row) {
  const bool quantises = quantises_input(in, worker.rank->spec);
  const bool splits = worker.splits_input(in);
  if (!quantises && !splits) return;
  const int columns = product_columns(in);
  const size_t quantised_bytes = matmul::quantised_row_bytes(columns);
  const size_t split_bytes = matmul::split_row_bytes(columns);
  const Range own = own_rows(worker, count);
  for (int i = own.begin; i < own.end; ++i) {
    const auto place = static_cast<size_t>(i);
    if (quantises) worker.matmul().quantise_rows(row(i), 0, columns, worker.rank->quantised + place * quantised_bytes, 1);
    if (splits) worker.matmul().split_rows(row(i), 0, columns, worker.rank->split + place * split_bytes, 1);
  }
  worker.meet();
  if (quantises) input.quantised = worker.rank->quantised;
  if (quantises) input.quantised_stride = quantised_bytes;
  if (splits) input.split = worker.rank->split;
}

// Rows of x in every form that the weights want.
inline matmul::Input product_input(const Instruction& in, const Worker& worker, int rows) {
  const Operand& x = in.in[0];
  const int role = quantised_input_of(in.op);
  const Operand quantised = role < 0 ? Operand{} : in.in[role];
  matmul::Input input{worker.at(x, 0), static_cast<size_t>(x.stride), nullptr, 0, nullptr, nullptr};
  if (quantised.present()) {
    input.quantised = reinterpret_cast<const uint8_t*>(worker.at(quantised, 0));
    input.quantised_stride = static_cast<size_t>(quantised.stride) * sizeof(float);
  }
  prepare_rows(in, worker, rows, input, [&](int row) { return worker.at(x, row); });
  return input;
}

// body(first strip, end strip) over this worker's share of `strips`: a contiguous part first, which reads memory in one
// stream, then small pieces of the last eighth for whoever is free, since the JavaScript thread takes a processor at times.
template <typename Body>
void for_own_strips(const Instruction& in, const Worker& worker, int strips, Body&& body) {
  const int workers = worker.workers();
  if (workers == 1) return body(0, strips);
  const int fixed = strips - strips / 8;
  const Range own = split(fixed, worker.index, workers);
  if (own.begin < own.end) body(own.begin, own.end);
  const int piece = std::max(1, (strips - fixed) / (4 * workers));
  std::atomic<int>& next = worker.rank->counters[static_cast<size_t>(in.index)].next;
  for (;;) {
    const int begin = fixed + next.fetch_add(piece, std::memory_order_relaxed);
    if (begin >= strips) return;
    body(begin, std::min(strips, begin + piece));
  }
}

// body(weights, first strip, strips) over strips [low, high) of a packed tensor, or of one that still lies in files: a few at a
// time, as a matrix of their own.
template <typename Body>
void for_staged_strips(const Tensor& tensor, const Worker& worker, int low, int high, Body&& body) {
  const int most = staged_strips(tensor.spec);
  for (int strip = low; strip < high; strip += most) {
    const int count = std::min(most, high - strip);
    const uint8_t* data = stage_strips(tensor.spec, tensor.spans, strip, count, worker.staging(), 0, worker.problem());
    if (data == nullptr) return;
    body(staged_weights(tensor.spec, strip, count, data), strip, count);
  }
}

// y = x . W^T + bias (+ residual) over the concatenated segments.
inline void run_linear(const Instruction& in, Worker& worker, const Operand& residual) {
  const int rows = worker.rows(in);
  if (rows == 0) return;
  const matmul::Input input = product_input(in, worker, rows);
  const Operand& y = in.out[0];
  const float* bias = in.weights[4] < 0 ? nullptr : worker.tensor(in, 4).values();
  int strips = 0;
  for (int i = 0; i < 4 && in.weights[i] >= 0; ++i) strips += matmul::strips_of(worker.tensor(in, i).spec.rows);
  for_own_strips(in, worker, strips, [&](int begin, int end) {
    int first_strip = 0;
    int first_row = 0;
    for (int i = 0; i < 4 && in.weights[i] >= 0; ++i) {
      const Tensor& tensor = worker.tensor(in, i);
      const int count = matmul::strips_of(tensor.spec.rows);
      const int low = std::max(begin - first_strip, 0);
      const int high = std::min(end - first_strip, count);
      if (low < high) {
        matmul::LinearArgs args{};
        args.weights = tensor.weights();
        args.input = input;
        args.m = rows;
        args.strip_begin = low;
        args.strip_end = high;
        args.y = worker.at(y, 0) + first_row;
        args.y_stride = static_cast<size_t>(y.stride);
        args.bias = bias ? bias + first_row : nullptr;
        args.residual = residual.present() ? worker.at(residual, 0) + first_row : nullptr;
        args.residual_stride = static_cast<size_t>(residual.stride);
        args.scratch = worker.matmul_scratch;
        if (tensor.spans.empty()) {
          worker.matmul().linear(args);
        } else {
          for_staged_strips(tensor, worker, low, high, [&](const matmul::Weights& staged, int strip, int strips_here) {
            matmul::LinearArgs part = args;
            const int row = strip * matmul::strip_rows;
            part.weights = staged;
            part.strip_begin = 0;
            part.strip_end = strips_here;
            part.y += row;
            if (part.bias) part.bias += row;
            if (part.residual) part.residual += row;
            worker.matmul().linear(part);
          });
        }
      }
      first_strip += count;
      first_row += tensor.spec.rows;
    }
  });
}

}  // namespace cortex
