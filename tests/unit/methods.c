/* What a trainer does beyond plain steps: clipping, decay, layers' own rates, averages, validation, stopping
 * early. Formulas are compared with PyTorch in torch_methods.c; here is what PyTorch cannot tell: that
 * nothing depends on threads or instruction sets, that filling between weights stays out, what a plan holds
 * when. */
#include <math.h>

#include "instruction_sets.h"
#include "train/trainer.h"
#include "train/validation.h"
#include "training.h"

enum { ALL_METHODS = 8 };

/* Every method at once, in turns, on the network with filling in its blocks. */
static cnn_train_options method(int which) {
  cnn_train_options o = train_options();
  o.weight_decay = which & 1 ? 0.01 : 0;
  o.decay_biases = which & 2;
  o.schedule = which & 4 ? "one-cycle" : "cosine";
  o.warmup = 0.5;
  o.optimizer = which & 2 ? "adamw" : "momentum";
  if (which & 1) o.clip_norm = 0.5;
  if (!(which & 1)) o.clip_value = 0.01;
  o.label_smoothing = which & 4 ? 0.1 : 0;
  o.ema = which & 2 ? 0.9 : 0;
  o.validation = 0.2;
  o.patience = which & 4 ? 1 : 0;
  return o;
}

static void same_everywhere(void **state) {
  (void)state;
  for (int which = 0; which < ALL_METHODS; which++) {
    cnn_plan_options plan = plan_options();
    plan.threads = 1;
    struct training_run first = new_run(wide_net, plan, method(which));
    ok(cnn_trainer_run(first.trainer));
    const int threads[] = {1, 2, 3, 7};
    for (int i = 0; i < 4; i++) {
      plan.threads = threads[i];
      struct training_run other = new_run(wide_net, plan, method(which));
      ok(cnn_trainer_run(other.trainer));
      assert_true(same_weights(first.plan, other.plan));
      run_free(&other);
    }
    const struct kernel_table *best = first.plan->kernels;
    for (int s = 0; s < SETS; s++) {
      if (!kernels_find(instruction_sets[s])) continue;
      kernels_use(kernels_find(instruction_sets[s]));
      struct training_run other = new_run(wide_net, plan, method(which));
      ok(cnn_trainer_run(other.trainer));
      kernels_use(best);
      assert_true(same_weights(first.plan, other.plan));
      run_free(&other);
    }
    run_free(&first);
  }
}

/* No method in use: the same bits as if there were none, whatever way there. */
static void off_is_off(void **state) {
  (void)state;
  cnn_train_options off = train_options(), inert = train_options();
  inert.clip_norm = 1e6; /* a round of its own, but nothing is scaled */
  inert.weight_decay = 0;
  inert.ema = 0.5;
  struct training_run a = new_run(wide_net, plan_options(), off),
                      b = new_run(wide_net, plan_options(), inert);
  for (int step = 0; step < 2 * STEPS; step++) {
    ok(cnn_trainer_step(a.trainer, NULL));
    ok(cnn_trainer_step(b.trainer, NULL));
    assert_true(same_weights(a.plan, b.plan));
  }
  assert_null(strstr(cnn_trainer_settings(a.trainer), "schedule"));
  run_free(&a);
  run_free(&b);
}

/* One step of plain gradient descent moves weights by lr times the gradient: its norm is then lr * clip_norm,
 * over weights alone, whatever the filling in the plan's memory holds. */
