/* Every layer, by its own examples: shape and values against its plain loops, gradients against central
 * differences, the same bits for every instruction set and number of threads, text there and back, every
 * allocation failing in turn. A new layer is tested by being in layers.def. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/rng.h"
#include "instruction_sets.h"
#include "net/probe.h"

struct example {
  const struct layer_class *class;
  const char *name, *words;
  cnn_shape in[MAX_INPUTS];
  int inputs;
};

/* "in=2x3x8x8,2x4x8x8 filters=4 ..." into shapes and the rest. */
static struct example parse_example(const struct layer_class *class, const char *text) {
  struct example e = {.class = class, .name = class->name};
  assert_int_equal(strncmp(text, "in=", 3), 0);
  char *end = (char *)text + 2;
  do { /* before the first number stands '=' or ',', before the others 'x' */
    cnn_shape *in = &e.in[e.inputs++];
    int64_t *dim[4] = {&in->n, &in->c, &in->h, &in->w};
    for (int i = 0; i < 4; i++) {
      if (i) assert_int_equal(*end, 'x');
      *dim[i] = strtoll(end + 1, &end, 10);
      assert_true(*dim[i] > 0);
    }
  } while (*end == ',' && e.inputs < MAX_INPUTS);
  e.words = end;
  return e;
}

static struct probe *probe(const struct example *e, int threads) {
  struct probe *p;
  if (probe_new_inputs(e->name, e->words, e->in, e->inputs, 7, threads, &p) != CNN_OK)
    fail_msg("%s%s: %s", e->name, e->words, cnn_why());
  return p;
}

static void check_values(const struct example *e) {
  struct probe *p = probe(e, 1);
  for (int part = 0; part < PROBE_PARTS; part++) {
    if (!p->count[part]) continue;
    double engine = probe_engine_error(p, part);
    double oracle = part == PROBE_OUTPUT ? 0 : probe_oracle_error(p, part, 30);
    if (!(engine < 5e-6))
      fail_msg("%s%s: %s: engine differs from the plain loops by %g", e->name, e->words, probe_names[part],
               engine);
    if (!(oracle < 1e-6))
      fail_msg("%s%s: %s: plain loops differ from central differences by %g", e->name, e->words,
               probe_names[part], oracle);
  }
  probe_free(p);
}

static void check_same(const struct example *e, const struct probe *a, const struct probe *b,
                       const char *what) {
  for (int part = 0; part < PROBE_PARTS; part++)
    if (memcmp(a->engine[part], b->engine[part], (size_t)a->count[part] * sizeof(float)))
      fail_msg("%s%s: %s: other bits with %s", e->name, e->words, probe_names[part], what);
}

static void check_bits(const struct example *e) {
  const struct kernel_table *best;
  assert_int_equal(kernels_pick(&best), CNN_OK);
  struct probe *p = probe(e, 1);
  for (int i = 0; i < SETS; i++) {
    const struct kernel_table *table = kernels_find(instruction_sets[i]);
    if (!table) continue;
    kernels_use(table);
    struct probe *other = probe(e, 2);
    kernels_use(best);
    check_same(e, p, other, table->name);
    probe_free(other);
  }
  for (int threads = 2; threads <= 7; threads += threads == 3 ? 4 : 1) {
    char what[32];
    snprintf(what, sizeof what, "%d threads", threads);
    struct probe *other = probe(e, threads);
    check_same(e, p, other, what);
    probe_free(other);
  }
  probe_free(p);
}

/* Several inputs are one and the same here: text knows a single network's input. */
static void check_text(const struct example *e) {
  char shape[64], words[512];
  snprintf(shape, sizeof shape, "shape=%" PRId64 "x%" PRId64 "x%" PRId64, e->in[0].c, e->in[0].h, e->in[0].w);
  int used = snprintf(words, sizeof words, "%s", e->words);
  for (int k = 0; e->inputs > 1 && k < e->inputs; k++)
    used += snprintf(words + used, sizeof words - (size_t)used, "%sinput1", k ? "," : " from=");
  cnn_net *net = cnn_net_new(), *again;
  assert_int_equal(cnn_net_add(net, "input", shape), CNN_OK);
  assert_int_equal(cnn_net_add(net, e->name, words), CNN_OK);
  char text[1024];
  snprintf(text, sizeof text, "%s", cnn_net_text(net));
  assert_int_equal(cnn_net_parse(text, "again", &again), CNN_OK);
  assert_string_equal(cnn_net_text(again), text);
  assert_memory_equal(net->bricks[1].config, again->bricks[1].config, e->class->config_size);
  assert_memory_equal(net->bricks[1].from, again->bricks[1].from, sizeof net->bricks[1].from);
  cnn_net_free(net);
  cnn_net_free(again);
}

