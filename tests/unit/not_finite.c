/* NaN, infinities and denormals go the same way on every path: each layer's output, position by position of
 * the same class as the plain loops', the same from every kernel table and number of threads. And a run that
 * meets one stops, and names the layer and the step. */
#include "engine.h"
#include "plans.h"

/* ---- classes of values ---- */

enum class { FINITE, PLUS, MINUS, NOTHING };
static const char *const class_names[] = {"finite", "+inf", "-inf", "nan"};

static enum class class_of(double v) {
  return isnan(v)      ? NOTHING
         : isfinite(v) ? FINITE
         : v > 0       ? PLUS
                       : MINUS;
}

/* The plain loops again, on what the probe's values now are. */
static void run_naive(const struct probe *p) {
  for (int w = 0; w < MAX_WEIGHTS; w++)
    for (int64_t i = 0; p->weight[w] && i < p->count[PROBE_WEIGHT + w]; i++)
      p->weight64[w][i] = (double)p->weight[w][i];
  for (int64_t i = 0; i < p->count[PROBE_INPUT]; i++) p->x64[i] = (double)p->x[i];
  probe_naive(p, p->naive[PROBE_OUTPUT], false);
}

/* limit: how far finite outputs may be from the plain loops'; INFINITY: any. */
static void check_output(const struct probe *p, const char *layer, const char *words, double limit) {
  const struct layer_class *class;
  ok(layer_find(layer, &class));
  run_naive(p);
  for (int inside = 0; inside <= class->any_block; inside++) {
    struct engine first = engine_run(p, layer, words, (struct way){.threads = 1, .inside = inside});
    for (int64_t i = 0; i < p->count[PROBE_OUTPUT]; i++) {
      float y = first.part[PROBE_OUTPUT][i];
      double expected = p->naive[PROBE_OUTPUT][i];
      if (class_of((double)y) != class_of(expected))
        fail_msg("%s %s%s: output %" PRId64 " is %g, of the plain loops %g (%s)", layer, words,
                 inside ? ", inside" : "", i, (double)y, expected, class_names[class_of(expected)]);
      if (isfinite(y) && !(fabs((double)y - expected) <= limit))
        fail_msg("%s %s: output %" PRId64 " is %.9g, of the plain loops %.9g", layer, words, i, (double)y,
                 expected);
    }
    for (int s = 0; s <= SETS; s++) {
      struct way way = {.threads = s == SETS ? 7 : 1, .inside = inside};
      if (s < SETS && !(way.table = kernels_find(instruction_sets[s]))) continue;
      struct engine e = engine_run(p, layer, words, way);
      for (int part = 0; part < PROBE_PARTS; part++)
        for (int64_t i = 0; i < p->count[part]; i++)
          if (!same(e.part[part][i], first.part[part][i]))
            fail_msg("%s %s: %s %" PRId64 " is %g with %s, else %g", layer, words, probe_names[part], i,
                     (double)e.part[part][i], s < SETS ? instruction_sets[s] : "7 threads",
                     (double)first.part[part][i]);
      engine_free(&e);
    }
    if (strcmp(layer, "dropout") != 0) {
      struct engine e =
          engine_run(p, layer, words, (struct way){.threads = 7, .infer = true, .inside = inside});
      for (int64_t i = 0; i < p->count[PROBE_OUTPUT]; i++)
        if (!same(e.part[PROBE_OUTPUT][i], first.part[PROBE_OUTPUT][i]))
          fail_msg("%s %s: output %" PRId64 " is other in inference", layer, words, i);
      engine_free(&e);
    }
    engine_free(&first);
  }
}

