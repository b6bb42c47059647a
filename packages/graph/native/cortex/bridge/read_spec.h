// The model spec out of JavaScript values. The arrays are made by src/native/native-spec.ts; what they say is proven as a model is loaded.
#pragma once

#include <napi.h>

#include "../program/load_spec.h"

namespace cortex::bridge {

LoadSpec read_spec(const Napi::Object& object);

}  // namespace cortex::bridge
