// The model spec out of JavaScript values. The arrays are made by src/binding.ts; what they say is proven by Model::load.
#pragma once

#include <napi.h>

#include "../program/model_spec.h"

namespace cortex::bridge {

ModelSpec read_spec(const Napi::Object& object);

}  // namespace cortex::bridge
