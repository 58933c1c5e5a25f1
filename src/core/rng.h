/* Random numbers by counter: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy
 * as 1, 2, 3"; from the Random123 library).
 *
 * There is no state. A stream is named by a seed, a purpose and up to two indices; its i-th number
 * depends on those and on i alone, so any thread can draw any number in any order. */
#ifndef CNN_CORE_RNG_H
#define CNN_CORE_RNG_H

#include <stdint.h>

/* What numbers are drawn for. The values are part of the format of a run: never reuse one. */
enum rng_purpose {
  RNG_WEIGHTS = 1,
  RNG_SHUFFLE = 2,
  RNG_SPLIT = 3,
  RNG_GRADCHECK = 4,
  RNG_DROPOUT = 5,
  RNG_IMAGES = 6,
  RNG_ASCENT = 7,
  RNG_AUGMENT = 20 /* index: see data/augment_image.c */
};

struct rng {
  uint32_t key[2], purpose, index;
};

/* index: epoch, layer, ... */
struct rng rng_stream(uint64_t seed, enum rng_purpose purpose, uint32_t index);

uint32_t rng_bits(const struct rng *rng, uint64_t i);                /* 32 random bits */
uint32_t rng_word(const struct rng *rng, uint64_t i, int word);      /* likewise; each i has words 0 to 3 */
void rng_words(const struct rng *rng, uint64_t i, uint32_t word[4]); /* all four of them */
uint64_t rng_below(const struct rng *rng, uint64_t i,
                   uint64_t bound);                   /* uniform in [0, bound), bound < 2^32 */
float rng_uniform(const struct rng *rng, uint64_t i); /* uniform in (0, 1) */
float rng_normal(const struct rng *rng, uint64_t i);  /* N(0, 1) */

#endif
