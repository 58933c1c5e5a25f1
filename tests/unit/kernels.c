/* Kernels, row by row of kernels.def: the values against plain loops in double, and every instruction set of
 * this machine against plain C, bit for bit. How accurate exp, log, tanh and sigmoid are: functions.c. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "float_bits.h"
#include "instruction_sets.h"
#include "random.h"

static const struct kernel_table *plain(void) { return kernels_find("scalar"); }

static float uniform(struct random *random) { return 2 * rng_uniform(&random->rng, random->at++) - 1; }

/* One number of any kind: mostly of usual size, now and then what arithmetic stumbles over. */
static float any(struct random *random) {
  static const float special[] = {0.0F,       -0.0F,       INFINITY,  -INFINITY, NAN,   0x1p-149F,
                                  -0x1p-149F, 0x1.8p-130F, 0x1p-126F, 0x1p126F,  1e38F, -1e38F,
                                  3.4e38F,    88.7F,       -103.9F,   1.0F};
  int64_t kind = draw(random, 0, 19);
  if (kind == 0) return special[draw(random, 0, (int64_t)(sizeof special / sizeof *special) - 1)];
  if (kind == 1) return from_bits((uint32_t)draw(random, 0, UINT32_MAX - 1));
  return uniform(random) * (kind < 10 ? 1.0F : kind < 15 ? 20.0F : 0.01F);
}

/* ---- the matrix product ---- */

enum { ROWS = 60, FEW = 13, COLUMNS = 33, TAPS = 300, PANELS = 3, A_FLOATS = 2000, C_FLOATS = 6000 };

/* A product with everything where nobody would expect it. */
struct case_of_product {
  struct product p;
  float a[A_FLOATS], b[PANELS * (TAPS * BLOCK + 48)], start[PANELS * BLOCK], before[C_FLOATS];
  int32_t a_row[ROWS], c_row[ROWS];
  struct run runs[TAPS + 1];
  int32_t at[TAPS][2]; /* of each step, in A and in B */
};

static void new_case(struct random *random, struct case_of_product *c, int64_t rows, int64_t columns,
                     bool special) {
  struct product *p = &c->p;
  *p = (struct product){
      .a = c->a + A_FLOATS / 2, .b = c->b, .a_row = c->a_row, .c_row = c->c_row, .runs = c->runs};
  p->cycle = draw(random, 0, 1) ? rows : draw(random, 1, rows);
  p->rows = rows - rows % p->cycle;
  p->fours = draw(random, 0, 2) ? draw(random, 0, p->cycle / 4) * 4 : 0;
  p->spacing = draw(random, 0, 1) ? 1 : BLOCK;
  p->columns = columns;
  p->depth = draw(random, 0, 3) ? draw(random, 0, 40) : draw(random, 0, TAPS);
  p->b_panel = p->depth * BLOCK + draw(random, 0, 3) * BLOCK;
  bool wide = draw(random, 0, 1); /* panels of C side by side in a row, or one after the other */
  p->c_panel = wide ? BLOCK : ROWS * BLOCK;
  p->add = draw(random, 0, 2) == 0;
  p->start = draw(random, 0, 1) ? c->start : NULL;
  for (int i = 0; i < A_FLOATS; i++) c->a[i] = special ? any(random) : uniform(random);
  for (size_t i = 0; i < sizeof c->b / sizeof *c->b; i++) c->b[i] = special ? any(random) : uniform(random);
  for (int i = 0; i < PANELS * BLOCK; i++) c->start[i] = uniform(random);
  for (int i = 0; i < C_FLOATS; i++) c->before[i] = uniform(random);
  for (int i = 0; i < ROWS; i++) {
    bool begun = i % p->cycle < p->fours && i % p->cycle % 4 > 0;
    c->a_row[i] = begun ? c->a_row[i - 1] + p->spacing : (int32_t)draw(random, -A_FLOATS / 4, A_FLOATS / 4);
    c->c_row[i] = (int32_t)(i * (wide ? PANELS + 1 : 1) * BLOCK);
  }
  int32_t a_step = draw(random, 0, 1) ? 1 : (int32_t)draw(random, -3, 3),
          longest = (int32_t)draw(random, 1, 30);
  p->a_step = a_step;
  p->b_step = draw(random, 0, 3) ? BLOCK : 0;
  int64_t runs = 0;
  for (int64_t k = 0; k < p->depth; runs++) {
    int32_t steps = (int32_t)draw(random, 1, longest), a = (int32_t)draw(random, -A_FLOATS / 8, A_FLOATS / 8);
    if (steps > p->depth - k) steps = (int32_t)(p->depth - k);
    c->runs[runs] = (struct run){a, (int32_t)k * BLOCK, steps};
    for (int32_t i = 0; i < steps; i++, k++) {
      c->at[k][0] = a + i * a_step;
      c->at[k][1] = c->runs[runs].b + i * (int32_t)p->b_step;
    }
  }
}

/* The element (i, j) as the contract has it: one chain. And the same in double, with the size of its terms.
 */
