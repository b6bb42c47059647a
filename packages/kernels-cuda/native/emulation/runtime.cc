#include "runtime.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "symbol_name.h"

struct cortex_emulated_graph {
  std::vector<std::function<cudaError_t()>> nodes;
};
struct cortex_emulated_graph_exec {
  std::vector<std::function<cudaError_t()>> nodes;
};
struct cortex_emulated_stream {
  int device;
  // What it records into instead of running.
  cortex_emulated_graph* capturing;
  bool began_capture;
};
struct cortex_emulated_event {
  std::chrono::steady_clock::time_point at;
  cortex_emulated_graph* captured_in;
};

namespace cortex::emulation {
namespace {

struct Allocation {
  std::size_t bytes;
  int device;
};

struct Injected {
  std::string function;
  int after;
  cudaError_t error;
};

struct Kernel {
  std::size_t most_shared = 48 * 1024;
};

// One lock for all of it: emulated devices are slow in any case.
struct Runtime {
  std::recursive_mutex mutex;
  Settings settings;
  std::map<const char*, Allocation> memory;
  std::map<const char*, std::size_t> host_memory;
  std::map<const void*, Kernel> kernels;
  std::map<int, std::size_t> allocated;
  std::map<int, std::size_t> peak;
  std::vector<cudaStream_t> streams;
  std::vector<Injected> injected;
  // By thread of the host.
  std::map<pthread_t, int> device;
  std::map<pthread_t, cudaError_t> last_error;
  cudaError_t stuck = cudaSuccess;
  std::string failure;
  std::uint64_t launches = 0;
};

Runtime& runtime() {
  static Runtime instance;
  return instance;
}

bool sticks(cudaError_t error) {
  return error == cudaErrorIllegalAddress || error == cudaErrorLaunchFailure || error == cudaErrorLaunchTimeout ||
         error == cudaErrorUnknown;
}

cudaError_t answer(cudaError_t error) {
  Runtime& r = runtime();
  if (error == cudaSuccess || error == cudaErrorNotReady) return error;
  r.last_error[pthread_self()] = error;
  if (sticks(error)) r.stuck = error;
  return error;
}

// What every call begins with.
cudaError_t enter(const char* function) {
  Runtime& r = runtime();
  for (auto i = r.injected.begin(); i != r.injected.end(); ++i) {
    if (i->function != function || --i->after > 0) continue;
    const cudaError_t error = i->error;
    r.injected.erase(i);
    return answer(error);
  }
  return r.stuck == cudaSuccess ? cudaSuccess : answer(r.stuck);
}

#define CORTEX_ENTER                                                  \
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);  \
  if (const cudaError_t error = enter(__func__); error != cudaSuccess) return error

int current_device() { return runtime().device[pthread_self()]; }

// Allocation that holds [at, at + bytes), else null.
const Allocation* find(const void* at, std::size_t bytes) {
  const auto& memory = runtime().memory;
  const char* begin = static_cast<const char*>(at);
  auto next = memory.upper_bound(begin);
  if (next == memory.begin()) return nullptr;
  --next;
  return begin + bytes <= next->first + next->second.bytes ? &next->second : nullptr;
}

bool touches_device(const void* at) { return find(at, 1) != nullptr; }

cudaError_t check_copy(const void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return cudaSuccess;
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device != touches_device(to) || from_device != touches_device(from)) {
    if (kind != cudaMemcpyDefault) return cudaErrorInvalidValue;
  }
  if (touches_device(to) && find(to, bytes) == nullptr) return cudaErrorIllegalAddress;
  if (touches_device(from) && find(from, bytes) == nullptr) return cudaErrorIllegalAddress;
  return cudaSuccess;
}

cudaError_t enqueue(cudaStream_t stream, std::function<cudaError_t()> work) {
  if (stream != nullptr && stream->capturing != nullptr) {
    stream->capturing->nodes.push_back(std::move(work));
    return cudaSuccess;
  }
  return answer(work());
}

