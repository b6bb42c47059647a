// What the emulation promises, each promise with the kernel that breaks it. Prints one line per check; the last says how many
// failed.
#include <cstdio>
#include <random>
#include <vector>

#include "../ptx/convert.h"
#include "../ptx/memory.h"
#include "../ptx/mma.h"
#include "../ptx/order.h"
#include "runtime.h"

namespace {

using namespace cortex;

int failures = 0;

void check(bool holds, const char* what) {
  std::printf("%s %s\n", holds ? "ok    " : "not ok", what);
  failures += holds ? 0 : 1;
}

template <typename... P, typename... A>
cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, bool overlaps, A&&... arguments) {
  cudaLaunchAttribute attribute{cudaLaunchAttributeProgrammaticStreamSerialization, {}};
  attribute.val.programmaticStreamSerializationAllowed = 1;
  const cudaLaunchConfig_t config{grid, block, shared, nullptr, &attribute, overlaps ? 1u : 0u};
  return cudaLaunchKernelEx(&config, kernel, std::forward<A>(arguments)...);
}

template <typename T>
struct Device {
  T* data = nullptr;
  std::size_t count;
  explicit Device(std::size_t count) : count(count) { cudaMalloc(&data, count * sizeof(T)); }
  ~Device() { cudaFree(data); }
  std::vector<T> read() const {
    std::vector<T> host(count);
    cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost);
    return host;
  }
  void write(const std::vector<T>& host) { cudaMemcpy(data, host.data(), count * sizeof(T), cudaMemcpyHostToDevice); }
};

// Each thread reads what its neighbour wrote.
template <bool with_barrier>
__global__ void neighbour(int* out) {
  __shared__ int values[64];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncthreads();
  out[threadIdx.x] = values[(threadIdx.x + 1) % 64];
}

bool neighbours_right(const std::vector<int>& values) {
  for (int i = 0; i < 64; ++i) {
    if (values[static_cast<std::size_t>(i)] != (i + 1) % 64) return false;
  }
  return true;
}

// A tree sum of one warp that needs a barrier of the warp at each level.
template <bool with_barrier>
__global__ void tree(int* out) {
  int* values = ptx::dynamic_shared<int>();
  const int lane = static_cast<int>(threadIdx.x);
  values[lane] = lane;
  for (int width = 16; width > 0; width /= 2) {
    if (with_barrier) __syncwarp();
    if (lane < width) values[lane] += values[lane + width];
  }
  if (lane == 0) *out = values[0];
}

// The values that the block before left behind.
__global__ void unwritten(float* out) {
  __shared__ float fixed[8];
  float* dynamic = ptx::dynamic_shared<float>();
  if (blockIdx.x == 0) fixed[threadIdx.x] = dynamic[threadIdx.x] = 1.0f;
  __syncthreads();
  if (blockIdx.x == 1) out[threadIdx.x] = fixed[threadIdx.x] + dynamic[threadIdx.x];
}

__global__ void divergent() {
  if (threadIdx.x < 5) __syncthreads();
  else __syncwarp();
  if (threadIdx.x >= 5) __syncthreads();
}

__global__ void forsaken() {
  if (threadIdx.x != 3) __shfl_xor_sync(0xffffffffu, 1, 1);
  else __syncthreads();
}

__global__ void shuffles(int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  int* mine = out + lane * 8;
  mine[0] = __shfl_xor_sync(0xffffffffu, lane, 5);
  mine[1] = __shfl_down_sync(0xffffffffu, lane, 3);
  mine[2] = __shfl_up_sync(0xffffffffu, lane, 3);
  mine[3] = __shfl_sync(0xffffffffu, lane, 9, 8);
  mine[4] = static_cast<int>(__ballot_sync(0xffffffffu, lane % 3 == 0));
  mine[5] = __any_sync(0xffffffffu, lane == 31);
  mine[6] = __all_sync(0xffffffffu, lane < 31);
  // Half of the warp goes its own way.
  mine[7] = lane < 16 ? __shfl_xor_sync(0x0000ffffu, lane, 1) : __shfl_xor_sync(0xffff0000u, lane, 2);
}

