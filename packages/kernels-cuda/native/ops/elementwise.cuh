// Ops that compute each element from the same element of their inputs.
#pragma once

#include <cuda_runtime.h>

#include "../device/launch.h"
#include "../device/worker.h"
#include "../ptx/order.h"

namespace cortex {

// [rows, n] windows; b is null for ops of one input.
struct Elements {
  const float* a;
  const float* b;
  float* y;
  int64_t a_stride;
  int64_t b_stride;
  int64_t y_stride;
  const int32_t* count;
  int n;
};

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float silu(float x) { return x * sigmoid(x); }

inline constexpr int elementwise_threads = 256;

// A thread has `width` columns side by side: one 16-byte access where everything is aligned for it.
template <int width, typename Function>
__global__ void __launch_bounds__(elementwise_threads) elementwise_kernel(Elements e, Function function) {
  ptx::let_successor_start();
  ptx::wait_for_predecessor();
  const int row = static_cast<int>(blockIdx.y);
  const int column = static_cast<int>(blockIdx.x * elementwise_threads + threadIdx.x) * width;
  if (row >= *e.count || column >= e.n) return;
  const float* a = e.a + row * e.a_stride + column;
  const float* b = e.b == nullptr ? a : e.b + row * e.b_stride + column;
  float* y = e.y + row * e.y_stride + column;
  if constexpr (width == 4) {
    const float4 left = *reinterpret_cast<const float4*>(a);
    const float4 right = e.b == nullptr ? left : *reinterpret_cast<const float4*>(b);
    *reinterpret_cast<float4*>(y) = make_float4(function(left.x, right.x), function(left.y, right.y),
                                                function(left.z, right.z), function(left.w, right.w));
  } else {
    *y = function(*a, *b);
  }
}

// Whether four columns of a window are one aligned access.
inline bool has_quads(const Operand& operand) { return operand.offset % 4 == 0 && operand.stride % 4 == 0; }

// y = function(a, b); `function` is a value that kernels can carry.
template <typename Function>
void elementwise(const Instruction& in, Worker& worker, Function function) {
  const Operand& a = in.in[0];
  const bool two = in.in[1].present();
  const Operand& b = two ? in.in[1] : a;
  const Operand& y = in.out[0];
  const Elements elements{worker.at(a), two ? worker.at(b) : nullptr, worker.at(y), a.stride, b.stride, y.stride,
                          worker.step.counts + in.symbol, in.n};
  const bool quads = in.n % 4 == 0 && has_quads(a) && has_quads(b) && has_quads(y);
  const int columns = elementwise_threads * (quads ? 4 : 1);
  const dim3 grid(static_cast<unsigned>((in.n + columns - 1) / columns), static_cast<unsigned>(worker.rows(in)));
  launch(worker, quads ? elementwise_kernel<4, Function> : elementwise_kernel<1, Function>, grid, dim3(elementwise_threads), 0,
         elements, function);
}

}  // namespace cortex
