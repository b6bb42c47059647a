// Causal grouped-query attention over paged keys and values.
//
// A row's keys are cut into spans of 16 pages, counted from the start of its sequence; each span is one online softmax,
// and spans merge in order. The cut depends on the row's own position alone, so its result is the same bits in any batch,
// chunking or team. Work is (sequence, tile of rows, kv head); when there is too little of it for the team, the spans of a
// tile become work of their own and are merged after a meeting: the same sums, by other hands.
#include "attend.h"

#include <algorithm>
#include <cmath>

#include "kv_cache.h"
#include "ops.h"
#include "quantise.h"

namespace cortex {

namespace {

constexpr int span_tokens = 16 * page_tokens;
// Queries (rows times heads of one group) of a tile.
constexpr int tile_queries = 64;
// Partial results that may wait to be merged.
constexpr int partial_capacity = 2048;

int partial_stride(int head_dim) { return (head_dim + 2 + 15) / 16 * 16; }

struct Tile {
  const StepSequence* sequence;
  int first_row;
  int rows;
  int kv_head;
  // Spans that some row of the tile sees.
  int span_begin;
  int span_end;
};

class Attention {
 public:
  Attention(const Instruction& in, Worker& worker)
      : in_(in),
        worker_(worker),
        layer_(worker.rank->kv[static_cast<size_t>(in.param(op::attend::param::layer))]),
        window_(in.param(op::attend::param::window)),
        heads_(in.n / layer_.head_dim),
        group_(heads_ / layer_.kv_heads),
        tile_rows_(std::max(1, tile_queries / group_)) {}

  void run() {
    const int tiles = count_tiles();
    // Enough tiles keep every worker busy; then each is computed whole.
    if (tiles >= 4 * worker_.workers() || count_spans() == tiles ||
        count_partials() > worker_.rank->partials.capacity) {
      for_shared(tiles, [&](int i) { whole(tile_at(i)); });
      return;
    }
    // Every worker counts alike: all meet here or none.
    for_shared(count_spans(), [&](int i) { one_span(i); });
    worker_.meet();
    const Range own = split(tiles, worker_.index, worker_.workers());
    for (int i = own.begin; i < own.end; ++i) merge(i);
  }

 private:
  template <typename Body>
  void for_shared(int count, Body&& body) {
    std::atomic<int>& next = worker_.rank->counters[static_cast<size_t>(in_.index)].next;
    for (int i = next.fetch_add(1, std::memory_order_relaxed); i < count; i = next.fetch_add(1, std::memory_order_relaxed)) {
      body(i);
    }
  }

  int tiles_of(const StepSequence& sequence) const {
    return (sequence.rows + tile_rows_ - 1) / tile_rows_ * layer_.kv_heads;
  }

  Tile tile_of(const StepSequence& sequence, int place) const {
    Tile tile{};
    tile.sequence = &sequence;
    tile.kv_head = place % layer_.kv_heads;
    tile.first_row = place / layer_.kv_heads * tile_rows_;
    tile.rows = std::min(tile_rows_, sequence.rows - tile.first_row);
    const int start = sequence.length - sequence.rows + tile.first_row;
    tile.span_begin = first_key(start) / span_tokens;
    tile.span_end = (start + tile.rows - 1) / span_tokens + 1;
    return tile;
  }

  int first_key(int index) const { return window_ > 0 ? std::max(0, index - window_ + 1) : 0; }

  int count_tiles() const {
    int count = 0;
    for (const StepSequence& sequence : worker_.step().sequences) count += tiles_of(sequence);
    return count;
  }

  Tile tile_at(int index) const {
    for (const StepSequence& sequence : worker_.step().sequences) {
      const int count = tiles_of(sequence);
      if (index < count) return tile_of(sequence, index);
      index -= count;
    }
    return {};
  }

  int count_spans() const {
    int count = 0;
    for (const StepSequence& sequence : worker_.step().sequences) {
      for (int i = 0; i < tiles_of(sequence); ++i) {
        const Tile tile = tile_of(sequence, i);
        count += tile.span_end - tile.span_begin;
      }
    }
    return count;
  }

  int count_partials() const {
    int64_t count = 0;
    for (const StepSequence& sequence : worker_.step().sequences) {
      for (int i = 0; i < tiles_of(sequence); ++i) {
        const Tile tile = tile_of(sequence, i);
        count += int64_t{tile.span_end - tile.span_begin} * tile.rows * group_;
        if (count > partial_capacity) return partial_capacity + 1;
      }
    }
    return static_cast<int>(count);
  }

  // Scratch of one worker: results of a span, results so far, scores.
  struct Space {
    float* span_acc;
    float* acc;
    float* scores;
    float* span_max;
    float* span_sum;
    float* max;
    float* sum;
  };

  Space space() const {
    float* next = worker_.attend_scratch;
    const auto take = [&next](int count) {
      float* start = next;
      next += count;
      return start;
    };
    Space result{};
    result.span_acc = take(tile_queries * layer_.head_dim);
    result.acc = take(tile_queries * layer_.head_dim);
    result.scores = take(tile_queries * page_tokens);
    result.span_max = take(tile_queries);
    result.span_sum = take(tile_queries);
    result.max = take(tile_queries);
    result.sum = take(tile_queries);
    return result;
  }

