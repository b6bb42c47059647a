// Matrix instructions of a warp. Lane 4 g + t holds, of A [16, k]: rows g and g + 8; of B [k, 8]: column g; of C and D
// [16, 8]: rows g and g + 8, columns 2 t and 2 t + 1.
//   k 16, 16-bit floats: a[0], a[1]: rows g, g + 8, columns 2 t, 2 t + 1; a[2], a[3]: the same, columns + 8.
//                        b[0], b[1]: rows 2 t, 2 t + 1, and the same + 8.
//   k 32, int8:          a[0], a[1]: rows g, g + 8, columns 4 t .. 4 t + 3; a[2], a[3]: the same, columns + 16.
//                        b[0], b[1]: rows 4 t .. 4 t + 3, and the same + 16.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "memory.h"

#if defined(CORTEX_EMULATION)
#include "../emulation/ptx/mma.h"
#else

namespace cortex::ptx {

// d += a . b
__device__ __forceinline__ void mma_bfloat(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_half(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_int8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four 8 x 8 matrices of 16-bit elements from shared memory; lane 8 i + r gives the address of row r of matrix i. Lane
// 4 g + t receives in word i the elements 2 t and 2 t + 1 of row g of matrix i.
__device__ __forceinline__ void load_matrices(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same of the transposed matrices: elements g of rows 2 t and 2 t + 1.
__device__ __forceinline__ void load_matrices_transposed(uint32_t (&words)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(shared_address(row))
               : "memory");
}

}  // namespace cortex::ptx
#endif
