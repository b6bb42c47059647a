// The step on its way to a device and back. Input: one block on the device behind one copy, the parts that grow with contexts
// and vocabularies only where a step asks for them. Output: likewise.
#pragma once

#include <cuda_runtime.h>

#include <cortex/program/step.h>

#include "../device/step_view.h"
#include "device_memory.h"

namespace cortex {

class StepBuffers {
 public:
  explicit StepBuffers(const Limits& limits);

  // Bytes on the device.
  size_t device_bytes() const { return layout_.size(); }
  // Bytes of pinned memory on the host; the same for every rank, so one block serves all.
  size_t host_bytes() const { return layout_.size(); }

  // The view of a block on a device, for the kernels there.
  StepView view(uint8_t* device_block) const;

  // Writes a proven step into the pinned block.
  void pack(const Step& step, uint8_t* host_block) const;

  // Enqueues the copies of what `pack` wrote.
  cudaError_t send(const Step& step, const uint8_t* host_block, uint8_t* device_block, cudaStream_t stream) const;
  // Enqueues the copies of what the kernels answered.
  cudaError_t receive(const Step& step, const uint8_t* device_block, uint8_t* host_block, cudaStream_t stream) const;
  // Hands the answer, once it is there, to the words that JavaScript reads.
  void unpack(const Step& step, const uint8_t* host_block) const;

 private:
  // A part of the blocks that a step uses: `bytes` from `start` on.
  struct Part {
    size_t start;
    size_t bytes;
  };

  // Bytes up to the end of the page tables that the step has.
  size_t head_bytes(const Step& step) const;
  // Parts beyond the head that the step needs.
  template <typename Use>
  void each_input(const Step& step, Use use) const;
  template <typename Use>
  void each_output(const Step& step, Use use) const;
  // Rows of features that the tokens of a step ask for.
  int feature_rows(const Step& step) const;

  Limits limits_;
  Layout layout_;
  size_t counts_;
  size_t tokens_;
  size_t positions_;
  size_t row_sequence_;
  size_t row_index_;
  size_t sequences_;
  size_t samples_;
  size_t copies_;
  size_t places_;
  size_t images_;
  // Ends the head: it is sent up to the last page that a step has.
  size_t pages_;
  size_t masks_;
  size_t history_;
  size_t bias_token_;
  size_t bias_value_;
  size_t pixels_;
  size_t features_;
  size_t output_;
  size_t top_token_;
  size_t top_logprob_;
  size_t logits_;
};

}  // namespace cortex
