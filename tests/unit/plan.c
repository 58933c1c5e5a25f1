/* Plans: memory that is counted and shared; weights by name; and whole networks, drawn at random,
 * against the layers' plain loops in double, one after the other. */
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
#include "net/plan.h"
#include "random.h"

/* ---- a plan at hand ---- */

static cnn_net *parse(const char *text) {
  cnn_net *net;
  if (cnn_net_parse(text, "t", &net) != CNN_OK) fail_msg("%s", cnn_why());
  return net;
}

static cnn_plan *plan_of(const cnn_net *net, cnn_plan_options options) {
  cnn_plan *plan;
  if (cnn_plan_new(net, &options, &plan) != CNN_OK) fail_msg("%s", cnn_why());
  return plan;
}

static cnn_plan_options training(int64_t batch) {
  return (cnn_plan_options){.mode = CNN_TRAIN, .batch = batch, .seed = 3, .threads = 1};
}

static cnn_plan_options inference(int64_t batch) {
  return (cnn_plan_options){.mode = CNN_INFER, .batch = batch, .seed = 3, .threads = 1};
}

static int64_t count_of(cnn_shape shape) { return shape.n * shape.c * shape.h * shape.w; }

/* `count` random floats in (-1, 1); free() them. */
static float *values(uint32_t seed, int64_t count) {
  struct rng rng = rng_stream(seed, RNG_GRADCHECK, 5);
  float *x = malloc((size_t)count * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < count; i++) x[i] = 2 * rng_uniform(&rng, (uint64_t)i) - 1;
  return x;
}

static cnn_tensor images(const cnn_plan *plan, float *x, int64_t n) {
  cnn_shape shape = cnn_net_input(cnn_plan_net(plan));
  shape.n = n;
  return (cnn_tensor){x, shape};
}

/* The output for n images; free() it. */
static float *forward(cnn_plan *plan, float *x, int64_t n) {
  cnn_shape shape = cnn_net_output(cnn_plan_net(plan));
  shape.n = n;
  float *y = malloc((size_t)count_of(shape) * sizeof *y);
  assert_non_null(y);
  if (cnn_plan_forward(plan, images(plan, x, n), (cnn_tensor){y, shape}) != CNN_OK) fail_msg("%s", cnn_why());
  return y;
}

static float gradient(cnn_plan *plan, float *x, const int32_t *labels, int64_t n) {
  float loss = 0;
  if (cnn_plan_gradient(plan, images(plan, x, n), labels, &loss) != CNN_OK) fail_msg("%s", cnn_why());
  return loss;
}

typedef cnn_status getter(const cnn_plan *plan, const char *name, float *values, int64_t count);

/* All weights, or all gradients, one after the other; free() them. */
static float *all(const cnn_plan *plan, getter *get, int64_t *total) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_weight_info info;
  *total = 0;
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    *total += info.count;
  }
  float *into = malloc((size_t)(*total + 1) * sizeof *into), *at = into;
  assert_non_null(into);
  for (int w = 0; w < cnn_net_weight_count(net); w++, at += info.count) {
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    assert_int_equal(get(plan, info.name, at, info.count), CNN_OK);
  }
  return into;
}

static void set_all(cnn_plan *plan, const float *from) {
  const cnn_net *net = cnn_plan_net(plan);
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    assert_int_equal(cnn_plan_set_weight(plan, info.name, from, info.count), CNN_OK);
    from += info.count;
  }
}

static void copy_weights(cnn_plan *to, const cnn_plan *from) {
  int64_t count;
  float *weights = all(from, cnn_plan_get_weight, &count);
  set_all(to, weights);
  free(weights);
}

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static void same_bits(const float *a, const float *b, int64_t count, const char *what, const char *net) {
  for (int64_t i = 0; i < count; i++)
    if (bits_of(a[i]) != bits_of(b[i]))
      fail_msg("%s: element %" PRId64 " of %" PRId64 " is %.9g and %.9g, of\n%s", what, i, count,
               (double)a[i], (double)b[i], net);
}

static void same_all(const cnn_plan *a, const cnn_plan *b, getter *get, const char *what, const char *net) {
  int64_t count, again;
  float *x = all(a, get, &count), *y = all(b, get, &again);
  assert_int_equal(count, again);
  same_bits(x, y, count, what, net);
  free(x);
  free(y);
}

/* The end of the arena, beyond all that was counted, is never written. */
static void check_memory(const cnn_net *net, const cnn_plan *plan, const char *text) {
  cnn_memory memory;
  cnn_plan_options options = cnn_plan_settings(plan);
  assert_int_equal(cnn_plan_memory(net, &options, NULL, &memory), CNN_OK);
  assert_int_equal(memory.total, plan->arena_bytes);
  assert_int_equal(memory.optimizer, 0);
  int64_t counted = memory.weights + memory.gradients + memory.activations + memory.scratch;
  assert_in_range(memory.total - counted, 1, 1 << 20);
  for (const char *c = (const char *)plan->arena + counted; c < (const char *)plan->arena + plan->arena_bytes;
       c++)
    if (*c) fail_msg("memory past what was planned is written, by\n%s", text);
}

/* ---- weights ---- */

