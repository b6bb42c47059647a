// Runs recorded cases on a library of the kernels and holds its answers to those that came with them, without Node:
//
//   gpu_cases LIBRARY CASES    0: all within their bounds, 1: something is wrong, 69: no driver or no device
//   gpu_cases copy             measures how fast the device copies memory
//
// One line of JSON behind `@finding ` for each thing found.
#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../library/api.h"

namespace {

constexpr int unavailable = 69;
constexpr double logprob_bound = 1e-4;

int nothing_checked(const std::string& reason) {
  std::fprintf(stderr, "Nothing is checked: %s\n", reason.c_str());
  return unavailable;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return result + '"';
}

void tell(const std::string& what, const char* verdict, const std::string& text, const std::string& more = {}) {
  std::printf("@finding {\"what\":%s,\"verdict\":\"%s\",\"text\":%s%s}\n", quoted(what).c_str(), verdict, quoted(text).c_str(),
              more.c_str());
  std::fflush(stdout);
}

// A file of 32-bit words, read front to back. What lies beyond its end reads as nothing and is remembered.
class Words {
 public:
  bool open(const char* path) {
    std::FILE* file = std::fopen(path, "rb");
    if (!file) return false;
    std::fseek(file, 0, SEEK_END);
    words_.resize(static_cast<size_t>(std::ftell(file)) / 4);
    std::rewind(file);
    const bool is_whole = std::fread(words_.data(), 4, words_.size(), file) == words_.size();
    std::fclose(file);
    return is_whole;
  }
  const int32_t* take(size_t count) {
    if (count > words_.size() - at_) {
      is_short = true;
      return nullptr;
    }
    const int32_t* result = words_.data() + at_;
    at_ += count;
    return result;
  }
  int32_t number() {
    const int32_t* word = take(1);
    return word ? *word : 0;
  }
  // A count, then as many groups of `width` words.
  std::pair<const int32_t*, size_t> list(size_t width = 1) {
    const auto count = static_cast<size_t>(std::max(0, number()));
    const int32_t* words = take(count * width);
    return {words, words ? count : 0};
  }
  std::string text() {
    const auto bytes = static_cast<size_t>(std::max(0, number()));
    const int32_t* words = take((bytes + 3) / 4);
    return words ? std::string(reinterpret_cast<const char*>(words), bytes) : std::string();
  }
  float real() {
    const int32_t word = number();
    float value;
    std::memcpy(&value, &word, 4);
    return value;
  }

  bool is_short = false;

