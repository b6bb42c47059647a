#pragma once

#include <string>

namespace cortex::emulation {

// The plain name of a function, without its parameters; also of one that its file keeps to itself.
std::string symbol_name(const void* function);

}  // namespace cortex::emulation
