// One block of an emulated kernel: its threads are fibers, run one at a time in a seeded random order. A thread runs until
// it has to wait for others, so whatever it reads without having waited is what it would read at the worst moment.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fiber.h"

namespace cortex::emulation {

struct Index {
  unsigned x;
  unsigned y;
  unsigned z;
};

struct Place {
  const char* file;
  int line;
};

// What the last lane to arrive does for all lanes of the mask: each has left a pointer to its operand.
using Combine = void (*)(void* const* operands, unsigned mask);

struct PendingCopy {
  void* to;
  const void* from;
  std::size_t bytes;
  std::size_t zeros;
  // Group of the thread that it belongs to.
  int group;
};

class Block;

struct Thread {
  enum class State { ready, at_warp, at_block, done };

  Index index;
  int linear;
  int lane;
  Block* block;
  Fiber fiber;
  State state;
  Place place;
  Combine combine;
  unsigned mask;
  void* operand;
  int predicate;
  std::vector<PendingCopy> copies;
  int copy_groups;
};

// One launch: what every block of it has in common.
struct Launch {
  std::string (*name)(const void* function);
  const void* function;
  Index grid;
  Index block;
  std::size_t shared_bytes;
  // It may begin before its predecessor in the stream has ended.
  bool overlaps;
  void (*run)(const void* arguments);
  const void* arguments;
  std::uint64_t seed;
};

// Runs all blocks, one after another. Empty, or what went wrong.
std::string run(const Launch& launch);

class Block {
 public:
  static constexpr int max_threads = 1024;

  explicit Block(const Launch& launch);
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // False once something went wrong, which failure() says.
  bool run(Index index);
  const std::string& failure() const { return failure_; }

  // Called by the threads.
  void meet_warp(Combine combine, unsigned mask, void* operand, Place place);
  // Votes of all threads that have not ended: how many there were and how many were not zero.
  struct Votes {
    int threads;
    int set;
  };
  Votes meet_block(int predicate, Place place);
  unsigned char* dynamic_shared() const { return dynamic_shared_; }
  void waited_for_predecessor() { waited_ = true; }

  const Launch& launch;
  Index index{};

 private:
  static void entry();
  void yield(Thread& self);
  void end(Thread& self);
  void make_ready(Thread& thread);
  Thread* take_ready();
  void complete_block();
  bool complete_warp(Thread& last);
  void fail(const std::string& what);
  std::string describe_waiting() const;
  std::uint64_t random();

  std::vector<Thread*> threads_;
  std::vector<Thread*> ready_;
  Fiber outside_;
  unsigned char* dynamic_shared_ = nullptr;
  int waiting_at_block_ = 0;
  int living_ = 0;
  Votes votes_{};
  std::uint64_t random_;
  bool waited_ = false;
  std::string failure_;
};

// The only thread-local values of the emulated library beside its kernels' shared arrays, which are poisoned with them.
extern constinit thread_local Thread* current_thread;
extern constinit thread_local Index threadIdx;
extern constinit thread_local Index blockIdx;
extern constinit thread_local Index blockDim;
extern constinit thread_local Index gridDim;
inline Thread& self() { return *current_thread; }

// cp.async: the bytes arrive when the thread waits for them; until then the place is poison.
void copy_later(void* to, const void* from, std::size_t bytes, std::size_t zeros);
void commit_copies();
void wait_copies(int left);

}  // namespace cortex::emulation
