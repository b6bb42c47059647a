// One token per sampled row: penalties, bias, mask, temperature, then top-k, top-p and min-p over the tokens in the order
// (logit descending, id ascending), and a draw from what is left. A block takes a row. Nothing is sorted: the order is cut where
// a number of tokens or a weight is reached, digit by digit. Weights are whole numbers, so that their sums have no order.
#include <cstddef>

#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../device/warp.h"
#include "../ptx/order.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 512;
constexpr int warps = threads / warp_threads;
// Rows in work at a time: each has room for its logits and for a count of every token.
constexpr int most_blocks = 64;

// The most likely token's weight; the weights of 2^24 tokens fit in 64 bits.
constexpr double unit_weight = 1099511627776.0;  // 2^40
// Further below the maximum, in units of the temperature, logits share the last bucket.
constexpr float bucket_range = 60.0f;

using Weight = unsigned long long;

struct Place {
  float logit;
  int token;
};

struct Shared {
  Place places[warps];
  Weight sums[warps];
  int counts[threads];
  Weight weights[threads];
  int bin;
  int count_before;
  Weight weight_before;
  int collected;
};

__device__ __forceinline__ bool is_before(Place a, Place b) { return a.logit > b.logit || (a.logit == b.logit && a.token < b.token); }

// The first place of the block's, for every thread.
__device__ Place block_first(Place mine, Shared& shared) {
  for (int lanes = 16; lanes > 0; lanes >>= 1) {
    const Place other{__shfl_xor_sync(whole_warp, mine.logit, lanes), __shfl_xor_sync(whole_warp, mine.token, lanes)};
    if (is_before(other, mine)) mine = other;
  }
  if (lane_of(threadIdx.x) == 0) shared.places[threadIdx.x / warp_threads] = mine;
  __syncthreads();
  mine = shared.places[0];
  for (int warp = 1; warp < warps; ++warp) {
    if (is_before(shared.places[warp], mine)) mine = shared.places[warp];
  }
  __syncthreads();
  return mine;
}

__device__ Weight block_sum(Weight mine, Shared& shared) {
  for (int lanes = 16; lanes > 0; lanes >>= 1) mine += __shfl_xor_sync(whole_warp, mine, lanes);
  if (lane_of(threadIdx.x) == 0) shared.sums[threadIdx.x / warp_threads] = mine;
  __syncthreads();
  Weight sum = 0;
  for (int warp = 0; warp < warps; ++warp) sum += shared.sums[warp];
  __syncthreads();
  return sum;
}

// Logits of one row, with what turns them into weights.
struct Row {
  const float* logits;
  int vocab;
  float max;
  float temperature;

  __device__ __forceinline__ Weight weight(float logit) const {
    return static_cast<Weight>(expf((logit - max) / temperature) * static_cast<float>(unit_weight));
  }
  // Never falls as a logit falls.
  __device__ __forceinline__ int bucket(float logit) const {
    const float below = (max - logit) * (static_cast<float>(threads - 1) / (bucket_range * temperature));
    return below < static_cast<float>(threads - 1) ? static_cast<int>(below) : threads - 1;
  }
};

