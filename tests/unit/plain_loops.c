/* Whole networks, some by hand and many drawn at random, against the layers' plain loops in double, one after
 * the other: the loss and every gradient, under all the conditions that must not matter. */
#include <math.h>
#include <stdio.h>

#include "plans.h"

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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(deep_net),
      cmocka_unit_test(nets_without_weights),
      cmocka_unit_test(random_nets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