static void clips_the_norm(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.optimizer = "sgd";
  o.lr = 1;
  o.clip_norm = 0.125;
  struct training_run run = new_run(wide_net, plan_options(), o);
  int64_t count;
  float *before = all(run.plan, cnn_plan_get_weight, &count);
  ok(cnn_trainer_step(run.trainer, NULL));
  float *after = all(run.plan, cnn_plan_get_weight, &count),
        *g = all(run.plan, cnn_plan_get_gradient, &count);
  double way = 0, norm = 0;
  for (int64_t i = 0; i < count; i++) {
    way += pow((double)after[i] - (double)before[i], 2);
    norm += pow((double)g[i], 2);
  }
  assert_true(norm > 1);
  assert_true(fabs(run.trainer->updater.norm - sqrt(norm)) < 1e-14 * sqrt(norm));
  assert_true(fabs(sqrt(way) - 0.125) < 1e-6);

  /* filling that is not finite has no part in it */
  const struct updater *u = &run.trainer->updater;
  int64_t filling = 0;
  for (int64_t i = 0; i < run.plan->range; i++)
    if (!(u->real[i / BLOCK] >> i % BLOCK & 1)) run.plan->gradients[i] = NAN, filling++;
  assert_int_equal(filling, run.plan->range - count);
  assert_true(filling > 0);
  ok(updater_finish(&run.trainer->updater));
  assert_true(fabs(u->norm - sqrt(norm)) < 1e-14 * sqrt(norm));
  run.plan->gradients[0] = INFINITY;
  assert_fails(CNN_E_NUMERIC, updater_finish(&run.trainer->updater),
               "the gradient of 'conv1.weight' is not finite");
  free(before);
  free(after);
  free(g);
  run_free(&run);
}

static void rates_of_layers(void **state) {
  (void)state;
  static const char net[] =
      "input shape=1x8x8\nconv filters=20 kernel=3 init=he lr=0\nrelu\nmaxpool kernel=2 stride=2\n"
      "affine units=70 init=he lr=0.5\nrelu\naffine units=5 init=xavier lr=2 bias_lr=0.5\nsoftmax\n";
  static const struct {
    const char *name;
    double factor;
  } weights[] = {{"conv1.weight", 0},   {"conv1.bias", 0},     {"affine1.weight", 0.5},
                 {"affine1.bias", 0.5}, {"affine2.weight", 2}, {"affine2.bias", 1}};
  cnn_train_options o = train_options();
  o.optimizer = "sgd";
  o.lr = 0.5;
  struct training_run run = new_run(net, plan_options(), o), fresh = new_run(net, plan_options(), o);
  ok(cnn_trainer_step(run.trainer, NULL));
  for (int w = 0; w < 6; w++) {
    static float now[1 << 16], before[1 << 16], g[1 << 16];
    cnn_weight_info info;
    ok(cnn_net_weight(run.net, w, &info));
    assert_string_equal(info.name, weights[w].name);
    assert_true(info.count <= 1 << 16);
    ok(cnn_plan_get_weight(run.plan, info.name, now, info.count));
    ok(cnn_plan_get_weight(fresh.plan, info.name, before, info.count));
    ok(cnn_plan_get_gradient(run.plan, info.name, g, info.count));
    bool moved = false;
    for (int64_t i = 0; i < info.count; i++) {
      assert_true(now[i] == fmaf(-(float)(0.5 * weights[w].factor), g[i], before[i]));
      moved = moved || now[i] != before[i];
    }
    assert_int_equal(moved, weights[w].factor > 0);
  }
  assert_non_null(strstr(cnn_net_text(run.net), "conv filters=20 kernel=3 lr=0\n"));
  assert_non_null(strstr(cnn_net_text(run.net), "affine units=5 init=xavier lr=2 bias_lr=0.5\n"));
  run_free(&run);
  run_free(&fresh);
}

static void keys_of_layers(void **state) {
  (void)state;
  cnn_net *net;
  assert_fails(CNN_E_KEY, cnn_net_parse("input shape=1x8x8\nrelu lr=2\n", "t", &net), "unknown key 'lr'");
  assert_fails(CNN_E_ARGUMENT, cnn_net_parse("input shape=1x8x8\naffine units=2 lr=-1\n", "t", &net),
               "out of range");
  assert_fails(CNN_E_KEY, cnn_net_parse("input shape=1x8x8\naffine units=2 lr=1 lr=2\n", "t", &net), "twice");
  assert_fails(CNN_E_KEY, cnn_net_parse("input shape=1x8x8\naffine units=2 biaslr=1\n", "t", &net),
               "did you mean 'bias_lr'");
  int relu, conv, found = 0;
  ok(cnn_layer_class_find("relu", &relu));
  ok(cnn_layer_class_find("conv", &conv));
  for (int i = 0; i < cnn_layer_class_get(conv).params; i++)
    found += strcmp(cnn_layer_param(conv, i).key, "bias_lr") == 0;
  assert_int_equal(found, 1);
  assert_null(cnn_layer_param(conv, cnn_layer_class_get(conv).params).key);
  assert_int_equal(cnn_layer_class_get(relu).params, 0);
}

