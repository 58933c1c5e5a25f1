/* Philox against its authors' vectors, and what is made of it. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"

/* From kat_vectors of the Random123 library, the three rows "philox4x32 10": counter, key, result. Four
 * words make a block; rng_bits() shows the first and rng_below() the top of the second and first. */
static void known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], first, second;
  } rows[] = {
      {{0, 0, 0, 0}, {0, 0}, 0x6627e8d5, 0xe169c58d},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}, 0x408f276d, 0x41c83b0e},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}, 0xd16cfe09, 0x94fdcceb},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const uint32_t *c = rows[i].counter, *k = rows[i].key;
    struct rng rng = rng_stream((uint64_t)k[1] << 32 | k[0], (enum rng_purpose)c[3], c[2]);
    uint64_t at = (uint64_t)c[1] << 32 | c[0];
    assert_int_equal(rng_bits(&rng, at), rows[i].first);
    uint64_t fraction = (uint64_t)rows[i].second << 32 | rows[i].first, bound = 0xfffffffb;
    assert_int_equal(rng_below(&rng, at, bound), (uint64_t)(((unsigned __int128)fraction * bound) >> 64));
  }
}

static void below(void **state) {
  (void)state;
  struct rng rng = rng_stream(9, RNG_SHUFFLE, 4);
  enum { DRAWS = 200000, BINS = 37 };
  int bins[BINS] = {0};
  for (uint64_t i = 0; i < DRAWS; i++) {
    uint64_t r = rng_below(&rng, i, BINS);
    assert_true(r < BINS);
    bins[r]++;
    if (i < 1000) {
      assert_int_equal(rng_below(&rng, i, 1), 0);
      assert_true(rng_below(&rng, i, 2) < 2);
      assert_true(rng_below(&rng, i, 0xffffffff) < 0xffffffff);
    }
  }
  double chi2 = 0, expected = (double)DRAWS / BINS;
  for (int i = 0; i < BINS; i++) chi2 += (bins[i] - expected) * (bins[i] - expected) / expected;
  assert_true(chi2 > 12 && chi2 < 75); /* 36 degrees of freedom: 1 in 10^4 at either end */
}

static void uniform(void **state) {
  (void)state;
  struct rng rng = rng_stream(1, RNG_WEIGHTS, 0);
  enum { DRAWS = 1000000 };
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    float u = rng_uniform(&rng, i);
    if (!(u > 0 && u < 1)) fail_msg("draw %" PRIu64 " is %.9g", i, (double)u);
    sum += (double)u;
    squares += (double)u * (double)u;
  }
  double mean = sum / DRAWS;
  assert_true(fabs(mean - 0.5) < 4 * 0.2887e-3); /* four standard errors */
  assert_true(fabs(squares / DRAWS - mean * mean - 1.0 / 12) < 4 * 0.0746e-3);
}

/* The largest draws round to 1 in float, and must not: look some up by their bits. */
static void uniform_at_the_end(void **state) {
  (void)state;
  struct rng rng = rng_stream(1, RNG_WEIGHTS, 0);
  int found = 0;
  for (uint64_t i = 0; i < 40000000 && found < 1; i++) {
    if (rng_bits(&rng, i) < 0xffffff00) continue;
    found++;
    assert_true(rng_uniform(&rng, i) < 1);
    assert_true(rng_uniform(&rng, i) > 0.9999F);
  }
  assert_int_equal(found, 1);
}

static void normal(void **state) {
  (void)state;
  struct rng rng = rng_stream(5, RNG_WEIGHTS, 2);
  enum { DRAWS = 1000000 };
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, most = 0;
  int beyond3 = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    double x = (double)rng_normal(&rng, i);
    assert_true(isfinite(x));
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    beyond3 += fabs(x) > 3;
    if (fabs(x) > most) most = fabs(x);
  }
  double mean = m1 / DRAWS, variance = m2 / DRAWS - mean * mean;
  assert_true(fabs(mean) < 0.004); /* four standard errors each: 1e-3, 1.41e-3, 3.87e-3, 9.8e-3 */
  assert_true(fabs(variance - 1) < 0.0057);
  assert_true(fabs(m3 / DRAWS) < 0.0155);
  assert_true(fabs(m4 / DRAWS - 3) < 0.0392);
  assert_in_range(beyond3, 2700 - 4 * 52, 2700 + 4 * 52);
  assert_true(most > 4.2 && most < 6.5);
}

static void streams_differ(void **state) {
  (void)state;
  const struct rng base = rng_stream(1, RNG_WEIGHTS, 0);
  const struct rng others[] = {rng_stream(2, RNG_WEIGHTS, 0), rng_stream(1 + (1ULL << 32), RNG_WEIGHTS, 0),
                               rng_stream(1, RNG_SHUFFLE, 0), rng_stream(1, RNG_WEIGHTS, 1)};
  for (size_t s = 0; s < sizeof others / sizeof *others; s++) {
    int same = 0;
    double dot = 0;
    for (uint64_t i = 0; i < 10000; i++) {
      same += rng_bits(&base, i) == rng_bits(&others[s], i);
      dot += (double)rng_normal(&base, i) * (double)rng_normal(&others[s], i);
    }
    assert_true(same <= 1);
    assert_true(fabs(dot) < 450); /* not correlated: 4.5 standard errors */
  }
  const struct rng again = rng_stream(1, RNG_WEIGHTS, 0); /* and the same stream is the same, in any order */
  for (uint64_t i = 1000; i-- > 0;) {
    float a = rng_normal(&base, i), b = rng_normal(&again, i);
    assert_memory_equal(&a, &b, sizeof a);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_answers), cmocka_unit_test(below),
                                     cmocka_unit_test(uniform),       cmocka_unit_test(uniform_at_the_end),
                                     cmocka_unit_test(normal),        cmocka_unit_test(streams_differ)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