bool shuffles_right(const std::vector<int>& values) {
  for (int lane = 0; lane < 32; ++lane) {
    const int* mine = &values[static_cast<std::size_t>(lane) * 8];
    unsigned thirds = 0;
    for (int i = 0; i < 32; i += 3) thirds |= 1u << i;
    if (mine[0] != (lane ^ 5) || mine[1] != (lane + 3 < 32 ? lane + 3 : lane) || mine[2] != (lane < 3 ? lane : lane - 3) ||
        mine[3] != lane / 8 * 8 + 1 || mine[4] != static_cast<int>(thirds) || mine[5] != 1 || mine[6] != 0 ||
        mine[7] != (lane ^ (lane < 16 ? 1 : 2))) {
      return false;
    }
  }
  return true;
}

template <bool with_wait>
__global__ void copied(const float* from, float* to) {
  float* shared = ptx::dynamic_shared<float>();
  ptx::copy16_async(shared + 4 * threadIdx.x, from + 4 * threadIdx.x, threadIdx.x == 31 ? 8 : 16);
  ptx::copies_commit();
  if (with_wait) ptx::copies_wait<0>();
  __syncthreads();
  for (int i = 0; i < 4; ++i) to[threadIdx.x + 32 * i] = shared[threadIdx.x + 32 * i];
}

template <bool waits>
__global__ void overlapping(int* out) {
  if (waits) ptx::wait_for_predecessor();
  *out = 1;
}

// C = A . B through ldmatrix; A [16, 16], B [16, 8], row-major in shared memory.
template <bool bfloat>
__global__ void product16(const uint16_t* a, const uint16_t* b, float* c) {
  __shared__ __align__(16) uint16_t shared_a[16][16];
  __shared__ __align__(16) uint16_t shared_b[16][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) shared_a[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) shared_b[i / 8][i % 8] = b[i];
  __syncwarp();
  uint32_t fragment_a[4];
  uint32_t both_b[4];
  // Matrices in the order of the A words: rows 0 and 8 of columns 0, then of columns 8.
  ptx::load_matrices(fragment_a, &shared_a[lane % 16][lane / 16 * 8]);
  ptx::load_matrices_transposed(both_b, &shared_b[lane % 16][0]);
  const uint32_t fragment_b[2] = {both_b[0], both_b[1]};
  float d[4] = {0.5f, 0.5f, 0.5f, 0.5f};
  if (bfloat) ptx::mma_bfloat(d, fragment_a, fragment_b);
  else ptx::mma_half(d, fragment_a, fragment_b);
  for (int i = 0; i < 4; ++i) c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}

// A [16, 32], B [8, 32]: the columns of B one after another.
__global__ void product8(const int8_t* a, const int8_t* b, int* c) {
  const int lane = static_cast<int>(threadIdx.x);
  const int group = lane / 4;
  const int first = lane % 4 * 4;
  uint32_t fragment_a[4];
  uint32_t fragment_b[2];
  for (int i = 0; i < 4; ++i) std::memcpy(&fragment_a[i], a + (group + i % 2 * 8) * 32 + first + i / 2 * 16, 4);
  for (int i = 0; i < 2; ++i) std::memcpy(&fragment_b[i], b + group * 32 + first + i * 16, 4);
  int d[4] = {7, 7, 7, 7};
  ptx::mma_int8(d, fragment_a, fragment_b);
  for (int i = 0; i < 4; ++i) c[(group + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
}

template <bool bfloat>
bool product16_right() {
  std::mt19937 random(3);
  std::vector<uint16_t> a(256), b(128);
  std::vector<float> want(128, 0.5f);
  const auto bits = [](float x) { return bfloat ? ptx::float_to_bfloat(x) : ptx::float_to_half(x); };
  const auto value = [](uint16_t x) { return bfloat ? ptx::bfloat_to_float(x) : ptx::half_to_float(x); };
  for (auto& x : a) x = bits(static_cast<float>(static_cast<int>(random() % 33) - 16) / 8);
  for (auto& x : b) x = bits(static_cast<float>(static_cast<int>(random() % 33) - 16) / 8);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      for (std::size_t k = 0; k < 16; ++k) want[row * 8 + column] += value(a[row * 16 + k]) * value(b[k * 8 + column]);
    }
  }
  Device<uint16_t> device_a(256), device_b(128);
  Device<float> c(128);
  device_a.write(a);
  device_b.write(b);
  launch(product16<bfloat>, 1, 32, 0, false, device_a.data, device_b.data, c.data);
  return c.read() == want;
}

