#include "routing.h"

#include <cstring>

namespace cortex {

namespace {

size_t most_groups(int chosen, int experts) { return static_cast<size_t>(std::max(chosen, experts)); }

}  // namespace

size_t routing_words(size_t pairs, int chosen, int experts) {
  return static_cast<size_t>(experts) + 2 * most_groups(chosen, experts) + 1 + 3 * pairs;
}

Routing route(const Worker& worker, const Operand& choice, int rows, int chosen, int experts) {
  const int pairs = rows * chosen;
  const size_t room = most_groups(chosen, experts);
  int32_t* next = worker.routing;
  int32_t* expert = next + experts;
  int32_t* begin = expert + room;
  int32_t* pair = begin + room + 1;
  Routing routing{0, expert, begin, pair, pair + pairs, pair + 2 * static_cast<size_t>(pairs)};
  if (rows == 1) {
    // Nothing to sort: a group for each slot.
    const float* experts_of_row = worker.at(choice, 0);
    for (int slot = 0; slot < chosen; ++slot) {
      expert[slot] = expert_of(experts_of_row[slot], experts);
      begin[slot] = pair[slot] = slot;
    }
    begin[chosen] = chosen;
    routing.groups = chosen;
    return routing;
  }
  std::memset(next, 0, static_cast<size_t>(experts) * sizeof(int32_t));
  for (int row = 0; row < rows; ++row) {
    const float* of_row = worker.at(choice, row);
    for (int slot = 0; slot < chosen; ++slot) ++next[expert_of(of_row[slot], experts)];
  }
  int place = 0;
  for (int e = 0; e < experts; ++e) {
    const int count = next[e];
    next[e] = place;
    if (count == 0) continue;
    expert[routing.groups] = e;
    begin[routing.groups++] = place;
    place += count;
  }
  begin[routing.groups] = place;
  for (int row = 0; row < rows; ++row) {
    const float* of_row = worker.at(choice, row);
    for (int slot = 0; slot < chosen; ++slot) pair[next[expert_of(of_row[slot], experts)]++] = row * chosen + slot;
  }
  return routing;
}

}  // namespace cortex
