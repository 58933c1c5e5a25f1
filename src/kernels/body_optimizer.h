/* The optimisers' steps (6.1 of the book; Nesterov: Bengio et al. 2012, equation 7; RMSProp: Tieleman
 * and Hinton 2012; Adam: Kingma and Ba 2015, algorithm 1; AdamW: Loshchilov and Hutter 2019, algorithm 2).
 * w: weights, g: gradient, m: moments.
 *
 * A gradient may be treated first: clipped (Pascanu et al. 2013, algorithm 1), and the weight decay's part
 * added, as in the rule of AlexNet (Krizhevsky et al. 2012, section 5) and in every optimiser of PyTorch.
 *
 * Where a gradient stays 0, as behind a ReLU that never opens, moments shrink step by step and would end as
 * denormal numbers, which cost some processors a hundred cycles each, for ever. Moments below 2^-120 are 0:
 * ten orders of magnitude less than what moves a weight. */

static inline vec treated(const struct update *u, vec w, vec g) {
  g = vec_mul(g, vec_all(u->scale));
  if (u->limit > 0) {
    vec most = vec_all(u->limit), least = vec_all(-u->limit);
    g = vec_select(vec_less(most, g), most, g);
    g = vec_select(vec_less(g, least), least, g);
  }
  return vec_fma(vec_all(u->l2), w, g);
}

static inline vec moment(vec m) {
  return vec_select(vec_less(vec_abs(m), vec_all(0x1p-120F)), vec_all(0), m);
}

#define UPDATE(name)                                                  \
  static void kernel_##name(const struct update *u, int64_t count) {  \
    if (u->treated) {                                                 \
      for (int64_t i = 0; i < count; i += VL) {                       \
        vec w = vec_load(u->weight + i);                              \
        vec g = treated(u, w, vec_load(u->gradient + i));             \
        STEP vec_store(u->weight + i, w);                             \
      }                                                               \
      return;                                                         \
    }                                                                 \
    for (int64_t i = 0; i < count; i += VL) {                         \
      vec w = vec_load(u->weight + i), g = vec_load(u->gradient + i); \
      STEP vec_store(u->weight + i, w);                               \
    }                                                                 \
  }
#define MOMENT(n) vec m##n = vec_load(u->moment[n] + i);
#define KEEP(n)   vec_store(u->moment[n] + i, moment(m##n));

/* w -= lr g */
#define STEP w = vec_fma(vec_all(-u->lr), g, w);
UPDATE(sgd)
#undef STEP

/* v = momentum v - lr g; w += v */
#define STEP                                                           \
  MOMENT(0)                                                            \
  m0 = vec_fma(vec_all(-u->lr), g, vec_mul(vec_all(u->momentum), m0)); \
  w = vec_add(w, m0);                                                  \
  KEEP(0)
UPDATE(momentum)
#undef STEP

/* v as above; w += momentum v - lr g */
#define STEP                                                             \
  MOMENT(0)                                                              \
  m0 = vec_fma(vec_all(-u->lr), g, vec_mul(vec_all(u->momentum), m0));   \
  w = vec_fma(vec_all(-u->lr), g, vec_fma(vec_all(u->momentum), m0, w)); \
  KEEP(0)
UPDATE(nesterov)
#undef STEP

/* h += g^2; w -= lr g / (sqrt h + epsilon) */
#define STEP                                                                                       \
  MOMENT(0)                                                                                        \
  m0 = vec_fma(g, g, m0);                                                                          \
  w = vec_sub(w, vec_div(vec_mul(vec_all(u->lr), g), vec_add(vec_sqrt(m0), vec_all(u->epsilon)))); \
  KEEP(0)
UPDATE(adagrad)
#undef STEP

/* h = decay h + (1 - decay) g^2; w -= lr g / (sqrt h + epsilon) */
#define STEP                                                                                       \
  MOMENT(0)                                                                                        \
  m0 = vec_fma(vec_mul(vec_all(u->rest), g), g, vec_mul(vec_all(u->decay), m0));                   \
  w = vec_sub(w, vec_div(vec_mul(vec_all(u->lr), g), vec_add(vec_sqrt(m0), vec_all(u->epsilon)))); \
  KEEP(0)
UPDATE(rmsprop)
#undef STEP

/* m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= lr m' / (sqrt v' + epsilon), m' and v'
 * corrected for their start at 0 */
#define ADAM                                                                                             \
  MOMENT(0) MOMENT(1) m0 = vec_fma(vec_all(u->rest1), g, vec_mul(vec_all(u->beta1), m0));                \
  m1 = vec_fma(vec_mul(vec_all(u->rest2), g), g, vec_mul(vec_all(u->beta2), m1));                        \
  w = vec_sub(w, vec_div(vec_mul(vec_all(u->lr * u->correction1), m0),                                   \
                         vec_add(vec_sqrt(vec_mul(m1, vec_all(u->correction2))), vec_all(u->epsilon)))); \
  KEEP(0) KEEP(1)

#define STEP ADAM
UPDATE(adam)
#undef STEP

/* The same after w -= lr decay w, which has no part in the moments */
#define STEP                              \
  w = vec_fma(vec_all(-u->shrink), w, w); \
  ADAM
UPDATE(adamw)
#undef STEP

static void kernel_average(float *mean, const float *w, float rate, int64_t count) {
  for (int64_t i = 0; i < count; i += VL) {
    vec m = vec_load(mean + i);
    vec_store(mean + i, vec_fma(vec_all(rate), vec_sub(vec_load(w + i), m), m));
  }
}