static float chain(const struct case_of_product *c, int64_t i, int64_t j, double *wide, double *size) {
  const struct product *p = &c->p;
  float sum = p->add     ? c->before[c->c_row[i] + j / BLOCK * p->c_panel + j % BLOCK]
              : p->start ? p->start[j]
                         : 0;
  *wide = (double)sum;
  *size = fabs(*wide);
  for (int64_t k = 0; k < p->depth; k++) {
    float x = p->a[c->a_row[i] + c->at[k][0]], y = p->b[j / BLOCK * p->b_panel + c->at[k][1] + j % BLOCK];
    sum = fmaf(x, y, sum);
    *wide += (double)x * (double)y;
    *size += fabs((double)x * (double)y);
  }
  return sum;
}

static void check_product(struct case_of_product *c, const struct kernel_table *table, bool special) {
  static float after[C_FLOATS];
  static uint8_t known[C_FLOATS]; /* 1: an element of C; 2: of a last panel, not defined */
  struct product *p = &c->p;
  memcpy(after, c->before, sizeof after);
  memset(known, 0, sizeof known);
  p->c = after;
  table->product(p);
  for (int64_t i = 0; i < p->rows; i++)
    for (int64_t j = 0; j < (p->columns + BLOCK - 1) / BLOCK * BLOCK; j++) {
      int64_t at = c->c_row[i] + j / BLOCK * p->c_panel + j % BLOCK;
      known[at] = j < p->columns ? 1 : 2;
      if (j >= p->columns) continue;
      double wide, size;
      float expected = chain(c, i, j, &wide, &size);
      if (!same(after[at], expected))
        fail_msg("%s: %" PRId64 "x%" PRId64 "x%" PRId64 ": (%" PRId64 ", %" PRId64 ") is %.9g, not %.9g",
                 table->name, p->rows, p->depth, p->columns, i, j, (double)after[at], (double)expected);
      if (!special && !(fabs((double)after[at] - wide) <= (double)(p->depth + 1) * 0x1p-24 * size))
        fail_msg("%s: (%" PRId64 ", %" PRId64 ") is %.9g, not %.17g", table->name, i, j, (double)after[at],
                 wide);
    }
  for (int i = 0; i < C_FLOATS; i++) /* and nothing else is written */
    if (!known[i] && to_bits(after[i]) != to_bits(c->before[i]))
      fail_msg("%s: float %d is written", table->name, i);
}

static void products(void **state) {
  (void)state;
  static struct case_of_product c;
  struct random random = random_from(1);
  for (int turn = 0; turn < 1200; turn++) {
    bool special = turn % 6 == 5, small = turn < FEW * COLUMNS; /* each pair once */
    new_case(&random, &c, small ? turn % FEW + 1 : draw(&random, 1, ROWS),
             small ? turn / FEW + 1 : draw(&random, 1, COLUMNS), special);
    for (int s = 0; s < SETS; s++)
      if (kernels_find(instruction_sets[s])) check_product(&c, kernels_find(instruction_sets[s]), special);
  }
}

/* ---- every kernel, every instruction set: the same bits ---- */

enum { POOL = 4096, OUT = 4096 };

/* Runs a kernel of `table` on floats of in, which it may change, and writes all that it gives to out. */
typedef void bits_case(const struct kernel_table *table, float *in, float *out, struct random *random);

enum { COUNT = 512 };

#define ONE_IN(name)                                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    table->name(out, in, draw(random, 0, COUNT / BLOCK) * BLOCK);                                           \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, COUNT); /* in place */                                            \
  }
#define TWO_IN(name)                                                                                        \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    table->name(out, in, in + COUNT, draw(random, 0, COUNT / BLOCK) * BLOCK);                               \
    memcpy(out + COUNT, in, COUNT * sizeof *in);                                                            \
    table->name(out + COUNT, out + COUNT, in + COUNT, COUNT); /* in place */                                \
  }
ONE_IN(relu_forward)
ONE_IN(sigmoid_forward)
ONE_IN(tanh_forward)
ONE_IN(exp)
TWO_IN(relu_backward)
TWO_IN(sigmoid_backward)
TWO_IN(tanh_backward)

static void bits_add(const struct kernel_table *table, float *in, float *out, struct random *random) {
  memcpy(out, in, COUNT * sizeof *in);
  table->add(out, in, in + COUNT, draw(random, 0, COUNT / BLOCK) * BLOCK);
}

static void bits_log(const struct kernel_table *table, float *in, float *out, struct random *random) {
  for (int i = 0; i < COUNT; i++) /* its own range */
    in[i] = from_bits(0x00800000U + (uint32_t)draw(random, 0, 0x7f7fffffLL - 0x00800000LL));
  table->log(out, in, COUNT);
}

static void bits_transpose(const struct kernel_table *table, float *in, float *out, struct random *random) {
  table->transpose(out, BLOCK + draw(random, 0, 40), in, BLOCK + draw(random, 0, 40));
}

