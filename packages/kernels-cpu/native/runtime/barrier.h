// Meeting point of a fixed number of threads: spins a bounded time, then sleeps on a futex. On a machine with as many
// workers as processors the JavaScript thread takes one of them now and then; a waiter must not burn the other for it.
#pragma once

#include <atomic>
#include <chrono>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace cortex {

inline void spin_pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `word` is no longer `old`: spins up to `spin_ns`, then sleeps. The waker must count on `sleepers`.
class WaitWord {
 public:
  unsigned load() const { return word_.load(std::memory_order_acquire); }

  void wait_while(unsigned old, long spin_ns) {
    if (spin_ns > 0) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(spin_ns);
      do {
        for (int i = 0; i < 32; ++i) {
          if (word_.load(std::memory_order_acquire) != old) return;
          spin_pause();
        }
      } while (std::chrono::steady_clock::now() < end);
    }
    // Sequentially consistent with advance(): either it sees the sleeper, or the sleeper sees the new word.
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (word_.load(std::memory_order_seq_cst) == old) word_.wait(old, std::memory_order_seq_cst);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

  void advance() {
    word_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) word_.notify_all();
  }

 private:
  alignas(64) std::atomic<unsigned> word_{0};
  alignas(64) std::atomic<int> sleepers_{0};
};

class Barrier {
 public:
  void configure(int parties, long spin_ns) {
    parties_ = parties;
    spin_ns_ = spin_ns;
  }

  void wait() {
    if (parties_ == 1) return;
    const unsigned phase = phase_.load();
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == parties_ - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      phase_.advance();
    } else {
      phase_.wait_while(phase, spin_ns_);
    }
  }

 private:
  int parties_ = 1;
  long spin_ns_ = 0;
  alignas(64) std::atomic<int> arrived_{0};
  WaitWord phase_;
};

}  // namespace cortex
