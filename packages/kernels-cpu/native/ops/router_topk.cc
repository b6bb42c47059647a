#include <cmath>

#include "ops.h"
#include "partition.h"

namespace cortex {

namespace {

// The best expert that comes after `last` in the order (logit descending, index ascending). What is not a number comes last.
int next_best(const float* logits, int experts, int last) {
  const auto key = [logits](int e) { return std::isnan(logits[e]) ? -INFINITY : logits[e]; };
  int best = -1;
  for (int e = 0; e < experts; ++e) {
    const bool after = last < 0 || key(e) < key(last) || (key(e) == key(last) && e > last);
    if (after && (best < 0 || key(e) > key(best))) best = e;
  }
  return best;
}

}  // namespace

void cortex_router_topk(const Instruction& in, Worker& worker) {
  const int chosen = in.param(op::router_topk::param::k);
  const bool renormalise = in.param(op::router_topk::param::renormalise) != 0;
  const Range own = own_rows(worker, worker.rows(in));
  for (int row = own.begin; row < own.end; ++row) {
    const float* logits = worker.at(in.in[0], row);
    float* choice = worker.at(in.out[0], row);
    int last = -1;
    for (int slot = 0; slot < chosen; ++slot) {
      last = next_best(logits, in.k, last);
      choice[slot] = static_cast<float>(last);
    }
    // Of equal sums of probabilities the largest logit is taken away first: no exponential is above one.
    const float most = logits[static_cast<int>(choice[0])];
    float sum = 0;
    for (int e = 0; e < in.k; ++e) sum += std::exp(logits[e] - most);
    float* weights = choice + chosen;
    float kept = 0;
    for (int slot = 0; slot < chosen; ++slot) {
      weights[slot] = std::exp(logits[static_cast<int>(choice[slot])] - most) / sum;
      kept += weights[slot];
    }
    if (!renormalise) continue;
    for (int slot = 0; slot < chosen; ++slot) weights[slot] /= kept;
  }
}

}  // namespace cortex
