// One token per sampled row: penalties, bias, mask, temperature, then top-k, top-p and min-p over the tokens sorted by
// probability (ties: lower id first), and a draw from what is left. The sorted order is only made where a cut falls.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// Uniform in [0, 1): 53 bits of the splitmix64 sequence of this seed.
double uniform(uint64_t seed, uint64_t counter) {
  uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1p-53;
}

// Tokens in the order (logit descending, id ascending), by buckets of logits; a bucket is sorted when a cut falls into it.
class SortedTokens {
 public:
  // weights[i] = exp((logits[i] - max) / temperature)
  SortedTokens(const float* logits, const float* weights, int vocab, float max, float temperature)
      : logits_(logits), weights_(weights), vocab_(vocab), max_(max) {
    const float range = range_limit * temperature;
    float low = max;
    for (int i = 0; i < vocab; ++i) low = logits[i] > max - range && logits[i] < low ? logits[i] : low;
    scale_ = max > low ? static_cast<float>(buckets - 2) / (max - low) : 0.0f;
    counts_.assign(buckets, 0);
    sums_.assign(buckets, 0.0);
    for (int i = 0; i < vocab; ++i) {
      const int bucket = bucket_of(i);
      ++counts_[static_cast<size_t>(bucket)];
      sums_[static_cast<size_t>(bucket)] += static_cast<double>(weights[i]);
    }
  }

  // Weight of the first `count` tokens.
  double weight_of(int count) {
    double sum = 0;
    for (int bucket = 0; bucket < buckets && count > 0; ++bucket) {
      const int here = counts_[static_cast<size_t>(bucket)];
      if (count >= here) {
        sum += sums_[static_cast<size_t>(bucket)];
        count -= here;
        continue;
      }
      for (int i = 0; i < count; ++i) sum += weight(sorted(bucket)[static_cast<size_t>(i)]);
      count = 0;
    }
    return sum;
  }

  struct Place {
    int count;
    int token;
  };

  // Shortest run of first tokens that `enough(weight)` holds for, and its last token; at most `limit` tokens.
  template <typename Enough>
  Place shortest(Enough&& enough, int limit) {
    double sum = 0;
    Place place{0, -1};
    for (int bucket = 0; bucket < buckets; ++bucket) {
      const int here = counts_[static_cast<size_t>(bucket)];
      if (here == 0) continue;
      if (!enough(sum + sums_[static_cast<size_t>(bucket)]) && place.count + here < limit) {
        sum += sums_[static_cast<size_t>(bucket)];
        place.count += here;
        continue;
      }
      for (const int token : sorted(bucket)) {
        // The sum fell short by a rounding: a masked token must not make up for it.
        if (!(logits_[token] > -INFINITY) && place.count > 0) return place;
        sum += weight(token);
        ++place.count;
        place.token = token;
        if (enough(sum) || place.count == limit) return place;
      }
    }
    return place;
  }

 private:
  // Enough that a bucket of an ordinary vocabulary holds a few hundred tokens, few enough to stay in the first-level cache.
  static constexpr int buckets = 2048;
  // Further below the maximum, in units of the temperature, a token's weight is nothing; all share the last bucket.
  static constexpr float range_limit = 60.0f;

  double weight(int token) const { return static_cast<double>(weights_[token]); }

  // Never falls as a logit falls.
  int bucket_of(int token) const {
    const float below = (max_ - logits_[token]) * scale_;
    return below < static_cast<float>(buckets - 1) ? static_cast<int>(below) : buckets - 1;
  }

  const std::vector<int>& sorted(int bucket) {
    if (bucket == sorted_bucket_) return sorted_;
    sorted_.clear();
    for (int i = 0; i < vocab_; ++i) {
      if (bucket_of(i) == bucket) sorted_.push_back(i);
    }
    std::sort(sorted_.begin(), sorted_.end(), [this](int a, int b) {
      return logits_[a] != logits_[b] ? logits_[a] > logits_[b] : a < b;
    });
    sorted_bucket_ = bucket;
    return sorted_;
  }

