// A step: what the engine wrote is proven and sent, the programs of all ranks are enqueued or replayed, the answer comes back.
#include <chrono>
#include <thread>

#include "../device/peers.h"
#include "cuda_check.h"
#include "model.h"

namespace cortex {

namespace {

// A step that takes longer hangs.
constexpr auto longest_step = std::chrono::seconds(120);
// Shorter steps are waited for without sleeping.
constexpr auto spin_time = std::chrono::microseconds(100);
constexpr auto nap = std::chrono::microseconds(20);

}  // namespace

PeerOperands peer_operands(const Instruction& in, const Worker& worker) {
  PeerOperands operands{};
  operands.rank = worker.rank;
  operands.ranks = worker.ranks;
  for (int i = 0; i < worker.ranks; ++i) {
    const Rank& peer = *worker.model->ranks[static_cast<size_t>(i)];
    const int index = peer.program.collectives[static_cast<size_t>(in.collective)];
    const Instruction& other = peer.program.instructions[static_cast<size_t>(index)];
    const auto at = [&](const Operand& operand) { return operand.present() ? peer.worker.arena + operand.offset : nullptr; };
    operands.in[i] = at(other.in[0]);
    operands.in_stride[i] = other.in[0].stride;
    operands.out[i] = at(other.out[0]);
    operands.out_stride[i] = other.out[0].stride;
  }
  return operands;
}

Status Model::run_step(double& device_ns) {
  if (Status status = lost(); !status.ok()) return status;
  if (!sealed_) return failure(Code::step_invalid, "model is not sealed");
  if (Status status = step_->read(); !status.ok()) return status;
  return settle(run(shape_of(*step_), device_ns));
}

Status Model::run(const StepShape& shape, double& device_ns) {
  Rank& first = *ranks[0];
  buffers_->pack(*step_, host_step_.data());
  CORTEX_CUDA(cudaSetDevice(first.device), "beginning a step");
  CORTEX_CUDA(cudaEventRecord(begin_, first.stream), "beginning a step");
  for (const auto& rank : ranks) {
    CORTEX_CUDA(cudaSetDevice(rank->device), "sending a step");
    CORTEX_CUDA(buffers_->send(*step_, host_step_.data(), rank->step.data(), rank->stream), "sending a step");
  }
  if (Status status = copy_states(); !status.ok()) return status;
  if (Status status = meet(); !status.ok()) return status;
  if (Status status = run_program(shape); !status.ok()) return status;
  CORTEX_CUDA(cudaSetDevice(first.device), "receiving the answer of a step");
  CORTEX_CUDA(buffers_->receive(*step_, first.step.data(), host_step_.data(), first.stream), "receiving the answer of a step");
  CORTEX_CUDA(cudaEventRecord(end_, first.stream), "ending a step");
  if (Status status = wait(device_ns); !status.ok()) return status;
  buffers_->unpack(*step_, host_step_.data());
  return {};
}

Status Model::run_program(const StepShape& shape) {
  if (!is_decode(*step_)) return enqueue(shape);
  bool is_new = false;
  cudaGraphExec_t graph = graphs_.find(shape, is_new);
  if (is_new) return enqueue(shape);
  if (!graph) {
    if (Status status = capture(shape, graph); !status.ok()) return status;
    graphs_.keep(shape, graph);
  }
  CORTEX_CUDA(cudaSetDevice(ranks[0]->device), "replaying a step");
  CORTEX_CUDA(cudaGraphLaunch(graph, ranks[0]->stream), "replaying a step");
  return {};
}

Status Model::capture(const StepShape& shape, cudaGraphExec_t& graph) {
  cudaStream_t stream = ranks[0]->stream;
  CORTEX_CUDA(cudaSetDevice(ranks[0]->device), "capturing a step");
  CORTEX_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capturing a step");
  const Status enqueued = enqueue(shape);
  // The capture ends whatever happened in it.
  cudaGraph_t captured = nullptr;
  static_cast<void>(cudaSetDevice(ranks[0]->device));
  const cudaError_t ended = cudaStreamEndCapture(stream, &captured);
  if (!enqueued.ok()) {
    if (captured) static_cast<void>(cudaGraphDestroy(captured));
    static_cast<void>(cudaGetLastError());
    return enqueued;
  }
  CORTEX_CUDA(ended, "capturing a step");
  const cudaError_t made = cudaGraphInstantiate(&graph, captured, 0);
  static_cast<void>(cudaGraphDestroy(captured));
  CORTEX_CUDA(made, "making a graph of a step");
  return {};
}

// All ranks up to a collective, the collective once all are there, and on.
Status Model::enqueue(const StepShape& shape) {
  for (const auto& rank : ranks) {
    std::copy(std::begin(shape.bucket), std::end(shape.bucket), rank->worker.bucket);
    rank->worker.sequences = shape.sequences;
    rank->worker.max_length = shape.max_length;
    rank->worker.max_sequence_rows = shape.max_sequence_rows;
  }
  // The others' streams follow the first one's, which is what a capture looks at.
  if (Status status = meet(); !status.ok()) return status;
  const size_t collectives = ranks[0]->program.collectives.size();
  std::vector<int> next(ranks.size(), 0);
  for (size_t c = 0; c <= collectives; ++c) {
    for (size_t r = 0; r < ranks.size(); ++r) {
      Rank& rank = *ranks[r];
      const int end = c < collectives ? rank.program.collectives[c] : static_cast<int>(rank.program.instructions.size());
      for (int i = next[r]; i < end; ++i) {
        if (Status status = enqueue_instruction(rank, i); !status.ok()) return status;
      }
      next[r] = end + 1;
    }
    if (c == collectives) break;
    if (Status status = meet(); !status.ok()) return status;
    for (const auto& rank : ranks) {
      if (Status status = enqueue_instruction(*rank, rank->program.collectives[c]); !status.ok()) return status;
    }
    if (Status status = meet(); !status.ok()) return status;
  }
  return meet();
}

Status Model::enqueue_instruction(Rank& rank, int index) {
  const Instruction& instruction = rank.program.instructions[static_cast<size_t>(index)];
  if (rank.worker.rows(instruction) == 0) return {};
  if (ranks.size() > 1) CORTEX_CUDA(cudaSetDevice(rank.device), "running a program");
  instruction.run(instruction, rank.worker);
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return {};
  const auto& signature = *std::find_if(std::begin(op_signatures), std::end(op_signatures),
                                        [&](const OpSignature& s) { return s.code == instruction.op; });
  Status status = cuda_status(error, format_text("running instruction %d, %s", index, signature.name).c_str());
  status.instruction = index;
  return status;
}

// Every rank's stream goes on when all have come here.
Status Model::meet() {
  if (ranks.size() == 1) return {};
  for (const auto& rank : ranks) {
    CORTEX_CUDA(cudaSetDevice(rank->device), "letting ranks meet");
    // Before its first wait on the first rank a stream is not part of a capture, so the first rank goes ahead.
    if (rank != ranks[0]) CORTEX_CUDA(cudaStreamWaitEvent(rank->stream, ranks[0]->arrived, 0), "letting ranks meet");
    CORTEX_CUDA(cudaEventRecord(rank->arrived, rank->stream), "letting ranks meet");
  }
  for (const auto& rank : ranks) {
    CORTEX_CUDA(cudaSetDevice(rank->device), "letting ranks meet");
    for (const auto& peer : ranks) {
      if (peer != rank) CORTEX_CUDA(cudaStreamWaitEvent(rank->stream, peer->arrived, 0), "letting ranks meet");
    }
  }
  return {};
}

// In order, before anything runs.
Status Model::copy_states() {
  for (const StateCopy& copy : step_->copies) {
    if (copy.from == copy.to) continue;
    for (const auto& rank : ranks) {
      CORTEX_CUDA(cudaSetDevice(rank->device), "copying states");
      for (const StateLayer& layer : rank->state) {
        const auto move = [&](float* base, int elements) {
          const size_t size = static_cast<size_t>(elements);
          if (size == 0) return cudaSuccess;
          return cudaMemcpyAsync(base + static_cast<size_t>(copy.to) * size, base + static_cast<size_t>(copy.from) * size,
                                 size * sizeof(float), cudaMemcpyDeviceToDevice, rank->stream);
        };
        CORTEX_CUDA(move(layer.conv, layer.spec.conv_elements), "copying states");
        CORTEX_CUDA(move(layer.delta, layer.spec.delta_elements), "copying states");
      }
    }
  }
  return {};
}

// Never in the driver: a device that hangs must not take this thread with it.
Status Model::wait(double& device_ns) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const cudaError_t error = cudaEventQuery(end_);
    if (error == cudaSuccess) break;
    if (error != cudaErrorNotReady) CORTEX_CUDA(error, "waiting for a step");
    const auto waited = std::chrono::steady_clock::now() - start;
    if (waited > longest_step) {
      return failure(Code::device_lost, format_text("a step runs for more than %lld s", static_cast<long long>(longest_step.count())));
    }
    if (waited > spin_time) std::this_thread::sleep_for(nap);
  }
  float milliseconds = 0;
  CORTEX_CUDA(cudaEventElapsedTime(&milliseconds, begin_, end_), "timing a step");
  device_ns = static_cast<double>(milliseconds) * 1e6;
  return {};
}

}  // namespace cortex