/* The average in double, from the weights of each step; and training goes on from those of the last. */
static void average(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.epochs = 2;
  struct training_run plain = new_run(small_net, plan_options(), o);
  o.ema = 0.75;
  struct training_run run = new_run(small_net, plan_options(), o);
  int64_t count, again;
  double mean[1024] = {0}, weight = 0;
  for (int step = 0; step < 2 * STEPS; step++) {
    ok(cnn_trainer_step(plain.trainer, NULL));
    float *w = all(plain.plan, cnn_plan_get_weight, &count);
    assert_true(count <= 1024);
    weight = 0.75 * weight + 0.25;
    for (int64_t i = 0; i < count; i++) mean[i] = 0.75 * mean[i] + 0.25 * (double)w[i];
    free(w);
  }
  ok(cnn_trainer_run(run.trainer));
  float *w = all(run.plan, cnn_plan_get_weight, &again);
  assert_int_equal(count, again);
  assert_false(same_weights(plain.plan, run.plan));
  for (int64_t i = 0; i < count; i++) assert_true(fabs((double)w[i] - mean[i] / weight) < 2e-6);
  free(w);
  ok(cnn_trainer_step(run.trainer, NULL)); /* on from the trained ones, which the plan then holds */
  ok(cnn_trainer_step(plain.trainer, NULL));
  assert_true(same_weights(plain.plan, run.plan));
  run_free(&plain);
  run_free(&run);
}

/* A run that diverges leaves the average in the plan too, as one that ends. */
static void average_after_a_failure(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.optimizer = "sgd";
  o.lr = 1e6;
  o.ema = 0.9;
  o.epochs = 100;
  cnn_plan_options plan = plan_options();
  plan.loss = CNN_LOSS_MEAN_SQUARED_ERROR;
  struct training_run run = new_run("input shape=1x8x8\naffine units=5\n", plan, o);
  assert_int_equal(cnn_trainer_run(run.trainer), CNN_E_NUMERIC);
  const float *shown = run.plan->weights, *average = run.trainer->updater.average;
  for (int64_t i = 0; i < run.plan->range; i++)
    assert_true(shown[i] == average[i] || (isnan(shown[i]) && isnan(average[i])));
  run_free(&run);
}

static void smoothed_loss(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.optimizer = "sgd";
  struct training_run plain = new_run(small_net, plan_options(), o);
  o.label_smoothing = 0.2;
  struct training_run run = new_run(small_net, plan_options(), o);
  float loss, smoothed, x[BATCH * SIDE * SIDE];
  ok(cnn_trainer_step(plain.trainer, &loss));
  run_free(&plain);
  plain = new_run(small_net, plan_options(), train_options());
  double sum = 0;
  ok(cnn_trainer_step(run.trainer, &smoothed));
  for (int n = 0; n < BATCH; n++) {
    float p[CLASSES];
    ok(cnn_dataset_read(run.data, CNN_SPLIT_TRAIN, run.trainer->order[n], x, NULL));
    ok(cnn_plan_forward(plain.plan, images(plain.plan, x, 1), (cnn_tensor){p, {1, CLASSES, 1, 1}}));
    for (int c = 0; c < CLASSES; c++) sum -= 0.2 / CLASSES * log((double)p[c]) / BATCH;
  }
  assert_true(fabs((double)smoothed - (0.8 * (double)loss + sum)) < 1e-6);
  run_free(&plain);
  run_free(&run);
}

/* ---- Validation ---- */