/* Fail the first allocation, the second, ... until one run needs no more. */
static void check_allocations(const struct example *e) {
  struct probe *p = NULL;
  for (long successes = 0;; successes++) {
    mem_fail_after(successes);
    cnn_status status = probe_new_inputs(e->name, e->words, e->in, e->inputs, 7, 1, &p);
    mem_fail_after(-1);
    if (status == CNN_OK) break;
    assert_int_equal(status, CNN_E_MEMORY);
    assert_true(successes < 1000);
  }
  probe_free(p);
}

static void check_no_allocation(const struct example *e) {
  struct probe *p = probe(e, 2);
  long before = mem_count();
  exec_gradient(p->plan, e->in[0].n, NULL);
  exec_forward(p->plan, e->in[0].n, NULL);
  assert_int_equal(mem_count(), before);
  probe_free(p);
}

static void each_example(void (*check)(const struct example *e)) {
  for (const struct layer_class *const *class = layer_classes; *class; class ++) {
    if ((*class)->inputs == 0) continue;
    assert_non_null((*class)->examples);
    assert_non_null((*class)->examples[0]);
    for (const char *const *text = (*class)->examples; *text; text++) {
      struct example e = parse_example(*class, *text);
      assert_in_range(e.inputs, (*class)->inputs, layer_most_inputs(*class));
      check(&e);
    }
  }
}

/* What is not a number is no small error, and zeros that are right are none at all: NaN. */
static void errors_of_probes(void **state) {
  (void)state;
  struct probe *p;
  const cnn_shape in = {2, 1, 3, 3};
  assert_int_equal(probe_new("affine", "units=2", in, 7, 1, &p), CNN_OK);
  float was = p->engine[PROBE_INPUT][0];
  p->engine[PROBE_INPUT][0] = NAN;
  assert_true(isinf(probe_engine_error(p, PROBE_INPUT)));
  p->engine[PROBE_INPUT][0] = was;
  assert_true(probe_engine_error(p, PROBE_INPUT) < 5e-6);
  for (int64_t i = 0; i < p->count[PROBE_INPUT]; i++)
    p->engine[PROBE_INPUT][i] = 0, p->naive[PROBE_INPUT][i] = 0;
  assert_true(isnan(probe_engine_error(p, PROBE_INPUT)));
  p->engine[PROBE_INPUT][0] = 1;
  assert_true(isinf(probe_engine_error(p, PROBE_INPUT)));
  p->naive[PROBE_INPUT][0] = NAN;
  assert_true(isinf(probe_engine_error(p, PROBE_INPUT)));
  probe_free(p);
}

static void values(void **state) { (void)state, each_example(check_values); }
static void bits(void **state) { (void)state, each_example(check_bits); }
static void text(void **state) { (void)state, each_example(check_text); }
static void allocations(void **state) { (void)state, each_example(check_allocations); }
static void no_allocation(void **state) { (void)state, each_example(check_no_allocation); }

/* ---- 200 random configurations of the layers with windows ---- */

static int64_t draw(struct rng *rng, uint64_t *i, int64_t least, int64_t most) {
  return least + (int64_t)rng_below(rng, (*i)++, (uint64_t)(most - least + 1));
}

