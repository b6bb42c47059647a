// Captured programs by the shape of their steps. The first step of a shape runs as it is, the second is captured, the others
// replay; of more shapes than there is room for, the one that was longest not used goes.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>

#include "shape.h"

namespace cortex {

class GraphCache {
 public:
  static constexpr size_t capacity = 48;

  GraphCache() = default;
  ~GraphCache() { clear(); }
  GraphCache(const GraphCache&) = delete;
  GraphCache& operator=(const GraphCache&) = delete;

  // The graph of a shape; null until one is kept. `is_new`: the shape was never asked for before.
  cudaGraphExec_t find(const StepShape& shape, bool& is_new) {
    const auto [entry, inserted] = graphs_.try_emplace(shape);
    entry->second.used = ++clock_;
    is_new = inserted;
    if (graphs_.size() > capacity) evict();
    return entry->second.graph;
  }

  void keep(const StepShape& shape, cudaGraphExec_t graph) { graphs_[shape].graph = graph; }

  void clear() {
    for (auto& [shape, entry] : graphs_) destroy(entry.graph);
    graphs_.clear();
  }

  // Graphs that are kept.
  size_t size() const {
    return static_cast<size_t>(std::count_if(graphs_.begin(), graphs_.end(), [](const auto& e) { return e.second.graph != nullptr; }));
  }

 private:
  struct Entry {
    cudaGraphExec_t graph = nullptr;
    uint64_t used = 0;
  };

  static void destroy(cudaGraphExec_t graph) {
    if (graph) static_cast<void>(cudaGraphExecDestroy(graph));
  }

  void evict() {
    auto oldest = graphs_.begin();
    for (auto entry = graphs_.begin(); entry != graphs_.end(); ++entry) {
      if (entry->second.used < oldest->second.used) oldest = entry;
    }
    destroy(oldest->second.graph);
    graphs_.erase(oldest);
  }

  std::map<StepShape, Entry> graphs_;
  uint64_t clock_ = 0;
};

}  // namespace cortex