static const struct {
  const char *layer, *words;
  cnn_shape in; /* of each input: a layer that takes several gets two */
} cases[] = {
    {"conv", "kernel=3 pad=1 filters=18", {2, 3, 5, 4}},
    {"conv", "kernel=3 pad=1 filters=5", {9, 17, 2, 2}},
    {"conv", "kernel=2 pad=5 stride=3 round=floor filters=4", {2, 3, 3, 4}},
    {"conv", "kernel=3x2 stride=2 pad=1 dilation=2 round=floor filters=9 groups=3 bias=no", {3, 6, 7, 6}},
    {"conv", "kernel=1 filters=3", {2, 400, 2, 1}},
    {"conv", "kernel=3 pad=1 filters=33", {3, 17, 6, 6}},
    {"conv", "kernel=3 pad=1 filters=18 groups=18", {2, 18, 5, 4}},
    {"conv", "kernel=2x3 pad=3 stride=2 round=floor filters=5 groups=5", {3, 5, 4, 9}},
    {"table-conv", "kernel=3 pad=1 connections=0-2/1/0,2/2", {2, 3, 5, 4}},
    {"table-conv", "kernel=2 connections=0-16/3,16/0", {3, 17, 3, 3}},
    {"affine", "units=18", {3, 5, 2, 2}},
    {"affine", "units=1", {1, 17, 1, 1}},
    {"affine", "units=130", {50, 130, 1, 1}},
    {"maxpool", "kernel=2 stride=2", {2, 17, 6, 4}},
    {"maxpool", "kernel=3 stride=2", {2, 5, 7, 9}},
    {"maxpool", "kernel=3 stride=1 pad=1", {2, 3, 4, 5}},
    {"maxpool", "kernel=2x3 stride=2 pad=1 round=ceil", {2, 3, 5, 5}},
    {"avgpool", "kernel=2 stride=2", {2, 17, 6, 4}},
    {"avgpool", "kernel=3 stride=2 pad=1 round=floor", {2, 5, 7, 9}},
    {"avgpool", "kernel=3 stride=2 pad=1 round=ceil count_pad=yes", {2, 5, 7, 9}},
    {"subsample", "kernel=2", {2, 17, 6, 4}},
    {"subsample", "kernel=3 stride=2 pad=1 round=floor", {2, 5, 7, 9}},
    {"global-maxpool", "", {2, 19, 3, 5}},
    {"global-avgpool", "", {2, 19, 3, 5}},
    {"relu", "", {2, 19, 3, 5}},
    {"leaky-relu", "slope=0.25", {2, 19, 3, 5}},
    {"elu", "", {2, 19, 3, 5}},
    {"elu", "alpha=0.5", {2, 19, 3, 5}},
    {"sigmoid", "", {2, 19, 3, 5}},
    {"tanh", "", {2, 19, 3, 5}},
    {"tanh", "scale=1.7159 slope=0.66666667", {2, 19, 3, 5}},
    {"softmax", "", {9, 19, 2, 3}},
    {"softmax", "", {9, 4, 1, 1}},
    {"flatten", "", {2, 19, 3, 5}},
    {"dropout", "rate=0.4", {3, 19, 3, 5}},
    {"dropout", "rate=0", {3, 19, 3, 5}},
    {"lrn", "alpha=1", {2, 19, 3, 6}},
    {"lrn", "size=4 alpha=2 k=2", {2, 19, 3, 6}},
    {"lrn", "size=3 alpha=1 beta=0.5", {2, 19, 3, 6}},
    {"lrn", "size=7 alpha=1 beta=1.25 alpha_of=sum", {2, 19, 3, 6}},
    {"lrn", "size=5 alpha=1 beta=0", {2, 19, 3, 6}},
    {"lrn", "size=5 alpha=0 beta=0.5", {2, 19, 3, 6}},
    {"add", "", {2, 19, 3, 5}},
    {"concat", "", {2, 19, 3, 5}},
};
enum { CASES = sizeof cases / sizeof *cases };

static struct probe *new_probe(int k, uint64_t seed) {
  struct probe *p;
  const struct layer_class *class;
  cnn_shape in[2] = {cases[k].in, cases[k].in};
  ok(layer_find(cases[k].layer, &class));
  if (probe_new_inputs(cases[k].layer, cases[k].words, in, class->inputs, seed, 1, &p) != CNN_OK)
    fail_msg("%s %s: %s", cases[k].layer, cases[k].words, cnn_why());
  return p;
}

