// Names to functions; src/binding.ts has their types.
#include <napi.h>

#include "bridge/model.h"
#include "bridge/quantise.h"

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  namespace bridge = cortex::bridge;
  exports.Set("createDevice", Napi::Function::New(env, bridge::create_device));
  exports.Set("closeDevice", Napi::Function::New(env, bridge::close_device));
  exports.Set("load", Napi::Function::New(env, bridge::load));
  exports.Set("measure", Napi::Function::New(env, bridge::measure));
  exports.Set("upload", Napi::Function::New(env, bridge::upload));
  exports.Set("seal", Napi::Function::New(env, bridge::seal));
  exports.Set("step", Napi::Function::New(env, bridge::step));
  exports.Set("unload", Napi::Function::New(env, bridge::unload));
  exports.Set("readBandwidth", Napi::Function::New(env, bridge::read_bandwidth));
  exports.Set("probe", Napi::Function::New(env, bridge::probe));
  exports.Set("quantisedRowBytes", Napi::Function::New(env, bridge::quantised_row_bytes));
  exports.Set("convertWeights", Napi::Function::New(env, bridge::convert_weights));
  return exports;
}

}  // namespace

NODE_API_MODULE(cortex_cpu, initialise)