static void images_held_back(void **state) {
  (void)state;
  int64_t count;
  ok(validation_count(0, 50, &count));
  assert_int_equal(count, 0);
  ok(validation_count(0.25, 50, &count));
  assert_int_equal(count, 13);
  ok(validation_count(1e-9, 50, &count));
  assert_int_equal(count, 1);
  ok(validation_count(49, 50, &count));
  assert_int_equal(count, 49);
  const double wrong[] = {50, 51, 1e300, 0.999, 1.5, -1, (double)NAN, (double)INFINITY};
  for (int i = 0; i < 8; i++)
    if (validation_count(wrong[i], 50, &count) != CNN_E_ARGUMENT) fail_msg("%g is taken", wrong[i]);

  cnn_dataset *data;
  ok(cnn_dataset_random((cnn_shape){997, 1, 2, 2}, 1, 7, 5, &data));
  int32_t index[997], other[997];
  for (int64_t held = 1; held < 997; held += 83) {
    int seen[997] = {0}, classes[7] = {0}, of_class[7] = {0};
    ok(validation_select(data, 997, held, 3, index));
    for (int i = 0; i < 997; i++) {
      seen[index[i]]++;
      if (i && i != 997 - held) assert_true(index[i] > index[i - 1]);
      of_class[dataset_label(data, CNN_SPLIT_TRAIN, i)]++;
      if (i >= 997 - held) classes[dataset_label(data, CNN_SPLIT_TRAIN, index[i])]++;
    }
    for (int i = 0; i < 997; i++) assert_int_equal(seen[i], 1);
    for (int c = 0; c < 7; c++) assert_true(fabs(classes[c] - (double)held * of_class[c] / 997) <= 1);
    ok(validation_select(data, 997, held, 3, other));
    assert_memory_equal(index, other, sizeof index);
    ok(validation_select(data, 997, held, 4, other));
    assert_true(memcmp(index, other, sizeof index) != 0);
  }
  cnn_dataset_free(data);
}

/* None of the images held back is trained on; all others are, once an epoch. */
static void trains_on_the_others(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.validation = 7;
  struct training_run run = new_run(small_net, plan_options(), o);
  int64_t images = cnn_trainer_images(run.trainer, CNN_SPLIT_TRAIN);
  assert_int_equal(images, IMAGES - 7);
  assert_int_equal(cnn_trainer_images(run.trainer, CNN_SPLIT_VALIDATION), 7);
  assert_int_equal(cnn_trainer_images(run.trainer, CNN_SPLIT_TEST), IMAGES);
  ok(cnn_trainer_step(run.trainer, NULL));
  int seen[IMAGES] = {0};
  for (int64_t i = 0; i < images; i++) seen[run.trainer->order[i]]++;
  for (int64_t i = images; i < IMAGES; i++) seen[run.trainer->index[i]]++;
  for (int i = 0; i < IMAGES; i++) assert_int_equal(seen[i], 1);

  cnn_evaluation parts[2], whole;
  ok(cnn_trainer_evaluate(run.trainer, CNN_SPLIT_TRAIN, 0, &parts[0]));
  ok(cnn_trainer_evaluate(run.trainer, CNN_SPLIT_VALIDATION, 0, &parts[1]));
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 0, &whole));
  assert_int_equal(parts[1].total, 7);
  assert_int_equal(parts[0].total + parts[1].total, whole.total);
  assert_int_equal(parts[0].correct + parts[1].correct, whole.correct);
  double sum = parts[0].loss * (IMAGES - 7) + parts[1].loss * 7;
  assert_true(fabs(sum - whole.loss * IMAGES) < 1e-9 * sum);
  assert_fails(CNN_E_DATA, cnn_evaluate(run.plan, run.data, CNN_SPLIT_VALIDATION, 0, &whole), "no images");
  run_free(&run);
}

/* What was reported after each epoch, and the weights of the best by loss. */
struct watched {
  cnn_plan *plan;
  int epochs, best;
  double loss[32];
  float *weights;
};