/* Few values that are not finite: one in 30 or so. */
static void sow(float *values, int64_t count, const float *kinds, int of, struct random *random) {
  for (int64_t i = 0; i < count; i++)
    if (draw(random, 0, 29) == 0) values[i] = kinds[draw(random, 0, of - 1)];
}

static void in_the_input(void **state) {
  (void)state;
  static const float kinds[] = {INFINITY, -INFINITY, NAN};
  struct random random = random_from(11);
  for (int k = 0; k < CASES; k++)
    for (int kind = 0; kind < 4; kind++) { /* the last: all of them */
      struct probe *p = new_probe(k, 7);
      sow(p->x, p->count[PROBE_INPUT], kind < 3 ? kinds + kind : kinds, kind < 3 ? 1 : 3, &random);
      check_output(p, cases[k].layer, cases[k].words, INFINITY);
      probe_free(p);
    }
}

static void in_the_weights(void **state) {
  (void)state;
  static const float kinds[] = {INFINITY, -INFINITY, NAN};
  struct random random = random_from(12);
  for (int k = 0; k < CASES; k++)
    for (int kind = 0; kind < 3; kind++)
      for (int w = 0; w < 2; w++) {
        struct probe *p = new_probe(k, 7);
        if (p->weight[w]) {
          sow(p->weight[w], p->count[PROBE_WEIGHT + w], kinds + kind, 1, &random);
          check_output(p, cases[k].layer, cases[k].words, INFINITY);
        }
        probe_free(p);
      }
}

/* One element alone of every window, channel and lane. */
static void one_by_one(void **state) {
  (void)state;
  static const float kinds[] = {INFINITY, -INFINITY, NAN};
  for (int k = 0; k < CASES; k++) {
    struct probe *p = new_probe(k, 7);
    for (int64_t i = 0; i < p->count[PROBE_INPUT] && i < 200; i += 1 + p->count[PROBE_INPUT] / 12) {
      float before = p->x[i];
      p->x[i] = kinds[i % 3];
      check_output(p, cases[k].layer, cases[k].words, INFINITY);
      p->x[i] = before;
    }
    probe_free(p);
  }
}

/* All alike: a softmax of nothing but -inf, a window of nothing but NaN. */
static void everywhere(void **state) {
  (void)state;
  static const float kinds[] = {INFINITY, -INFINITY, NAN};
  for (int k = 0; k < CASES; k++)
    for (int kind = 0; kind < 3; kind++) {
      struct probe *p = new_probe(k, 7);
      for (int64_t i = 0; i < p->count[PROBE_INPUT]; i++) p->x[i] = kinds[kind];
      check_output(p, cases[k].layer, cases[k].words, INFINITY);
      probe_free(p);
    }
}

/* An infinite weight that stands on padding wherever the filter goes: every output is finite. */
static void weight_on_padding(void **state) {
  (void)state;
  static const struct {
    const char *words;
    int64_t taps;
    cnn_shape in;
  } layers[] = {{"kernel=3 pad=1 filters=17", 9, {3, 5, 1, 1}},
                {"kernel=3 pad=1 filters=17", 9, {1, 18, 1, 1}},
                {"kernel=5 pad=2 filters=6", 25, {2, 1, 1, 1}}};
  for (int k = 0; k < 3; k++) {
    struct probe *p;
    ok(probe_new("conv", layers[k].words, layers[k].in, 7, 1, &p));
    for (int64_t i = 0; i < p->count[PROBE_WEIGHT]; i++)
      if (i % layers[k].taps != layers[k].taps / 2) p->weight[0][i] = i % 2 ? INFINITY : NAN;
    check_output(p, "conv", layers[k].words, 1e-5);
    for (int64_t i = 0; i < p->count[PROBE_OUTPUT]; i++) assert_true(isfinite(p->naive[PROBE_OUTPUT][i]));
    probe_free(p);
  }
}