static void random_windows(void **state) {
  (void)state;
  static const char *const names[] = {"conv", "conv", "maxpool", "avgpool"};
  struct rng rng = rng_stream(2026, RNG_GRADCHECK, 0);
  uint64_t i = 0;
  for (int done = 0; done < 200;) {
    const struct layer_class *class;
    assert_int_equal(layer_find(names[done % 4], &class), CNN_OK);
    bool conv = done % 4 < 2;
    int64_t groups = conv ? draw(&rng, &i, 1, 3) : 1;
    cnn_shape in = {draw(&rng, &i, 1, 5), groups * draw(&rng, &i, 1, 9), draw(&rng, &i, 1, 12),
                    draw(&rng, &i, 1, 12)};
    if (draw(&rng, &i, 0, 4) == 0) in.c *= 4; /* more than one channel block */
    int64_t kernel[2] = {draw(&rng, &i, 1, 5), draw(&rng, &i, 1, 5)};
    char words[256];
    int used = snprintf(words, sizeof words, " kernel=%" PRId64 "x%" PRId64 " stride=%" PRId64 "x%" PRId64,
                        kernel[0], kernel[1], draw(&rng, &i, 1, 3), draw(&rng, &i, 1, 3));
    int64_t pad[2];
    for (int k = 0; k < 2; k++) pad[k] = draw(&rng, &i, 0, conv ? 3 : kernel[k] - 1);
    used += snprintf(words + used, sizeof words - (size_t)used, " pad=%" PRId64 "x%" PRId64 " round=%s",
                     pad[0], pad[1], draw(&rng, &i, 0, 1) ? "floor" : "ceil");
    if (conv)
      snprintf(words + used, sizeof words - (size_t)used,
               " filters=%" PRId64 " groups=%" PRId64 " dilation=%" PRId64 "x%" PRId64 " bias=%s",
               groups * draw(&rng, &i, 1, 12), groups, draw(&rng, &i, 1, 3), draw(&rng, &i, 1, 2),
               draw(&rng, &i, 0, 3) ? "yes" : "no");
    else if (strcmp(class->name, "avgpool") == 0)
      snprintf(words + used, sizeof words - (size_t)used, " count_pad=%s",
               draw(&rng, &i, 0, 1) ? "yes" : "no");
    struct probe *p;
    cnn_status status = probe_new(class->name, words, in, 7, 1, &p);
    if (status == CNN_E_SHAPE) continue; /* a filter larger than the input: draw again */
    if (status != CNN_OK) fail_msg("%s%s: %s", class->name, words, cnn_why());
    for (int part = 0; part < PROBE_PARTS; part++) {
      double error = 0, norm = 0;
      for (int64_t k = 0; k < p->count[part]; k++) {
        double d = (double)p->engine[part][k] - p->naive[part][k];
        error += d * d;
        norm += p->naive[part][k] * p->naive[part][k];
      }
      if (!(error <= 2.5e-11 * norm)) /* relative, in norm: 5e-6 */
        fail_msg("%s in=%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "%s: %s: %g of %g", class->name, in.n,
                 in.c, in.h, in.w, words, probe_names[part], error, norm);
    }
    probe_free(p);
    check_bits(&(struct example){class, class->name, words, {in}, 1});
    done++;
  }
}

/* ---- dropout ---- */

/* What dropout makes of ones on `threads` threads, for images image .. of a run; free() it. */
static float *dropped(const struct kernel_table *table, struct chance chance, const char *net_text, int brick,
                      int threads) {
  cnn_net *net;
  cnn_plan *plan;
  const struct kernel_table *best;
  assert_int_equal(kernels_pick(&best), CNN_OK);
  kernels_use(table ? table : best);
  assert_int_equal(cnn_net_parse(net_text, "t", &net), CNN_OK);
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = 4, .seed = 1, .threads = threads, .group = 1};
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_OK);
  kernels_use(best);
  plan->chance = chance;
  float *y = malloc(4 * 2000 * sizeof *y);
  assert_non_null(y);
  for (int i = 0; i < 4 * 2000; i++) y[i] = 1;
  view_write(&plan->steps[0].y, 0, 4, y);
  exec_gradient(plan, 4, NULL);
  view_read(&plan->steps[brick].y, 0, 4, y);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return y;
}

static int differences(const float *a, const float *b, int count) {
  int differ = 0;
  for (int i = 0; i < count; i++) differ += a[i] != b[i];
  return differ;
}