static void bits_product(const struct kernel_table *table, float *in, float *out, struct random *random) {
  static struct case_of_product c; /* products() has more */
  new_case(random, &c, draw(random, 1, FEW), draw(random, 1, COLUMNS), true);
  c.p.columns = (c.p.columns + BLOCK - 1) / BLOCK * BLOCK;
  c.p.a = in + POOL / 2;
  c.p.c = out;
  c.p.c_panel = ROWS * BLOCK;
  for (int i = 0; i < ROWS; i++) c.c_row[i] = i * BLOCK;
  table->product(&c.p);
}

static void bits_fma_chain(const struct kernel_table *table, float *in, float *out, struct random *random) {
  (void)in, (void)random;
  double steps = table->fma_chain(3); /* counts: as many for one step as for each */
  out[0] = steps > 0 && steps * 5 == table->fma_chain(15) ? 1 : 0;
  assert_true(out[0] == 1);
}

static void bits_softmax(const struct kernel_table *table, float *in, float *out, struct random *random) {
  int64_t classes = draw(random, 1, 70), x_block = BLOCK * draw(random, 1, 4),
          y_block = BLOCK * draw(random, 1, 4);
  table->softmax(out, y_block, in, x_block, classes);
}

static void bits_softmax_backward(const struct kernel_table *table, float *in, float *out,
                                  struct random *random) {
  int64_t classes = draw(random, 1, 70), a = BLOCK * draw(random, 1, 4), b = BLOCK * draw(random, 1, 4),
          c = BLOCK * draw(random, 1, 4);
  table->softmax_backward(out, a, in, b, in + POOL / 2, c, classes);
}

static void bits_sum_positions(const struct kernel_table *table, float *in, float *out,
                               struct random *random) {
  int64_t positions = draw(random, 0, 100), step = draw(random, -1, 1) * BLOCK;
  memcpy(out, in, BLOCK * BLOCK * sizeof *in);
  table->sum_positions(out, in + POOL / 2, step, positions);
}

static void bits_sum_lanes(const struct kernel_table *table, float *in, float *out, struct random *random) {
  (void)random;
  table->sum_lanes(out, in);
}

static void bits_finite(const struct kernel_table *table, float *in, float *out, struct random *random) {
  for (int i = 0; i < 200; i++) {
    int64_t from = draw(random, 0, POOL - 64), count = draw(random, 0, 4) * BLOCK;
    out[i] = table->finite(in + from, count);
    bool finite = true;
    for (int64_t k = 0; k < count; k++) finite = finite && isfinite(in[from + k]);
    assert_true(out[i] == (finite ? 1 : 0));
  }
}

/* Windows of every kind over planes of up to 8 x 8 positions. */
static struct window new_window(struct random *random) {
  struct window p;
  do {
    p = (struct window){
        .h = draw(random, 1, 8), .w = draw(random, 1, 8), .fh = draw(random, 1, 4), .fw = draw(random, 1, 4)};
    bool tiled = draw(random, 0, 2) == 0;
    p.stride_h = tiled ? p.fh : draw(random, 1, 4);
    p.stride_w = tiled ? p.fw : draw(random, 1, 4);
    p.pad_h = tiled ? 0 : draw(random, 0, p.fh - 1);
    p.pad_w = tiled ? 0 : draw(random, 0, p.fw - 1);
    if (draw(random, 0, 2) == 0) { /* what has loops of its own */
      p.fh = p.fw = draw(random, 2, 3);
      p.stride_h = p.stride_w = 2;
      p.pad_h = p.pad_w = draw(random, 0, 3) == 0;
    }
    p.count_pad = draw(random, 0, 1);
    cnn_round round = draw(random, 0, 1) ? CNN_ROUND_FLOOR : CNN_ROUND_CEIL;
    if (cnn_output_size(p.h, p.fh, p.stride_h, p.pad_h, 1, round, &p.oh) != CNN_OK) p.oh = 0;
    if (cnn_output_size(p.w, p.fw, p.stride_w, p.pad_w, 1, round, &p.ow) != CNN_OK) p.ow = 0;
  } while (p.oh < 1 || p.ow < 1 || p.oh * p.ow > 64);
  p.x_row = (p.w + draw(random, 0, 2)) * BLOCK;
  p.y_row = (p.ow + draw(random, 0, 2)) * BLOCK;
  return p;
}

static void bits_maxpool_forward(const struct kernel_table *table, float *in, float *out,
                                 struct random *random) {
  struct window p = new_window(random);
  float *winner = draw(random, 0, 3) ? out + OUT / 2 : NULL;
  table->maxpool_forward(&p, out, winner, in);
}

static void bits_maxpool_backward(const struct kernel_table *table, float *in, float *out,
                                  struct random *random) {
  struct window p = new_window(random);
  for (int i = 0; i < POOL / 2; i++) in[i] = (float)draw(random, 0, p.fh * p.fw - 1);
  table->maxpool_backward(&p, out, in + POOL / 2, in);
}

static void bits_avgpool_forward(const struct kernel_table *table, float *in, float *out,
                                 struct random *random) {
  struct window p = new_window(random);
  table->avgpool_forward(&p, out, in);
}

