#include <cstddef>
#include <cstdint>

#include <cortex/generated/opcodes.h>
#include "kernels.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
#include <immintrin.h>

namespace cortex::avx512_kernels {
namespace {

#include "half.h"

#include "vector_avx512.h"

#include "exp.h"

// Register tile of attention: queries by vectors of columns.
constexpr int attend_rows = 6;
constexpr int attend_vectors = 4;
// Columns of a state that go through its rows together, in vectors.
constexpr int delta_vectors = 4;

static void scale(const float* x, float factor, int n, float* y);

#include "attend.h"

#include "body.h"

}  // namespace

const Kernels* table() { return make_table("avx512"); }

}  // namespace cortex::avx512_kernels
#endif