// Bits that grow with the number; both zeros are one.
__device__ __forceinline__ uint32_t order_bits(float value) {
  const uint32_t bits = __float_as_uint(value + 0.0f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// First tokens of a row, up to and with `last`.
struct Cut {
  Place last;
  int count;
  Weight weight;
};

// Inclusive sums over the bins, in place.
__device__ void sum_bins(Shared& shared) {
  for (int distance = 1; distance < threads; distance <<= 1) {
    const int bin = static_cast<int>(threadIdx.x);
    const int count = bin >= distance ? shared.counts[bin - distance] : 0;
    const Weight weight = bin >= distance ? shared.weights[bin - distance] : 0;
    __syncthreads();
    shared.counts[bin] += count;
    shared.weights[bin] += weight;
    __syncthreads();
  }
}

// The fewest first tokens whose number (by_weight: whose weight) is at least `wanted`, which is not above that of all and
// not zero. Each pass looks at those that agree with the last token so far, by one more digit: bucket, bits of the logit, id.
template <bool by_weight>
__device__ Cut cut_at(const Row& row, Weight wanted, Shared& shared) {
  constexpr int passes = 8;
  uint32_t bits = 0;
  uint32_t bits_known = 0;
  uint32_t id = 0;
  uint32_t id_known = 0;
  int bucket = 0;
  Cut cut{{0.0f, 0}, 0, 0};
  for (int pass = 0; pass < passes; ++pass) {
    shared.counts[threadIdx.x] = 0;
    shared.weights[threadIdx.x] = 0;
    __syncthreads();
    const int shift = pass == 0 ? 0 : pass <= 4 ? 32 - 8 * pass : 24 - 8 * (pass - 4);
    for (int token = threadIdx.x; token < row.vocab; token += threads) {
      const float logit = row.logits[token];
      const int here = row.bucket(logit);
      int bin = here;
      if (pass > 0) {
        const uint32_t order = order_bits(logit);
        const auto name = static_cast<uint32_t>(token);
        if (here != bucket || (order & bits_known) != bits || (name & id_known) != id) continue;
        bin = static_cast<int>(pass <= 4 ? 255 - (order >> shift & 255) : name >> shift & 255);
      }
      atomicAdd(&shared.counts[bin], 1);
      if (by_weight) {
        const Weight weight = row.weight(logit);
        if (weight > 0) atomicAdd(&shared.weights[bin], weight);
      }
    }
    __syncthreads();
    sum_bins(shared);
    const int bin = static_cast<int>(threadIdx.x);
    const int count_before = bin == 0 ? 0 : shared.counts[bin - 1];
    const Weight weight_before = bin == 0 ? 0 : shared.weights[bin - 1];
    const auto reaches = [&](int count, Weight weight) {
      return by_weight ? cut.weight + weight >= wanted : static_cast<Weight>(cut.count + count) >= wanted;
    };
    if (!reaches(count_before, weight_before) && reaches(shared.counts[bin], shared.weights[bin])) {
      shared.bin = bin;
      shared.count_before = count_before;
      shared.weight_before = weight_before;
    }
    __syncthreads();
    cut.count += shared.count_before;
    cut.weight += shared.weight_before;
    const auto chosen = static_cast<uint32_t>(shared.bin);
    if (pass == 0) {
      bucket = shared.bin;
    } else if (pass <= 4) {
      bits |= (255 - chosen) << shift;
      bits_known |= 255u << shift;
    } else {
      id |= chosen << shift;
      id_known |= 255u << shift;
    }
    __syncthreads();
  }
  cut.last = {row.logits[id], static_cast<int>(id)};
  cut.count += 1;
  cut.weight += row.weight(cut.last.logit);
  return cut;
}

// The largest logit and whether one is not a number or infinite.
__device__ Place scan(const float* logits, int vocab, bool& bad, Shared& shared) {
  Place mine{-INFINITY, vocab};
  int is_bad = 0;
  for (int token = threadIdx.x; token < vocab; token += threads) {
    const float logit = logits[token];
    is_bad |= isnan(logit) || logit == INFINITY;
    if (is_before({logit, token}, mine)) mine = {logit, token};
  }
  bad = __syncthreads_or(is_bad) != 0;
  return block_first(mine, shared);
}

__device__ Weight weigh(const Row& row, Shared& shared) {
  Weight mine = 0;
  for (int token = threadIdx.x; token < row.vocab; token += threads) mine += row.weight(row.logits[token]);
  return block_sum(mine, shared);
}

// Uniform in [0, 1): 53 bits of the splitmix64 sequence of this seed.
__device__ double uniform(const DeviceSample& sample) {
  const uint64_t seed = static_cast<uint64_t>(sample.seed_high) << 32 | sample.seed_low;
  uint64_t z = seed + (static_cast<uint64_t>(sample.counter) + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

__device__ __forceinline__ bool is_token(int token, int vocab) { return token >= 0 && token < vocab; }

// Logits as the slot's parameters and the row's mask change them. `counts` is room for every token.
__device__ void adjust(const StepView& step, const DeviceSample& sample, int index, const float* raw, uint32_t* counts, float* logits) {
  constexpr uint32_t seen = 0x80000000u;
  const int vocab = step.vocab;
  const bool has_penalties =
      sample.repetition_penalty != 1.0f || sample.presence_penalty != 0.0f || sample.frequency_penalty != 0.0f;
  if (has_penalties) {
    const int32_t* history = step.history + static_cast<int64_t>(sample.slot) * step.max_context;
    for (int token = threadIdx.x; token < vocab; token += threads) counts[token] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < sample.history_length; i += threads) {
      if (!is_token(history[i], vocab)) continue;
      atomicOr(&counts[history[i]], seen);
      if (i >= sample.prompt_length) atomicAdd(&counts[history[i]], 1u);
    }
    __syncthreads();
  }
  for (int token = threadIdx.x; token < vocab; token += threads) {
    float logit = raw[token];
    if (has_penalties && (counts[token] & seen)) {
      const uint32_t count = counts[token] & ~seen;
      logit = logit > 0 ? logit / sample.repetition_penalty : logit * sample.repetition_penalty;
      if (count > 0) logit -= sample.frequency_penalty * static_cast<float>(count) + sample.presence_penalty;
    }
    logits[token] = logit;
  }
  __syncthreads();
  const int32_t* tokens = step.bias_token + static_cast<int64_t>(sample.slot) * step.max_bias;
  const float* values = step.bias_value + static_cast<int64_t>(sample.slot) * step.max_bias;
  for (int i = threadIdx.x; i < sample.bias_count; i += threads) {
    // A token that is named more than once gets all its biases from the thread of the first, in their order.
    bool is_first = is_token(tokens[i], vocab);
    for (int j = 0; j < i && is_first; ++j) is_first = tokens[j] != tokens[i];
    if (!is_first) continue;
    for (int j = i; j < sample.bias_count; ++j) {
      if (tokens[j] == tokens[i]) logits[tokens[i]] += values[j];
    }
  }
  __syncthreads();
  if (!sample.masked) return;
  const uint32_t* mask = step.masks + static_cast<int64_t>(index) * step.mask_words;
  for (int token = threadIdx.x; token < vocab; token += threads) {
    if (!(mask[token / 32] >> token % 32 & 1)) logits[token] = -INFINITY;
  }
  __syncthreads();
}

// -1 when nothing can be chosen.
__device__ int choose(const DeviceSample& sample, const float* logits, int vocab, Shared& shared) {
  bool bad;
  const Place best = scan(logits, vocab, bad, shared);
  if (bad || !(best.logit > -INFINITY)) return -1;
  if (!(sample.temperature > 0) || sample.top_k == 1) return best.token;
  const Row row{logits, vocab, best.logit, sample.temperature};
  int kept = sample.top_k > 0 ? min(sample.top_k, vocab) : vocab;
  Weight total = weigh(row, shared);
  const auto keep = [&](int count) {
    kept = count;
    if (count >= vocab) return;
    const Cut cut = cut_at<false>(row, static_cast<Weight>(count), shared);
    Weight mine = 0;
    for (int token = threadIdx.x; token < vocab; token += threads) {
      if (!is_before(cut.last, {logits[token], token})) mine += row.weight(logits[token]);
    }
    total = block_sum(mine, shared);
  };
  keep(kept);
  if (sample.top_p < 1.0f) {
    const auto wanted = static_cast<Weight>(ceil(static_cast<double>(sample.top_p) * static_cast<double>(total)));
    const Cut cut = cut_at<true>(row, max(Weight{1}, min(wanted, total)), shared);
    kept = cut.count;
    total = cut.weight;
  }
  if (sample.min_p > 0) {
    Weight mine = 0;
    for (int token = threadIdx.x; token < vocab; token += threads) {
      mine += expf((logits[token] - row.max) / row.temperature) >= sample.min_p;
    }
    const auto likely = static_cast<int>(block_sum(mine, shared));
    if (likely < kept) keep(max(likely, 1));
  }
  // Weights are whole: the running sum exceeds the drawn one where it reaches the next number.
  const auto drawn = static_cast<Weight>(uniform(sample) * static_cast<double>(total));
  return cut_at<true>(row, min(drawn, total - 1) + 1, shared).last.token;
}

// Best `wanted` tokens by raw logit; -1 in the room that is left.
__device__ void report_alternatives(const StepView& step, int index, const Row& row, double log_total, int wanted, Shared& shared) {
  const int room = step.max_top_logprobs;
  int32_t* tokens = step.top_token + static_cast<int64_t>(index) * room;
  float* values = step.top_logprob + static_cast<int64_t>(index) * room;
  for (int i = threadIdx.x; i < room; i += threads) {
    if (i >= wanted) tokens[i] = -1, values[i] = -INFINITY;
  }
  if (wanted == 0) return;
  const Cut cut = cut_at<false>(row, static_cast<Weight>(wanted), shared);
  if (threadIdx.x == 0) shared.collected = 0;
  __syncthreads();
  // In no order yet; every one then counts those before it.
  for (int token = threadIdx.x; token < row.vocab; token += threads) {
    if (!is_before(cut.last, {row.logits[token], token})) tokens[atomicAdd(&shared.collected, 1)] = token;
  }
  __syncthreads();
  for (int first = 0; first < wanted; first += threads) {
    const int i = first + static_cast<int>(threadIdx.x);
    Place mine{0.0f, 0};
    int before = 0;
    if (i < wanted) {
      mine = {row.logits[tokens[i]], tokens[i]};
      for (int j = 0; j < wanted; ++j) before += is_before({row.logits[tokens[j]], tokens[j]}, mine);
      values[before] = static_cast<float>(static_cast<double>(mine.logit) - log_total);
    }
    // Alternatives fit in one round: room is far below the number of threads.
    __syncthreads();
    if (i < wanted) tokens[before] = mine.token;
  }
}

__global__ void __launch_bounds__(threads, 1)
    sample_kernel(StepView step, View raws, float* adjusted, uint32_t* counts, bool exposes) {
  __shared__ Shared shared;
  const int vocab = step.vocab;
  float* logits = adjusted + static_cast<int64_t>(blockIdx.x) * vocab;
  uint32_t* seen = counts + static_cast<int64_t>(blockIdx.x) * vocab;
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int rows = step.counts[count::sampled];
  for (int index = blockIdx.x; index < rows; index += gridDim.x) {
    const DeviceSample& sample = step.samples[index];
    const float* raw = raws.row(index);
    if (exposes) {
      for (int token = threadIdx.x; token < vocab; token += threads) step.logits[static_cast<int64_t>(index) * vocab + token] = raw[token];
    }
    bool bad;
    const Place best = scan(raw, vocab, bad, shared);
    int token = -1;
    if (!bad && best.logit > -INFINITY) {
      const bool plain = sample.repetition_penalty == 1.0f && sample.presence_penalty == 0.0f &&
                         sample.frequency_penalty == 0.0f && sample.bias_count == 0 && !sample.masked;
      if (plain && !(sample.temperature > 0)) {
        token = best.token;
      } else {
        adjust(step, sample, index, raw, seen, logits);
        token = choose(sample, logits, vocab, shared);
      }
    }
    const bool reports = token >= 0 && sample.top_logprobs >= 0;
    const Row row{raw, vocab, best.logit, 1.0f};
    double log_total = 0;
    if (reports) log_total = static_cast<double>(best.logit) + log(static_cast<double>(weigh(row, shared)) / unit_weight);
    report_alternatives(step, index, row, log_total, reports ? min(min(sample.top_logprobs, vocab), step.max_top_logprobs) : 0, shared);
    if (threadIdx.x == 0) {
      int32_t* output = step.output + index * sampled_word::size;
      output[sampled_word::token] = token;
      output[sampled_word::flags] = bad ? 1 : 0;
      output[sampled_word::logprob] = __float_as_int(reports ? static_cast<float>(static_cast<double>(raw[token]) - log_total) : 0.0f);
    }
    __syncthreads();
  }
}

}  // namespace

size_t sample_scratch(const Instruction&, const ScratchFacts& facts) {
  const size_t blocks = facts.limits.max_sampled < most_blocks ? facts.limits.max_sampled : most_blocks;
  return blocks * static_cast<size_t>(facts.limits.vocab) * (sizeof(float) + sizeof(uint32_t));
}

void cortex_sample(const Instruction& in, Worker& worker) {
  if (worker.rank != 0) return;
  const unsigned blocks = worker.rows(in) < most_blocks ? worker.rows(in) : most_blocks;
  auto* adjusted = reinterpret_cast<float*>(worker.scratch);
  auto* counts = reinterpret_cast<uint32_t*>(adjusted + static_cast<size_t>(blocks) * worker.step.vocab);
  launch(worker, sample_kernel, dim3(blocks), dim3(threads), 0, worker.step, view_of(worker, in.in[0]), adjusted, counts,
         worker.step.logits != nullptr);
}

}  // namespace cortex