static void weights_there_and_back(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=6x7x7\nconv filters=9 kernel=3x2 groups=3\nconv filters=37 kernel=1\nflatten\naffine "
      "units=3",
      "input shape=1x9x9\nconv filters=19 kernel=3 pad=1\nmaxpool kernel=3\naffine units=18\nrelu\naffine "
      "units=33 "
      "bias=no\nsoftmax",
      "input shape=32x3x3\nconv filters=32 kernel=3 groups=2\nconv filters=64 kernel=1 groups=32\naffine "
      "units=1",
      "input shape=5x3x4\naffine units=17\naffine units=16"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
    for (int mode = 0; mode < 2; mode++) {
      cnn_net *net = parse(texts[t]);
      cnn_plan *plan = plan_of(net, mode ? training(2) : inference(2));
      int64_t count, again;
      free(all(plan, cnn_plan_get_weight, &count));
      float *in = malloc((size_t)count * sizeof *in);
      for (int64_t i = 0; i < count; i++) in[i] = (float)(i + 1); /* each one its own */
      set_all(plan, in);
      float *out = all(plan, cnn_plan_get_weight, &again);
      same_bits(out, in, count, "weights", texts[t]);
      float one[1] = {0};
      assert_int_equal(cnn_plan_get_weight(plan, "nothing", one, 1), CNN_E_KEY);
      assert_int_equal(cnn_plan_set_weight(plan, "nothing", one, 1), CNN_E_KEY);
      cnn_weight_info info;
      assert_int_equal(cnn_net_weight(net, 0, &info), CNN_OK);
      assert_int_equal(cnn_plan_get_weight(plan, info.name, in, info.count - 1), CNN_E_SHAPE);
      assert_int_equal(cnn_plan_set_weight(plan, info.name, in, info.count + 1), CNN_E_SHAPE);
      free(out);
      out = all(plan, cnn_plan_get_weight, &again);
      for (int64_t i = 0; i < count; i++) assert_true(out[i] == (float)(i + 1));
      free(in);
      free(out);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

static void weights_of_every_example(void **state) {
  (void)state;
  for (const struct layer_class *const *class = layer_classes; *class; class ++)
    for (const char *const *example = (*class)->examples; example && *example; example++) {
      if ((*class)->inputs > 1) break; /* none has weights */
      char text[512];                  /* "in=2x3x8x8 filters=4 ..." is two images of 3x8x8 */
      const char *shape = strchr(*example, 'x') + 1;
      int length = (int)strcspn(shape, " ");
      snprintf(text, sizeof text, "input shape=%.*s\n%s%s\n", length, shape, (*class)->name, shape + length);
      cnn_net *net = parse(text);
      cnn_plan *plan = plan_of(net, training(2));
      int64_t count, again;
      free(all(plan, cnn_plan_get_weight, &count));
      float *set = values(5, count + 1);
      set_all(plan, set);
      float *got = all(plan, cnn_plan_get_weight, &again);
      same_bits(got, set, count, "weights", text);
      free(set);
      free(got);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

/* ---- seeds ---- */

static const char *const seeded =
    "input shape=4x10x10\n"
    "conv filters=40 kernel=5 groups=2 init=xavier\n"
    "affine units=50 init=he\n"
    "affine units=400 init=normal:0.5\n"
    "affine units=10 init=zeros\n";

static void same_seed_same_weights(void **state) {
  (void)state;
  cnn_net *net = parse(seeded);
  cnn_plan_options options = training(4);
  cnn_plan *plan = plan_of(net, options);
  options.threads = 3;
  options.group = 2;
  cnn_plan *other = plan_of(net, options);
  same_all(plan, other, cnn_plan_get_weight, "weights", seeded);
  cnn_plan_free(other);
  other = plan_of(net, inference(9));
  same_all(plan, other, cnn_plan_get_weight, "weights", seeded);
  cnn_plan_free(other);
  options.seed = 4;
  other = plan_of(net, options);
  int64_t count;
  float *a = all(plan, cnn_plan_get_weight, &count), *b = all(other, cnn_plan_get_weight, &count);
  int64_t same = 0, not_zero = 0;
  for (int64_t i = 0; i < count; i++) same += a[i] == b[i] && a[i] != 0, not_zero += a[i] != 0;
  assert_true(not_zero > count * 2 / 3 && same < count / 1000);
  free(a);
  free(b);
  cnn_plan_free(other);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void check_statistics(const cnn_plan *plan, const char *name, int64_t count, double deviation) {
  float *x = malloc((size_t)count * sizeof *x);
  assert_non_null(x);
  assert_int_equal(cnn_plan_get_weight(plan, name, x, count), CNN_OK);
  double sum = 0, squares = 0, n = (double)count;
  for (int64_t i = 0; i < count; i++) sum += (double)x[i], squares += (double)x[i] * (double)x[i];
  double mean = sum / n, spread = sqrt(squares / n - mean * mean);
  if (deviation == 0)
    assert_true(squares == 0);
  else { /* four standard errors of mean and deviation */
    if (!(fabs(mean) < 4 * deviation / sqrt(n))) fail_msg("%s: mean %g", name, mean);
    if (!(fabs(spread - deviation) < 4 * deviation / sqrt(2 * n))) fail_msg("%s: deviation %g", name, spread);
  }
  free(x);
}

static void weights_begin_as_asked(void **state) {
  (void)state;
  cnn_net *net = parse(seeded);
  cnn_plan *plan = plan_of(net, training(1));
  check_statistics(plan, "conv1.weight", 40 * 2 * 25, sqrt(1.0 / 50)); /* a filter sees 2 channels of 5x5 */
  check_statistics(plan, "conv1.bias", 40, 0);
  check_statistics(plan, "affine1.weight", 50 * 1440, sqrt(2.0 / 1440));
  check_statistics(plan, "affine2.weight", 400 * 50, 0.5);
  check_statistics(plan, "affine3.weight", 10 * 400, 0);
  cnn_plan_free(plan);
  cnn_net_free(net);
  net = parse("input shape=30x1x1\naffine units=30 init=normal:1\naffine units=30 init=normal:1");
  plan = plan_of(net, training(1));
  float first[900], second[900];
  double dot = 0; /* weights alike in all but their place are not alike in value */
  assert_int_equal(cnn_plan_get_weight(plan, "affine1.weight", first, 900), CNN_OK);
  assert_int_equal(cnn_plan_get_weight(plan, "affine2.weight", second, 900), CNN_OK);
  for (int i = 0; i < 900; i++) dot += (double)first[i] * (double)second[i];
  assert_true(fabs(dot) < 4 * 30);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- the plain loops, one layer after the other ---- */

enum { MOST_BRICKS = 16 };

struct oracle {
  const cnn_net *net;
  int64_t batch;
  const int32_t *labels;
  cnn_loss kind;
  struct chance chance;
  double *y[MOST_BRICKS], *dy[MOST_BRICKS], *weight[MOST_BRICKS][MAX_WEIGHTS],
      *gradient[MOST_BRICKS][MAX_WEIGHTS];
  double loss;
};

static double *doubles(int64_t count) {
  double *x = calloc((size_t)count, sizeof *x);
  assert_non_null(x);
  return x;
}

static void oracle_free(struct oracle *o) {
  for (int i = 0; i < MOST_BRICKS; i++) {
    free(o->y[i]);
    free(o->dy[i]);
    for (int w = 0; w < MAX_WEIGHTS; w++) {
      free(o->weight[i][w]);
      free(o->gradient[i][w]);
    }
  }
}

static void oracle_run(struct oracle *o, int i, bool backward) {
  const struct brick *brick = &o->net->bricks[i];
  cnn_shape in = brick->in[0], out = brick->out;
  in.n = out.n = o->batch;
  struct naive naive = {.config = brick->config,
                        .in = &in,
                        .out = out,
                        .x = {o->y[i - 1]},
                        .y = o->y[i],
                        .chance = &o->chance,
                        .stream = (uint32_t)i};
  for (int w = 0; w < MAX_WEIGHTS; w++) {
    naive.weight[w] = o->weight[i][w];
    naive.dweight[w] = o->gradient[i][w];
  }
  if (backward) {
    naive.dy = o->dy[i];
    naive.dx[0] = o->dy[i - 1];
  }
  brick->class->naive(&naive);
}

/* The loss of the last outputs, and its gradient in dy. */
static double oracle_loss(const struct oracle *o) {
  const struct brick *last = &o->net->bricks[o->net->count - 1];
  int64_t classes = last->out.c;
  double sum = 0, n = (double)o->batch;
  bool softmax = strcmp(last->class->name, "softmax") == 0;
  for (int64_t i = 0; i < o->batch; i++) {
    const double *y = o->y[o->net->count - 1] + i * classes;
    double *dy = o->dy[o->net->count - 1] + i * classes, most = -INFINITY, total = 0;
    int32_t label = o->labels[i];
    if (o->kind == CNN_LOSS_MEAN_SQUARED_ERROR) {
      for (int64_t c = 0; c < classes; c++) {
        dy[c] = (y[c] - (c == label)) / n;
        sum += 0.5 * (y[c] - (c == label)) * (y[c] - (c == label));
      }
    } else if (softmax) {
      for (int64_t c = 0; c < classes; c++) dy[c] = 0;
      dy[label] = -1 / y[label] / n;
      sum -= log(y[label]);
    } else {
      for (int64_t c = 0; c < classes; c++) most = fmax(most, y[c]);
      for (int64_t c = 0; c < classes; c++) total += exp(y[c] - most);
      for (int64_t c = 0; c < classes; c++) dy[c] = (exp(y[c] - most) / total - (c == label)) / n;
      sum += log(total) + most - y[label];
    }
  }
  return sum / n;
}

static void oracle_forward(struct oracle *o) {
  for (int i = 1; i < o->net->count; i++) oracle_run(o, i, false);
  o->loss = oracle_loss(o);
}

static struct oracle oracle_new(const cnn_net *net, const cnn_plan *plan, const float *x,
                                const int32_t *labels, int64_t batch) {
  struct oracle o = {.net = net, .batch = batch, .labels = labels, .kind = cnn_plan_settings(plan).loss};
  o.chance = plan->chance;
  assert_true(net->count <= MOST_BRICKS);
  for (int i = 0; i < net->count; i++) {
    int64_t count = count_of(net->bricks[i].out) * batch;
    o.y[i] = doubles(count);
    o.dy[i] = doubles(count);
    for (int64_t k = 0; i == 0 && k < count; k++) o.y[0][k] = (double)x[k];
  }
  for (int w = 0; w < net->weight_count; w++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    float *narrow = malloc((size_t)info.count * sizeof *narrow);
    assert_int_equal(cnn_plan_get_weight(plan, info.name, narrow, info.count), CNN_OK);
    const struct net_weight *weight = &net->weights[w];
    double *wide = doubles(info.count);
    for (int64_t k = 0; k < info.count; k++) wide[k] = (double)narrow[k];
    o.weight[weight->brick][weight->index] = wide;
    o.gradient[weight->brick][weight->index] = doubles(info.count);
    free(narrow);
  }
  oracle_forward(&o);
  for (int i = net->count - 1; i > 0; i--) oracle_run(&o, i, true);
  return o;
}

/* Loss and all gradients of the plan's last cnn_plan_gradient() against the oracle's; the largest error, in
 * norm, relative to the largest of all gradients' norms where a gradient is itself next to nothing. */
static double check_gradients(const cnn_net *net, const cnn_plan *plan, float loss, const struct oracle *o,
                              double limit, const char *text) {
  double largest = 0, worst = 0;
  if (!(fabs((double)loss - o->loss) <= 1e-5 * fabs(o->loss) + 1e-7))
    fail_msg("loss %g, not %g, of\n%s", (double)loss, o->loss, text);
  for (int pass = 0; pass < 2; pass++) /* first the largest norm */
    for (int w = 0; w < net->weight_count; w++) {
      cnn_weight_info info;
      assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
      const double *expected = o->gradient[net->weights[w].brick][net->weights[w].index];
      float *got = malloc((size_t)info.count * sizeof *got);
      assert_int_equal(cnn_plan_get_gradient(plan, info.name, got, info.count), CNN_OK);
      double norm = 0, error = 0;
      for (int64_t k = 0; k < info.count; k++) {
        norm += expected[k] * expected[k];
        error += ((double)got[k] - expected[k]) * ((double)got[k] - expected[k]);
      }
      norm = sqrt(norm), error = sqrt(error);
      free(got);
      if (norm > largest) largest = norm;
      if (pass == 0 || largest == 0) continue;
      double relative = error / fmax(norm, 1e-3 * largest);
      if (relative > worst) worst = relative;
      if (!(relative < limit))
        fail_msg("%s: gradient differs by %g, in norm, of\n%s", info.name, relative, text);
    }
  return worst;
}

static void random_labels(struct random *random, int32_t *labels, int64_t count, int64_t classes) {
  for (int64_t i = 0; i < count; i++) labels[i] = (int32_t)draw(random, 0, classes - 1);
}

static void deep_net(void **state) {
  (void)state;
  static const char *const text =
      "input shape=2x12x12\n"
      "conv filters=5 kernel=3\n"
      "relu\n"
      "maxpool kernel=2 stride=2\n"
      "conv filters=7 kernel=3 pad=1\n"
      "tanh\n"
      "avgpool kernel=3 stride=2\n"
      "affine units=20 init=xavier\n"
      "sigmoid\n"
      "affine units=6 init=xavier\n"
      "softmax\n";
  enum { BATCH = 5 };
  cnn_net *net = parse(text);
  cnn_plan *plan = plan_of(net, training(BATCH));
  float *x = values(21, BATCH * 288);
  const int32_t labels[BATCH] = {0, 5, 2, 2, 4};
  float loss = gradient(plan, x, labels, BATCH);
  struct oracle o = oracle_new(net, plan, x, labels, BATCH);
  double worst = check_gradients(net, plan, loss, &o, 2e-5, text);
  print_message("gradients of the deep net differ from the plain loops by at most %.1e\n", worst);
  /* central differences of the whole chain, at some weights of every layer */
  struct random random = random_from(3);
  for (int w = 0; w < net->weight_count; w++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    float *got = malloc((size_t)info.count * sizeof *got);
    assert_int_equal(cnn_plan_get_gradient(plan, info.name, got, info.count), CNN_OK);
    double *weight = o.weight[net->weights[w].brick][net->weights[w].index], norm = 0, error = 0;
    for (int turn = 0; turn < 6; turn++) {
      int64_t k = draw(&random, 0, info.count - 1);
      const double was = weight[k], h = 1e-5;
      weight[k] = was + h;
      oracle_forward(&o);
      double up = o.loss;
      weight[k] = was - h;
      oracle_forward(&o);
      double slope = (up - o.loss) / (2 * h);
      weight[k] = was;
      norm += slope * slope;
      error += (slope - (double)got[k]) * (slope - (double)got[k]);
    }
    assert_true(norm > 0);
    if (!(error <= 1e-8 * norm)) fail_msg("%s: %g of %g", info.name, sqrt(error), sqrt(norm));
    free(got);
  }
  oracle_free(&o);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- networks at random ---- */

/* One more line, or none where it does not fit. */
static void random_line(struct random *random, char *text, size_t room) {
  char line[256];
  int64_t kernel = draw(random, 1, 3);
  switch (draw(random, 0, 11)) {
    case 0:
    case 1:
    case 2: {
      int64_t groups = draw(random, 0, 3) ? 1 : 2;
      snprintf(line, sizeof line,
               "conv filters=%" PRId64 " kernel=%" PRId64 "x%" PRId64 " pad=%" PRId64 "x%" PRId64
               " stride=%" PRId64 " dilation=%" PRId64 " groups=%" PRId64 " bias=%s round=floor\n",
               groups * draw(random, 1, 18), kernel, draw(random, 1, 3), draw(random, 0, 2),
               draw(random, 0, 2), draw(random, 1, 2), draw(random, 1, 2), groups,
               draw(random, 0, 3) ? "yes" : "no");
      break;
    }
    case 3:
    case 4:
      snprintf(line, sizeof line, "maxpool kernel=%" PRId64 " stride=%" PRId64 " pad=%" PRId64 " round=%s\n",
               kernel, draw(random, 0, 3), draw(random, 0, kernel - 1),
               draw(random, 0, 1) ? "floor" : "ceil");
      break;
    case 5:
      snprintf(line, sizeof line,
               "avgpool kernel=%" PRId64 " stride=%" PRId64 " pad=%" PRId64 " round=%s count_pad=%s\n",
               kernel, draw(random, 0, 3), draw(random, 0, kernel - 1), draw(random, 0, 1) ? "floor" : "ceil",
               draw(random, 0, 1) ? "yes" : "no");
      break;
    case 6: snprintf(line, sizeof line, draw(random, 0, 1) ? "sigmoid\n" : "tanh\n"); break;
    case 8:
      if (draw(random, 0, 1))
        snprintf(line, sizeof line, "dropout rate=0.%" PRId64 "\n", draw(random, 0, 6));
      else
        snprintf(line, sizeof line, "lrn size=%" PRId64 " alpha=%" PRId64 " beta=%s alpha_of=%s\n",
                 draw(random, 1, 7), draw(random, 0, 2), draw(random, 0, 1) ? "0.75" : "1.1",
                 draw(random, 0, 1) ? "mean" : "sum");
      break;
    case 7:
      if (draw(random, 0, 1))
        snprintf(line, sizeof line, "affine units=%" PRId64 " init=xavier\n", draw(random, 1, 40));
      else
        snprintf(line, sizeof line, draw(random, 0, 1) ? "flatten\n" : "softmax\n");
      break;
    default: snprintf(line, sizeof line, "relu\n");
  }
  size_t length = strlen(text);
  assert_true(length + strlen(line) < room);
  memcpy(text + length, line, strlen(line) + 1);
  cnn_net *net;
  if (cnn_net_parse(text, "t", &net) == CNN_OK)
    cnn_net_free(net);
  else
    text[length] = 0;
}

static void random_net(struct random *random, char *text, size_t room) {
  snprintf(text, room, "input shape=%" PRId64 "x%" PRId64 "x%" PRId64 "\n",
           draw(random, 1, draw(random, 1, 20)), draw(random, 3, 12), draw(random, 3, 12));
  for (int64_t lines = draw(random, 1, 9); lines > 0; lines--) random_line(random, text, room);
  size_t length = strlen(text);
  snprintf(text + length, room - length, "affine units=%" PRId64 "\n%s", draw(random, 2, 20),
           draw(random, 0, 1) ? "softmax\n" : "");
}

/* A batch of nothing but NaN and infinities, then no trace of it. */
static void poison(cnn_plan *plan, int64_t size, int64_t batch, const int32_t *labels) {
  float *x = malloc((size_t)(size * batch) * sizeof *x);
  for (int64_t i = 0; i < size * batch; i++) x[i] = i % 3 ? NAN : INFINITY;
  if (plan->gradients)
    (void)gradient(plan, x, labels, batch);
  else
    free(forward(plan, x, batch));
  free(x);
}

/* One network under all the conditions that must not matter. */
static double check_net(struct random *random, const char *text) {
  cnn_net *net = parse(text);
  const int64_t batch = draw(random, 1, 9), size = count_of(cnn_net_input(net)),
                classes = cnn_net_output(net).c;
  const cnn_loss kind = draw(random, 0, 2) ? CNN_LOSS_CROSS_ENTROPY : CNN_LOSS_MEAN_SQUARED_ERROR;
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = batch, .seed = 1, .threads = 1, .loss = kind};
  options.group = draw(random, 0, 4);
  int32_t labels[9];
  random_labels(random, labels, 9, classes);
  float *x = values((uint32_t)draw(random, 0, 1000), batch * size);
  cnn_plan *plan = plan_of(net, options);
  int64_t count;
  float *weights = all(plan, cnn_plan_get_weight, &count); /* biases too are to be of some size */
  for (int64_t i = 0; i < count; i++)
    if (weights[i] == 0) weights[i] = (float)draw(random, -100, 100) / 300;
  set_all(plan, weights);
  check_memory(net, plan, text);
  float loss = gradient(plan, x, labels, batch);
  struct oracle o = oracle_new(net, plan, x, labels, batch);
  double worst = check_gradients(net, plan, loss, &o, 1e-4, text);
  oracle_free(&o);
  check_memory(net, plan, text);

  options.threads = 3; /* more threads, another instruction set, a past that is full of NaN */
  const struct kernel_table *best, *scalar = kernels_find("scalar");
  assert_int_equal(kernels_pick(&best), CNN_OK);
  kernels_use(scalar);
  cnn_plan *other = plan_of(net, options);
  kernels_use(best);
  set_all(other, weights);
  poison(other, size, batch, labels);
  float again = gradient(other, x, labels, batch);
  same_bits(&again, &loss, 1, "loss", text);
  same_all(plan, other, cnn_plan_get_gradient, "gradient", text);
  check_memory(net, other, text);
  cnn_plan_free(other);

  float *y = forward(plan, x, batch), *z; /* forward: training, inference, after NaN, image by image */
  cnn_plan *infer = plan_of(net, (cnn_plan_options){.mode = CNN_INFER, .batch = batch, .threads = 2});
  set_all(infer, weights);
  poison(infer, size, batch, labels);
  z = forward(infer, x, batch);
  same_bits(z, y, batch * classes, "inference", text);
  free(z);
  int64_t few = draw(random, 1, batch);
  z = forward(infer, x, few);
  same_bits(z, y, few * classes, "fewer images", text);
  free(z);
  check_memory(net, infer, text);
  cnn_plan_free(infer);
  infer = plan_of(net, inference(1));
  set_all(infer, weights);
  for (int64_t n = 0; n < batch; n++) {
    z = forward(infer, x + n * size, 1);
    same_bits(z, y + n * classes, classes, "one image", text);
    free(z);
  }
  cnn_plan_free(infer);

  again = gradient(plan, x, labels, batch); /* and the same again after all that */
  same_bits(&again, &loss, 1, "loss", text);
  free(y);
  free(x);
  free(weights);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return worst;
}

static void random_nets(void **state) {
  (void)state;
  double worst = 0;
  for (uint32_t seed = 0; seed < 150; seed++) {
    struct random random = random_from(1000 + seed);
    char text[4096];
    random_net(&random, text, sizeof text);
    worst = fmax(worst, check_net(&random, text));
  }
  print_message("gradients of random nets differ from the plain loops by at most %.1e\n", worst);
}

/* A gradient over fewer images than the plan has room for is that of a plan of their number, where the
 * groups are the same. */
static void smaller_batches(void **state) {
  (void)state;
  static const char *const text =
      "input shape=3x6x6\nconv filters=18 kernel=3 pad=1\nrelu\nmaxpool kernel=2\naffine units=5\nsoftmax\n";
  cnn_net *net = parse(text);
  struct random random = random_from(6);
  int32_t labels[11];
  random_labels(&random, labels, 11, 5);
  float *x = values(5, 11 * 108);
  cnn_plan_options options = training(11);
  options.group = 3;
  cnn_plan *plan = plan_of(net, options);
  for (int64_t n = 11; n >= 1; n--) {
    options.batch = n;
    options.group = n < 3 ? n : 3;
    cnn_plan *own = plan_of(net, options);
    float a = gradient(plan, x, labels, n), b = gradient(own, x, labels, n);
    same_bits(&a, &b, 1, "loss", text);
    same_all(plan, own, cnn_plan_get_gradient, "gradient", text);
    cnn_plan_free(own);
  }
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* Many steps on changing batches and weights: what an earlier step left in memory is not seen. */
static void leftovers_do_not_matter(void **state) {
  (void)state;
  static const char *const texts[] = {("input shape=2x7x7\n"
                                       "conv filters=17 kernel=5 pad=2\nrelu\n"
                                       "conv filters=6 kernel=5 pad=2\ntanh\n"
                                       "conv filters=16 kernel=3 pad=2 dilation=2\n"
                                       "conv filters=4 kernel=3 stride=2 pad=2 round=floor\n"
                                       "affine units=5\nsoftmax"),
                                      ("input shape=1x8x8\n"
                                       "conv filters=3 kernel=3 pad=2\n"
                                       "maxpool kernel=3 stride=2 pad=1 round=ceil\nrelu\n"
                                       "conv filters=33 kernel=3x1 pad=2x0 groups=3\n"
                                       "avgpool kernel=2 pad=1 round=ceil\n"
                                       "conv filters=2 kernel=5 pad=2\n"
                                       "flatten\naffine units=5"),
                                      ("input shape=20x5x6\nsoftmax\n"
                                       "conv filters=5 kernel=3 pad=2 groups=5\nsigmoid\n"
                                       "conv filters=5 kernel=3 pad=2 groups=5 bias=no\n"
                                       "affine units=5\nrelu")};
  enum { BATCH = 6, STEPS = 25 };
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    cnn_net *net = parse(texts[t]);
    const int64_t size = count_of(cnn_net_input(net));
    struct random random = random_from(8);
    cnn_plan_options options = training(BATCH);
    options.threads = 2;
    cnn_plan *plan = plan_of(net, options);
    for (int step = 0; step < STEPS; step++) {
      int32_t labels[BATCH];
      int64_t n = draw(&random, 1, BATCH), count;
      random_labels(&random, labels, BATCH, 5);
      float *x = values(100 + (uint32_t)step, BATCH * size);
      for (int64_t i = 0; i < BATCH * size; i++) x[i] *= (float)draw(&random, 1, 50);
      (void)gradient(plan, x, labels, n);
      if (step % 4 == 0) free(forward(plan, x, BATCH));
      float *w = all(plan, cnn_plan_get_weight, &count), *g = all(plan, cnn_plan_get_gradient, &count);
      for (int64_t i = 0; i < count; i++) {
        assert_true(isfinite(g[i]));
        w[i] -= 0.01F * fmaxf(-1, fminf(1, g[i]));
      }
      set_all(plan, w);
      cnn_plan *fresh = plan_of(net, options);
      set_all(fresh, w);
      float *y = forward(plan, x, BATCH), *z = forward(fresh, x, BATCH);
      same_bits(y, z, BATCH * 5, "forward", texts[t]);
      float a = gradient(plan, x, labels, n), b = gradient(fresh, x, labels, n);
      same_bits(&a, &b, 1, "loss", texts[t]);
      same_all(plan, fresh, cnn_plan_get_gradient, "gradient", texts[t]);
      cnn_plan_free(fresh);
      free(w);
      free(g);
      free(x);
      free(y);
      free(z);
    }
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

static void two_plans_at_once(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  enum { BATCH = 4 };
  float *x = values(1, BATCH * 784), *x2 = values(2, BATCH * 784);
  const int32_t labels[BATCH] = {1, 2, 3, 9};
  cnn_plan *a = plan_of(net, training(BATCH)), *b = plan_of(net, inference(BATCH)),
           *c = plan_of(net, training(BATCH));
  float *alone = forward(b, x2, BATCH);
  float first = gradient(a, x, labels, BATCH);
  float *between = forward(b, x2, BATCH);
  (void)gradient(c, x2, labels, BATCH);
  float second = gradient(a, x, labels, BATCH);
  same_bits(&first, &second, 1, "loss", "simple-conv-net");
  same_bits(alone, between, BATCH * 10, "forward", "simple-conv-net");
  (void)gradient(c, x, labels, BATCH);
  same_all(a, c, cnn_plan_get_gradient, "gradient", "simple-conv-net");
  int64_t count; /* weights set in one are not set in another */
  float *w = all(a, cnn_plan_get_weight, &count);
  for (int64_t i = 0; i < count; i++) w[i] *= 2;
  set_all(a, w);
  free(between);
  between = forward(b, x2, BATCH);
  same_bits(alone, between, BATCH * 10, "forward", "simple-conv-net");
  copy_weights(b, a); /* and are where they are: what was derived from the old ones is made anew */
  float *y = forward(a, x2, BATCH), *z = forward(b, x2, BATCH);
  same_bits(y, z, BATCH * 10, "forward", "simple-conv-net");
  assert_memory_not_equal(y, alone, BATCH * 10 * sizeof *y);
  (void)gradient(a, x, labels, BATCH);
  copy_weights(c, a);
  (void)gradient(c, x, labels, BATCH);
  same_all(a, c, cnn_plan_get_gradient, "gradient", "simple-conv-net");
  free(w);
  free(y);
  free(z);
  free(x);
  free(x2);
  free(alone);
  free(between);
  cnn_plan_free(c);
  cnn_plan_free(b);
  cnn_plan_free(a);
  cnn_net_free(net);
}

/* Where no layer has weights there is still a loss. */
static void nets_without_weights(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=5x1x1\nsoftmax", "input shape=5x1x1\nrelu", "input shape=5x1x1\nrelu\nsoftmax",
      "input shape=5x2x2\nmaxpool kernel=2", "input shape=5x1x1\nsoftmax\nsoftmax"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
    for (int kind = 0; kind < 2; kind++) {
      cnn_net *net = parse(texts[t]);
      cnn_plan_options options = training(3);
      options.loss = kind ? CNN_LOSS_CROSS_ENTROPY : CNN_LOSS_MEAN_SQUARED_ERROR;
      cnn_plan *plan = plan_of(net, options);
      float *x = values(4, 60);
      const int32_t labels[3] = {4, 0, 2};
      float loss = gradient(plan, x, labels, 3);
      struct oracle o = oracle_new(net, plan, x, labels, 3);
      check_gradients(net, plan, loss, &o, 1e-4, texts[t]);
      check_memory(net, plan, texts[t]);
      oracle_free(&o);
      free(x);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

/* The images stay in the plan until the next ones come: the search for a NaN's origin starts from them. */
static void input_is_kept(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=3x6x6\nrelu\nconv filters=20 kernel=3\nmaxpool kernel=2\ntanh\nconv filters=50 "
      "kernel=1\naffine units=4\nsoftmax",
      "input shape=3x6x6\nmaxpool kernel=1\nconv filters=9 kernel=3 pad=1\nrelu\navgpool kernel=3\naffine "
      "units=4"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    cnn_net *net = parse(texts[t]);
    cnn_plan *plan = plan_of(net, training(2));
    float *x = values(7, 216), back[216];
    const int32_t labels[2] = {3, 1};
    (void)gradient(plan, x, labels, 2);
    view_read(&plan->steps[0].y, 0, 2, back);
    same_bits(back, x, 216, "input", texts[t]);
    assert_int_equal(exec_find_not_finite(plan, 2), CNN_E_NUMERIC);
    assert_string_equal(cnn_why(),
                        "the loss is not finite though every layer's output is; try a smaller learning rate");
    free(x);
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

/* ---- what is refused ---- */

static void wrong_options(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x4x4\naffine units=2");
  const cnn_plan_options good = training(3);
  cnn_plan_options wrong[10];
  int count = 0;
#define WRONG(field, value) wrong[count] = good, wrong[count++].field = (value)
  WRONG(batch, 0);
  WRONG(batch, -1);
  WRONG(batch, INT64_MAX);
  WRONG(threads, -1);
  WRONG(threads, 100000);
  WRONG(group, -1);
  WRONG(mode, (cnn_mode)7);
  WRONG(loss, (cnn_loss)7);
#undef WRONG
  for (int i = 0; i < count; i++) {
    cnn_plan *plan = (cnn_plan *)&wrong;
    cnn_memory memory = {.total = -7};
    assert_int_equal(cnn_plan_new(net, &wrong[i], &plan), CNN_E_ARGUMENT);
    assert_ptr_equal(plan, &wrong);
    assert_int_equal(cnn_plan_memory(net, &wrong[i], NULL, &memory), CNN_E_ARGUMENT);
    assert_int_equal(memory.total, -7);
  }
  cnn_memory memory;
  assert_int_equal(cnn_plan_memory(net, &good, "adma", &memory), CNN_E_KEY);
  cnn_plan_free(NULL);
  cnn_net_free(net);
}

static void settings_are_filled_in(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x4x4\naffine units=2");
  cnn_plan *plan;
  assert_int_equal(cnn_plan_new(net, NULL, &plan), CNN_OK);
  cnn_plan_options o = cnn_plan_settings(plan), d = cnn_plan_defaults();
  assert_true(o.mode == CNN_TRAIN && o.batch == 100 && o.seed == 1 && o.loss == CNN_LOSS_CROSS_ENTROPY);
  assert_true(d.mode == CNN_TRAIN && d.batch == 100 && d.seed == 1 && d.loss == CNN_LOSS_CROSS_ENTROPY);
  assert_true(o.threads >= 1 && o.group >= 1 && o.group <= 100);
  assert_ptr_equal(cnn_plan_net(plan), net);
  cnn_plan_free(plan);
  cnn_plan_options few = training(3);
  few.group = 50;
  plan = plan_of(net, few);
  assert_int_equal(cnn_plan_settings(plan).group, 3);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void wrong_calls(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=2x3x4\naffine units=5");
  cnn_plan *plan = plan_of(net, inference(3));
  float x[4 * 24] = {0}, y[20];
  memset(y, 0xff, sizeof y);
  const cnn_shape wrong_x[] = {{0, 2, 3, 4}, {4, 2, 3, 4},  {-1, 2, 3, 4},       {1, 3, 3, 4},
                               {1, 2, 4, 3}, {1, 1, 1, 24}, {INT64_MAX, 2, 3, 4}};
  for (size_t i = 0; i < sizeof wrong_x / sizeof *wrong_x; i++)
    assert_int_equal(
        cnn_plan_forward(plan, (cnn_tensor){x, wrong_x[i]}, (cnn_tensor){y, {wrong_x[i].n, 5, 1, 1}}),
        CNN_E_SHAPE);
  const cnn_shape wrong_y[] = {{2, 5, 1, 1}, {1, 4, 1, 1}, {1, 1, 5, 1}, {1, 5, 1, 2}};
  for (size_t i = 0; i < sizeof wrong_y / sizeof *wrong_y; i++)
    assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {1, 2, 3, 4}}, (cnn_tensor){y, wrong_y[i]}),
                     CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "an output of 1x5x1x2; it must be 1x5x1x1");
  assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {4, 2, 3, 4}}, (cnn_tensor){y, {4, 5, 1, 1}}),
                   CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "4 images in a plan for 1 to 3");
  assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {1, 2, 4, 3}}, (cnn_tensor){y, {1, 5, 1, 1}}),
                   CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "images of 2x4x3; the network takes 2x3x4");
  for (int i = 0; i < 20; i++) assert_true(isnan(y[i]));
  float loss = -7;
  const int32_t labels[4] = {0, 5, 0, 0};
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {1, 2, 3, 4}}, labels, &loss), CNN_E_ARGUMENT);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bias", y, 5), CNN_E_ARGUMENT);
  cnn_plan_free(plan);
  plan = plan_of(net, training(3));
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {2, 2, 3, 4}}, labels, &loss), CNN_E_DATA);
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {4, 2, 3, 4}}, labels, &loss), CNN_E_SHAPE);
  assert_true(loss == -7);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bais", y, 5), CNN_E_KEY);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bias", y, 6), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "weight 'affine1.bias' has 5 values, not 6");
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void too_large(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=3x800x800\nconv filters=16 kernel=3 pad=1\naffine units=2");
  cnn_plan *plan = NULL;
  cnn_plan_options options = inference(1 << 24);
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_MEMORY); /* a thousand terabytes */
  assert_null(plan);
  assert_non_null(strstr(cnn_why(), "make the batch smaller"));
  options = training(1000);
  options.group = 1000;
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_ARGUMENT); /* offsets of a group are 32 bits */
  assert_non_null(strstr(cnn_why(), "group is 1000"));
  cnn_net_free(net);
  net = parse("input shape=1x8000x8000\nrelu\naffine units=2"); /* 64 million pixels in blocks of 16 */
  options = inference(1);
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_SHAPE);
  assert_non_null(strstr(cnn_why(), "at most 2^25 are supported"));
  assert_null(plan);
  cnn_net_free(net);
}