bool product8_right() {
  std::mt19937 random(4);
  std::vector<int8_t> a(512), b(256);
  std::vector<int> want(128, 7);
  for (auto& x : a) x = static_cast<int8_t>(random());
  for (auto& x : b) x = static_cast<int8_t>(random());
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t column = 0; column < 8; ++column) {
      for (std::size_t k = 0; k < 32; ++k) want[row * 8 + column] += a[row * 32 + k] * b[column * 32 + k];
    }
  }
  Device<int8_t> device_a(512), device_b(256);
  Device<int> c(128);
  device_a.write(a);
  device_b.write(b);
  launch(product8, 1, 32, 0, false, device_a.data, device_b.data, c.data);
  return c.read() == want;
}

bool halves_right() {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = ptx::half_to_float(half);
    if (std::isnan(value) ? (bits & 0x7fff) <= 0x7c00 : ptx::float_to_half(value) != half) return false;
    // Between this number and the next: the nearer one, the even one in the middle.
    const float next = ptx::half_to_float(static_cast<uint16_t>(half + 1));
    if ((bits & 0x7fff) >= 0x7bff) continue;
    const float middle = value + (next - value) / 2;
    if (ptx::float_to_half(middle) != ((half & 1) ? half + 1 : half)) return false;
    if (ptx::float_to_half(std::nextafter(middle, next)) != half + 1) return false;
  }
  return ptx::float_to_half(65520.0f) == 0x7c00 && ptx::float_to_bfloat(1.00390625f) == 0x3f80 &&
         ptx::float_to_bfloat(1.01171875f) == 0x3f82;
}

__global__ void count(int* out) { atomicAdd(out, 1); }

bool graph_right() {
  Device<int> counter(1);
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  cudaStreamCreate(&stream);
  cudaMemset(counter.data, 0, 4);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
  const cudaLaunchConfig_t config{2, 32, 0, stream, nullptr, 0};
  cudaLaunchKernelEx(&config, count, counter.data);
  cudaStreamEndCapture(stream, &graph);
  const bool recorded = counter.read()[0] == 0;
  cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphLaunch(exec, stream);
  cudaGraphLaunch(exec, stream);
  const bool replayed = counter.read()[0] == 128;
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
  return recorded && replayed;
}

bool failures_right() {
  void* memory = nullptr;
  emulation::fail_call("cudaMalloc", 2, cudaErrorMemoryAllocation);
  if (cudaMalloc(&memory, 16) != cudaSuccess || cudaFree(memory) != cudaSuccess) return false;
  if (cudaMalloc(&memory, 16) != cudaErrorMemoryAllocation || cudaGetLastError() != cudaErrorMemoryAllocation) return false;
  if (cudaGetLastError() != cudaSuccess) return false;
  emulation::fail_call("cudaLaunchKernelEx", 1, cudaErrorIllegalAddress);
  Device<int> counter(1);
  if (launch(count, 1, 1, 0, false, counter.data) != cudaErrorIllegalAddress) return false;
  const bool stuck = cudaStreamSynchronize(nullptr) == cudaErrorIllegalAddress;
  emulation::forget_failures();
  return stuck && cudaStreamSynchronize(nullptr) == cudaSuccess;
}

