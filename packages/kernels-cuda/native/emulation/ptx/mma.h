// Twin of ptx/mma.h: the last lane to arrive gathers the fragments, multiplies in plain loops and scatters the result.
#pragma once

#include "convert.h"

namespace cortex::ptx {
namespace emulated {

template <typename Sum>
struct Fragments {
  Sum (*d)[4];
  const uint32_t (*a)[4];
  const uint32_t (*b)[2];
};

// Element `index` of the A or B words of a lane: 2 of 16 bits or 4 of 8 in each.
template <typename Element, int per_word>
Element element(const uint32_t* words, int index) {
  constexpr int bits = 32 / per_word;
  return Element{words[index / per_word] >> (index % per_word * bits) & (bits == 16 ? 0xffffu : 0xffu)};
}

struct Bfloat {
  uint32_t bits;
  float value() const { return std::bit_cast<float>(bits << 16); }
};
struct Half {
  uint32_t bits;
  float value() const { return half_to_float(static_cast<uint16_t>(bits)); }
};
struct Int8 {
  uint32_t bits;
  int value() const { return static_cast<int8_t>(bits); }
};

template <typename Element, int per_word, typename Sum>
void multiply(void* const* operands, unsigned) {
  constexpr int depth = 8 * per_word;
  Sum a[16][depth];
  Sum b[depth][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Fragments<Sum>*>(operands[lane]);
    const int group = lane / 4;
    const int first = lane % 4 * per_word;
    for (int i = 0; i < 4 * per_word; ++i) {
      const int row = group + i / per_word % 2 * 8;
      a[row][first + i % per_word + i / (2 * per_word) * (depth / 2)] = element<Element, per_word>(*mine.a, i).value();
    }
    for (int i = 0; i < 2 * per_word; ++i) {
      b[first + i % per_word + i / per_word * (depth / 2)][group] = element<Element, per_word>(*mine.b, i).value();
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    auto& mine = *static_cast<const Fragments<Sum>*>(operands[lane]);
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8;
      const int column = lane % 4 * 2 + i % 2;
      Sum sum = (*mine.d)[i];
      for (int k = 0; k < depth; ++k) sum += a[row][k] * b[k][column];
      (*mine.d)[i] = sum;
    }
  }
}

struct Matrices {
  uint32_t* words;
  const uint16_t* row;
};

template <bool transposed>
void gather(void* const* operands, unsigned) {
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Matrices*>(operands[lane]);
    const int group = lane / 4;
    const int first = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      uint32_t pair[2];
      for (int j = 0; j < 2; ++j) {
        const int row = transposed ? first + j : group;
        const int column = transposed ? group : first + j;
        pair[j] = static_cast<const Matrices*>(operands[8 * i + row])->row[column];
      }
      mine.words[i] = pair[0] | pair[1] << 16;
    }
  }
}

}  // namespace emulated

inline void mma_bfloat(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], CORTEX_CALLER) {
  emulated::Fragments<float> mine{&d, &a, &b};
  emulation::self().block->meet_warp(emulated::multiply<emulated::Bfloat, 2, float>, 0xffffffffu, &mine, CORTEX_HERE);
}
inline void mma_half(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], CORTEX_CALLER) {
  emulated::Fragments<float> mine{&d, &a, &b};
  emulation::self().block->meet_warp(emulated::multiply<emulated::Half, 2, float>, 0xffffffffu, &mine, CORTEX_HERE);
}
inline void mma_int8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], CORTEX_CALLER) {
  emulated::Fragments<int> mine{&d, &a, &b};
  emulation::self().block->meet_warp(emulated::multiply<emulated::Int8, 4, int>, 0xffffffffu, &mine, CORTEX_HERE);
}
inline void load_matrices(uint32_t (&words)[4], const void* row, CORTEX_CALLER) {
  emulated::Matrices mine{words, static_cast<const uint16_t*>(row)};
  emulation::self().block->meet_warp(emulated::gather<false>, 0xffffffffu, &mine, CORTEX_HERE);
}
inline void load_matrices_transposed(uint32_t (&words)[4], const void* row, CORTEX_CALLER) {
  emulated::Matrices mine{words, static_cast<const uint16_t*>(row)};
  emulation::self().block->meet_warp(emulated::gather<true>, 0xffffffffu, &mine, CORTEX_HERE);
}

}  // namespace cortex::ptx
