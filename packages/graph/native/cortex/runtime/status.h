// What a native call answers: never an exception, never an abort. TypeScript turns it into a typed error.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

namespace cortex {

// Order known to src/native/native-error.ts. After device_lost nothing of the device works any more.
enum class Code : int {
  ok = 0,
  program_invalid = 1,
  step_invalid = 2,
  upload_invalid = 3,
  out_of_memory = 4,
  disposed = 5,
  device_lost = 6,
  file_invalid = 7
};

struct Status {
  Code code = Code::ok;
  // program_invalid: instruction, -1 for the program as a whole. file_invalid: index of the file.
  int instruction = -1;
  // out_of_memory: bytes.
  double want_bytes = 0;
  double have_bytes = 0;
  std::string message;

  bool ok() const { return code == Code::ok; }
};

__attribute__((format(printf, 1, 2))) inline std::string format_text(const char* format, ...) {
  char text[384];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return text;
}

inline Status failure(Code code, std::string message, int instruction = -1) {
  Status status;
  status.code = code;
  status.instruction = instruction;
  status.message = std::move(message);
  return status;
}

}  // namespace cortex
