#include "../library/control.h"

#include <sstream>
#include <string>

#include "runtime.h"

double library_control(const char* command) {
  using namespace cortex::emulation;
  std::istringstream words(command);
  std::string name;
  words >> name;
  Settings changed = settings();
  double value = 0;
  if (name == "fail") {
    std::string function;
    int after = 0;
    int error = 0;
    words >> function >> after >> error;
    fail_call(function, after, static_cast<cudaError_t>(error));
    return 0;
  }
  if (name == "forget") return forget_failures(), 0;
  words >> value;
  if (name == "allocated") return static_cast<double>(allocated_bytes(static_cast<int>(value)));
  if (name == "peak") return static_cast<double>(peak_bytes(static_cast<int>(value)));
  if (name == "devices") changed.devices = static_cast<int>(value);
  else if (name == "capability") changed.capability = static_cast<int>(value);
  else if (name == "memory") changed.memory_bytes = static_cast<std::size_t>(value);
  else if (name == "seed") changed.seed = static_cast<std::uint64_t>(value);
  else return -1;
  configure(changed);
  return 0;
}