static void watch(void *context, const cnn_progress *p) {
  struct watched *watched = context;
  int64_t count;
  if (!p->epoch_end) return;
  watched->loss[watched->epochs++] = p->validation_loss;
  if (watched->best && watched->loss[watched->best - 1] <= p->validation_loss) return;
  watched->best = watched->epochs;
  free(watched->weights);
  watched->weights = all(watched->plan, cnn_plan_get_weight, &count);
}

static void stops_early_with_the_best(void **state) {
  (void)state;
  for (int averaged = 0; averaged < 2; averaged++) {
    struct watched watched = {0};
    cnn_train_options o = train_options();
    o.epochs = 30;
    o.optimizer = "sgd";
    o.lr = 2.5; /* too much: it gets worse again */
    o.validation = 12;
    o.patience = 3;
    o.ema = averaged ? 0.6 : 0;
    o.on_progress = watch;
    o.context = &watched;
    struct training_run run = new_run(small_net, plan_options(), o);
    watched.plan = run.plan;
    ok(cnn_trainer_run(run.trainer));
    cnn_best best = cnn_trainer_best(run.trainer);
    assert_int_equal(best.epoch, watched.best);
    assert_true(best.loss == watched.loss[watched.best - 1]);
    assert_true(best.stopped);
    assert_int_equal(watched.epochs, watched.best + 3);
    assert_true(watched.epochs < 30);
    int64_t count;
    float *now = all(run.plan, cnn_plan_get_weight, &count);
    assert_memory_equal(now, watched.weights, (size_t)count * sizeof *now);
    cnn_evaluation e;
    ok(cnn_trainer_evaluate(run.trainer, CNN_SPLIT_VALIDATION, 0, &e));
    assert_true(e.loss == best.loss && e.accuracy == best.accuracy);
    free(now);
    free(watched.weights);
    run_free(&run);
  }
}

/* With batchnorm: running means are followed also where clipping waits, and are those of the best epoch. */
static void states_go_with_weights(void **state) {
  (void)state;
  static const char net[] =
      "input shape=1x8x8\nconv filters=20 kernel=3 init=he\nbatchnorm\nrelu\nmaxpool kernel=2 stride=2\n"
      "affine units=5 init=xavier\nsoftmax\n";
  for (int way = 0; way < 3; way++) {
    struct watched watched = {0};
    cnn_train_options o = train_options();
    o.epochs = 12;
    o.optimizer = "sgd";
    o.lr = 2;
    o.validation = 12;
    o.patience = 2;
    o.clip_norm = way == 1 ? 5 : 0;
    o.ema = way == 2 ? 0.5 : 0;
    o.on_progress = watch;
    o.context = &watched;
    struct training_run run = new_run(net, plan_options(), o);
    watched.plan = run.plan;
    ok(cnn_trainer_run(run.trainer));
    int64_t count;
    float mean[20], *now = all(run.plan, cnn_plan_get_weight, &count); /* running ones too */
    assert_memory_equal(now, watched.weights, (size_t)count * sizeof *now);
    ok(cnn_plan_get_weight(run.plan, "batchnorm1.running_mean", mean, 20));
    assert_true(mean[0] != 0);
    cnn_evaluation e;
    ok(cnn_trainer_evaluate(run.trainer, CNN_SPLIT_VALIDATION, 0, &e));
    assert_true(e.loss == cnn_trainer_best(run.trainer).loss);
    assert_true(cnn_trainer_best(run.trainer).stopped);
    free(now);
    free(watched.weights);
    run_free(&run);
  }
}

static void plateau_lowers_the_rate(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.optimizer = "sgd";
  o.lr = 1;
  o.epochs = 12;
  o.validation = 12;
  o.measure = CNN_MEASURE_ERROR;
  o.schedule = "plateau factor=0.5 patience=1 threshold=0.5";
  struct training_run run = new_run(small_net, plan_options(), o);
  ok(cnn_trainer_run(run.trainer));
  assert_true(run.trainer->plateau.factor < 1);
  assert_true(run.trainer->updater.lr <= 0.5);
  assert_non_null(strstr(cnn_trainer_settings(run.trainer), "\"measure\":\"error\""));
  run_free(&run);
}

