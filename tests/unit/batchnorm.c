/* Batch normalisation: PyTorch's values, forward, backward and of the running statistics; inputs far from 0;
 * who changes the running statistics, and when; and what is said of values that are not finite. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "instruction_sets.h"
#include "net/probe.h"
#include "plans.h"
#include "scratch.h"
#include "training_run.h"

/* ---- PyTorch ---- */

/* Relative, in norm; PyTorch computed in double. */
static const double most = 1e-6;

static void compare_weight(FILE *golden, const char *name, const cnn_plan *plan, getter *get,
                           const char *weight, int64_t count) {
  float *values = malloc((size_t)count * sizeof *values);
  assert_non_null(values);
  ok(get(plan, weight, values, count));
  golden_compare(golden, name, values, count, 1, most);
  free(values);
}

struct given {
  cnn_plan *plan;
  const float *dy;
};

static void give(void *context, int64_t n0, int64_t n1) {
  const struct given *given = context;
  const struct view *dy = plan_scores_gradient(given->plan);
  view_write(dy, n0, n1, given->dy + n0 * dy->shape.c * dy->shape.h * dy->shape.w);
}

static void check_case(FILE *golden, const cnn_shape *shape, const char *text, float added) {
  cnn_net *net = parse(text);
  cnn_plan *plan;
  cnn_plan_options options = training(shape->n);
  options.group = 2;
  options.loss = CNN_LOSS_MEAN_SQUARED_ERROR;
  ok(plan_new(net, &options, true, &plan));
  int64_t count = count_of(*shape), channels = shape->c;
  float *weight = golden_pattern(channels, 31, 5, 41, 16), *bias = golden_pattern(channels, 17, 3, 29, 8);
  float *y = malloc((size_t)count * sizeof *y);
  assert_non_null(y);
  ok(cnn_plan_set_weight(plan, "batchnorm1.weight", weight, channels));
  ok(cnn_plan_set_weight(plan, "batchnorm1.bias", bias, channels));
  for (int step = 0; step < 3; step++) { /* the last: evaluation */
    float *x = golden_pattern(count, 7919, 3 + step % 2, 2001, 400),
          *dy = golden_pattern(count, 104729, 17 + step, 1999, 500);
    for (int64_t i = 0; i < count; i++) x[i] += added;
    struct given given = {plan, dy};
    if (step < 2) {
      view_write(&plan->steps[0].y, 0, shape->n, x);
      exec_gradient(plan, shape->n, &(struct hooks){.scored = give, .context = &given});
      exec_follow(plan, shape->n);
      plan->stale = true;
      view_read(&plan->steps[1].y, 0, shape->n, y);
      golden_compare(golden, "y", y, count, 1, most);
      view_read(&plan->steps[1].dx[0], 0, shape->n, y);
      golden_compare(golden, "dx", y, count, 1, most);
      compare_weight(golden, "dweight", plan, cnn_plan_get_gradient, "batchnorm1.weight", channels);
      compare_weight(golden, "dbias", plan, cnn_plan_get_gradient, "batchnorm1.bias", channels);
      compare_weight(golden, "running_mean", plan, cnn_plan_get_weight, "batchnorm1.running_mean", channels);
      compare_weight(golden, "running_var", plan, cnn_plan_get_weight, "batchnorm1.running_var", channels);
    } else {
      ok(cnn_plan_forward(plan, (cnn_tensor){x, *shape}, (cnn_tensor){y, *shape}));
      golden_compare(golden, "evaluated", y, count, 1, most);
    }
    free(x);
    free(dy);
  }
  free(weight);
  free(bias);
  free(y);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void as_in_torch(void **state) {
  (void)state;
  FILE *golden = golden_open("torch-batchnorm.txt");
  char word[64], text[256];
  int cases = 0;
  for (; fscanf(golden, " %63s", word) == 1; cases++) {
    assert_string_equal(word, "case");
    double number[7];
    for (int i = 0; i < 7; i++) number[i] = golden_number(golden);
    cnn_shape s = {(int64_t)number[0], (int64_t)number[1], (int64_t)number[2], (int64_t)number[3]};
    double epsilon = number[4], momentum = number[5], added = number[6];
    snprintf(text, sizeof text,
             "input shape=%" PRId64 "x%" PRId64 "x%" PRId64 "\nbatchnorm epsilon=%g momentum=%g\n", s.c, s.h,
             s.w, epsilon, momentum);
    check_case(golden, &s, text, (float)added);
  }
  assert_int_equal(cases, 4);
  fclose(golden);
}

/* ---- inputs far from 0 ---- */

/* |y - exact| / |exact| in norm. */
static double apart(const float *y, const double *exact, int count) {
  double error = 0, norm = 0;
  for (int i = 0; i < count; i++) {
    double off = (double)y[i] - exact[i];
    error += off * off;
    norm += exact[i] * exact[i];
  }
  return sqrt(error / norm);
}

/* x = mean + noise of size 1: what float32 holds of x is all that may be lost. */
static void large_means(void **state) {
  (void)state;
  enum { N = 12, C = 5, PIXELS = 35, COUNT = N * C * PIXELS };
  for (int far = 0; far <= 6; far++) {
    struct probe *p;
    ok(probe_new("batchnorm", "", (cnn_shape){N, C, 5, 7}, 7, 1, &p));
    float y[COUNT];
    for (int i = 0; i < COUNT; i++) {
      p->x[i] += (float)((i / PIXELS % C - 2) * pow(10, far));
      p->x64[i] = (double)p->x[i];
    }
    probe_naive(p, p->naive[PROBE_OUTPUT], true);
    probe_write(p, p->plan);
    struct given given = {p->plan, p->dy};
    exec_gradient(p->plan, N, &(struct hooks){.scored = give, .context = &given});
    view_read(&p->plan->steps[1].y, 0, N, y);
    double error = 0;
    for (int i = 0; i < COUNT; i++) {
      double off = fabs((double)y[i] - p->naive[PROBE_OUTPUT][i]);
      if (!(off <= error)) error = off;
    }
    probe_read(p, p->plan, 1, y);
    double dx_error = apart(y, p->naive[PROBE_INPUT], COUNT);
    if (!(error < 2e-6)) fail_msg("10^%d from 0: outputs off by %g", far, error);
    if (!(dx_error < 2e-6)) fail_msg("10^%d from 0: gradients off by %g", far, dx_error);
    probe_free(p);
  }
}

/* A channel that is the same everywhere: its output is the bias, and nothing is divided by 0. */
static void constant_channels(void **state) {
  (void)state;
  struct probe *p;
  ok(probe_new("batchnorm", "", (cnn_shape){3, 2, 2, 2}, 7, 1, &p));
  for (int i = 0; i < 24; i++) p->x[i] = i / 4 % 2 ? 1e6F : 0.1F;
  probe_write(p, p->plan);
  struct given given = {p->plan, p->dy};
  exec_gradient(p->plan, 3, &(struct hooks){.scored = give, .context = &given});
  float y[24];
  view_read(&p->plan->steps[1].y, 0, 3, y);
  for (int i = 0; i < 24; i++) assert_float_equal(y[i], p->weight[1][i / 4 % 2], 1e-6);
  probe_read(p, p->plan, 1, y);
  for (int i = 0; i < 24; i++) assert_true(isfinite(y[i]));
  probe_free(p);
}

/* ---- running statistics ---- */

static const char small[] =
    "input shape=2x6x6\n"
    "conv filters=20 kernel=3 pad=1 init=he bias=no\n"
    "batchnorm name=bn\n"
    "relu\n"
    "affine units=4 init=he\n"
    "batchnorm name=top epsilon=0.001\n"
    "softmax\n";

static struct training_run small_run(const char *text, int threads) {
  struct training_run run = {0};
  cnn_plan_options options = training(8);
  options.threads = threads;
  ok(cnn_dataset_random((cnn_shape){20, 2, 6, 6}, 5, 4, 3, &run.data));
  ok(cnn_net_parse(text, "t", &run.net));
  ok(cnn_plan_new(run.net, &options, &run.plan));
  ok(cnn_trainer_new(run.plan, run.data, NULL, &run.trainer));
  return run;
}

static const char *const states[] = {"bn.running_mean", "bn.running_var", "top.running_mean",
                                     "top.running_var"};
enum { STATES = 48 };

/* 20 and 20 and 4 and 4 values. */
static void read_states(const cnn_plan *plan, float *to) {
  for (int i = 0; i < 4; to += i < 2 ? 20 : 4, i++)
    ok(cnn_plan_get_weight(plan, states[i], to, i < 2 ? 20 : 4));
}

/* They begin at 0 and 1, follow a trainer's steps, and neither cnn_plan_gradient() nor evaluation. */
static void who_changes_them(void **state) {
  (void)state;
  struct training_run run = small_run(small, 1);
  float before[STATES], after[STATES], x[3 * 72], loss;
  const int32_t labels[] = {0, 1, 2};
  cnn_evaluation evaluation;
  read_states(run.plan, before);
  for (int i = 0; i < STATES; i++) assert_true(before[i] == ((i >= 20 && i < 40) || i >= 44));
  for (int i = 0; i < 3 * 72; i++) x[i] = (float)(i * 37 % 101) / 50;
  ok(cnn_plan_gradient(run.plan, (cnn_tensor){x, {3, 2, 6, 6}}, labels, &loss));
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 0, &evaluation));
  read_states(run.plan, after);
  assert_memory_equal(before, after, sizeof before);
  ok(cnn_trainer_step(run.trainer, &loss));
  read_states(run.plan, after);
  for (int i = 0; i < STATES; i++) assert_true(before[i] != after[i]);
  read_states(run.plan, before);
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 0, &evaluation));
  read_states(run.plan, after);
  assert_memory_equal(before, after, sizeof before);
  cnn_weight_info info;
  int trained = 0;
  for (int w = 0; w < cnn_net_weight_count(run.net); w++) {
    ok(cnn_net_weight(run.net, w, &info));
    trained += info.trained;
  }
  assert_int_equal(trained, 7);
  assert_int_equal(cnn_net_weight_count(run.net), 11);
  assert_fails(CNN_E_ARGUMENT, cnn_plan_get_gradient(run.plan, "bn.running_var", x, 20), "is not trained");
  cnn_layer_info layer;
  ok(cnn_net_layer(run.net, 2, &layer));
  assert_int_equal(layer.parameters, 40);
  run_free(&run);
}

