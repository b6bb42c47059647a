#include "block.h"

#include <link.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

namespace cortex::emulation {

constinit thread_local Thread* current_thread = nullptr;
constinit thread_local Index threadIdx{};
constinit thread_local Index blockIdx{};
constinit thread_local Index blockDim{};
constinit thread_local Index gridDim{};

namespace {

// All ones: a NaN in every float format, -1 as an integer.
constexpr int poison = 0xff;

// Stacks are kept: making a thousand of them costs more than most blocks.
class ThreadPool {
 public:
  Thread* take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      all_.push_back(std::make_unique<Thread>());
      return all_.back().get();
    }
    Thread* thread = free_.back();
    free_.pop_back();
    return thread;
  }
  void give(Thread* thread) {
    const std::lock_guard lock(mutex_);
    free_.push_back(thread);
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Thread>> all_;
  std::vector<Thread*> free_;
};

ThreadPool& pool() {
  static ThreadPool instance;
  return instance;
}

struct Segment {
  const void* inside;
  unsigned char* data;
  std::size_t bytes;
};

// This module's thread-local values of the calling thread: the shared arrays of every kernel, and current_thread.
int find_segment(dl_phdr_info* info, std::size_t, void* into) {
  auto& segment = *static_cast<Segment*>(into);
  const auto wanted = reinterpret_cast<ElfW(Addr)>(segment.inside);
  bool mine = false;
  const ElfW(Phdr)* locals = nullptr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& header = info->dlpi_phdr[i];
    if (header.p_type == PT_TLS) locals = &header;
    const ElfW(Addr) begin = info->dlpi_addr + header.p_vaddr;
    if (header.p_type == PT_LOAD && wanted >= begin && wanted < begin + header.p_memsz) mine = true;
  }
  if (!mine || locals == nullptr || info->dlpi_tls_data == nullptr) return mine ? 1 : 0;
  segment.data = static_cast<unsigned char*>(info->dlpi_tls_data);
  segment.bytes = locals->p_memsz;
  return 1;
}

void poison_static_shared(const Segment& segment) {
  std::memset(segment.data, poison, segment.bytes);
  current_thread = nullptr;
}

std::string text(const Index& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

}  // namespace

std::string run(const Launch& launch) {
  Block block(launch);
  // Touched once, so that the thread has its copy.
  current_thread = nullptr;
  Segment segment{reinterpret_cast<const void*>(&find_segment), nullptr, 0};
  dl_iterate_phdr(find_segment, &segment);
  for (unsigned z = 0; z < launch.grid.z; ++z) {
    for (unsigned y = 0; y < launch.grid.y; ++y) {
      for (unsigned x = 0; x < launch.grid.x; ++x) {
        poison_static_shared(segment);
        if (!block.run({x, y, z})) return block.failure();
      }
    }
  }
  return "";
}

Block::Block(const Launch& given) : launch(given), outside_(Fiber::Own{}), random_(given.seed) {
  const std::size_t count = std::size_t{launch.block.x} * launch.block.y * launch.block.z;
  for (std::size_t i = 0; i < count; ++i) threads_.push_back(pool().take());
  // Its exact size: the address sanitizer sees what lies beyond.
  void* shared = nullptr;
  if (launch.shared_bytes > 0 && posix_memalign(&shared, 128, launch.shared_bytes) != 0) std::abort();
  dynamic_shared_ = static_cast<unsigned char*>(shared);
}

Block::~Block() {
  for (Thread* thread : threads_) pool().give(thread);
  std::free(dynamic_shared_);
}

std::uint64_t Block::random() {
  random_ += 0x9e3779b97f4a7c15u;
  std::uint64_t z = random_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

bool Block::run(Index at) {
  index = at;
  waited_ = false;
  waiting_at_block_ = 0;
  living_ = static_cast<int>(threads_.size());
  ready_.clear();
  if (dynamic_shared_ != nullptr) std::memset(dynamic_shared_, poison, launch.shared_bytes);
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = *threads_[i];
    const unsigned linear = static_cast<unsigned>(i);
    thread.index = {linear % launch.block.x, linear / launch.block.x % launch.block.y,
                    linear / (launch.block.x * launch.block.y)};
    thread.linear = static_cast<int>(i);
    thread.lane = thread.linear % 32;
    thread.block = this;
    thread.copies.clear();
    thread.copy_groups = 0;
    thread.fiber.prepare(&Block::entry);
    make_ready(thread);
  }
  blockIdx = at;
  blockDim = launch.block;
  gridDim = launch.grid;
  Thread* first = take_ready();
  current_thread = first;
  threadIdx = first->index;
  Fiber::change(outside_, first->fiber);
  current_thread = nullptr;
  if (failure_.empty() && launch.overlaps && !waited_) fail("it overlaps its predecessor and never waits for it");
  return failure_.empty();
}

void Block::entry() {
  Fiber::arrived();
  Thread& thread = self();
  thread.block->launch.run(thread.block->launch.arguments);
  thread.block->end(thread);
}

void Block::make_ready(Thread& thread) {
  thread.state = Thread::State::ready;
  ready_.push_back(&thread);
}

Thread* Block::take_ready() {
  if (ready_.empty()) return nullptr;
  const std::size_t chosen = random() % ready_.size();
  Thread* thread = ready_[chosen];
  ready_[chosen] = ready_.back();
  ready_.pop_back();
  return thread;
}

