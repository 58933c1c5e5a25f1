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
      uint32_t low0 = a[i] * 0xD2511F53U,
               low1 = c[i] * 0xCD9E8D57U; /* apart: compilers know each by itself */
      uint32_t high0 = (uint32_t)((uint64_t)a[i] * 0xD2511F53U >> 32);
      uint32_t high1 = (uint32_t)((uint64_t)c[i] * 0xCD9E8D57U >> 32);
      a[i] = high1 ^ b[i] ^ key0;
      b[i] = low1;
      c[i] = high0 ^ d[i] ^ key1;
      d[i] = low0;
    }
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
}

/* y = x * (0 or scale) for elements first .. first + count - 1 of an image; first is a multiple of 16; y may
 * be x. A product, not a choice: what is not finite must not vanish here. */
static void kernel_dropout(const struct dropout *p, float *y, const float *x, int64_t first, int64_t count) {
  uint32_t words[4][DROPOUT_CALLS];
  float draw[BLOCK];
  vec threshold = vec_all((float)p->threshold), zero = vec_all(0), scale = vec_all(p->scale);
  for (int64_t at = first; at < first + count; at += BLOCK) {
    if (at == first || at % DROPOUT_SPAN == 0)
      dropout_words(p, p->call + (uint64_t)(at / DROPOUT_SPAN * DROPOUT_CALLS), words);
    const uint32_t *word = words[at % DROPOUT_SPAN / BLOCK];
    for (int i = 0; i < BLOCK; i++) draw[i] = (float)(int32_t)(word[i] >> 8); /* 24 bits: exact */
    for (int i = 0; i < BLOCK; i += VL) {
      vec factor = vec_select(vec_less(vec_load(draw + i), threshold), zero, scale);
      vec_store(y + at - first + i, vec_mul(vec_load(x + at - first + i), factor));
    }
  }
}
