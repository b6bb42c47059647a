#include "team.h"

#include <cstdio>

#include <cortex/runtime/thread_name.h>

#include "topology.h"

namespace cortex {

namespace {
constexpr long barrier_spin_ns = 30'000;
}

Team::Team(int workers) : workers_(workers) {
  const Topology machine = topology();
  processors_ = machine.processors;
  if (workers <= machine.parallelism) spin_ns_ = barrier_spin_ns;
  pinned_ = workers > 1 && workers == machine.parallelism && workers == static_cast<int>(processors_.size());
  done_.configure(workers, spin_ns_);
  threads_.reserve(static_cast<size_t>(workers - 1));
  for (int i = 1; i < workers; ++i) threads_.emplace_back(&Team::loop, this, i);
}

Team::~Team() {
  stopping_ = true;
  generation_.advance();
  for (auto& thread : threads_) thread.join();
}

void Team::run(Work work, void* argument) {
  work_ = work;
  argument_ = argument;
  generation_.advance();
  work(argument, 0);
  done_.wait();
}

void Team::loop(int worker) {
  char name[16];
  std::snprintf(name, sizeof name, "cpu-dev-0-w%d", worker % 1000);
  name_thread(name);
  if (pinned_) pin_thread(processors_[static_cast<size_t>(worker)]);
  unsigned seen = 0;
  for (;;) {
    // Between steps the processor belongs to whoever prepares the next one: sleep at once.
    generation_.wait_while(seen, 0);
    ++seen;
    if (stopping_) return;
    work_(argument_, worker);
    done_.wait();
  }
}

}  // namespace cortex