  void attend_span(const Tile& tile, int span, float* acc, float* max, float* sum, float* scores) const {
    const float* q[tile_queries];
    int first[tile_queries];
    int last[tile_queries];
    const int start = tile.sequence->length - tile.sequence->rows + tile.first_row;
    for (int i = 0; i < tile.rows * group_; ++i) {
      const int row = i / group_;
      const int head = tile.kv_head * group_ + i % group_;
      q[i] = worker_.at(in_.in[0], tile.sequence->first_row + tile.first_row + row) + head * layer_.head_dim;
      last[i] = start + row;
      first[i] = first_key(last[i]);
    }
    AttendSpan args{};
    args.format = worker_.model->spec.kv_format;
    args.head_dim = layer_.head_dim;
    args.base = layer_.data + static_cast<size_t>(tile.kv_head) * layer_.head_bytes;
    args.page_bytes = layer_.page_bytes;
    args.pages = worker_.step().pages.data() + tile.sequence->pages_start;
    // Pages that no row of the tile sees are not even looked at.
    args.key_begin = std::max(span * span_tokens, first[0] / page_tokens * page_tokens);
    args.key_end = std::min((span + 1) * span_tokens, start + tile.rows);
    args.queries = tile.rows * group_;
    args.q = q;
    args.first_key = first;
    args.last_key = last;
    args.scale = in_.param_float(op::attend::param::scale);
    args.acc = acc;
    args.max = max;
    args.sum = sum;
    args.scores = scores;
    worker_.kernels().attend(args);
  }

  void write(const Tile& tile, int query, const float* acc, float sum) const {
    const int row = tile.sequence->first_row + tile.first_row + query / group_;
    const int head = tile.kv_head * group_ + query % group_;
    worker_.kernels().scale(acc, 1.0f / sum, layer_.head_dim, worker_.at(in_.out[0], row) + head * layer_.head_dim);
  }

  void whole(const Tile& tile) const {
    const Space s = space();
    const int dim = layer_.head_dim;
    const int queries = tile.rows * group_;
    for (int span = tile.span_begin; span < tile.span_end; ++span) {
      const bool first = span == tile.span_begin;
      attend_span(tile, span, first ? s.acc : s.span_acc, first ? s.max : s.span_max, first ? s.sum : s.span_sum, s.scores);
      if (first) continue;
      for (int i = 0; i < queries; ++i) {
        worker_.kernels().attend_merge(s.acc + i * dim, s.max + i, s.sum + i, s.span_acc + i * dim, s.span_max[i],
                                       s.span_sum[i], dim);
      }
    }
    for (int i = 0; i < queries; ++i) write(tile, i, s.acc + i * dim, s.sum[i]);
  }

  // The `index`-th (tile, span) pair; also tells where its partial results stand.
  void one_span(int index) const {
    int entry = 0;
    for (const StepSequence& sequence : worker_.step().sequences) {
      for (int i = 0; i < tiles_of(sequence); ++i) {
        const Tile tile = tile_of(sequence, i);
        const int spans = tile.span_end - tile.span_begin;
        const int queries = tile.rows * group_;
        if (index >= spans) {
          index -= spans;
          entry += spans * queries;
          continue;
        }
        const Space s = space();
        attend_span(tile, tile.span_begin + index, s.span_acc, s.span_max, s.span_sum, s.scores);
        for (int q = 0; q < queries; ++q) {
          float* partial = entry_at(entry + index * queries + q);
          std::copy_n(s.span_acc + q * layer_.head_dim, layer_.head_dim, partial);
          partial[layer_.head_dim] = s.span_max[q];
          partial[layer_.head_dim + 1] = s.span_sum[q];
        }
        return;
      }
    }
  }

  void merge(int index) const {
    int entry = 0;
    for (const StepSequence& sequence : worker_.step().sequences) {
      for (int i = 0; i < tiles_of(sequence); ++i) {
        const Tile tile = tile_of(sequence, i);
        const int spans = tile.span_end - tile.span_begin;
        const int queries = tile.rows * group_;
        if (index-- > 0) {
          entry += spans * queries;
          continue;
        }
        const int dim = layer_.head_dim;
        for (int q = 0; q < queries; ++q) {
          float* first = entry_at(entry + q);
          for (int span = 1; span < spans; ++span) {
            const float* next = entry_at(entry + span * queries + q);
            worker_.kernels().attend_merge(first, first + dim, first + dim + 1, next, next[dim], next[dim + 1], dim);
          }
          write(tile, q, first, first[dim + 1]);
        }
        return;
      }
    }
  }

  float* entry_at(int entry) const {
    return worker_.rank->partials.data + static_cast<size_t>(entry) * static_cast<size_t>(partial_stride(layer_.head_dim));
  }

  const Instruction& in_;
  Worker& worker_;
  const KvLayer& layer_;
  const int window_;
  const int heads_;
  const int group_;
  const int tile_rows_;
};

}  // namespace

size_t attend_scratch_bytes(int head_dim) {
  return static_cast<size_t>(tile_queries) * static_cast<size_t>(2 * head_dim + page_tokens + 4) * sizeof(float);
}

size_t attend_partials_bytes(int head_dim) {
  return static_cast<size_t>(partial_capacity) * static_cast<size_t>(partial_stride(head_dim)) * sizeof(float);
}

Partials attend_partials(uint8_t* data, int head_dim) {
  return {reinterpret_cast<float*>(data), head_dim > 0 ? partial_capacity : 0};
}

void cortex_attend(const Instruction& in, Worker& worker) {
  Attention(in, worker).run();
  const Operand& quantised = in.out[op::attend::out::quantised];
  if (quantised.present()) quantise_output(worker, in.out[op::attend::out::y], in.n, quantised, worker.rows(in));
}

}  // namespace cortex
