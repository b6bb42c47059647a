// Names to functions; @helexa/graph's src/native/binding.ts and src/binding.ts here have their types.
#include <napi.h>

#include <cortex/bridge/model.h>

#include "bridge/cpu_backend.h"
#include "bridge/machine.h"
#include "bridge/quantise.h"

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  namespace bridge = cortex::bridge;
  // One for the process: models of every environment may outlive the one that loaded them.
  static bridge::CpuBackend backend;
  bridge::export_models(env, exports, backend);
  exports.Set("readBandwidth", Napi::Function::New(env, bridge::read_bandwidth));
  exports.Set("probe", Napi::Function::New(env, bridge::probe));
  exports.Set("quantisedRowBytes", Napi::Function::New(env, bridge::quantised_row_bytes));
  exports.Set("convertWeights", Napi::Function::New(env, bridge::convert_weights));
  return exports;
}

}  // namespace

NODE_API_MODULE(cortex_cpu, initialise)