bool says(cudaError_t error, const char* what) {
  const bool right = error == cudaErrorLaunchFailure && emulation::last_failure().find(what) != std::string::npos;
  if (!right) std::printf("        it says: %s\n", emulation::last_failure().c_str());
  emulation::forget_failures();
  return right;
}

}  // namespace

int main() {
  int right = 0;
  int wrong = 0;
  int tree_right = 0;
  int tree_wrong = 0;
  for (int seed = 1; seed <= 16; ++seed) {
    emulation::Settings settings;
    settings.seed = static_cast<uint64_t>(seed);
    emulation::configure(settings);
    Device<int> out(64);
    launch(neighbour<true>, 1, 64, 0, false, out.data);
    right += neighbours_right(out.read());
    launch(neighbour<false>, 1, 64, 0, false, out.data);
    wrong += !neighbours_right(out.read());
    launch(tree<true>, 1, 32, 128, false, out.data);
    tree_right += out.read()[0] == 496;
    launch(tree<false>, 1, 32, 128, false, out.data);
    tree_wrong += out.read()[0] != 496;
  }
  check(right == 16, "a barrier of the block orders writes and reads under every seed");
  check(wrong == 16, "without the barrier the answer is wrong under every seed");
  check(tree_right == 16, "a barrier of the warp orders its lanes under every seed");
  check(tree_wrong == 16, "without it the answer is wrong under every seed");

  Device<float> poisoned(8);
  launch(unwritten, 2, 8, 32, false, poisoned.data);
  bool all = true;
  for (float value : poisoned.read()) all &= std::isnan(value);
  check(all, "shared memory is poison at the start of every block");

  check(says(launch(divergent, 1, 32, 0, false), "at the block barrier"), "a divergent barrier ends with names");
  check(says(launch(forsaken, 1, 32, 0, false), "forsaken"), "a lane that never comes ends with the kernel's name");
  Device<int> flag(1);
  check(says(launch(overlapping<false>, 1, 32, 0, true, flag.data), "never waits"), "a kernel that overlaps has to wait");
  check(launch(overlapping<true>, 1, 32, 0, true, flag.data) == cudaSuccess, "one that waits may overlap");

  Device<int> shuffled(256);
  launch(shuffles, 1, 32, 0, false, shuffled.data);
  check(shuffles_right(shuffled.read()), "shuffles and votes do what their names say");

  Device<float> from(128), to(128);
  std::vector<float> values(128);
  for (std::size_t i = 0; i < 128; ++i) values[i] = static_cast<float>(i) + 1;
  from.write(values);
  launch(copied<true>, 1, 32, 512, false, from.data, to.data);
  values[126] = values[127] = 0;
  check(to.read() == values, "asynchronous copies arrive, and what is not read becomes zero");
  launch(copied<false>, 1, 32, 512, false, from.data, to.data);
  check(std::isnan(to.read()[0]), "a copy that nobody waited for has not arrived");

  check(product16_right<true>(), "m16n8k16 of bfloat16 with ldmatrix equals plain loops");
  check(product16_right<false>(), "m16n8k16 of half floats with ldmatrix equals plain loops");
  check(product8_right(), "m16n8k32 of int8 equals plain loops");
  check(halves_right(), "every half float survives, and rounding is to nearest even");
  check(graph_right(), "a captured graph runs nothing when captured and all of it when launched");
  check(failures_right(), "errors can be injected; those that stick do");
  check(launch(tree<true>, 1, 32, 64 * 1024, false, flag.data) == cudaErrorInvalidValue, "much shared memory wants an attribute");
  check(emulation::allocated_bytes(0) > 0, "allocations are counted");
  std::printf("%d failed\n", failures);
  return failures == 0 ? 0 : 1;
}