/* With a momentum of 0 they stay, whatever the optimiser does to weights; with 1 they are the last batch's.
 */
static void momentum(void **state) {
  (void)state;
  static const char still[] =
      "input shape=2x6x6\nbatchnorm name=bn momentum=0\naffine units=4 init=he\nsoftmax\n";
  struct training_run run = small_run(still, 1);
  float mean[2], variance[2], weight[2], loss;
  ok(cnn_trainer_step(run.trainer, &loss));
  ok(cnn_plan_get_weight(run.plan, "bn.running_mean", mean, 2));
  ok(cnn_plan_get_weight(run.plan, "bn.running_var", variance, 2));
  ok(cnn_plan_get_weight(run.plan, "bn.weight", weight, 2));
  for (int c = 0; c < 2; c++) assert_true(mean[c] == 0 && variance[c] == 1 && weight[c] != 1);
  run_free(&run);
}

/* A step whose loss is not a number changes nothing. */
static void a_failed_step(void **state) {
  (void)state;
  struct training_run run = small_run(small, 1);
  float before[STATES], after[STATES], loss;
  ok(cnn_trainer_step(run.trainer, &loss));
  read_states(run.plan, before);
  fill_weight(run.plan, "affine1.weight", 3e38F);
  assert_int_equal(cnn_trainer_step(run.trainer, &loss), CNN_E_NUMERIC);
  assert_why("'affine1' is not finite");
  read_states(run.plan, after);
  assert_memory_equal(before, after, sizeof before);
  run_free(&run);
}