// Goes on with another thread, or leaves the block when there is none.
void Block::yield(Thread& from) {
  Thread* next = failure_.empty() ? take_ready() : nullptr;
  if (next == &from) return;
  if (next == nullptr) {
    if (failure_.empty() && living_ > 0) fail("threads wait for others that never come: " + describe_waiting());
    Fiber::change(from.fiber, outside_);
    return;
  }
  current_thread = next;
  threadIdx = next->index;
  Fiber::change(from.fiber, next->fiber);
}

void Block::end(Thread& thread) {
  thread.state = Thread::State::done;
  --living_;
  if (living_ > 0 && waiting_at_block_ == living_) complete_block();
  // Those of its warp no longer wait for it.
  const int first = thread.linear - thread.lane;
  for (int i = first; i < first + 32 && i < static_cast<int>(threads_.size()); ++i) {
    Thread& other = *threads_[static_cast<std::size_t>(i)];
    if (other.state == Thread::State::at_warp && complete_warp(other)) break;
  }
  yield(thread);
}

void Block::meet_warp(Combine combine, unsigned mask, void* operand, Place place) {
  Thread& thread = self();
  thread.combine = combine;
  thread.mask = mask;
  thread.operand = operand;
  thread.place = place;
  thread.state = Thread::State::at_warp;
  if ((mask >> thread.lane & 1) == 0) fail("lane " + std::to_string(thread.lane) + " meets others without being in its mask: " + describe_waiting());
  if (failure_.empty()) complete_warp(thread);
  yield(thread);
}

// Whether all lanes of the mask of `last` are there; then their operands are combined and they go on.
bool Block::complete_warp(Thread& last) {
  void* operands[32] = {};
  const std::size_t first = static_cast<std::size_t>(last.linear - last.lane);
  unsigned present = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((last.mask >> lane & 1) == 0 || first + lane >= threads_.size()) continue;
    const Thread& other = *threads_[first + lane];
    if (other.state == Thread::State::done) continue;
    if (other.state != Thread::State::at_warp) return false;
    if (other.combine != last.combine || other.mask != last.mask) {
      fail("lanes of a warp meet at different places: " + describe_waiting());
      return false;
    }
    operands[lane] = other.operand;
    present |= 1u << lane;
  }
  if (last.combine != nullptr) last.combine(operands, present);
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (present >> lane & 1) make_ready(*threads_[first + lane]);
  }
  return true;
}

Block::Votes Block::meet_block(int predicate, Place place) {
  Thread& thread = self();
  thread.predicate = predicate;
  thread.place = place;
  thread.state = Thread::State::at_block;
  ++waiting_at_block_;
  if (waiting_at_block_ == living_) complete_block();
  yield(thread);
  return votes_;
}

void Block::complete_block() {
  votes_ = {living_, 0};
  const Thread* one = nullptr;
  for (const Thread* thread : threads_) {
    if (thread->state != Thread::State::at_block) continue;
    votes_.set += thread->predicate != 0 ? 1 : 0;
    if (one != nullptr && (one->place.line != thread->place.line || std::strcmp(one->place.file, thread->place.file) != 0)) {
      fail("threads of a block meet at different barriers: " + describe_waiting());
      return;
    }
    one = thread;
  }
  waiting_at_block_ = 0;
  for (Thread* thread : threads_) {
    if (thread->state == Thread::State::at_block) make_ready(*thread);
  }
}

void Block::fail(const std::string& what) {
  if (!failure_.empty()) return;
  failure_ = launch.name(launch.function) + ", block " + text(index) + ": " + what;
}

// Threads by the place where they wait, with the first few of each.
std::string Block::describe_waiting() const {
  struct Group {
    Place place;
    const char* how;
    int count;
    std::string threads;
  };
  std::vector<Group> groups;
  for (const Thread* thread : threads_) {
    if (thread->state != Thread::State::at_block && thread->state != Thread::State::at_warp) continue;
    const char* how = thread->state == Thread::State::at_block ? "block barrier" : "warp";
    auto group = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return g.place.line == thread->place.line && g.how == how && std::strcmp(g.place.file, thread->place.file) == 0;
    });
    if (group == groups.end()) group = groups.insert(groups.end(), {thread->place, how, 0, ""});
    if (++group->count <= 4) group->threads += " " + text(thread->index);
  }
  std::string result;
  for (const Group& group : groups) {
    result += (result.empty() ? "" : "; ") + std::to_string(group.count) + " at the " + group.how + " of " + group.place.file +
              ":" + std::to_string(group.place.line) + ", threads" + group.threads + (group.count > 4 ? " ..." : "");
  }
  return result;
}

void copy_later(void* to, const void* from, std::size_t bytes, std::size_t zeros) {
  std::memset(to, poison, bytes + zeros);
  self().copies.push_back({to, from, bytes, zeros, self().copy_groups});
}

void commit_copies() { ++self().copy_groups; }

void wait_copies(int left) {
  Thread& thread = self();
  const int done = left == 0 ? thread.copy_groups + 1 : thread.copy_groups - left;
  std::erase_if(thread.copies, [done](const PendingCopy& copy) {
    if (copy.group >= done) return false;
    std::memcpy(copy.to, copy.from, copy.bytes);
    std::memset(static_cast<char*>(copy.to) + copy.bytes, 0, copy.zeros);
    return true;
  });
}

}  // namespace cortex::emulation
