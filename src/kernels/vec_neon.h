/* Vectors of four floats: NEON, which every aarch64 has. The interface is in vec_scalar.h. */
#include <arm_neon.h>
#include <stdint.h>

#define ISA neon
#define VL  4

typedef float32x4_t vec;
typedef uint32x4_t mask;

static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline void vec_store(float *p, vec a) { vst1q_f32(p, a); }
static inline vec vec_all(float a) { return vdupq_n_f32(a); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec vec_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec vec_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec vec_div(vec a, vec b) { return vdivq_f32(a, b); }
static inline vec vec_sqrt(vec a) { return vsqrtq_f32(a); }
static inline vec vec_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
static inline vec vec_round(vec a) { return vrndnq_f32(a); }
static inline mask vec_less(vec a, vec b) { return vcltq_f32(a, b); }
static inline mask vec_equal(vec a, vec b) { return vceqq_f32(a, b); }
static inline mask vec_unordered(vec a, vec b) {
  return vmvnq_u32(vandq_u32(vceqq_f32(a, a), vceqq_f32(b, b)));
}
static inline mask mask_or(mask a, mask b) { return vorrq_u32(a, b); }
static inline int mask_any(mask a) { return vmaxvq_u32(a) != 0; }
static inline vec vec_select(mask m, vec a, vec b) { return vbslq_f32(m, a, b); }

static inline vec vec_abs(vec a) { return vabsq_f32(a); }
static inline vec vec_copy_sign(vec size, vec sign) { return vbslq_f32(vdupq_n_u32(1U << 31), sign, size); }
static inline vec vec_scale(vec a, vec n) {
  int32x4_t bits = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
  return vmulq_f32(a, vreinterpretq_f32_s32(bits));
}
static inline vec vec_exponent(vec a) {
  int32x4_t bits = vshrq_n_s32(vreinterpretq_s32_f32(a), 23);
  return vcvtq_f32_s32(vsubq_s32(bits, vdupq_n_s32(127)));
}
static inline vec vec_mantissa(vec a) {
  uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x007fffff));
  return vreinterpretq_f32_u32(vorrq_u32(bits, vdupq_n_u32(0x3f800000)));
}
