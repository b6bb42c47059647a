// Persistent workers of one model. Worker 0 is the thread that calls run(): the device thread.
#pragma once

#include <thread>
#include <vector>

#include "barrier.h"

namespace cortex {

class Team {
 public:
  using Work = void (*)(void* argument, int worker);

  // Starts `workers` - 1 threads. Pins each to its own processor only when the team fills the machine: two smaller teams
  // pinned alike would share a processor while others idle. The caller stays free: other teams are started and run by it,
  // and what it leaves is where it goes.
  explicit Team(int workers);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int workers() const { return workers_; }
  // How long a waiter spins before it sleeps; 0 when there are more workers than processors.
  long spin_ns() const { return spin_ns_; }

  // Calls work(argument, i) once for every worker i, and returns when all are done.
  void run(Work work, void* argument);

 private:
  void loop(int worker);

  int workers_;
  long spin_ns_ = 0;
  std::vector<int> processors_;
  bool pinned_ = false;
  Work work_ = nullptr;
  void* argument_ = nullptr;
  bool stopping_ = false;
  WaitWord generation_;
  Barrier done_;
  std::vector<std::thread> threads_;
};

}  // namespace cortex
