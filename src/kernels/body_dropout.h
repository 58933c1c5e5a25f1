/* Dropout: random numbers as core/rng.h has them (Philox 4x32-10, Salmon et al. 2011), 16 calls side by side
 * in plain C, which compilers lay across vectors, and a product. Whole numbers are the same on any machine.
 */

enum { DROPOUT_CALLS = BLOCK, DROPOUT_SPAN = 4 * DROPOUT_CALLS /* elements of so many calls */ };

/* words[w][i]: word w of call `call` + i. */
static inline void dropout_words(const struct dropout *p, uint64_t call, uint32_t words[4][DROPOUT_CALLS]) {
  uint32_t *a = words[0], *b = words[1], *c = words[2], *d = words[3];
  uint32_t key0 = p->rng.key[0], key1 = p->rng.key[1];
  for (uint32_t i = 0; i < DROPOUT_CALLS; i++) {
    a[i] = (uint32_t)call + i;
    b[i] = (uint32_t)(call >> 32);
    c[i] = p->rng.index;
    d[i] = p->rng.purpose;
  }
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < DROPOUT_CALLS; i++) {
      uint64_t first = (uint64_t)a[i] * 0xD2511F53U, second = (uint64_t)c[i] * 0xCD9E8D57U;
      a[i] = (uint32_t)(second >> 32) ^ b[i] ^ key0;
      b[i] = (uint32_t)second;
      c[i] = (uint32_t)(first >> 32) ^ d[i] ^ key1;
      d[i] = (uint32_t)first;
    }
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
}

/* y = x * (0 or scale) for elements first .. first + count - 1 of an image; first is a multiple of 16; y may
 * be x. A product, not a choice: what is not finite must not vanish here. */
static void kernel_dropout(const struct dropout *p, float *y, const float *x, int64_t first, int64_t count) {
  uint32_t words[4][DROPOUT_CALLS];
  float factor[BLOCK];
  for (int64_t at = first; at < first + count; at += BLOCK) {
    if (at == first || at % DROPOUT_SPAN == 0)
      dropout_words(p, p->call + (uint64_t)(at / DROPOUT_SPAN * DROPOUT_CALLS), words);
    const uint32_t *word = words[at % DROPOUT_SPAN / BLOCK];
    for (int i = 0; i < BLOCK; i++) factor[i] = (int32_t)(word[i] >> 8) < p->threshold ? 0 : p->scale;
    for (int i = 0; i < BLOCK; i += VL)
      vec_store(y + at - first + i, vec_mul(vec_load(x + at - first + i), vec_load(factor + i)));
  }
}