  const float* logits_;
  const float* weights_;
  int vocab_;
  float max_;
  float scale_ = 0;
  std::vector<int> counts_;
  std::vector<double> sums_;
  std::vector<int> sorted_;
  int sorted_bucket_ = -1;
};

// Token ids of a slot's history are proven at the start of the step, but the memory is shared: an id that changed since is
// left out.
bool is_token(int32_t token, int vocab) { return token >= 0 && token < vocab; }

void penalise(const Step& step, const SampleRow& sample, float* logits, uint32_t* counts) {
  constexpr uint32_t seen = 0x80000000u;
  const SamplingParams& params = sample.params;
  const int vocab = step.limits().vocab;
  const int32_t* history = step.words() + step.offsets().history + int64_t{sample.slot} * step.limits().max_context;
  if (params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f) {
    for (int i = params.prompt_length; i < params.history_length; ++i) {
      if (is_token(history[i], vocab)) ++counts[history[i]];
    }
  }
  for (int i = 0; i < params.history_length; ++i) {
    const int32_t token = history[i];
    if (!is_token(token, vocab) || (counts[token] & seen)) continue;
    const uint32_t count = counts[token];
    counts[token] |= seen;
    float l = logits[token];
    l = l > 0 ? l / params.repetition_penalty : l * params.repetition_penalty;
    if (count > 0) l -= params.frequency_penalty * static_cast<float>(count) + params.presence_penalty;
    logits[token] = l;
  }
  for (int i = 0; i < params.history_length; ++i) {
    if (is_token(history[i], vocab)) counts[history[i]] = 0;
  }
}

// Tokens whose bit is 0 count as negative infinity.
void apply_mask(const int32_t* mask, float* logits, int vocab) {
  for (int from = 0; from < vocab; from += 32) {
    const auto bits = static_cast<uint32_t>(mask[from / 32]);
    if (bits == 0xFFFFFFFFu) continue;
    const int count = std::min(32, vocab - from);
    for (int i = 0; i < count; ++i) logits[from + i] = (bits >> i) & 1 ? logits[from + i] : -INFINITY;
  }
}

// -1 when nothing can be chosen.
int choose(const Kernels& kernels, const SampleRow& sample, const float* logits, float* weights, int vocab) {
  const SamplingParams& params = sample.params;
  const LogitScan best = kernels.scan(logits, vocab);
  if (best.bad || !(best.max > -INFINITY)) return -1;
  if (!(params.temperature > 0) || params.top_k == 1) return best.index;
  const double all = kernels.exp_sum(logits, vocab, best.max, params.temperature, weights);
  SortedTokens tokens(logits, weights, vocab, best.max, params.temperature);
  int kept = params.top_k > 0 ? std::min(params.top_k, vocab) : vocab;
  const double top_k_weight = kept < vocab ? tokens.weight_of(kept) : all;
  if (params.top_p < 1.0f) {
    const double wanted = static_cast<double>(params.top_p) * top_k_weight;
    kept = tokens.shortest([wanted](double sum) { return sum >= wanted; }, kept).count;
  }
  // Relative to the most likely token, whose weight is 1.
  if (params.min_p > 0) kept = std::clamp(kernels.count_at_least(weights, vocab, params.min_p), 1, kept);
  const double drawn = uniform(params.seed, sample.counter) * (kept < vocab ? tokens.weight_of(kept) : all);
  return tokens.shortest([drawn](double sum) { return sum > drawn; }, kept).token;
}