/* ---- Options ---- */

static void fails(cnn_train_options o, cnn_status status, const char *why) {
  struct training_run run = {.data = open_data(IMAGES, CLASSES), .net = parse(small_net)};
  run.plan = plan_of(run.net, plan_options());
  assert_fails(status, cnn_trainer_new(run.plan, run.data, &o, &run.trainer), why);
  run_free(&run);
}

static void options(void **state) {
  (void)state;
#define FAILS(field, value, why)           \
  do {                                     \
    cnn_train_options o = train_options(); \
    o.field = (value);                     \
    fails(o, CNN_E_ARGUMENT, why);         \
  } while (0)
  FAILS(weight_decay, 1e9, "weight_decay is 1e+09");
  FAILS(clip_norm, -1, "clip_norm is -1");
  FAILS(clip_value, (double)NAN, "clip_value is");
  FAILS(label_smoothing, 1, "label_smoothing is 1");
  FAILS(ema, 1, "ema is 1");
  FAILS(warmup, 4, "warmup is 4 epochs; it must be 0 to the run's 3");
  FAILS(validation, 50, "leaves none to train on");
  FAILS(patience, 1, "set validation");
  FAILS(patience, -1, "patience is -1");
  FAILS(schedule, "plateau", "set validation");
  FAILS(schedule, NULL, "schedule is NULL");
  FAILS(measure, (cnn_measure)7, "unknown measure 7");
  cnn_train_options o = train_options();
  o.clip_norm = o.clip_value = 1;
  fails(o, CNN_E_ARGUMENT, "exclude each other");
  o = train_options();
  o.schedule = "stepp every=1";
  fails(o, CNN_E_KEY, "did you mean 'step'?");
}

static void filled_in(void **state) {
  (void)state;
  cnn_train_options o = train_options();
  o.optimizer = "adamw";
  o.lr = 0;
  char schedule[] = "cosine";
  o.schedule = schedule;
  struct training_run run = new_run(small_net, plan_options(), o);
  schedule[0] = 'x'; /* strings are copied */
  cnn_train_options filled = cnn_trainer_options(run.trainer);
  assert_true(filled.lr == 0.001 && filled.weight_decay == 0.01 && filled.epsilon == 1e-8);
  assert_string_equal(filled.schedule, "cosine end=0");
  assert_non_null(strstr(cnn_trainer_settings(run.trainer), "\"schedule\":\"cosine end=0\""));
  cnn_memory plan, whole = cnn_trainer_memory(run.trainer);
  cnn_plan_options machine = plan_options();
  ok(cnn_plan_memory(run.net, &machine, NULL, &plan));
  assert_int_equal(whole.total, plan.total + whole.optimizer);
  assert_true(whole.optimizer >= 2 * plan.weights);
  cnn_evaluation
      evaluation; /* and no images are held back: a sanitizer sees no arithmetic on what is not there */
  assert_int_equal(cnn_trainer_images(run.trainer, CNN_SPLIT_VALIDATION), 0);
  assert_fails(CNN_E_DATA, cnn_trainer_evaluate(run.trainer, CNN_SPLIT_VALIDATION, 0, &evaluation),
               "no validation images");
  run_free(&run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_everywhere),
      cmocka_unit_test(off_is_off),
      cmocka_unit_test(clips_the_norm),
      cmocka_unit_test(rates_of_layers),
      cmocka_unit_test(keys_of_layers),
      cmocka_unit_test(average),
      cmocka_unit_test(average_after_a_failure),
      cmocka_unit_test(smoothed_loss),
      cmocka_unit_test(images_held_back),
      cmocka_unit_test(trains_on_the_others),
      cmocka_unit_test(stops_early_with_the_best),
      cmocka_unit_test(states_go_with_weights),
      cmocka_unit_test(plateau_lowers_the_rate),
      cmocka_unit_test(options),
      cmocka_unit_test(filled_in),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
