#include <cstddef>
#include <cstdint>

#include <cortex/generated/opcodes.h>
#include "kernels.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include <immintrin.h>

namespace cortex::avx2_kernels {
namespace {

#include "half.h"

#include "vector_avx2.h"

#include "exp.h"

// Register tile of attention: queries by vectors of columns.
constexpr int attend_rows = 4;
constexpr int attend_vectors = 2;
// Columns of a state that go through its rows together, in vectors.
constexpr int delta_vectors = 2;

static void scale(const float* x, float factor, int n, float* y);

#include "attend.h"

#include "body.h"

}  // namespace

const Kernels* table() { return make_table("avx2"); }

}  // namespace cortex::avx2_kernels
#endif