static void dropout_draws(void **state) {
  (void)state;
  enum { IMAGE = 2000, ALL = 4 * IMAGE };
  static const char one[] = "input shape=20x10x10\ndropout rate=0.3\naffine units=2\n";
  static const char two[] = "input shape=20x10x10\ndropout rate=0.3\ndropout rate=0.3\naffine units=2\n";
  struct chance chance = {5, 100}, later = {5, 101}, seed = {6, 100};
  float *first = dropped(NULL, chance, one, 1, 1), *other;
  int zeros = 0;
  for (int i = 0; i < ALL; i++) {
    assert_true(first[i] == 0 || first[i] == (float)(1 / 0.7));
    zeros += first[i] == 0;
  }
  assert_true(abs(zeros - ALL * 3 / 10) < 5 * 41); /* five deviations */
  for (int n = 1; n < 4; n++) assert_true(differences(first, first + n * IMAGE, IMAGE) > IMAGE / 4);
  for (int i = 0; i < SETS; i++) {
    if (!kernels_find(instruction_sets[i])) continue;
    other = dropped(kernels_find(instruction_sets[i]), chance, one, 1, 3);
    assert_int_equal(differences(first, other, ALL), 0);
    free(other);
  }
  other = dropped(NULL, later, one, 1, 1); /* what counts is an image's number in the run */
  assert_int_equal(differences(first + IMAGE, other, ALL - IMAGE), 0);
  free(other);
  other = dropped(NULL, seed, one, 1, 1);
  assert_true(differences(first, other, ALL) > ALL / 4);
  free(other);
  other = dropped(NULL, chance, two, 2, 1); /* the second drops of what the first left, by its own numbers */
  zeros = 0;
  for (int i = 0; i < ALL; i++) {
    if (first[i] == 0) assert_true(other[i] == 0);
    zeros += other[i] == 0;
  }
  assert_true(abs(zeros - ALL * 51 / 100) < 5 * 45);
  free(other);
  free(first);
}

/* Outside of training y is x, and where x is nobody else's, nothing is moved. */
static void dropout_passes_all_on(void **state) {
  (void)state;
  static const char text_of_net[] = "input shape=3x5x5\nsigmoid\ndropout\n",
                    plain[] = "input shape=3x5x5\nsigmoid\n";
  float x[2 * 75], y[2 * 75], expected[2 * 75];
  for (int i = 0; i < 2 * 75; i++) x[i] = (float)i / 75 - 1;
  for (int mode = CNN_INFER; mode <= CNN_TRAIN; mode++)
    for (int with = 0; with < 2; with++) {
      cnn_net *net;
      cnn_plan *plan;
      cnn_plan_options options = {.mode = (cnn_mode)mode, .batch = 2, .seed = 1, .threads = 1};
      assert_int_equal(cnn_net_parse(with ? text_of_net : plain, "t", &net), CNN_OK);
      assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_OK);
      if (with && mode == CNN_INFER) assert_ptr_equal(plan->steps[2].y.data, plan->steps[1].y.data);
      cnn_shape shape = {2, 3, 5, 5};
      assert_int_equal(
          cnn_plan_forward(plan, (cnn_tensor){x, shape}, (cnn_tensor){with ? y : expected, shape}), CNN_OK);
      if (with) assert_memory_equal(y, expected, sizeof y);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

/* Lanes past the last channel may hold anything; the window must not see it. */
static void lrn_sees_real_channels(void **state) {
  (void)state;
  for (int channels = 1; channels <= 40; channels += 3) {
    char words[64];
    snprintf(words, sizeof words, " size=5 alpha=1");
    const struct layer_class *class;
    assert_int_equal(layer_find("lrn", &class), CNN_OK);
    struct probe *p = probe(&(struct example){class, class->name, words, {{1, channels, 2, 3}}, 1}, 1);
    struct step *step = &p->plan->steps[1];
    struct shard shard = {.n1 = 1, .batch = 1};
    float y[40 * 6], dx[40 * 6];
    int64_t count = p->count[PROBE_OUTPUT];
    struct view *spoilt[] = {&step->x[0], &step->dy};
    for (int v = 0; v < 2; v++)
      for (int64_t c = channels; c % BLOCK; c++)
        for (int64_t i = 0; i < 6; i++) spoilt[v]->data[view_offset(spoilt[v], 0, c, i / 3, i % 3)] = NAN;
    class->forward(step, shard);
    class->backward_data(step, shard);
    view_read(&step->y, 0, 1, y);
    view_read(&step->dx[0], 0, 1, dx);
    assert_memory_equal(y, p->engine[PROBE_OUTPUT], (size_t)count * sizeof *y);
    assert_memory_equal(dx, p->engine[PROBE_INPUT], (size_t)count * sizeof *dx);
    probe_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(values),
                                     cmocka_unit_test(errors_of_probes),
                                     cmocka_unit_test(bits),
                                     cmocka_unit_test(text),
                                     cmocka_unit_test(allocations),
                                     cmocka_unit_test(no_allocation),
                                     cmocka_unit_test(random_windows),
                                     cmocka_unit_test(dropout_draws),
                                     cmocka_unit_test(dropout_passes_all_on),
                                     cmocka_unit_test(lrn_sees_real_channels)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