static void every_allocation(void **state) {
  (void)state;
  cnn_net *net = parse(
      "input shape=2x8x8\nconv filters=3 kernel=3 pad=1\nrelu\nmaxpool kernel=2\naffine units=4\nsoftmax");
  const cnn_plan_options options = training(3);
  for (int what = 0; what < 2; what++) {
    long successes = 0;
    for (;; successes++) {
      cnn_plan *plan = NULL;
      cnn_memory memory;
      mem_fail_after(successes);
      cnn_status status =
          what ? cnn_plan_new(net, &options, &plan) : cnn_plan_memory(net, &options, "adam", &memory);
      mem_fail_after(-1);
      cnn_plan_free(plan);
      if (status == CNN_OK) break;
      assert_int_equal(status, CNN_E_MEMORY);
      assert_null(plan);
    }
    assert_in_range(successes, 3, 100);
  }
  cnn_net_free(net);
}

static void nothing_is_allocated_while_running(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  cnn_plan *plan = plan_of(net, inference(2));
  float *x = values(1, 2 * 784), y[20];
  long before = mem_count();
  assert_int_equal(cnn_plan_forward(plan, images(plan, x, 2), (cnn_tensor){y, {2, 10, 1, 1}}), CNN_OK);
  assert_int_equal(cnn_plan_forward(plan, images(plan, x, 1), (cnn_tensor){y, {1, 10, 1, 1}}), CNN_OK);
  assert_int_equal(mem_count(), before);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void optimizers_are_counted(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  cnn_memory plain, adam, sgd;
  assert_int_equal(cnn_plan_memory(net, NULL, NULL, &plain), CNN_OK);
  assert_int_equal(cnn_plan_memory(net, NULL, "sgd", &sgd), CNN_OK);
  assert_int_equal(cnn_plan_memory(net, NULL, "adam", &adam), CNN_OK);
  assert_true(plain.weights >= 433890 * 4 && plain.weights < 500000 * 4);
  assert_int_equal(plain.gradients, plain.weights);
  assert_int_equal(sgd.total, plain.total);
  assert_int_equal(adam.optimizer, 2 * plain.weights);
  assert_int_equal(adam.total, plain.total + adam.optimizer);
  cnn_plan_options options = inference(100);
  assert_int_equal(cnn_plan_memory(net, &options, "adam", &adam), CNN_OK);
  assert_int_equal(adam.optimizer, 0);
  assert_int_equal(adam.gradients, 0);
  assert_true(adam.total < plain.total);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_there_and_back),
      cmocka_unit_test(weights_of_every_example),
      cmocka_unit_test(same_seed_same_weights),
      cmocka_unit_test(weights_begin_as_asked),
      cmocka_unit_test(deep_net),
      cmocka_unit_test(random_nets),
      cmocka_unit_test(smaller_batches),
      cmocka_unit_test(leftovers_do_not_matter),
      cmocka_unit_test(two_plans_at_once),
      cmocka_unit_test(nets_without_weights),
      cmocka_unit_test(input_is_kept),
      cmocka_unit_test(wrong_options),
      cmocka_unit_test(settings_are_filled_in),
      cmocka_unit_test(wrong_calls),
      cmocka_unit_test(too_large),
      cmocka_unit_test(every_allocation),
      cmocka_unit_test(nothing_is_allocated_while_running),
      cmocka_unit_test(optimizers_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