static void bits_avgpool_backward(const struct kernel_table *table, float *in, float *out,
                                  struct random *random) {
  struct window p = new_window(random);
  table->avgpool_backward(&p, out, in);
}

/* Any number of channels, any window; lanes past the last channel and what is around hold anything. */
static struct lrn new_lrn(struct random *random, float *scratch) {
  struct lrn p = {.channels = draw(random, 1, 40), .scratch = scratch};
  int64_t size = draw(random, 0, 1) ? 5 : draw(random, 1, 20), pixels = LRN_PIXELS + 4;
  p.blocks = (p.channels + BLOCK - 1) / BLOCK;
  p.before = size / 2, p.after = (size - 1) / 2;
  p.lead = (p.before + BLOCK - 1) / BLOCK * BLOCK;
  p.line = 2 * p.lead + p.blocks * BLOCK;
  p.plane = pixels * BLOCK;
  p.alpha = draw(random, 0, 1) ? 1e-4F : fabsf(uniform(random));
  p.k = 0.5F + fabsf(uniform(random));
  p.quarter = draw(random, 0, 1);
  p.beta = p.quarter ? 0.75F : 2 * fabsf(uniform(random));
  p.slope = -2 * p.alpha * p.beta;
  return p;
}

static void bits_lrn_forward(const struct kernel_table *table, float *in, float *out, struct random *random) {
  static float scratch[LRN_PIXELS * (2 * BLOCK + 3 * BLOCK)];
  struct lrn p = new_lrn(random, scratch);
  float *saved = draw(random, 0, 1) ? out + OUT / 2 : NULL;
  table->lrn_forward(&p, out, saved, in, draw(random, 1, LRN_PIXELS + 4));
}

static void bits_lrn_backward(const struct kernel_table *table, float *in, float *out,
                              struct random *random) {
  static float scratch[LRN_PIXELS * (2 * BLOCK + 3 * BLOCK)];
  struct lrn p = new_lrn(random, scratch);
  for (int i = 0; i < POOL / 4; i++) in[i] = 0.1F + fabsf(uniform(random)); /* what is saved of s */
  table->lrn_backward(&p, out, in + POOL / 2, in + POOL / 4, in, draw(random, 1, LRN_PIXELS + 4));
}

static void bits_channel_sums(const struct kernel_table *table, float *in, float *out,
                              struct random *random) {
  table->channel_sums(out, in, draw(random, 1, COUNT / BLOCK));
}

static void bits_channel_products(const struct kernel_table *table, float *in, float *out,
                                  struct random *random) {
  const float *dy = draw(random, 0, 1) ? in + COUNT : NULL;
  table->channel_products(out, out + BLOCK, dy, in, in + 2 * COUNT, draw(random, 1, COUNT / BLOCK));
}

static void bits_channel_scale(const struct kernel_table *table, float *in, float *out,
                               struct random *random) {
  const float *each = in + COUNT;
  table->channel_scale(out, in, each, each + BLOCK, each + 2 * BLOCK, draw(random, 0, COUNT / BLOCK));
}

static void bits_channel_scale_backward(const struct kernel_table *table, float *in, float *out,
                                        struct random *random) {
  const float *each = in + 2 * COUNT;
  table->channel_scale_backward(out, in, in + COUNT, each, each + BLOCK, each + 2 * BLOCK, each + 3 * BLOCK,
                                draw(random, 0, COUNT / BLOCK));
}

static void bits_dropout(const struct kernel_table *table, float *in, float *out, struct random *random) {
  struct dropout d = {.rng = rng_stream((uint64_t)draw(random, 0, 1LL << 31) << 31, RNG_DROPOUT,
                                        (uint32_t)draw(random, 0, 1000)),
                      .call = (uint64_t)draw(random, 0, 1LL << 31) << 24,
                      .threshold = (int32_t)draw(random, 0, 1 << 24),
                      .scale = 1 + fabsf(uniform(random))};
  int64_t first = draw(random, 0, 1 << 20) * BLOCK, count = draw(random, 0, COUNT / BLOCK) * BLOCK;
  table->dropout(&d, out, in, first, count);
  memcpy(out + COUNT, in, COUNT * sizeof *in);
  table->dropout(&d, out + COUNT, out + COUNT, first, COUNT); /* in place */
  for (int i = 0; i < COUNT; i++) {                           /* the words are those of core/rng.h */
    int64_t e = first + i;
    uint32_t word = rng_word(&d.rng, d.call + (uint64_t)(e / 64 * 16 + e % 16), (int)(e % 64 / 16));
    assert_true(same(out[COUNT + i], in[i] * ((int32_t)(word >> 8) < d.threshold ? 0 : d.scale)));
  }
}

