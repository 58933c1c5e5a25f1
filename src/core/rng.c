/* See rng.h. */
#include "core/rng.h"

#include <Random123/philox.h>
#include <math.h>

struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint32_t index) {
  return (struct rng){{(uint32_t)seed, (uint32_t)(seed >> 32)}, purpose, index};
}

static philox4x32_ctr_t draw(const struct rng *rng, uint64_t i) {
  philox4x32_ctr_t counter = {{(uint32_t)i, (uint32_t)(i >> 32), rng->index, rng->purpose}};
  philox4x32_key_t key = {{rng->key[0], rng->key[1]}};
  return philox4x32(counter, key);
}

uint32_t rng_bits(const struct rng *rng, uint64_t i) { return draw(rng, i).v[0]; }

uint32_t rng_word(const struct rng *rng, uint64_t i, int word) { return draw(rng, i).v[word]; }

void rng_words(const struct rng *rng, uint64_t i, uint32_t word[4]) {
  philox4x32_ctr_t r = draw(rng, i);
  for (int k = 0; k < 4; k++) word[k] = r.v[k];
}

/* The high half of a 64-bit fraction times bound: biased by less than bound / 2^64. */
uint64_t rng_below(const struct rng *rng, uint64_t i, uint64_t bound) {
  philox4x32_ctr_t r = draw(rng, i);
  uint64_t low = (uint64_t)r.v[0] * bound;
  return ((uint64_t)r.v[1] * bound + (low >> 32)) >> 32;
}

/* In (0, 1): the largest draws, which would round to 1, become the float below it. */
static float fraction(uint32_t bits) {
  float value = ((float)(bits >> 8) + 0.5F) * 0x1p-24F;
  return value < 1 ? value : 0x1.fffffep-1F;
}

float rng_uniform(const struct rng *rng, uint64_t i) { return fraction(rng_bits(rng, i)); }

/* ln(x) for x in (0, 1), in double and in a fixed order of operations: x = m * 2^e with m in
 * [sqrt(1/2), sqrt(2)), then 2 artanh(s), s = (m - 1) / (m + 1), by its series. */
static double ln(double x) {
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) m *= 2, e--;
  double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return 2 * s * sum + e * 0.69314718055994531;
}

/* Marsaglia's polar method; each try takes its own counter, far from those of other i. */
float rng_normal(const struct rng *rng, uint64_t i) {
  for (uint64_t trial = 0;; trial++) {
    philox4x32_ctr_t r = draw(rng, i | trial << 48);
    for (int half = 0; half < 4; half += 2) {
      double u = 2.0 * fraction(r.v[half]) - 1, v = 2.0 * fraction(r.v[half + 1]) - 1;
      double s = u * u + v * v;
      if (s < 1 && s > 0) return (float)(u * sqrt(-2 * ln(s) / s));
    }
  }
}