 private:
  std::vector<int32_t> words_;
  size_t at_ = 0;
};

// Places of a step's arrays that answers are read from: indices into the offsets of a spec.
struct Places {
  int64_t output, top_token, top_logprob, logits;
};

std::string failure_text(const CortexCudaStatus& status, const char* action) {
  return std::string(action) + " answers " + std::to_string(status.code) + " at instruction " + std::to_string(status.instruction) +
         ": " + status.message;
}

// Holds one step's answers to the wanted ones. Rows whose logits are flagged say nothing by their logits.
std::string compare(Words& file, const std::vector<int32_t>& step, const Places& places, float bound, double& worst) {
  const int rows = file.number();
  const int vocab = file.number();
  const int tops = file.number();
  const bool chooses = file.number() != 0;
  const auto count = static_cast<size_t>(rows);
  const auto* logits = reinterpret_cast<const float*>(file.take(count * vocab));
  const int32_t* flags = file.take(count);
  const int32_t* tokens = file.take(count);
  const auto* logprobs = reinterpret_cast<const float*>(file.take(count));
  const int32_t* top_tokens = file.take(count * tops);
  const auto* top_logprobs = reinterpret_cast<const float*>(file.take(count * tops));
  if (file.is_short) return "the file of cases ends early";
  const auto* reals = reinterpret_cast<const float*>(step.data());
  const auto is_close = [](float a, float b) { return a == b || std::fabs(a - b) <= logprob_bound; };
  for (int row = 0; row < rows; ++row) {
    const int32_t* output = step.data() + places.output + 4 * row;
    if (output[1] != flags[row]) return "row " + std::to_string(row) + " has flags " + std::to_string(output[1]);
    if (flags[row] == 0) {
      const float* have = reals + places.logits + static_cast<int64_t>(row) * vocab;
      const float* want = logits + static_cast<int64_t>(row) * vocab;
      double squares = 0, difference = 0;
      int columns = 0;
      for (int i = 0; i < vocab; ++i) {
        squares += static_cast<double>(want[i]) * want[i];
        columns += want[i] != 0;
        const double apart = std::fabs(static_cast<double>(have[i]) - want[i]);
        difference = std::isnan(apart) ? INFINITY : std::max(difference, apart);
      }
      if (difference > 0) worst = std::max(worst, difference / std::sqrt(squares / std::max(1, columns)));
    }
    if (!chooses) continue;
    if (output[0] != tokens[row])
      return "row " + std::to_string(row) + " chooses " + std::to_string(output[0]) + ", not " + std::to_string(tokens[row]);
    if (!is_close(reals[places.output + 4 * row + 2], logprobs[row])) return "row " + std::to_string(row) + " has another log-probability";
    for (int i = 0; i < tops; ++i)
      if (step[places.top_token + row * tops + i] != top_tokens[row * tops + i] ||
          !is_close(reals[places.top_logprob + row * tops + i], top_logprobs[row * tops + i]))
        return "row " + std::to_string(row) + " has other alternatives";
  }
  // Not a number compares false.
  return worst <= bound ? std::string() : "distance " + std::to_string(worst) + "; " + std::to_string(bound) + " is the bound";
}

// Runs the next case of the file; tells how it went and returns whether it was right. The file is read to its end either way.
bool run_case(const CortexCudaApi* api, Words& file) {
  const std::string name = file.text();
  const float bound = file.real();
  CortexCudaSpec spec{};
  spec.kv_format = file.number();
  spec.step_words = file.number();
  spec.limits = file.list().first;
  const auto [offset_words, offset_count] = file.list(2);
  std::vector<int64_t> offsets(offset_count);
  if (offset_words) std::memcpy(offsets.data(), offset_words, 8 * offset_count);
  spec.offsets = offsets.data();
  // In the order of the layout's fields, as the writer names them.
  const int32_t* indices = file.take(4);
  std::vector<CortexCudaProgram> programs(static_cast<size_t>(std::max(0, file.number())));
  for (CortexCudaProgram& program : programs) {
    program.rank = file.number();
    program.vocab = file.number();
    program.arena_elements = file.number();
    std::tie(program.words, program.word_count) = file.list();
    std::tie(program.tensors, program.tensor_count) = file.list(4);
    std::tie(program.kv, program.kv_count) = file.list(2);
    std::tie(program.state, program.state_count) = file.list(2);
  }
  if (file.is_short) {
    tell(name, "wrong", "the file of cases ends early");
    return false;
  }
  const Places places{offsets[indices[0]], offsets[indices[1]], offsets[indices[2]], offsets[indices[3]]};
  const std::vector<int32_t> devices(programs.size(), 0);
  spec.programs = programs.data();
  spec.program_count = programs.size();
  spec.devices = devices.data();
  std::vector<int32_t> step(static_cast<size_t>(spec.step_words));
  std::vector<CortexCudaMemory> memory(programs.size());
  CortexCudaModel* model = nullptr;
  std::string wrong;
  const auto check = [&](const CortexCudaStatus& status, const char* action) {
    if (status.code != 0 && wrong.empty()) wrong = failure_text(status, action);
    return wrong.empty();
  };
  check(api->load(&spec, step.data(), memory.data(), &model), "load");
  for (int uploads = file.number(); uploads > 0; --uploads) {
    const int rank = file.number(), tensor = file.number(), row = file.number(), bytes = file.number();
    const int32_t* data = file.take((static_cast<size_t>(bytes) + 3) / 4);
    if (data && wrong.empty())
      check(api->upload(model, rank, tensor, row, reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(bytes)), "upload");
  }
  if (wrong.empty()) check(api->seal(model), "seal");
  double worst = 0;
  const int steps = file.number();
  for (int index = 0; index < steps && !file.is_short; ++index) {
    for (int spans = file.number(); spans > 0 && !file.is_short; --spans) {
      const int at = file.number();
      const auto [words, count] = file.list();
      if (words) std::memcpy(step.data() + at, words, 4 * count);
    }
    double device_ns = 0;
    if (wrong.empty()) check(api->step(model, &device_ns), "step");
    const std::string different = compare(file, step, places, bound, worst);
    if (wrong.empty() && !different.empty()) wrong = "step " + std::to_string(index) + ": " + different;
  }
  if (model) api->free_model(model);
  if (file.is_short && wrong.empty()) wrong = "the file of cases ends early";
  char text[64];
  std::snprintf(text, sizeof text, "distance %.2e of %.1e", worst, bound);
  tell(name, wrong.empty() ? "ok" : "wrong", wrong.empty() ? text : wrong);
  return wrong.empty();
}

// The driver's functions that are called here; it is opened by name, so that this program starts where there is none.
struct Driver {
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);