static struct update new_update(struct random *random, float *weight, float *m0, float *m1,
                                const float *gradient) {
  double t = (double)draw(random, 1, 50);
  struct update u = {.weight = weight,
                     .moment = {m0, m1},
                     .gradient = gradient,
                     .lr = fabsf(uniform(random)),
                     .momentum = 0.9F,
                     .beta1 = 0.9F,
                     .beta2 = 0.999F,
                     .decay = 0.99F,
                     .epsilon = 1e-7F};
  u.rest1 = 0.1F, u.rest2 = 0.001F, u.rest = 0.01F;
  u.correction1 = (float)(1 / (1 - pow(0.9, t)));
  u.correction2 = (float)(1 / (1 - pow(0.999, t)));
  return u;
}

/* Half of the time: a gradient scaled, limited, with decay's share. */
static void treat(struct random *random, struct update *u) {
  u->treated = draw(random, 0, 1);
  u->scale = fabsf(uniform(random));
  u->limit = draw(random, 0, 1) ? fabsf(uniform(random)) : 0;
  u->l2 = fabsf(uniform(random));
  u->shrink = fabsf(uniform(random));
}

#define OPTIMIZER(name)                                                                                     \
  static void bits_##name(const struct kernel_table *table, float *in, float *out, struct random *random) { \
    memcpy(out, in, 3 * COUNT * sizeof *in);                                                                \
    struct update u = new_update(random, out, out + COUNT, out + 2 * COUNT, in + 3 * COUNT);                \
    treat(random, &u);                                                                                      \
    for (int i = 0; i < 3; i++) table->name(&u, draw(random, 0, COUNT / BLOCK) * BLOCK);                    \
  }
OPTIMIZER(sgd)
OPTIMIZER(momentum)
OPTIMIZER(nesterov)
OPTIMIZER(adagrad)
OPTIMIZER(rmsprop)
OPTIMIZER(adam)
OPTIMIZER(adamw)

static void bits_average(const struct kernel_table *table, float *in, float *out, struct random *random) {
  memcpy(out, in, COUNT * sizeof *in);
  table->average(out, in + COUNT, fabsf(uniform(random)), draw(random, 0, COUNT / BLOCK) * BLOCK);
}

static void bits_sum_squares(const struct kernel_table *table, float *in, float *out, struct random *random) {
  uint16_t real[COUNT / BLOCK];
  for (int i = 0; i < COUNT / BLOCK; i++)
    real[i] = draw(random, 0, 1) ? 0xffff : (uint16_t)draw(random, 0, 0xffff);
  double sum = table->sum_squares(in, real, draw(random, 0, COUNT / BLOCK) * BLOCK);
  out[0] = (float)sum;
  out[1] = (float)(sum - (double)out[0]);
}

#include "bits_layers.h"

/* A kernel without a case here does not compile. */
static const struct {
  const char *name;
  bits_case *run;
} bits_cases[] = {
#define KERNEL(result, name, arguments) {#name, bits_##name},
#include "kernels/kernels.def"
#undef KERNEL
};

static void same_bits(void **state) {
  (void)state;
  static float in[POOL], work[POOL], expected[OUT], out[OUT];
  int compared = 0;
  for (size_t k = 0; k < sizeof bits_cases / sizeof *bits_cases; k++)
    for (int s = 0; s < SETS; s++) {
      const struct kernel_table *table = kernels_find(instruction_sets[s]);
      if (!table || table == plain()) continue;
      for (int turn = 0; turn < 60; turn++) {
        struct random random = random_from((uint32_t)(k * 1000) + (uint32_t)turn), again;
        bool special = turn % 2;
        for (int i = 0; i < POOL; i++) in[i] = special ? any(&random) : uniform(&random);
        for (int i = 0; i < OUT; i++) expected[i] = out[i] = (float)i;
        again = random;
        memcpy(work, in, sizeof work);
        bits_cases[k].run(plain(), work, expected, &random);
        memcpy(work, in, sizeof work);
        bits_cases[k].run(table, work, out, &again);
        for (int i = 0; i < OUT; i++)
          if (!same(out[i], expected[i]))
            fail_msg("%s: float %d is %.9g with %s, %.9g in plain C", bits_cases[k].name, i, (double)out[i],
                     table->name, (double)expected[i]);
        compared++;
      }
    }
  if (!compared) skip(); /* this machine has plain C alone */
}

/* ---- values of the smaller ones, in plain C ---- */

static void near(double got, double expected, double size, const char *what) {
  if (!(fabs(got - expected) <= 4e-6 * size)) fail_msg("%s: %.9g, not %.9g", what, got, expected);
}

