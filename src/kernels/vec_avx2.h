/* Vectors of eight floats: AVX2 with FMA. The interface is in vec_scalar.h. */
#include <immintrin.h>
#include <stdint.h>

#define ISA avx2
#define VL  8

typedef __m256 vec;
typedef __m256 mask;

static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec a) { _mm256_storeu_ps(p, a); }
static inline vec vec_all(float a) { return _mm256_set1_ps(a); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vec_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec vec_sqrt(vec a) { return _mm256_sqrt_ps(a); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline vec vec_round(vec a) {
  return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline mask vec_less(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline mask vec_equal(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline mask vec_unordered(vec a, vec b) { return _mm256_cmp_ps(a, b, _CMP_UNORD_Q); }
static inline mask mask_or(mask a, mask b) { return _mm256_or_ps(a, b); }
static inline int mask_any(mask a) { return _mm256_movemask_ps(a) != 0; }
static inline vec vec_select(mask m, vec a, vec b) { return _mm256_blendv_ps(b, a, m); }

static inline vec vec_abs(vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0F), a); }
static inline vec vec_copy_sign(vec size, vec sign) { /* size >= 0 */
  return _mm256_or_ps(size, _mm256_and_ps(_mm256_set1_ps(-0.0F), sign));
}
static inline vec vec_scale(vec a, vec n) {
  __m256i bits = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_mul_ps(a, _mm256_castsi256_ps(bits));
}
static inline vec vec_exponent(vec a) {
  __m256i bits = _mm256_srli_epi32(_mm256_castps_si256(a), 23);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(bits, _mm256_set1_epi32(127)));
}
static inline vec vec_mantissa(vec a) {
  __m256i bits = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x007fffff));
  return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_set1_epi32(0x3f800000)));
}
