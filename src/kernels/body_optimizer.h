/* The optimisers' steps (6.1 of the book; Nesterov: Bengio et al. 2012, equation 7; RMSProp: Tieleman
 * and Hinton 2012; Adam: Kingma and Ba 2015, algorithm 1). w: weights, g: gradient, m: moments. */

#define UPDATE(name)                                                  \
  static void kernel_##name(const struct update *u, int64_t count) {  \
    for (int64_t i = 0; i < count; i += VL) {                         \
      vec w = vec_load(u->weight + i), g = vec_load(u->gradient + i); \
      STEP vec_store(u->weight + i, w);                               \
    }                                                                 \
  }
#define MOMENT(n) vec m##n = vec_load(u->moment[n] + i);
#define KEEP(n)   vec_store(u->moment[n] + i, m##n);

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
#define STEP                                                                                             \
  MOMENT(0) MOMENT(1) m0 = vec_fma(vec_all(u->rest1), g, vec_mul(vec_all(u->beta1), m0));                \
  m1 = vec_fma(vec_mul(vec_all(u->rest2), g), g, vec_mul(vec_all(u->beta2), m1));                        \
  w = vec_sub(w, vec_div(vec_mul(vec_all(u->lr * u->correction1), m0),                                   \
                         vec_add(vec_sqrt(vec_mul(m1, vec_all(u->correction2))), vec_all(u->epsilon)))); \
  KEEP(0) KEEP(1)
UPDATE(adam)
#undef STEP
