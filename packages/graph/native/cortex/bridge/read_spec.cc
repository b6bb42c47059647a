#include "read_spec.h"

#include <cmath>

namespace cortex::bridge {

namespace {

// Whole numbers that a double holds exactly; -1, which no field may be, for anything else.
int64_t whole(double value) {
  return std::isfinite(value) && value == std::floor(value) && std::fabs(value) < 0x1p53 ? static_cast<int64_t>(value) : -1;
}

std::vector<int32_t> int32s(const Napi::Object& object, const char* name) {
  const auto array = object.Get(name).As<Napi::Int32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

int integer(const Napi::Object& object, const char* name) { return object.Get(name).As<Napi::Number>().Int32Value(); }

ProgramSpec read_program(const Napi::Object& object) {
  ProgramSpec program{};
  program.rank = integer(object, "rank");
  program.words = int32s(object, "words");
  program.arena_elements = whole(object.Get("arenaElements").As<Napi::Number>().DoubleValue());
  program.vocab = integer(object, "vocab");
  const std::vector<int32_t> tensors = int32s(object, "tensors");
  for (size_t i = 0; i + 4 <= tensors.size(); i += 4) {
    program.tensors.push_back(
        {static_cast<matmul::Format>(tensors[i]), tensors[i + 1], tensors[i + 2], tensors[i + 3] != 0});
  }
  const std::vector<int32_t> kv = int32s(object, "kv");
  for (size_t i = 0; i + 2 <= kv.size(); i += 2) program.kv.push_back({kv[i], kv[i + 1]});
  const std::vector<int32_t> state = int32s(object, "state");
  for (size_t i = 0; i + 2 <= state.size(); i += 2) program.state.push_back({state[i], state[i + 1]});
  return program;
}

}  // namespace

LoadSpec read_spec(const Napi::Object& object) {
  LoadSpec spec{};
  const auto programs = object.Get("programs").As<Napi::Array>();
  for (uint32_t i = 0; i < programs.Length(); ++i) spec.programs.push_back(read_program(programs.Get(i).As<Napi::Object>()));
  std::vector<int32_t> limits = int32s(object, "limits");
  limits.resize(14);
  spec.limits = {limits[0], limits[1], limits[2], limits[3], limits[4], limits[5], limits[6], limits[7], limits[8] != 0,
                 limits[9], limits[10], limits[11], limits[12], limits[13]};
  const auto offsets = object.Get("offsets").As<Napi::Float64Array>();
  int64_t values[step_offset_count];
  for (size_t i = 0; i < step_offset_count; ++i) values[i] = i < offsets.ElementLength() ? whole(offsets[i]) : -1;
  static_assert(sizeof values == sizeof spec.offsets);
  __builtin_memcpy(&spec.offsets, values, sizeof values);
  spec.step_words = whole(object.Get("stepWords").As<Napi::Number>().DoubleValue());
  spec.kv_format = static_cast<KvFormat>(integer(object, "kvFormat"));
  spec.threads = integer(object, "threads");
  spec.devices = int32s(object, "devices");
  spec.kernels = object.Get("kernels").As<Napi::String>();
  return spec;
}

}  // namespace cortex::bridge