  template <typename... Arguments>
  int call(const char* name, Arguments... arguments) const {
    const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(library, name));
    return function ? function(arguments...) : -1;
  }
  // Why no device can be used, or nothing.
  std::string problem() const {
    if (!library) return "no NVIDIA driver: libcuda.so.1 is not there";
    if (const int code = call("cuInit", 0u); code != 0) return "no NVIDIA driver: cuInit answers " + std::to_string(code);
    return {};
  }
};

int measure_copy() {
  const Driver driver;
  if (const std::string problem = driver.problem(); !problem.empty()) return nothing_checked(problem);
  constexpr size_t bytes = size_t{1} << 30;
  constexpr int rounds = 20;
  int device = 0;
  void* context = nullptr;
  void *begin = nullptr, *end = nullptr, *stream = nullptr;
  unsigned long long from = 0, to = 0;
  float milliseconds = 0;
  int code = driver.call("cuDeviceGet", &device, 0);
  const auto then = [&code](int next) { code = code ? code : next; };
  then(driver.call("cuDevicePrimaryCtxRetain", &context, device));
  then(driver.call("cuCtxSetCurrent", context));
  then(driver.call("cuMemAlloc_v2", &from, bytes));
  then(driver.call("cuMemAlloc_v2", &to, bytes));
  then(driver.call("cuMemsetD8_v2", from, static_cast<unsigned char>(1), bytes));
  then(driver.call("cuEventCreate", &begin, 0u));
  then(driver.call("cuEventCreate", &end, 0u));
  for (int round = 0; round < rounds + 2; ++round) {
    if (round == 2) then(driver.call("cuEventRecord", begin, stream));
    then(driver.call("cuMemcpyDtoDAsync_v2", to, from, bytes, stream));
  }
  then(driver.call("cuEventRecord", end, stream));
  then(driver.call("cuEventSynchronize", end));
  then(driver.call("cuEventElapsedTime", &milliseconds, begin, end));
  driver.call("cuMemFree_v2", from);
  driver.call("cuMemFree_v2", to);
  driver.call("cuDevicePrimaryCtxRelease_v2", device);
  if (code != 0) {
    tell("copy bandwidth", "wrong", "the driver answers " + std::to_string(code));
    return 1;
  }
  const double speed = 2.0 * bytes * rounds / (milliseconds * 1e-3) / 1e9;
  tell("copy bandwidth", "figure", "read and written together", ",\"measured\":{\"unit\":\"GB/s\",\"value\":" + std::to_string(speed) + "}");
  return 0;
}

int run_cases(const char* library_file, const char* cases_file) {
  void* library = dlopen(library_file, RTLD_NOW | RTLD_LOCAL);
  if (!library) return nothing_checked(dlerror());
  const auto answer = reinterpret_cast<const CortexCudaApi* (*)()>(dlsym(library, "cortex_cuda_api"));
  const CortexCudaApi* api = answer ? answer() : nullptr;
  if (!api || api->version != cortex_cuda_api_version) return nothing_checked("the library is none of this release");
  if (api->needs_driver)
    if (const std::string problem = Driver().problem(); !problem.empty()) return nothing_checked(problem);
  Words file;
  constexpr int32_t magic = 0x31435843;
  if (!file.open(cases_file) || file.number() != magic) return nothing_checked("'" + std::string(cases_file) + "' holds no cases");
  const int count = file.number();
  int wrong = 0;
  for (int i = 0; i < count; ++i) wrong += run_case(api, file) ? 0 : 1;
  std::printf("%d cases right, %d wrong\n", count - wrong, wrong);
  return wrong > 0 || count == 0 ? 1 : 0;
}

}  // namespace

int main(int count, char** words) {
  if (count == 2 && std::strcmp(words[1], "copy") == 0) return measure_copy();
  if (count == 3) return run_cases(words[1], words[2]);
  std::fprintf(stderr, "Usage: gpu_cases LIBRARY CASES | gpu_cases copy\n");
  return 2;
}