/* A value that is not finite takes its channel with it, of all images, and no other. */
static void not_finite(void **state) {
  (void)state;
  static const float kinds[] = {INFINITY, -INFINITY, NAN};
  enum { N = 3, C = 18, PIXELS = 6, COUNT = N * C * PIXELS };
  for (int kind = 0; kind < 3; kind++) {
    struct probe *p;
    float y[COUNT], clean[COUNT];
    ok(probe_new("batchnorm", "", (cnn_shape){N, C, 2, 3}, 7, 1, &p));
    memcpy(clean, p->engine[PROBE_OUTPUT], sizeof clean);
    p->x[(1 * C + 17) * PIXELS + 4] = kinds[kind];
    probe_write(p, p->plan);
    exec_gradient(p->plan, N, NULL);
    view_read(&p->plan->steps[1].y, 0, N, y);
    for (int i = 0; i < COUNT; i++)
      if (i / PIXELS % C == 17)
        assert_true(isnan(y[i]));
      else
        assert_true(y[i] == clean[i]);
    probe_free(p);
  }
}

/* One image of infinities makes every image's output no number; what is named is where it began. */
static void where_it_began(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x2x2\nconv filters=3 kernel=1\nbatchnorm\nrelu\naffine units=2\n");
  cnn_plan_options options = training(5);
  cnn_plan *plan = plan_of(net, options);
  fill_weight(plan, "conv1.weight", 1e30F);
  float x[5 * 4], loss;
  for (int i = 0; i < 5 * 4; i++) x[i] = i == 13 ? 1e10F : (float)i * 1e-30F;
  const int32_t labels[5] = {0};
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, {5, 1, 2, 2}}, labels, &loss));
  assert_false(isfinite(loss));
  assert_fails(CNN_E_NUMERIC, exec_find_not_finite(plan, 5), "the output of 'conv1' is not finite");
  assert_why("image 3 of the batch");
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* The whole of a run: the same bits from any number of threads and every instruction set, and the same
 * predictions from the model file. */
