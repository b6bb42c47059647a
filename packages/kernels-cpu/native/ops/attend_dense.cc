// Bidirectional attention among the patches of each image. A worker lays the keys and values of one head out as cache pages
// and runs the tiles of causal attention over them with every key in sight: work is (image, head, tile of patches).
#include "attend_dense.h"

#include <algorithm>
#include <cstring>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

constexpr int tile_queries = 64;

size_t page_floats(int head_dim) { return size_t{2} * page_tokens * static_cast<size_t>(head_dim); }

int pages_of(int patches) { return (patches + page_tokens - 1) / page_tokens; }

// Parts of a worker's scratch.
struct Space {
  uint8_t* pages;
  float* acc;
  float* scores;
  float* max;
  float* sum;
  int32_t* page_ids;
};

Space space_of(uint8_t* scratch, int head_dim, int max_patches) {
  const auto pages = static_cast<size_t>(pages_of(max_patches));
  float* next = reinterpret_cast<float*>(scratch) + pages * page_floats(head_dim);
  Space space{scratch, next, nullptr, nullptr, nullptr, nullptr};
  space.scores = space.acc + tile_queries * head_dim;
  space.max = space.scores + tile_queries * page_tokens;
  space.sum = space.max + tile_queries;
  space.page_ids = reinterpret_cast<int32_t*>(space.sum + tile_queries);
  return space;
}

class DenseAttention {
 public:
  DenseAttention(const Instruction& in, Worker& worker)
      : in_(in),
        worker_(worker),
        head_dim_(in.param(op::attend_dense::param::headDim)),
        heads_(in.n / head_dim_),
        space_(space_of(worker.vision_scratch, head_dim_, worker.step().limits().max_patches)) {}

  void run() {
    for (const PatchRange& image : worker_.step().images) {
      const int tiles = (image.end - image.begin + tile_queries - 1) / tile_queries;
      const Range own = split(heads_ * tiles, worker_.index, worker_.workers());
      int head = -1;
      for (int i = own.begin; i < own.end; ++i) {
        if (i / tiles != head) {
          head = i / tiles;
          lay_out(image, head);
        }
        tile(image, head, image.begin + i % tiles * tile_queries);
      }
    }
  }

 private:
  void lay_out(const PatchRange& image, int head) const {
    const int pages = pages_of(image.end - image.begin);
    const size_t page_bytes = page_floats(head_dim_) * sizeof(float);
    // Keys past the last patch weigh nothing, but nothing times what lay there before may not be a number.
    std::memset(space_.pages + static_cast<size_t>(pages - 1) * page_bytes, 0, page_bytes);
    for (int i = 0; i < pages; ++i) space_.page_ids[i] = i;
    for (int patch = image.begin; patch < image.end; ++patch) {
      const int token = patch - image.begin;
      uint8_t* page = space_.pages + static_cast<size_t>(token / page_tokens) * page_bytes;
      const int column = head * head_dim_;
      worker_.kernels().store_key(KvFormat::F32, worker_.at(in_.in[1], patch) + column, head_dim_, token % page_tokens, page);
      worker_.kernels().store_value(KvFormat::F32, worker_.at(in_.in[2], patch) + column, head_dim_, token % page_tokens, page);
    }
  }

  void tile(const PatchRange& image, int head, int first) const {
    const int count = std::min(tile_queries, image.end - first);
    const float* q[tile_queries];
    int first_key[tile_queries];
    int last_key[tile_queries];
    for (int i = 0; i < count; ++i) {
      q[i] = worker_.at(in_.in[0], first + i) + head * head_dim_;
      first_key[i] = 0;
      last_key[i] = image.end - image.begin - 1;
    }
    AttendSpan span{};
    span.format = KvFormat::F32;
    span.head_dim = head_dim_;
    span.base = space_.pages;
    span.page_bytes = page_floats(head_dim_) * sizeof(float);
    span.pages = space_.page_ids;
    span.key_begin = 0;
    span.key_end = image.end - image.begin;
    span.queries = count;
    span.q = q;
    span.first_key = first_key;
    span.last_key = last_key;
    span.scale = in_.param_float(op::attend_dense::param::scale);
    span.acc = space_.acc;
    span.max = space_.max;
    span.sum = space_.sum;
    span.scores = space_.scores;
    worker_.kernels().attend(span);
    for (int i = 0; i < count; ++i) {
      worker_.kernels().scale(space_.acc + i * head_dim_, 1.0f / space_.sum[i], head_dim_,
                              worker_.at(in_.out[0], first + i) + head * head_dim_);
    }
  }

  const Instruction& in_;
  const Worker& worker_;
  const int head_dim_;
  const int heads_;
  const Space space_;
};

}  // namespace

size_t attend_dense_scratch_bytes(int head_dim, int max_patches) {
  const auto pages = static_cast<size_t>(pages_of(max_patches));
  const auto tile = static_cast<size_t>(tile_queries);
  const size_t floats = pages * page_floats(head_dim) + tile * static_cast<size_t>(head_dim) + tile * page_tokens + 2 * tile;
  return floats * sizeof(float) + pages * sizeof(int32_t);
}

void cortex_attend_dense(const Instruction& in, Worker& worker) { DenseAttention(in, worker).run(); }

}  // namespace cortex