static void elementwise(void **state) {
  (void)state;
  const struct kernel_table *t = plain();
  float x[16] = {-2, -0.0F, 0, 3, NAN, INFINITY, -INFINITY, 0x1p-149F, -0x1p-149F, 1, 2, 3, 4, 5, 6, 7},
        y[16], g[16], dx[16];
  for (int i = 0; i < 16; i++) g[i] = (float)(i + 1);
  t->relu_forward(y, x, 16);
  const float relu[9] = {0, 0, 0, 3, NAN, INFINITY, 0, 0x1p-149F, 0};
  for (int i = 0; i < 9; i++) assert_true(y[i] == relu[i] || (isnan(y[i]) && isnan(relu[i])));
  t->relu_backward(dx, g, y, 16);
  for (int i = 0; i < 16; i++) assert_true(dx[i] == (y[i] > 0 ? g[i] : 0));
  memcpy(y, g, sizeof y);
  t->add(y, y, x, 16);
  for (int i = 0; i < 16; i++) assert_true(same(y[i], g[i] + x[i]));
  for (int i = 0; i < 16; i++) y[i] = (float)i / 15;
  t->sigmoid_backward(dx, g, y, 16);
  for (int i = 0; i < 16; i++)
    near((double)dx[i], (double)g[i] * (double)y[i] * (1 - (double)y[i]), 1, "sigmoid_backward");
  t->tanh_backward(dx, g, y, 16);
  for (int i = 0; i < 16; i++)
    near((double)dx[i], (double)g[i] * (1 - (double)y[i] * (double)y[i]), 1, "tanh_backward");
  float from[16 * 20], to[16 * 24] = {0};
  for (int i = 0; i < 16 * 20; i++) from[i] = (float)i;
  t->transpose(to, 24, from, 20);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < 24; j++) assert_true(to[i * 24 + j] == (j < 16 ? from[j * 20 + i] : 0));
}

static void softmax(void **state) {
  (void)state;
  struct random random = random_from(4);
  for (int64_t classes = 1; classes <= 50; classes++) {
    const int64_t xb = 32, yb = 48, blocks = (classes + 15) / 16;
    float x[4 * 32], y[4 * 48], dy[4 * 16], dx[4 * 16];
    double p[50], most = -INFINITY, sum = 0, dot = 0;
    for (int i = 0; i < 4 * 32; i++) x[i] = uniform(&random) * 10;
    for (int i = 0; i < 4 * 48; i++) y[i] = NAN;
    for (int i = 0; i < 4 * 16; i++) dy[i] = uniform(&random);
    for (int64_t c = 0; c < classes; c++) most = fmax(most, (double)x[c / 16 * xb + c % 16]);
    for (int64_t c = 0; c < classes; c++) sum += p[c] = exp((double)x[c / 16 * xb + c % 16] - most);
    plain()->softmax(y, yb, x, xb, classes);
    for (int64_t c = 0; c < blocks * 16; c++) {
      if (c < classes) near((double)y[c / 16 * yb + c % 16], p[c] / sum, p[c] / sum, "softmax");
      if (c >= classes) assert_true(y[c / 16 * yb + c % 16] == 0);
    }
    for (int64_t c = 0; c < classes; c++) dot += (double)dy[c] * p[c] / sum;
    plain()->softmax_backward(dx, 16, dy, 16, y, yb, classes);
    for (int64_t c = 0; c < classes; c++)
      near((double)dx[c], p[c] / sum * ((double)dy[c] - dot), 1, "softmax_backward");
  }
  float x[16] = {1000, 1000, -1000}, y[16]; /* large scores do not overflow */
  plain()->softmax(y, 16, x, 16, 3);
  assert_true(y[0] == 0.5F && y[1] == 0.5F && y[2] == 0);
  for (int at = 0; at < 3; at++) { /* a NaN anywhere spoils all */
    float bad[16] = {1, 2, 3};
    bad[at] = NAN;
    plain()->softmax(y, 16, bad, 16, 3);
    assert_true(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
  }
}

static void sums(void **state) {
  (void)state;
  float x[40 * 16], lanes[256] = {0}, sum[16];
  double exact[16] = {0};
  struct random random = random_from(9);
  for (int i = 0; i < 40 * 16; i++) x[i] = uniform(&random);
  for (int k = 0; k < 40; k++)
    for (int c = 0; c < 16; c++) exact[c] += (double)x[k * 16 + c];
  plain()->sum_positions(lanes, x, 16, 40);
  for (int l = 0; l < 16; l++) /* lane l has the positions l, l + 16, l + 32, in that order */
    for (int c = 0; c < 16; c++) {
      float expected = 0;
      for (int k = l; k < 40; k += 16) expected += x[k * 16 + c];
      assert_true(lanes[l * 16 + c] == expected);
    }
  plain()->sum_lanes(sum, lanes);
  for (int c = 0; c < 16; c++) {
    float s[16];
    for (int l = 0; l < 16; l++) s[l] = lanes[l * 16 + c];
    for (int half = 8; half >= 1; half /= 2)
      for (int i = 0; i < half; i++) s[i] += s[i + half]; /* the tree of the contract */
    assert_true(sum[c] == s[0]);
    near((double)sum[c], exact[c], 1, "sum_lanes");
  }
}

/* Small whole numbers, so that sums of gradients are exact in any order. */
static void pooling(void **state) {
  (void)state;
  struct random random = random_from(12);
  for (int turn = 0; turn < 300; turn++) {
    struct window p = new_window(&random);
    static float x[8 * 10 * BLOCK], y[64 * 3 * BLOCK], winner[64 * BLOCK], dy[64 * 3 * BLOCK],
        dx[8 * 10 * BLOCK], mean[64 * 3 * BLOCK], dmean[8 * 10 * BLOCK];
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
      x[i] = (float)draw(&random, -3, 3), dx[i] = dmean[i] = NAN;
    for (size_t i = 0; i < sizeof dy / sizeof *dy; i++) dy[i] = (float)draw(&random, -8, 8);
    plain()->maxpool_forward(&p, y, winner, x);
    plain()->maxpool_backward(&p, dx, dy, winner);
    plain()->avgpool_forward(&p, mean, x);
    plain()->avgpool_backward(&p, dmean, dy);
    for (int lane = 0; lane < BLOCK; lane++) {
      double back[64] = {0}, spread[64] = {0};
      for (int64_t oh = 0; oh < p.oh; oh++)
        for (int64_t ow = 0; ow < p.ow; ow++) {
          int64_t to = oh * p.y_row + ow * BLOCK + lane, best = -1, which = -1;
          double sum = 0, count = 0;
          for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < p.fh * p.fw; i++) {
              int64_t h = oh * p.stride_h - p.pad_h + i / p.fw, w = ow * p.stride_w - p.pad_w + i % p.fw;
              bool inside = h >= 0 && h < p.h && w >= 0 && w < p.w;
              if (pass == 0) count += inside || p.count_pad;
              if (!inside) continue;
              if (pass == 1) {
                spread[h * p.w + w] += (double)dy[to] / count;
                continue;
              }
              float value = x[h * p.x_row + w * BLOCK + lane];
              sum += (double)value;
              if (best < 0 || value > x[best / p.w * p.x_row + best % p.w * BLOCK + lane])
                best = h * p.w + w, which = i;
            }
          back[best] += (double)dy[to];
          assert_true(y[to] == x[best / p.w * p.x_row + best % p.w * BLOCK + lane]);
          assert_true(winner[(oh * p.ow + ow) * BLOCK + lane] == (float)which); /* the first of equals */
          near((double)mean[to], sum / count, 3, "avgpool_forward");
        }
      for (int64_t i = 0; i < p.h * p.w; i++) {
        assert_true((double)dx[i / p.w * p.x_row + i % p.w * BLOCK + lane] == back[i]);
        near((double)dmean[i / p.w * p.x_row + i % p.w * BLOCK + lane], spread[i], 20, "avgpool_backward");
      }
    }
  }
}

