// What a call of the CUDA runtime answered, as a status.
#pragma once

#include <cuda_runtime.h>

#include <cortex/runtime/status.h>

namespace cortex {

// Errors after which nothing in this process reaches the device any more, until its context is made anew.
constexpr bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
    case cudaErrorInvalidValue:
    case cudaErrorMemoryAllocation:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidDevice:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorNotReady:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorPeerAccessAlreadyEnabled:
    case cudaErrorNotSupported:
    case cudaErrorStreamCaptureUnsupported:
    case cudaErrorStreamCaptureInvalidated:
      return false;
    default:
      return true;
  }
}

// `what` is what was being done, such as "allocating weights".
inline Status cuda_status(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return {};
  const Code code = error == cudaErrorMemoryAllocation ? Code::out_of_memory
                    : is_sticky(error)                 ? Code::device_lost
                                                       : Code::program_invalid;
  // Out of memory says what was wanted, not how it failed.
  if (code == Code::out_of_memory) return failure(code, what);
  return failure(code, format_text("%s (%s) while %s", cudaGetErrorString(error), cudaGetErrorName(error), what));
}

}  // namespace cortex

// Ends the function with the failure of a call; forgets the error where it does not stick.
#define CORTEX_CUDA(call, what)                                                  \
  do {                                                                           \
    if (const cudaError_t answer_ = (call); answer_ != cudaSuccess) {            \
      static_cast<void>(cudaGetLastError());                                     \
      return ::cortex::cuda_status(answer_, what);                               \
    }                                                                            \
  } while (false)
