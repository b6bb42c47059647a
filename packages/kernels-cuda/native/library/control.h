// What differs between the library for devices and the emulated one.
#pragma once

#ifdef CORTEX_CUDA_EMULATED
inline constexpr int library_needs_driver = 0;
// `devices N` and `capability N` set what the devices are from the next load on; `seed N` begins the order of threads;
// `fail FUNCTION AFTER ERROR` makes a call fail; `forget` takes that back; `allocated DEVICE` answers bytes.
double library_control(const char* command);
#else
inline constexpr int library_needs_driver = 1;
inline constexpr double (*library_control)(const char*) = nullptr;
#endif