static void nan_is_the_largest(void **state) {
  (void)state;
  struct window p = {.h = 2,
                     .w = 2,
                     .oh = 1,
                     .ow = 1,
                     .fh = 2,
                     .fw = 2,
                     .stride_h = 2,
                     .stride_w = 2,
                     .x_row = 2 * BLOCK,
                     .y_row = BLOCK};
  for (int at = 0; at < 4; at++) {
    float x[4 * BLOCK] = {0}, y[BLOCK], winner[BLOCK];
    x[at * BLOCK + 5] = NAN;
    plain()->maxpool_forward(&p, y, winner, x);
    for (int i = 0; i < BLOCK; i++) assert_true(isnan(y[i]) == (i == 5));
    assert_true(winner[5] == (float)at);
  }
}

/* The formulas of the papers, in double. */
static void optimizers(void **state) {
  (void)state;
  const struct kernel_table *t = plain();
  struct random random = random_from(20);
  void (*const steps[])(const struct update *, int64_t) = {t->sgd,     t->momentum, t->nesterov,
                                                           t->adagrad, t->rmsprop,  t->adam};
  for (int which = 0; which < 6; which++)
    for (int turn = 0; turn < 50; turn++) {
      float w[16], m[16], v[16], g[16];
      double w1[16], m1[16], v1[16];
      for (int i = 0; i < 16; i++) {
        w1[i] = (double)(w[i] = uniform(&random));
        m1[i] = (double)(m[i] = which >= 3 && which < 5 ? fabsf(uniform(&random)) : uniform(&random));
        v1[i] = (double)(v[i] = fabsf(uniform(&random)));
        g[i] = uniform(&random);
      }
      struct update u = new_update(&random, w, m, v, g);
      steps[which](&u, 16);
      const double lr = (double)u.lr, e = (double)u.epsilon, d = (double)u.decay, b1 = (double)u.beta1,
                   b2 = (double)u.beta2, mu = (double)u.momentum;
      for (int i = 0; i < 16; i++) {
        double x = (double)g[i];
        switch (which) {
          case 0: w1[i] -= lr * x; break;
          case 1: m1[i] = mu * m1[i] - lr * x, w1[i] += m1[i]; break;
          case 2: m1[i] = mu * m1[i] - lr * x, w1[i] += mu * m1[i] - lr * x; break;
          case 3: m1[i] += x * x, w1[i] -= lr * x / (sqrt(m1[i]) + e); break;
          case 4: m1[i] = d * m1[i] + (double)u.rest * x * x, w1[i] -= lr * x / (sqrt(m1[i]) + e); break;
          default:
            m1[i] = b1 * m1[i] + (double)u.rest1 * x;
            v1[i] = b2 * v1[i] + (double)u.rest2 * x * x;
            w1[i] -= lr * m1[i] * (double)u.correction1 / (sqrt(v1[i] * (double)u.correction2) + e);
        }
        near((double)w[i], w1[i], 10, "weight");
        near((double)m[i], m1[i], 2, "first moment");
        near((double)v[i], v1[i], 2, "second moment");
      }
    }
}