cudaError_t enqueue_copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return enqueue(stream, [=] {
    const cudaError_t error = check_copy(to, from, bytes, kind);
    if (error == cudaSuccess) std::memmove(to, from, bytes);
    return error;
  });
}

}  // namespace

void configure(const Settings& given) {
  Runtime& r = runtime();
  const std::lock_guard<std::recursive_mutex> lock(r.mutex);
  r.settings = given;
  r.stuck = cudaSuccess;
  r.launches = 0;
  r.last_error.clear();
  r.failure.clear();
  r.peak.clear();
}

const Settings& settings() { return runtime().settings; }

void fail_call(const std::string& function, int after, cudaError_t error) {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  runtime().injected.push_back({function, after, error});
}

void forget_failures() {
  Runtime& r = runtime();
  const std::lock_guard<std::recursive_mutex> lock(r.mutex);
  r.injected.clear();
  r.stuck = cudaSuccess;
  r.last_error.clear();
  r.failure.clear();
}

std::size_t allocated_bytes(int device) {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  return runtime().allocated[device];
}

std::size_t peak_bytes(int device) {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  return runtime().peak[device];
}

std::string last_failure() {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  return runtime().failure;
}

cudaError_t launch_kernel(const cudaLaunchConfig_t& config, const void* function, std::function<void()> body) {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaLaunchKernelEx"); error != cudaSuccess) return error;
  const dim3 grid = config.gridDim;
  const dim3 block = config.blockDim;
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || threads == 0 ||
      threads > Block::max_threads || block.z > 64) {
    return answer(cudaErrorInvalidConfiguration);
  }
  if (config.dynamicSmemBytes > runtime().kernels[function].most_shared) return answer(cudaErrorInvalidValue);
  bool overlaps = false;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    overlaps |= config.attrs[i].id == cudaLaunchAttributeProgrammaticStreamSerialization &&
                config.attrs[i].val.programmaticStreamSerializationAllowed != 0;
  }
  return enqueue(config.stream, [=, shared = config.dynamicSmemBytes, body = std::move(body)] {
    Runtime& r = runtime();
    const Launch launch{symbol_name, function, {grid.x, grid.y, grid.z}, {block.x, block.y, block.z}, shared, overlaps,
                        [](const void* arguments) { (*static_cast<const std::function<void()>*>(arguments))(); }, &body,
                        r.settings.seed * 0x2545f4914f6cdd1du + ++r.launches};
    const std::string failure = cortex::emulation::run(launch);
    if (failure.empty()) return cudaSuccess;
    r.failure = failure;
    std::fprintf(stderr, "emulated kernel: %s\n", failure.c_str());
    return cudaErrorLaunchFailure;
  });
}

cudaError_t set_attribute(const void* function, cudaFuncAttribute attribute, int value) {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  if (const cudaError_t error = enter("cudaFuncSetAttribute"); error != cudaSuccess) return error;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, current_device());
  if (value < 0 || static_cast<std::size_t>(value) > properties.sharedMemPerBlockOptin) return answer(cudaErrorInvalidValue);
  runtime().kernels[function].most_shared = std::max<std::size_t>(48 * 1024, static_cast<std::size_t>(value));
  return cudaSuccess;
}

cudaError_t get_attributes(cudaFuncAttributes* attributes, const void*) {
  *attributes = {0, 0, Block::max_threads, 32};
  return cudaSuccess;
}

cudaError_t occupancy(int* blocks, int threads, std::size_t shared_bytes) {
  const int by_threads = 2048 / std::max(1, threads);
  const int by_shared = shared_bytes == 0 ? 32 : static_cast<int>(std::size_t{100} * 1024 / shared_bytes);
  *blocks = std::min({by_threads, by_shared, 32});
  return cudaSuccess;
}

}  // namespace cortex::emulation

using namespace cortex::emulation;

