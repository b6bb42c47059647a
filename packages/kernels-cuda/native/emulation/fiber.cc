#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// void cortex_fiber_change(void** save, void* to): keeps what a call must keep on the old stack, takes it from the new.
#if defined(__x86_64__)
asm(R"(
.text
.globl cortex_fiber_change
.hidden cortex_fiber_change
.type cortex_fiber_change, @function
cortex_fiber_change:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cortex_fiber_change, .-cortex_fiber_change
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl cortex_fiber_change
.hidden cortex_fiber_change
.type cortex_fiber_change, %function
cortex_fiber_change:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size cortex_fiber_change, .-cortex_fiber_change
)");
#else
#error "the emulation knows x86-64 and arm64"
#endif

extern "C" void cortex_fiber_change(void** save, void* to);

namespace cortex::emulation {
namespace {

// Kernels keep small arrays on their stacks; sanitized code wants several times as much.
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t stack_bytes = 256 * 1024;
#else
constexpr std::size_t stack_bytes = 64 * 1024;
#endif

}  // namespace

Fiber::Fiber() {
  const std::size_t guard = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, guard + stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, guard, PROT_NONE) != 0) std::abort();
  stack_ = static_cast<char*>(memory);
  bottom_ = stack_ + guard;
  size_ = stack_bytes;
}

Fiber::Fiber(Own) {
#if defined(__SANITIZE_ADDRESS__)
  pthread_attr_t attributes;
  void* bottom = nullptr;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getstack(&attributes, &bottom, &size_);
    pthread_attr_destroy(&attributes);
  }
  bottom_ = bottom;
#endif
}

Fiber::~Fiber() {
  if (stack_ != nullptr) munmap(stack_, static_cast<std::size_t>(static_cast<const char*>(bottom_) - stack_) + size_);
}

void Fiber::prepare(void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  // Frames of a kernel that was given up.
  __asan_unpoison_memory_region(bottom_, size_);
#endif
  auto* top = reinterpret_cast<std::uintptr_t*>(static_cast<char*>(const_cast<void*>(bottom_)) + size_);
#if defined(__x86_64__)
  // At entry the stack pointer is 8 below a multiple of 16, as after a call.
  *--top = 0;
  *--top = reinterpret_cast<std::uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--top = 0;
#else
  top -= 20;
  for (int i = 0; i < 20; ++i) top[i] = 0;
  top[11] = reinterpret_cast<std::uintptr_t>(entry);
#endif
  pointer_ = top;
  fake_stack_ = nullptr;
}

void Fiber::change(Fiber& from, Fiber& to) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.bottom_, to.size_);
#endif
  cortex_fiber_change(&from.pointer_, to.pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::arrived() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace cortex::emulation