/* Inputs below the smallest normal float, weights of about 1 and likewise the other way: what the plain loops
 * give, to the last denormal or so; flushed to 0 it would be off by 2^-127. */
static void denormals(void **state) {
  (void)state;
  for (int k = 0; k < CASES; k++)
    for (int of_weights = 0; of_weights < 2; of_weights++) {
      struct probe *p = new_probe(k, 7);
      bool keeps = strcmp(cases[k].layer, "sigmoid") != 0 && strcmp(cases[k].layer, "softmax") != 0;
      float *values = of_weights ? p->weight[0] : p->x;
      for (int64_t i = 0; values && i < p->count[of_weights ? PROBE_WEIGHT : PROBE_INPUT]; i++)
        values[i] *= 0x1p-127F;
      for (int64_t i = 0; p->weight[1] && i < p->count[PROBE_BIAS]; i++) p->weight[1][i] = 0;
      int64_t taps = p->weight[0] ? p->count[PROBE_WEIGHT] / p->out.c : 9;
      if (values)
        check_output(p, cases[k].layer, cases[k].words, keeps ? (double)(taps + 2) * 0x1p-149 : 1e-6);
      bool seen = false;
      for (int64_t i = 0; i < p->count[PROBE_OUTPUT]; i++)
        seen = seen || (p->naive[PROBE_OUTPUT][i] != 0 && fabs(p->naive[PROBE_OUTPUT][i]) < 0x1p-126);
      if (values && keeps && !seen)
        fail_msg("%s %s: no output is a denormal", cases[k].layer, cases[k].words);
      probe_free(p);
    }
}

/* e^x where it is no normal float any more. */
static void small_probabilities(void **state) {
  (void)state;
  struct probe *p;
  ok(probe_new("softmax", "", (cnn_shape){1, 40, 1, 1}, 7, 1, &p));
  for (int i = 0; i < 40; i++) p->x[i] = i ? -86 - (float)i / 2 : 0;
  run_naive(p);
  struct engine e = engine_run(p, "softmax", "", (struct way){.threads = 1});
  for (int i = 0; i < 40; i++) {
    double y = (double)e.part[PROBE_OUTPUT][i], expected = p->naive[PROBE_OUTPUT][i];
    if (!(fabs(y - expected) <= 1e-6 * expected + 0x1p-149)) fail_msg("%d: %g, not %g", i, y, expected);
  }
  assert_true(e.part[PROBE_OUTPUT][10] > 0 && e.part[PROBE_OUTPUT][10] < 0x1p-126F);
  engine_free(&e);
  probe_free(p);
}

/* ---- runs ---- */

enum { IMAGES = 40, BATCH = 8, STEPS = IMAGES / BATCH };

/* One of every kind that can make a value too large; both affine layers share their work out in parts. */
static const char every_kind[] =
    "input shape=3x12x12\n"
    "conv filters=20 kernel=3 pad=1\n"
    "relu\n"
    "lrn size=5 alpha=0.1\n"
    "maxpool kernel=2 stride=2\n"
    "conv filters=24 kernel=3 pad=1 groups=2\n"
    "avgpool kernel=2 stride=2\n"
    "dropout rate=0.25\n"
    "affine units=200 init=xavier\n"
    "relu\n"
    "affine units=150 init=xavier\n"
    "relu\n"
    "dropout\n"
    "affine units=150 init=xavier\n"
    "softmax\n";