static void runs(void **state) {
  (void)state;
  struct training_run first = small_run(small, 1);
  float loss, y[5 * 4], again[5 * 4], x[5 * 72];
  const struct kernel_table *best;
  ok(kernels_pick(&best));
  for (int step = 0; step < 7; step++) ok(cnn_trainer_step(first.trainer, &loss));
  for (int s = 0; s < SETS + 2; s++) {
    if (s < SETS && !kernels_find(instruction_sets[s])) continue;
    if (s < SETS) kernels_use(kernels_find(instruction_sets[s]));
    struct training_run other = small_run(small, s < SETS ? 1 : s == SETS ? 3 : 7);
    for (int step = 0; step < 7; step++) ok(cnn_trainer_step(other.trainer, &loss));
    kernels_use(best);
    same_all(first.plan, other.plan, cnn_plan_get_weight, "weights", small);
    run_free(&other);
  }
  char path[300];
  snprintf(path, sizeof path, "%s/model.safetensors", scratch);
  ok(cnn_model_save(path, first.plan, NULL));
  cnn_model *model;
  ok(cnn_model_load(path, &model));
  cnn_plan_options options = inference(5);
  cnn_plan *plan = plan_of(cnn_model_net(model), options);
  ok(cnn_model_apply(model, plan));
  same_all(first.plan, plan, cnn_plan_get_weight, "weights", small);
  for (int i = 0; i < 5 * 72; i++) x[i] = (float)(i * 37 % 101) / 50;
  cnn_tensor in = {x, {5, 2, 6, 6}};
  ok(cnn_plan_forward(first.plan, in, (cnn_tensor){y, {5, 4, 1, 1}}));
  ok(cnn_plan_forward(plan, in, (cnn_tensor){again, {5, 4, 1, 1}}));
  assert_memory_equal(y, again, sizeof y);
  cnn_plan_free(plan);
  cnn_model_free(model);
  run_free(&first);
}

static void mistakes(void **state) {
  (void)state;
  cnn_net *net;
  assert_fails(CNN_E_ARGUMENT, cnn_net_parse("input shape=1x2x2\nbatchnorm epsilon=0", "t", &net),
               "t:2: batchnorm: epsilon=0 is too small: it must be at least 1e-12");
  assert_fails(CNN_E_ARGUMENT, cnn_net_parse("input shape=1x2x2\nbatchnorm momentum=1.5", "t", &net),
               "t:2: batchnorm: momentum=1.5 is out of range: it must be 0 to 1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_in_torch),
      cmocka_unit_test(large_means),
      cmocka_unit_test(constant_channels),
      cmocka_unit_test(who_changes_them),
      cmocka_unit_test(momentum),
      cmocka_unit_test(a_failed_step),
      cmocka_unit_test(not_finite),
      cmocka_unit_test(where_it_began),
      cmocka_unit_test(runs),
      cmocka_unit_test(mistakes),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
