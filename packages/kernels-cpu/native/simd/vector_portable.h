// Four floats in the compiler's own vector type: SSE2, NEON or plain registers. Products are never fused with sums, so
// every machine computes the same.

struct V {
  static constexpr int width = 4;
  typedef float Lanes __attribute__((vector_size(16)));
  typedef int32_t Words __attribute__((vector_size(16)));
  Lanes v;

  static V load(const float* p) {
    V a;
    __builtin_memcpy(&a.v, p, sizeof a.v);
    return a;
  }
  static V load(const float* p, int count) {
    float lanes[4] = {};
    for (int i = 0; i < count; ++i) lanes[i] = p[i];
    return load(lanes);
  }
  static V set(float x) { return {Lanes{x, x, x, x}}; }
  void store(float* p) const { __builtin_memcpy(p, &v, sizeof v); }
  void store(float* p, int count) const {
    for (int i = 0; i < count; ++i) p[i] = v[i];
  }

  static V load_half(const uint16_t* p) {
    return {Lanes{half_to_float(p[0]), half_to_float(p[1]), half_to_float(p[2]), half_to_float(p[3])}};
  }
  static V load_half(const uint16_t* p, int count) {
    V a = set(0);
    for (int i = 0; i < count; ++i) a.v[i] = half_to_float(p[i]);
    return a;
  }
  static V load_bfloat(const uint16_t* p) {
    return {Lanes{bfloat_to_float(p[0]), bfloat_to_float(p[1]), bfloat_to_float(p[2]), bfloat_to_float(p[3])}};
  }
  static V load_bfloat(const uint16_t* p, int count) {
    V a = set(0);
    for (int i = 0; i < count; ++i) a.v[i] = bfloat_to_float(p[i]);
    return a;
  }

  friend V operator+(V a, V b) { return {a.v + b.v}; }
  friend V operator-(V a, V b) { return {a.v - b.v}; }
  friend V operator*(V a, V b) { return {a.v * b.v}; }
  friend V operator/(V a, V b) { return {a.v / b.v}; }
  static V fma(V a, V b, V c) { return {a.v * b.v + c.v}; }
  // As the x86 instructions: the second operand where a lane is not a number.
  static V max(V a, V b) { return select_less(b, a, a, b); }
  static V min(V a, V b) { return select_less(a, b, a, b); }
  static V round(V a) {
    // Adding 1.5 * 2^23 leaves no fraction bits; valid for |a| < 2^22, which exp's argument never passes.
    const Lanes magic = set(12582912.0f).v;
    Lanes moved = a.v + magic;
    return {moved - magic};
  }
  static V scale2(V a, V n) {
    // The integer stands in the low bits after the same shift as in round(); a NaN gives bits that a NaN makes harmless.
    const Lanes magic = set(12582912.0f).v;
    const Lanes moved = n.v + magic;
    Words bits;
    Words base;
    __builtin_memcpy(&bits, &moved, sizeof bits);
    __builtin_memcpy(&base, &magic, sizeof base);
    const Words whole = bits - base;
    const Words half = whole >> 1;
    return {a.v * power_of_two(half) * power_of_two(whole - half)};
  }
  static V select_less(V a, V b, V x, V y) { return {a.v < b.v ? x.v : y.v}; }
  static unsigned at_least(V a, V b) {
    unsigned bits = 0;
    for (int i = 0; i < 4; ++i) bits |= (a.v[i] >= b.v[i] ? 1u : 0u) << i;
    return bits;
  }
  static bool bad(V a) {
    bool result = false;
    for (int i = 0; i < 4; ++i) result = result || !(a.v[i] < __builtin_inff());
    return result;
  }
  float sum() const { return (v[0] + v[2]) + (v[1] + v[3]); }
  double sum_double() const {
    return (static_cast<double>(v[0]) + static_cast<double>(v[2])) + (static_cast<double>(v[1]) + static_cast<double>(v[3]));
  }
  // a * b * factor, rounded once
  static V product(V a, V b, double factor) {
    typedef double Doubles __attribute__((vector_size(32)));
    const Doubles wide = __builtin_convertvector(a.v, Doubles) * __builtin_convertvector(b.v, Doubles);
    return {__builtin_convertvector(wide * factor, Lanes)};
  }
  float highest() const {
    float high = v[0];
    for (int i = 1; i < 4; ++i) high = v[i] > high ? v[i] : high;
    return high;
  }

 private:
  static Lanes power_of_two(Words n) {
    const Words bits = (n + 127) << 23;
    Lanes result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  }
};

static inline void store_half(V a, uint16_t* p) {
  for (int i = 0; i < 4; ++i) p[i] = float_to_half(a.v[i]);
}