cudaError_t cudaGetLastError() {
  const std::lock_guard<std::recursive_mutex> lock(runtime().mutex);
  const cudaError_t error = cudaPeekAtLastError();
  runtime().last_error.erase(pthread_self());
  return error;
}
cudaError_t cudaPeekAtLastError() {
  Runtime& r = runtime();
  const std::lock_guard<std::recursive_mutex> lock(r.mutex);
  if (r.stuck != cudaSuccess) return r.stuck;
  const auto found = r.last_error.find(pthread_self());
  return found == r.last_error.end() ? cudaSuccess : found->second;
}
const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInitializationError: return "cudaErrorInitializationError";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorLaunchOutOfResources: return "cudaErrorLaunchOutOfResources";
    case cudaErrorLaunchTimeout: return "cudaErrorLaunchTimeout";
    case cudaErrorPeerAccessAlreadyEnabled: return "cudaErrorPeerAccessAlreadyEnabled";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorNotPermitted: return "cudaErrorNotPermitted";
    case cudaErrorNotSupported: return "cudaErrorNotSupported";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorUnknown: return "cudaErrorUnknown";
  }
  return "an unknown error";
}
const char* cudaGetErrorString(cudaError_t error) { return cudaGetErrorName(error); }
cudaError_t cudaDriverGetVersion(int* version) { CORTEX_ENTER; return *version = 13000, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* version) { CORTEX_ENTER; return *version = 13000, cudaSuccess; }

