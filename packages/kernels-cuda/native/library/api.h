// What the library gives whoever opens it: one function that answers a table of functions, in plain C, so that it may be built
// by another compiler than the addon that opens it.
#pragma once

#include <stddef.h>
#include <stdint.h>

extern "C" {

enum { cortex_cuda_api_version = 1 };

struct CortexCudaStatus {
  // As cortex::Status.
  int32_t code;
  int32_t instruction;
  double want_bytes;
  double have_bytes;
  char message[400];
};

struct CortexCudaProgram {
  int32_t rank;
  const int32_t* words;
  size_t word_count;
  // Format, rows, columns, lookup of each.
  const int32_t* tensors;
  size_t tensor_count;
  // Heads and head dimension of each.
  const int32_t* kv;
  size_t kv_count;
  // Elements of the convolution window and of the matrices of each.
  const int32_t* state;
  size_t state_count;
  int64_t arena_elements;
  int32_t vocab;
};

struct CortexCudaSpec {
  const CortexCudaProgram* programs;
  size_t program_count;
  // Of each program.
  const int32_t* devices;
  // In the order of cortex::Limits.
  const int32_t* limits;
  // In the order of cortex::StepOffsets.
  const int64_t* offsets;
  int64_t step_words;
  int32_t kv_format;
};

struct CortexCudaMemory {
  double weight_bytes;
  double kv_bytes;
  double state_bytes;
  double activation_bytes;
};

struct CortexCudaDevice {
  char name[256];
  double memory_bytes;
  double free_bytes;
  int32_t capability;
  int32_t processors;
};

struct CortexCudaModel;

struct CortexCudaApi {
  int32_t version;
  // Whether a driver has to be there before anything else is called.
  int32_t needs_driver;
  // Fills at most `capacity` codes of the ops that are here and returns how many there are.
  size_t (*ops)(int32_t* codes, size_t capacity);
  // Fills at most `capacity` devices and says how many there are.
  CortexCudaStatus (*devices)(CortexCudaDevice* devices, size_t capacity, size_t* count);
  // `memory` has one entry for each program.
  CortexCudaStatus (*measure)(const CortexCudaSpec* spec, CortexCudaMemory* memory);
  CortexCudaStatus (*load)(const CortexCudaSpec* spec, int32_t* step_words, CortexCudaMemory* memory, CortexCudaModel** model);
  CortexCudaStatus (*upload)(CortexCudaModel* model, int32_t rank, int32_t tensor, int64_t row_start, const uint8_t* bytes, size_t size);
  CortexCudaStatus (*seal)(CortexCudaModel* model);
  CortexCudaStatus (*step)(CortexCudaModel* model, double* device_ns);
  void (*free_model)(CortexCudaModel* model);
  // Null but in the emulated library: sets and asks what tests want to, by a line of words.
  double (*control)(const char* command);
};

__attribute__((visibility("default"))) const CortexCudaApi* cortex_cuda_api(void);
}