// Best `wanted` tokens by raw logit, ties by lower id; -1 in the room that is left.
void report_alternatives(const Step& step, int index, const float* logits, double log_total, int wanted) {
  const int vocab = step.limits().vocab;
  const int room = step.limits().max_top_logprobs;
  int32_t* tokens = step.words() + step.offsets().topToken + int64_t{index} * room;
  float* values = step.floats(step.offsets().topLogprob) + int64_t{index} * room;
  std::vector<int> best;
  best.reserve(static_cast<size_t>(wanted) + 1);
  float least = -INFINITY;
  for (int i = 0; i < vocab; ++i) {
    if (wanted == 0) break;
    if (static_cast<int>(best.size()) == wanted && !(logits[i] > least)) continue;
    const auto place = std::upper_bound(best.begin(), best.end(), i, [logits](int a, int b) { return logits[a] > logits[b]; });
    best.insert(place, i);
    if (static_cast<int>(best.size()) > wanted) best.pop_back();
    least = logits[best.back()];
  }
  for (size_t i = 0; i < best.size(); ++i) {
    tokens[i] = best[i];
    values[i] = static_cast<float>(static_cast<double>(logits[best[i]]) - log_total);
  }
  for (int i = static_cast<int>(best.size()); i < room; ++i) {
    tokens[i] = -1;
    values[i] = -INFINITY;
  }
}

void sample_row(const Instruction& in, const Worker& worker, int index) {
  const Step& step = worker.step();
  const SampleRow& sample = step.samples[static_cast<size_t>(index)];
  const Kernels& kernels = worker.kernels();
  const int vocab = step.limits().vocab;
  const float* raw = worker.at(in.in[0], index);
  int32_t* output = step.words() + step.offsets().output + int64_t{index} * sampled_word::size;
  if (step.limits().expose_logits) {
    std::memcpy(step.floats(step.offsets().logits) + int64_t{index} * vocab, raw, static_cast<size_t>(vocab) * sizeof(float));
  }
  const LogitScan scan = kernels.scan(raw, vocab);
  int token = -1;
  if (!scan.bad) {
    const SamplingParams& params = sample.params;
    const bool plain = !params.has_penalties() && params.bias_count == 0 && !sample.masked;
    if (plain && !(params.temperature > 0)) {
      token = scan.max > -INFINITY ? scan.index : -1;
    } else {
      std::memcpy(worker.logits, raw, static_cast<size_t>(vocab) * sizeof(float));
      if (params.has_penalties()) penalise(step, sample, worker.logits, worker.counts);
      const int32_t* bias = step.words() + step.offsets().biasToken + int64_t{sample.slot} * step.limits().max_bias;
      const float* values = step.floats(step.offsets().biasValue) + int64_t{sample.slot} * step.limits().max_bias;
      for (int i = 0; i < params.bias_count; ++i) {
        if (is_token(bias[i], vocab)) worker.logits[bias[i]] += values[i];
      }
      if (sample.masked) {
        apply_mask(step.words() + step.offsets().masks + int64_t{index} * step.limits().mask_words(), worker.logits, vocab);
      }
      token = choose(kernels, sample, worker.logits, worker.weights, vocab);
    }
  }
  float logprob = 0;
  double log_total = 0;
  int alternatives = 0;
  if (token >= 0 && sample.params.top_logprobs >= 0) {
    log_total = static_cast<double>(scan.max) + std::log(kernels.exp_sum(raw, vocab, scan.max, 1.0f, nullptr));
    logprob = static_cast<float>(static_cast<double>(raw[token]) - log_total);
    alternatives = std::min(sample.params.top_logprobs, vocab);
  }
  report_alternatives(step, index, raw, log_total, alternatives);
  output[sampled_word::token] = token;
  output[sampled_word::flags] = scan.bad ? 1 : 0;
  std::memcpy(output + sampled_word::logprob, &logprob, sizeof logprob);
}

}  // namespace

void cortex_sample(const Instruction& in, Worker& worker) {
  if (worker.rank->rank != 0) return;
  std::atomic<int>& next = worker.rank->counters[static_cast<size_t>(in.index)].next;
  const int rows = worker.rows(in);
  for (int i = next.fetch_add(1, std::memory_order_relaxed); i < rows; i = next.fetch_add(1, std::memory_order_relaxed)) {
    sample_row(in, worker, i);
  }
}

}  // namespace cortex