cudaError_t cudaGetDeviceCount(int* count) {
  CORTEX_ENTER;
  *count = settings().devices;
  return *count == 0 ? answer(cudaErrorNoDevice) : cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  CORTEX_ENTER;
  if (device < 0 || device >= settings().devices) return answer(cudaErrorInvalidDevice);
  runtime().device[pthread_self()] = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) { CORTEX_ENTER; return *device = current_device(), cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  CORTEX_ENTER;
  if (device < 0 || device >= settings().devices) return answer(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated device %d", device);
  properties->totalGlobalMem = settings().memory_bytes;
  properties->sharedMemPerBlock = 48 * 1024;
  // The least of all targets.
  properties->sharedMemPerBlockOptin = 99 * 1024;
  properties->sharedMemPerMultiprocessor = 100 * 1024;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = Block::max_threads;
  properties->major = settings().capability / 10;
  properties->minor = settings().capability % 10;
  properties->multiProcessorCount = settings().processors;
  properties->l2CacheSize = 4 << 20;
  properties->memoryBusWidth = 128;
  properties->pciBusID = device + 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) return error;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(properties.sharedMemPerBlockOptin); break;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaDeviceReset() {
  forget_failures();
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  CORTEX_ENTER;
  *total = settings().memory_bytes;
  *free = *total - std::min(*total, runtime().allocated[current_device()]);
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  CORTEX_ENTER;
  return *can = device != peer, cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { CORTEX_ENTER; return cudaSuccess; }

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  CORTEX_ENTER;
  Runtime& r = runtime();
  const int device = current_device();
  *memory = nullptr;
  if (bytes == 0) return cudaSuccess;
  if (r.allocated[device] + bytes > r.settings.memory_bytes) return answer(cudaErrorMemoryAllocation);
  // Its exact size: the address sanitizer sees what lies beyond.
  void* data = nullptr;
  if (posix_memalign(&data, 256, bytes) != 0) return answer(cudaErrorMemoryAllocation);
  std::memset(data, 0xff, bytes);
  r.memory[static_cast<char*>(data)] = {bytes, device};
  r.allocated[device] += bytes;
  r.peak[device] = std::max(r.peak[device], r.allocated[device]);
  *memory = data;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  CORTEX_ENTER;
  if (memory == nullptr) return cudaSuccess;
  Runtime& r = runtime();
  const auto found = r.memory.find(static_cast<char*>(memory));
  if (found == r.memory.end()) return answer(cudaErrorInvalidValue);
  r.allocated[found->second.device] -= found->second.bytes;
  r.memory.erase(found);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** memory, std::size_t bytes, unsigned) {
  CORTEX_ENTER;
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  if (*memory == nullptr) return answer(cudaErrorMemoryAllocation);
  runtime().host_memory[static_cast<char*>(*memory)] = bytes;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) { return cudaHostAlloc(memory, bytes, cudaHostAllocDefault); }
cudaError_t cudaFreeHost(void* memory) {
  CORTEX_ENTER;
  if (memory == nullptr) return cudaSuccess;
  if (runtime().host_memory.erase(static_cast<char*>(memory)) == 0) return answer(cudaErrorInvalidValue);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* memory, std::size_t bytes, unsigned) {
  CORTEX_ENTER;
  return memory == nullptr || bytes == 0 ? answer(cudaErrorInvalidValue) : cudaSuccess;
}
cudaError_t cudaHostUnregister(void*) { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  CORTEX_ENTER;
  return enqueue_copy(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  CORTEX_ENTER;
  return enqueue_copy(to, from, bytes, kind, stream);
}
cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                              std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  CORTEX_ENTER;
  if (width > to_pitch || width > from_pitch) return answer(cudaErrorInvalidValue);
  for (std::size_t row = 0; row < height; ++row) {
    const cudaError_t error = enqueue_copy(static_cast<char*>(to) + row * to_pitch,
                                           static_cast<const char*>(from) + row * from_pitch, width, kind, stream);
    if (error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes, cudaStream_t stream) {
  CORTEX_ENTER;
  return enqueue_copy(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemset(void* to, int value, std::size_t bytes) { return cudaMemsetAsync(to, value, bytes, nullptr); }
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  CORTEX_ENTER;
  return enqueue(stream, [=] {
    if (bytes > 0 && find(to, bytes) == nullptr) return cudaErrorIllegalAddress;
    std::memset(to, value, bytes);
    return cudaSuccess;
  });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  CORTEX_ENTER;
  *stream = new cortex_emulated_stream{current_device(), nullptr, false};
  runtime().streams.push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  CORTEX_ENTER;
  if (std::erase(runtime().streams, stream) == 0) return answer(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  CORTEX_ENTER;
  return stream != nullptr && stream->capturing != nullptr ? answer(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  CORTEX_ENTER;
  if (event->captured_in != nullptr && stream->capturing == nullptr) stream->capturing = event->captured_in;
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  CORTEX_ENTER;
  return enqueue(stream, [=] { return function(data), cudaSuccess; });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  CORTEX_ENTER;
  *event = new cortex_emulated_event{};
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  CORTEX_ENTER;
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  CORTEX_ENTER;
  event->captured_in = stream != nullptr ? stream->capturing : nullptr;
  return enqueue(stream, [=] { return event->at = std::chrono::steady_clock::now(), cudaSuccess; });
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaEventQuery(cudaEvent_t) { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  CORTEX_ENTER;
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - begin->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  CORTEX_ENTER;
  if (stream == nullptr || stream->capturing != nullptr) return answer(cudaErrorStreamCaptureUnsupported);
  stream->capturing = new cortex_emulated_graph{};
  stream->began_capture = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  CORTEX_ENTER;
  if (stream == nullptr || !stream->began_capture) return answer(cudaErrorInvalidValue);
  *graph = stream->capturing;
  for (cudaStream_t other : runtime().streams) {
    if (other->capturing == *graph) other->capturing = nullptr;
  }
  stream->began_capture = false;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  CORTEX_ENTER;
  *status = stream != nullptr && stream->capturing != nullptr ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  CORTEX_ENTER;
  *exec = new cortex_emulated_graph_exec{graph->nodes};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  CORTEX_ENTER;
  for (const auto& node : exec->nodes) {
    if (const cudaError_t error = enqueue(stream, node); error != cudaSuccess) return error;
  }
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { CORTEX_ENTER; return cudaSuccess; }
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void*, std::size_t* count) {
  CORTEX_ENTER;
  return *count = graph->nodes.size(), cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  CORTEX_ENTER;
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  CORTEX_ENTER;
  delete graph;
  return cudaSuccess;
}
