// Stacks of their own within one operating-system thread: the threads of an emulated block.
#pragma once

#include <cstddef>

namespace cortex::emulation {

// A stack with a guard page below it and the place where its code stopped.
class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next switch to it runs entry(), which must never return.
  void prepare(void (*entry)());

  // Stops the code that runs in `from` and goes on in `to`.
  static void change(Fiber& from, Fiber& to);

  // First thing on a stack that is run for the first time.
  static void arrived();

  // The stack that the thread came with: it is only switched from and back to.
  struct Own {};
  explicit Fiber(Own);

 private:
  char* stack_ = nullptr;
  void* pointer_ = nullptr;
  // Of the address sanitizer.
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace cortex::emulation
