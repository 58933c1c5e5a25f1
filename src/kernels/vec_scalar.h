/* Vectors of one float, in plain C: what every other vec_*.h must agree with, bit for bit.
 *
 * The interface, for all vec_*.h: VL lanes; vec and mask; the operations below, each rounded once.
 * Comparisons with NaN are false, but for vec_unordered. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define ISA scalar
#define VL  1

typedef float vec;
typedef int mask;

static inline vec vec_load(const float *p) { return *p; }
static inline void vec_store(float *p, vec a) { *p = a; }
static inline vec vec_all(float a) { return a; } /* a in every lane */
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_sub(vec a, vec b) { return a - b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }
static inline vec vec_sqrt(vec a) { return sqrtf(a); }
static inline vec vec_fma(vec a, vec b, vec c) { return fmaf(a, b, c); } /* a * b + c */
static inline vec vec_round(vec a) { return rintf(a); }                  /* to the nearest, ties to even */
static inline mask vec_less(vec a, vec b) { return a < b; }
static inline mask vec_equal(vec a, vec b) { return a == b; }
static inline mask vec_unordered(vec a, vec b) { return a != a || b != b; }
static inline mask mask_or(mask a, mask b) { return a | b; }
static inline int mask_any(mask a) { return a; }
static inline vec vec_select(mask m, vec a, vec b) { return m ? a : b; }

static inline vec vec_abs(vec a) { return fabsf(a); }
static inline vec vec_copy_sign(vec size, vec sign) { return copysignf(size, sign); } /* size >= 0 */

/* a * 2^n for whole n in [-126, 127]. */
static inline vec vec_scale(vec a, vec n) {
  int32_t bits = ((int32_t)n + 127) * (1 << 23);
  float power;
  memcpy(&power, &bits, 4);
  return a * power;
}

/* a normal and > 0 = m * 2^e with m in [1, 2). */
static inline vec vec_exponent(vec a) {
  int32_t bits;
  memcpy(&bits, &a, 4);
  return (float)((bits >> 23) - 127);
}
static inline vec vec_mantissa(vec a) {
  int32_t bits;
  memcpy(&bits, &a, 4);
  bits = (bits & 0x007fffff) | 0x3f800000;
  memcpy(&a, &bits, 4);
  return a;
}