/* Where gradients stay 0 moments shrink to 0, and on the way none is too small to be a normal number. */
static void moments_end_at_zero(void **state) {
  (void)state;
  for (int set = 0; set < SETS; set++) {
    const struct kernel_table *t = kernels_find(instruction_sets[set]);
    if (!t) continue;
    void (*const steps[])(const struct update *, int64_t) = {t->momentum, t->nesterov, t->rmsprop, t->adam,
                                                             t->adamw};
    for (int which = 0; which < 5; which++) {
      float w[16], m[16], v[16], g[16] = {0};
      for (int i = 0; i < 16; i++) w[i] = 1, m[i] = 1, v[i] = 1;
      struct update u = {.weight = w,
                         .gradient = g,
                         .moment = {m, v},
                         .momentum = 0.9F,
                         .decay = 0.9F,
                         .beta1 = 0.9F,
                         .beta2 = 0.8F,
                         .epsilon = 1e-8F,
                         .correction1 = 1,
                         .correction2 = 1};
      for (int turn = 0; turn < 1000; turn++) {
        if (turn == 700) assert_true(m[0] > 0 && m[0] < 1e-30F); /* 0.9^700 is 9e-33: not yet */
        steps[which](&u, 16);
        for (int i = 0; i < 16; i++) {
          assert_true(m[i] == 0 || isnormal(m[i]));
          assert_true(v[i] == 0 || isnormal(v[i]));
        }
      }
      for (int i = 0; i < 16; i++) assert_true(m[i] == 0 && (which < 3 || v[i] == 0));
    }
  }
}

/* ---- the choice ---- */

/* In a process of its own, where nothing is chosen yet: cnn_isa() with CNN_ISA=wish. */
static void check_choice(const char *wish, const char *expected, const char *why) {
  (void)fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (wish) setenv("CNN_ISA", wish, 1);
    if (!wish) unsetenv("CNN_ISA");
    const char *name = "untouched";
    cnn_status status = cnn_isa(&name);
    bool good = expected
                    ? status == CNN_OK && strcmp(name, expected) == 0
                    : status == CNN_E_UNSUPPORTED && strcmp(name, "untouched") == 0 && strstr(cnn_why(), why);
    double rate = 0;
    if (!expected && cnn_fma_peak(1, &rate) != CNN_E_UNSUPPORTED) good = false;
    _exit(good ? 0 : 3);
  }
  int state;
  assert_int_equal(waitpid(child, &state, 0), child);
  if (!WIFEXITED(state) || WEXITSTATUS(state)) fail_msg("CNN_ISA=%s", wish ? wish : "(none)");
}

static void choice(void **state) {
  (void)state;
  const char *best = kernels_find("avx512") ? "avx512"
                     : kernels_find("avx2") ? "avx2"
                     : kernels_find("neon") ? "neon"
                                            : "scalar";
  check_choice(NULL, best, NULL);
  check_choice("", best, NULL);
  for (int s = 0; s < SETS; s++)
    check_choice(instruction_sets[s], kernels_find(instruction_sets[s]) ? instruction_sets[s] : NULL,
                 "this machine");
  check_choice("sse9", NULL, "CNN_ISA=sse9: no such instruction set; this machine has ");
  check_choice("a name that is much longer than any instruction set's", NULL, "no such instruction set");
}

static void tables(void **state) {
  (void)state;
  assert_non_null(plain());
  assert_null(kernels_find("sse9"));
  assert_null(kernels_find(""));
  for (int s = 0; s < SETS; s++) {
    const struct kernel_table *table = kernels_find(instruction_sets[s]);
    if (!table) continue;
    assert_string_equal(table->name, instruction_sets[s]);
    const char *name;
    kernels_use(table);
    assert_int_equal(cnn_isa(&name), CNN_OK);
    assert_string_equal(name, instruction_sets[s]);
    double rate = 0;
    assert_int_equal(cnn_fma_peak(1, &rate), CNN_OK);
    assert_true(rate > 0.01 && rate < 10000);
  }
  double rate = -7;
  assert_int_equal(cnn_fma_peak(0, &rate), CNN_E_ARGUMENT);
  assert_int_equal(cnn_fma_peak(100000, &rate), CNN_E_ARGUMENT);
  assert_true(rate == -7);
  assert_true(cnn_processors() >= 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(choice), /* first: it forks */
      cmocka_unit_test(products),
      cmocka_unit_test(same_bits),
      cmocka_unit_test(elementwise),
      cmocka_unit_test(softmax),
      cmocka_unit_test(sums),
      cmocka_unit_test(pooling),
      cmocka_unit_test(nan_is_the_largest),
      cmocka_unit_test(optimizers),
      cmocka_unit_test(moments_end_at_zero),
      cmocka_unit_test(tables),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