/* The first half of AlexNet and a narrow other half. */
static const char like_alexnet[] =
    "input shape=3x67x67\n"
    "conv filters=32 kernel=11 stride=4 init=normal:0.01\n"
    "relu\n"
    "lrn size=5 alpha=0.0001 beta=0.75\n"
    "maxpool kernel=3 stride=2\n"
    "conv filters=64 kernel=5 pad=2 groups=2 init=normal:0.01 bias_init=constant:0.1\n"
    "relu\n"
    "lrn size=5 alpha=0.0001 beta=0.75\n"
    "maxpool kernel=3 stride=2\n"
    "affine units=256 init=normal:0.005 bias_init=constant:0.1\n"
    "relu\n"
    "dropout rate=0.5\n"
    "affine units=100 init=normal:0.01\n"
    "softmax\n";

struct spoiler {
  cnn_plan *plan;
  int64_t step;
  const char *weights, *zeros; /* set to value, and to 0; NULL: none */
  float value;
};

static void spoil(void *context, const cnn_progress *progress) {
  const struct spoiler *s = context;
  if (progress->epoch_end || progress->total_step != s->step) return;
  if (s->zeros) fill_weight(s->plan, s->zeros, 0);
  if (s->weights) fill_weight(s->plan, s->weights, s->value);
}

/* Trains for three epochs of 5 steps; returns what cnn_trainer_run() does. */
static cnn_status train(const char *text, int threads, double lr, struct spoiler *spoiler) {
  cnn_net *net;
  cnn_dataset *data;
  cnn_trainer *trainer;
  ok(cnn_net_parse(text, "test", &net));
  cnn_shape in = cnn_net_input(net);
  in.n = IMAGES;
  ok(cnn_dataset_random(in, 1, 10, 3, &data));
  cnn_plan_options plan = cnn_plan_defaults();
  plan.batch = BATCH;
  plan.threads = threads;
  ok(cnn_plan_new(net, &plan, &spoiler->plan));
  cnn_train_options options = cnn_train_defaults();
  options.epochs = 3;
  options.optimizer = "sgd";
  options.lr = lr;
  options.evaluate_train = options.evaluate_test = 0;
  options.on_progress = spoil;
  options.context = spoiler;
  ok(cnn_trainer_new(spoiler->plan, data, &options, &trainer));
  cnn_status status = cnn_trainer_run(trainer);
  cnn_trainer_free(trainer);
  cnn_plan_free(spoiler->plan);
  cnn_dataset_free(data);
  cnn_net_free(net);
  return status;
}

/* After step 7, the second of the second epoch, weights are so large that a layer's output is too large. */
static void names_the_layer(void **state) {
  (void)state;
  static const struct {
    const char *net, *weights, *zeros, *name;
  } spoilt[] = {
      {every_kind, "conv1.weight", NULL, "conv1"},
      {every_kind, "conv2.weight", NULL, "conv2"},
      {every_kind, "conv2.bias", "conv2.weight", "avgpool1"},
      {every_kind, "affine1.weight", NULL, "affine1"},
      {every_kind, "affine2.weight", NULL, "affine2"},
      {every_kind, "affine2.bias", "affine2.weight", "dropout2"},
      {every_kind, "affine3.weight", NULL, "affine3"},
      {like_alexnet, "conv1.weight", NULL, "conv1"},
      {like_alexnet, "conv2.weight", NULL, "conv2"},
      {like_alexnet, "affine1.weight", NULL, "affine1"},
      {like_alexnet, "affine1.bias", "affine1.weight", "dropout1"},
      {like_alexnet, "affine2.weight", NULL, "affine2"},
  };
  for (size_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++)
    for (int threads = 1; threads <= 3; threads += 2) {
      struct spoiler s = {
          .step = STEPS + 2, .weights = spoilt[i].weights, .zeros = spoilt[i].zeros, .value = 3e38F};
      char words[64];
      snprintf(words, sizeof words, "epoch 2, step 3: the output of '%s' is not finite", spoilt[i].name);
      cnn_status status = train(spoilt[i].net, threads, 0.001, &s);
      if (status == CNN_OK) fail_msg("%s = 3e38: the run goes on", spoilt[i].weights);
      if (status != CNN_E_NUMERIC || !strstr(cnn_why(), words))
        fail_msg("%s = 3e38: expected \"%s\" in: %s", spoilt[i].weights, words, cnn_why());
    }
}

