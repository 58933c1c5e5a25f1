/* Random choices for tests: the same in every run. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include "core/rng.h"

struct random {
  struct rng rng;
  uint64_t at;
};

static inline struct random random_from(uint32_t seed) {
  return (struct random){rng_stream(seed, RNG_GRADCHECK, 9), 0};
}

static inline int64_t draw(struct random *random, int64_t least, int64_t most) {
  return least + (int64_t)rng_below(&random->rng, random->at++, (uint64_t)(most - least + 1));
}

#endif
