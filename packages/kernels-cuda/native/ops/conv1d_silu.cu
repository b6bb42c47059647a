#include "../device/launch.h"
#include "../device/operand_view.h"
#include "../ptx/convert.h"
#include "../ptx/order.h"
#include "../weights/layout.h"
#include "ops.h"

namespace cortex {

namespace {

constexpr int threads = 128;
constexpr int most_segments = 4;
// Tokens that a thread takes its channel through.
constexpr int chunk_tokens = 16;

// Kernels [channels, taps] in segments of channels; rows of at most max_conv_taps columns are never in blocks.
struct Kernels {
  Matrix segments[most_segments];
  Format formats[most_segments];
};

__device__ __forceinline__ float tap_of(const Matrix& matrix, Format format, int channel, int tap) {
  const uint8_t* row = matrix.codes + static_cast<size_t>(channel) * matrix.codes_stride;
  if (format == Format::F32) return reinterpret_cast<const float*>(row)[tap];
  const uint16_t bits = reinterpret_cast<const uint16_t*>(row)[tap];
  return format == Format::F16 ? ptx::half_to_float(bits) : ptx::bfloat_to_float(bits);
}

// A thread takes one channel through a chunk of a sequence's tokens. That of the first chunk alone reads the state, and writes
// it when it has.
template <int most_taps>
__global__ void __launch_bounds__(threads)
    conv1d_silu_kernel(StepView step, View x, View y, float* states, int state_elements, Kernels kernels, int channels, int taps) {
  const int column = static_cast<int>(blockIdx.x * threads + threadIdx.x);
  if (column >= channels) return;
  float kernel[most_taps];
  {
    int segment = 0;
    int channel = column;
    while (channel >= kernels.segments[segment].rows) channel -= kernels.segments[segment++].rows;
#pragma unroll
    for (int j = 0; j < most_taps; ++j) kernel[j] = j < taps ? tap_of(kernels.segments[segment], kernels.formats[segment], channel, j) : 0.0f;
  }
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int index = static_cast<int>(blockIdx.z);
  if (index >= step.counts[count::sequences]) return;
  const DeviceSequence sequence = step.sequences[index];
  const int first = static_cast<int>(blockIdx.y) * chunk_tokens;
  if (first >= sequence.rows) return;
  float* state = states + static_cast<int64_t>(sequence.slot) * state_elements + column;
  const bool is_new = sequence.length == sequence.rows;
  const int before = taps - 1;
  // window[j] is what tap j meets.
  float window[most_taps];
#pragma unroll
  for (int j = 0; j < most_taps; ++j) {
    if (j >= before) continue;
    const int token = first - before + j;
    if (token >= 0) window[j] = x.row(sequence.first_row + token)[column];
    else window[j] = is_new ? 0.0f : state[static_cast<int64_t>(before + token) * channels];
  }
  if (first == 0) {
    // The last inputs, some of which may be older than the step.
#pragma unroll
    for (int j = 0; j < most_taps; ++j) {
      if (j >= before) continue;
      const int token = sequence.rows - before + j;
      float value = 0.0f;
      if (token >= 0) {
        value = x.row(sequence.first_row + token)[column];
      } else {
#pragma unroll
        for (int past = 0; past < most_taps; ++past) {
          if (past == before + token) value = window[past];
        }
      }
      state[static_cast<int64_t>(j) * channels] = value;
    }
  }
  const int last = min(sequence.rows, first + chunk_tokens);
  for (int token = first; token < last; ++token) {
    const float input = x.row(sequence.first_row + token)[column];
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < most_taps; ++j) {
      if (j == before) window[j] = input;
      if (j < taps) sum += kernel[j] * window[j];
    }
    y.row(sequence.first_row + token)[column] = sum / (1.0f + expf(-sum));
#pragma unroll
    for (int j = 0; j + 1 < most_taps; ++j) window[j] = window[j + 1];
  }
}

}  // namespace

void cortex_conv1d_silu(const Instruction& in, Worker& worker) {
  const StateLayer& layer = worker.state[in.param(op::conv1d_silu::param::layer)];
  Kernels kernels{};
  for (int i = 0; i < most_segments && worker.has_tensor(in, i); ++i) {
    const Tensor& tensor = worker.tensor(in, i);
    kernels.segments[i] = matrix_at(tensor.spec.format, tensor.data, tensor.spec.rows, tensor.spec.cols);
    kernels.formats[i] = tensor.spec.format;
  }
  const int taps = kernels.segments[0].cols;
  const dim3 grid((in.n + threads - 1) / threads, (worker.max_sequence_rows + chunk_tokens - 1) / chunk_tokens, worker.sequences);
  launch(worker, taps <= 4 ? conv1d_silu_kernel<4> : conv1d_silu_kernel<max_conv_taps>, grid, dim3(threads), 0, worker.step,
         view_of(worker, in.in[0]), view_of(worker, in.out[0]), layer.conv, layer.spec.conv_elements, kernels, in.n, taps);
}

}  // namespace cortex