/* The run's own steps: far too long. */
static void names_the_step(void **state) {
  (void)state;
  static const char *const nets[] = {every_kind, like_alexnet};
  for (int i = 0; i < 2; i++) {
    char first[512] = "";
    for (int threads = 1; threads <= 3; threads += 2) {
      struct spoiler s = {0};
      assert_int_equal(train(nets[i], threads, 1e6, &s), CNN_E_NUMERIC);
      const char *after_epoch = strstr(cnn_why(), "epoch "), *after_step = strstr(cnn_why(), ", step ");
      assert_true(after_epoch == cnn_why() && after_step);
      int64_t epoch = strtoll(after_epoch + 6, NULL, 10), step = strtoll(after_step + 7, NULL, 10);
      assert_true(epoch >= 1 && epoch <= 3 && step >= 1 && step <= STEPS && epoch + step > 2);
      if (!strstr(cnn_why(), "conv") && !strstr(cnn_why(), "affine") && !strstr(cnn_why(), "lrn"))
        fail_msg("no layer is named: %s", cnn_why());
      if (*first) assert_string_equal(cnn_why(), first);
      snprintf(first, sizeof first, "%s", cnn_why());
    }
  }
}

/* The scores are finite, as is every output; only the loss, 6e38, is no float. What backward has made of it
 * must not be taken for an output: not of a layer that runs in parts, either. */
static void loss_alone(void **state) {
  (void)state;
  enum { UNITS = 150 };
  static const char text[] =
      "input shape=3x8x8\naffine units=150\naffine units=150\naffine units=150\nsoftmax\n";
  static float x[192], weight[UNITS * UNITS];
  float bias[UNITS], loss;
  cnn_net *net;
  cnn_plan *plan;
  ok(cnn_net_parse(text, "test", &net));
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = 1;
  ok(cnn_plan_new(net, &options, &plan));
  for (int i = 0; i < UNITS * UNITS; i++) weight[i] = i < UNITS ? 3e38F : -3e38F;
  for (int i = 0; i < UNITS; i++) bias[i] = weight[i * UNITS];
  ok(cnn_plan_set_weight(plan, "affine3.weight", weight, UNITS * UNITS));
  ok(cnn_plan_set_weight(plan, "affine3.bias", bias, UNITS));
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, {1, 3, 8, 8}}, (int32_t[]){1}, &loss));
  assert_true(isinf(loss));
  assert_int_equal(exec_find_not_finite(plan, 1), CNN_E_NUMERIC);
  if (!strstr(cnn_why(), "though every layer's output is")) fail_msg("%s", cnn_why());
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* Evaluation does not stop, but its loss says so. */
static void evaluation(void **state) {
  (void)state;
  cnn_net *net;
  cnn_plan *plan;
  cnn_dataset *data;
  cnn_evaluation e;
  ok(cnn_net_parse("input shape=1x4x4\naffine units=5\nsoftmax\n", "test", &net));
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = 4;
  ok(cnn_plan_new(net, &options, &plan));
  ok(cnn_dataset_random((cnn_shape){4, 1, 4, 4}, 4, 5, 3, &data));
  fill_weight(plan, "affine1.bias", NAN);
  ok(cnn_evaluate(plan, data, CNN_SPLIT_TEST, 0, &e));
  assert_true(isnan(e.loss));
  cnn_dataset_free(data);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_the_input),        cmocka_unit_test(in_the_weights),
      cmocka_unit_test(one_by_one),          cmocka_unit_test(everywhere),
      cmocka_unit_test(weight_on_padding),   cmocka_unit_test(denormals),
      cmocka_unit_test(small_probabilities), cmocka_unit_test(names_the_layer),
      cmocka_unit_test(names_the_step),      cmocka_unit_test(loss_alone),
      cmocka_unit_test(evaluation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
