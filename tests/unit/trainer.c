/* Training: src/train/trainer.c. What is refused, what is reported, what may not happen (an allocation
 * between two steps, other bits on other threads), and that it learns. What becomes of a NaN is in
 * diverging.c. */
#include "training.h"

#include <jansson.h>
#include <math.h>

#include "instruction_sets.h"
#include "malloc_count.h"

/* ---- what is refused ---- */

static void refused(const struct training_run *run, const cnn_train_options *options, cnn_status status,
                    const char *words) {
  cnn_trainer *none = (cnn_trainer *)scratch, *trainer = none;
  assert_fails(status, cnn_trainer_new(run->plan, run->data, options, &trainer), words);
  assert_ptr_equal(trainer, none);
}

static void wrong_options(void **state) {
  (void)state;
  struct training_run run = new_run(small_net, plan_options(), train_options());
#define WRONG(field, value, status, words)        \
  do {                                            \
    cnn_train_options options = train_options();  \
    options.field = (value);                      \
    refused(&run, &options, CNN_##status, words); \
  } while (0)
  WRONG(epochs, 0, E_ARGUMENT, "epochs is 0");
  WRONG(epochs, -3, E_ARGUMENT, "epochs is -3");
  WRONG(epochs, (int64_t)INT32_MAX + 1, E_ARGUMENT, "epochs is 2147483648");
  WRONG(optimizer, "adm", E_KEY, "'adm'; did you mean 'adam'?");
  WRONG(optimizer, "stochastic", E_KEY, "unknown optimizer 'stochastic'");
  WRONG(optimizer, "", E_KEY, "unknown optimizer ''");
  WRONG(optimizer, NULL, E_ARGUMENT, "optimizer is NULL");
  WRONG(lr, -0.1, E_ARGUMENT, "lr is -0.1");
  WRONG(lr, 1e7, E_ARGUMENT, "lr is 1e+07");
  WRONG(lr, INFINITY, E_ARGUMENT, "lr is inf");
  WRONG(lr, NAN, E_ARGUMENT, "lr is nan");
  WRONG(momentum, -0.1, E_ARGUMENT, "momentum is -0.1");
  WRONG(momentum, 1, E_ARGUMENT, "momentum is 1");
  WRONG(momentum, NAN, E_ARGUMENT, "momentum is nan");
  WRONG(beta1, 1, E_ARGUMENT, "beta1 is 1");
  WRONG(beta1, -1, E_ARGUMENT, "beta1 is -1");
  WRONG(beta2, 1.5, E_ARGUMENT, "beta2 is 1.5");
  WRONG(beta2, NAN, E_ARGUMENT, "beta2 is nan");
  WRONG(decay, 1, E_ARGUMENT, "decay is 1");
  WRONG(decay, -0.5, E_ARGUMENT, "decay is -0.5");
  WRONG(epsilon, -1e-8, E_ARGUMENT, "epsilon is -1e-08");
  WRONG(epsilon, 2, E_ARGUMENT, "epsilon is 2");
  WRONG(epsilon, NAN, E_ARGUMENT, "epsilon is nan");
  WRONG(limit, -1, E_ARGUMENT, "limit is -1");
#undef WRONG
  run_free(&run);
  cnn_trainer_free(NULL);
}

static void inference_plan(void **state) {
  (void)state;
  struct training_run run = {.data = open_data(IMAGES, CLASSES), .net = parse(small_net)};
  cnn_plan_options options = plan_options();
  options.mode = CNN_INFER;
  run.plan = plan_of(run.net, options);
  refused(&run, NULL, CNN_E_ARGUMENT, "CNN_TRAIN");
  float image[SIDE * SIDE] = {0}, loss, gradient[36];
  cnn_tensor x = {image, {1, 1, SIDE, SIDE}};
  assert_fails(CNN_E_ARGUMENT, cnn_plan_gradient(run.plan, x, (int32_t[]){0}, &loss), "CNN_TRAIN");
  assert_fails(CNN_E_ARGUMENT, cnn_plan_get_gradient(run.plan, "conv1.weight", gradient, 36), "CNN_TRAIN");
  cnn_evaluation evaluation;
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TEST, 0, &evaluation));
  run_free(&run);
}

static void data_that_does_not_fit(void **state) {
  (void)state;
  static const struct {
    const char *net;
    cnn_status status;
    const char *words[2];
  } cases[] = {
      {"input shape=1x9x8\naffine units=5\n", CNN_E_SHAPE, {"1x8x8", "1x9x8"}},
      {"input shape=3x8x8\naffine units=5\n", CNN_E_SHAPE, {"1x8x8", "3x8x8"}},
      {"input shape=1x8x8\naffine units=4\nsoftmax\n", CNN_E_DATA, {"label 4", "units=5"}},
      {"input shape=1x8x8\nconv filters=5 kernel=3\n", CNN_E_SHAPE, {"5x6x6", "affine"}},
      {"input shape=1x8x8\naffine units=6\nsoftmax\n", CNN_OK, {NULL}},
  };
  cnn_dataset *data = open_data(IMAGES, CLASSES);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct training_run run = {.data = data, .net = parse(cases[i].net)};
    run.plan = plan_of(run.net, plan_options());
    cnn_evaluation evaluation = {.total = -1};
    for (int k = 0; k < 2 && cases[i].words[k]; k++) {
      refused(&run, NULL, cases[i].status, cases[i].words[k]);
      assert_fails(cases[i].status, cnn_evaluate(run.plan, data, CNN_SPLIT_TEST, 0, &evaluation),
                   cases[i].words[k]);
      assert_int_equal(evaluation.total, -1);
    }
    if (cases[i].status == CNN_OK) ok(cnn_trainer_new(run.plan, data, NULL, &run.trainer));
    run.data = NULL;
    run_free(&run);
  }
  cnn_dataset_free(data);
}

static void wrong_gradient_calls(void **state) {
  (void)state;
  cnn_net *net = parse(small_net);
  cnn_plan *plan = plan_of(net, plan_options());
  static float images[(BATCH + 1) * SIDE * SIDE];
  int32_t labels[BATCH + 1] = {0};
  float loss = 7;
  cnn_tensor x = {images, {3, 1, SIDE, SIDE}};
  labels[2] = 5;
  assert_fails(CNN_E_DATA, cnn_plan_gradient(plan, x, labels, &loss), "label 5 of image 2");
  labels[2] = -1;
  assert_fails(CNN_E_DATA, cnn_plan_gradient(plan, x, labels, &loss), "label -1 of image 2");
  labels[2] = 0;
  x.shape.n = BATCH + 1;
  assert_fails(CNN_E_SHAPE, cnn_plan_gradient(plan, x, labels, &loss), "9 images");
  x.shape.n = 0;
  assert_fails(CNN_E_SHAPE, cnn_plan_gradient(plan, x, labels, &loss), "0 images");
  x.shape = (cnn_shape){3, 1, SIDE, SIDE - 1};
  assert_fails(CNN_E_SHAPE, cnn_plan_gradient(plan, x, labels, &loss), "1x8x7");
  assert_true(loss == 7);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- the same bits ---- */

static void train_like(const struct training_run *first, const char *optimizer, int threads, bool same,
                       uint64_t order_seed, uint64_t weight_seed, const char *what) {
  cnn_plan_options plan = plan_options();
  cnn_train_options train = train_options();
  plan.threads = threads;
  plan.seed = weight_seed;
  train.optimizer = optimizer;
  train.seed = order_seed;
  train.epochs = 2;
  struct training_run run = new_run(wide_net, plan, train);
  ok(cnn_trainer_run(run.trainer));
  if (same_weights(run.plan, first->plan) != same)
    fail_msg("%s, %s: %s weights", optimizer, what, same ? "other" : "the same");
  run_free(&run);
}

static void bits(void **state) {
  (void)state;
  const struct kernel_table *best;
  ok(kernels_pick(&best));
  for (int o = 0; cnn_optimizer_name(o); o++) {
    const char *optimizer = cnn_optimizer_name(o);
    cnn_train_options train = train_options();
    train.optimizer = optimizer;
    train.epochs = 2;
    struct training_run first = new_run(wide_net, plan_options(), train);
    ok(cnn_trainer_run(first.trainer));
    train_like(&first, optimizer, 2, true, 1, 1, "a second run");
    train_like(&first, optimizer, 1, true, 1, 1, "1 thread");
    train_like(&first, optimizer, 3, true, 1, 1, "3 threads");
    train_like(&first, optimizer, 7, true, 1, 1, "7 threads");
    train_like(&first, optimizer, 2, false, 2, 1, "another order");
    train_like(&first, optimizer, 2, false, 1, 2, "other initial weights");
    for (int i = 0; i < SETS; i++) {
      const struct kernel_table *table = kernels_find(instruction_sets[i]);
      if (!table) continue;
      kernels_use(table);
      train_like(&first, optimizer, 2, true, 1, 1, table->name);
      kernels_use(best);
    }
    run_free(&first);
  }
}

static const char dropping_net[] =
    "input shape=1x8x8\n"
    "conv filters=20 kernel=3 init=he\n"
    "relu\n"
    "lrn\n"
    "maxpool kernel=3 stride=1\n"
    "dropout rate=0.2\n"
    "affine units=30 init=he\n"
    "relu\n"
    "dropout\n"
    "affine units=5 init=xavier\n"
    "softmax\n";

/* What is dropped depends on the seed and on which image of the run it is: not on threads, not on evaluation
 * in between, and a gradient asked for by hand does not disturb it. */
static void dropout(void **state) {
  (void)state;
  cnn_train_options train = train_options();
  struct training_run first = new_run(dropping_net, plan_options(), train);
  ok(cnn_trainer_run(first.trainer));
  for (int threads = 1; threads <= 7; threads += threads == 3 ? 4 : 1) {
    cnn_plan_options plan = plan_options();
    plan.threads = threads;
    train.evaluate_train = train.evaluate_test = threads == 2 ? 0 : -1;
    struct training_run other = new_run(dropping_net, plan, train);
    if (threads == 3) { /* step by step */
      float x[2 * SIDE * SIDE] = {0}, loss, again;
      const int32_t labels[2] = {0, 1};
      cnn_tensor images = {x, {2, 1, SIDE, SIDE}};
      for (int step = 0; step < 3 * STEPS; step++) {
        ok(cnn_plan_gradient(other.plan, images, labels, &loss));
        ok(cnn_plan_gradient(other.plan, images, labels, &again));
        assert_true(loss == again);
        ok(cnn_trainer_step(other.trainer, NULL));
      }
    } else {
      ok(cnn_trainer_run(other.trainer));
    }
    assert_true(same_weights(other.plan, first.plan));
    run_free(&other);
  }
  /* one batch of all images: their order does not matter then, but for dropout and last bits */
  float loss[2][2];
  for (int net = 0; net < 2; net++)
    for (int seed = 0; seed < 2; seed++) {
      cnn_plan_options plan = plan_options();
      plan.batch = IMAGES;
      train = train_options();
      train.seed = (uint64_t)seed;
      struct training_run run = new_run(net ? dropping_net : wide_net, plan, train);
      ok(cnn_trainer_step(run.trainer, &loss[net][seed]));
      run_free(&run);
    }
  assert_true(fabsf(loss[0][0] - loss[0][1]) < 1e-5F);
  assert_true(fabsf(loss[1][0] - loss[1][1]) > 1e-3F);
  run_free(&first);
}

/* ---- progress ---- */

enum { MOST_REPORTS = 64 };

struct reports {
  int count;
  cnn_progress report[MOST_REPORTS];
  cnn_trainer *trainer;
  int64_t stop_at; /* total_step; 0: never */
  long allocations[MOST_REPORTS], mallocs[MOST_REPORTS];
};

static void keep_report(void *context, const cnn_progress *progress) {
  struct reports *reports = context;
  assert_true(reports->count < MOST_REPORTS);
  reports->allocations[reports->count] = mem_count();
  reports->mallocs[reports->count] = malloc_count();
  reports->report[reports->count++] = *progress;
  if (reports->stop_at && progress->total_step == reports->stop_at) cnn_trainer_stop(reports->trainer);
}

static void near(double a, double b) {
  if (!(fabs(a - b) <= 1e-12 * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

/* One epoch's reports, from `at`; returns the place after them. */
static int check_epoch(const struct reports *reports, int at, int64_t epoch, int64_t epochs) {
  double loss = 0, correct = 0;
  for (int64_t step = 1; step <= STEPS; step++, at++) {
    const cnn_progress *p = &reports->report[at];
    double images = step < STEPS ? BATCH : IMAGES - (STEPS - 1) * BATCH;
    assert_int_equal(p->epoch, epoch);
    assert_int_equal(p->epochs, epochs);
    assert_int_equal(p->step, step);
    assert_int_equal(p->steps, STEPS);
    assert_int_equal(p->total_step, (epoch - 1) * STEPS + step);
    assert_false(p->epoch_end);
    assert_true(p->loss > 0 && p->loss < 10);
    assert_true(p->accuracy >= 0 && p->accuracy <= 1);
    near(round(p->accuracy * images), p->accuracy * images);
    assert_true(p->images_per_second > 0);
    assert_true(p->seconds_left >= 0);
    assert_true(isnan(p->train_accuracy) && isnan(p->train_loss));
    assert_true(isnan(p->test_accuracy) && isnan(p->test_loss));
    loss += p->loss * images;
    correct += p->accuracy * images;
  }
  const cnn_progress *end = &reports->report[at];
  assert_true(end->epoch_end);
  assert_int_equal(end->epoch, epoch);
  assert_int_equal(end->step, STEPS);
  assert_int_equal(end->total_step, epoch * STEPS);
  near(end->loss, loss / IMAGES);
  near(end->accuracy, correct / IMAGES);
  return at + 1;
}

static void progress(void **state) {
  (void)state;
  struct reports reports = {0};
  cnn_train_options options = train_options();
  options.on_progress = keep_report;
  options.context = &reports;
  options.evaluate_train = 20;
  options.evaluate_test = -1;
  struct training_run run = new_run(small_net, plan_options(), options);
  ok(cnn_trainer_run(run.trainer));
  int at = 0;
  for (int64_t epoch = 1; epoch <= 3; epoch++) {
    at = check_epoch(&reports, at, epoch, 3);
    const cnn_progress *end = &reports.report[at - 1];
    near(round(end->train_accuracy * 20), end->train_accuracy * 20);
    near(round(end->test_accuracy * IMAGES), end->test_accuracy * IMAGES);
    assert_true(end->train_loss > 0 && end->test_loss > 0);
  }
  assert_int_equal(at, reports.count);
  for (int i = 1; i < reports.count; i++)
    assert_true(reports.report[i].seconds >= reports.report[i - 1].seconds);
  assert_true(reports.report[at - 1].seconds_left == 0);
  cnn_evaluation evaluation;
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TEST, 0, &evaluation));
  assert_true(evaluation.accuracy == reports.report[at - 1].test_accuracy);
  assert_true(evaluation.loss == reports.report[at - 1].test_loss);
  ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 20, &evaluation));
  assert_int_equal(evaluation.total, 20);
  assert_true(evaluation.accuracy == reports.report[at - 1].train_accuracy);
  assert_true(evaluation.loss == reports.report[at - 1].train_loss);
  ok(cnn_trainer_run(run.trainer)); /* nothing is left to do */
  assert_int_equal(at, reports.count);
  run_free(&run);
}

static void progress_without_evaluation(void **state) {
  (void)state;
  struct reports reports = {0};
  cnn_train_options options = train_options();
  options.on_progress = keep_report;
  options.context = &reports;
  struct training_run run = new_run(small_net, plan_options(), options);
  ok(cnn_trainer_run(run.trainer));
  for (int i = 0; i < reports.count; i++) {
    assert_true(isnan(reports.report[i].train_accuracy) && isnan(reports.report[i].train_loss));
    assert_true(isnan(reports.report[i].test_accuracy) && isnan(reports.report[i].test_loss));
  }
  run_free(&run);
}

static void steps_then_run(void **state) {
  (void)state;
  struct reports reports = {0};
  cnn_train_options options = train_options();
  struct training_run whole = new_run(small_net, plan_options(), options);
  ok(cnn_trainer_run(whole.trainer));
  options.on_progress = keep_report;
  options.context = &reports;
  struct training_run run = new_run(small_net, plan_options(), options);
  float loss;
  for (int i = 0; i < STEPS + 3; i++) ok(cnn_trainer_step(run.trainer, i % 2 ? &loss : NULL));
  assert_int_equal(reports.count, 0);
  ok(cnn_trainer_run(run.trainer));
  assert_int_equal(reports.report[0].epoch, 2);
  assert_int_equal(reports.report[0].step, 4);
  assert_int_equal(reports.report[0].total_step, STEPS + 4);
  assert_int_equal(reports.report[reports.count - 1].total_step, 3 * STEPS);
  assert_true(same_weights(run.plan, whole.plan));
  run_free(&run);
  run_free(&whole);
}

/* ---- mini-batches ---- */

static void limit(void **state) {
  (void)state;
  struct reports reports = {0};
  cnn_train_options options = train_options();
  options.limit = 13;
  options.evaluate_train = options.evaluate_test = -1;
  options.on_progress = keep_report;
  options.context = &reports;
  struct training_run run = new_run(small_net, plan_options(), options);
  ok(cnn_trainer_run(run.trainer));
  assert_int_equal(reports.report[0].steps, 2);
  assert_int_equal(reports.count, 3 * (2 + 1));
  const cnn_progress *end = &reports.report[reports.count - 1];
  near(round(end->train_accuracy * 13), end->train_accuracy * 13);
  near(round(end->test_accuracy * 13), end->test_accuracy * 13);

  /* as if the data set had no more */
  options.limit = 0;
  struct training_run fewer = {.data = open_data(13, CLASSES), .net = parse(small_net)};
  fewer.plan = plan_of(fewer.net, plan_options());
  reports.count = 0;
  ok(cnn_trainer_new(fewer.plan, fewer.data, &options, &fewer.trainer));
  ok(cnn_trainer_run(fewer.trainer));
  assert_true(same_weights(run.plan, fewer.plan));
  assert_true(reports.report[reports.count - 1].test_loss > 0);
  run_free(&fewer);

  /* more than there are: all */
  options = train_options();
  options.limit = 1000;
  struct training_run more = new_run(small_net, plan_options(), options);
  options.limit = 0;
  struct training_run all = new_run(small_net, plan_options(), options);
  ok(cnn_trainer_run(more.trainer));
  ok(cnn_trainer_run(all.trainer));
  assert_true(same_weights(more.plan, all.plan));
  assert_false(same_weights(run.plan, all.plan));
  run_free(&more);
  run_free(&all);
  run_free(&run);
}

/* A mini-batch of fewer images than the plan takes gives the gradient of a plan made for so many: a batch of
 * 64 for 50 images is one of 50. The group is given, since its default goes by the batch. */
static void batch_larger_than_data(void **state) {
  (void)state;
  cnn_plan_options plan = plan_options();
  plan.group = 5;
  plan.batch = 64;
  struct training_run larger = new_run(small_net, plan, train_options());
  plan.batch = IMAGES;
  struct training_run equal = new_run(small_net, plan, train_options());
  ok(cnn_trainer_run(larger.trainer));
  ok(cnn_trainer_run(equal.trainer));
  assert_true(same_weights(larger.plan, equal.plan));
  run_free(&larger);
  run_free(&equal);
}

/* ---- stopping ---- */

static void stop(void **state) {
  (void)state;
  struct reports reports = {.stop_at = STEPS + 3};
  cnn_train_options options = train_options();
  options.on_progress = keep_report;
  options.context = &reports;
  struct training_run run = new_run(small_net, plan_options(), options);
  reports.trainer = run.trainer;
  assert_fails(CNN_E_STOPPED, cnn_trainer_run(run.trainer), "epoch 2");
  assert_non_null(strstr(cnn_why(), "step 4"));
  assert_int_equal(reports.report[reports.count - 1].total_step, STEPS + 3);
  struct training_run other = new_run(small_net, plan_options(), train_options());
  for (int i = 0; i < STEPS + 3; i++) ok(cnn_trainer_step(other.trainer, NULL));
  assert_true(same_weights(run.plan, other.plan));
  run_free(&run);

  /* before it began: not a step is made */
  run = new_run(small_net, plan_options(), train_options());
  cnn_plan *fresh = plan_of(run.net, plan_options());
  cnn_trainer_stop(run.trainer);
  assert_int_equal(cnn_trainer_run(run.trainer), CNN_E_STOPPED);
  assert_true(same_weights(run.plan, fresh));
  cnn_plan_free(fresh);
  run_free(&run);
  run_free(&other);
}

/* ---- settings ---- */

static json_t *read_settings(const struct training_run *run) {
  json_error_t error;
  json_t *root = json_loads(cnn_trainer_settings(run->trainer), JSON_REJECT_DUPLICATES, &error);
  if (!root) fail_msg("%s: %s", error.text, cnn_trainer_settings(run->trainer));
  return root;
}

static void check_settings(const struct training_run *run) {
  json_error_t error;
  json_t *root = read_settings(run);
  const char *optimizer, *loss;
  double lr, decay, epsilon;
  json_int_t batch, group, epochs, images, weights_seed, order_seed;
  if (json_unpack_ex(root, &error, JSON_STRICT, "{s:s s:F s:F s:F s:s s:I s:I s:I s:I s:I s:I}", "optimizer",
                     &optimizer, "lr", &lr, "decay", &decay, "epsilon", &epsilon, "loss", &loss, "batch",
                     &batch, "group", &group, "epochs", &epochs, "weights_seed", &weights_seed, "order_seed",
                     &order_seed, "images", &images))
    fail_msg("%s: %s", error.text, cnn_trainer_settings(run->trainer));
  assert_string_equal(optimizer, "rmsprop");
  assert_true(lr == 0.1 / 3 && decay == 0.99 && epsilon == 1e-8);
  assert_string_equal(loss, "mse");
  assert_int_equal(batch, BATCH);
  assert_int_equal(group, cnn_plan_settings(run->plan).group);
  assert_int_equal(epochs, 3);
  assert_int_equal(images, 13);
  assert_int_equal(weights_seed, INT64_MAX);
  assert_int_equal(order_seed, 6);
  json_decref(root);
}

/* All that an optimiser reads is there: what changes the weights changes the settings, and the other way. */
static void settings_that_matter(void **state) {
  (void)state;
  enum { MOMENTUM, BETA1, BETA2, DECAY, EPSILON, LR, KINDS };
  cnn_plan_options plan = plan_options();
  plan.threads = 1;
  for (int o = 0; cnn_optimizer_name(o); o++) {
    cnn_train_options usual = train_options();
    usual.optimizer = cnn_optimizer_name(o);
    struct training_run run = new_run(small_net, plan, usual);
    ok(cnn_trainer_run(run.trainer));
    for (int kind = 0; kind < KINDS; kind++) {
      cnn_train_options other = usual;
      double *fields[] = {&other.momentum, &other.beta1,   &other.beta2,
                          &other.decay,    &other.epsilon, &other.lr};
      *fields[kind] = 0.25;
      struct training_run changed = new_run(small_net, plan, other);
      ok(cnn_trainer_run(changed.trainer));
      bool same = same_weights(run.plan, changed.plan);
      if (same != !strcmp(cnn_trainer_settings(run.trainer), cnn_trainer_settings(changed.trainer)))
        fail_msg("field %d: the weights are %s, the settings %s and %s", kind, same ? "the same" : "other",
                 cnn_trainer_settings(run.trainer), cnn_trainer_settings(changed.trainer));
      run_free(&changed);
    }
    run_free(&run);
  }
}

static void settings(void **state) {
  (void)state;
  char optimizer[] = "rmsprop";
  cnn_plan_options plan = plan_options();
  cnn_train_options train = train_options();
  plan.loss = CNN_LOSS_MEAN_SQUARED_ERROR;
  plan.seed = INT64_MAX;
  train.optimizer = optimizer;
  train.lr = 0.1 / 3;
  train.seed = 6;
  train.limit = 13;
  struct training_run run = new_run(small_net, plan, train);
  memset(optimizer, '-', sizeof optimizer); /* it was copied */
  check_settings(&run);
  const char *text = cnn_trainer_settings(run.trainer);
  static const char *const words[] = {"thread", "isa", "avx", "scalar", "neon", "time"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) assert_null(strstr(text, words[i]));
  plan.threads = 7;
  train.optimizer = "rmsprop";
  train.limit = 13;
  struct training_run other = new_run(small_net, plan, train);
  assert_string_equal(cnn_trainer_settings(other.trainer), text);
  ok(cnn_trainer_run(run.trainer));
  run_free(&run);
  run_free(&other);

  /* what was left to the optimiser is filled in */
  run = new_run(small_net, plan_options(), cnn_train_defaults());
  assert_non_null(strstr(cnn_trainer_settings(run.trainer), "\"optimizer\":\"adam\",\"lr\":0.001,"));
  assert_non_null(strstr(cnn_trainer_settings(run.trainer), "\"epsilon\":1e-08,"));
  run_free(&run);
}

/* A seed is any 64 bits, and the settings go into a model file. */
static void settings_of_the_largest_seed(void **state) {
  (void)state;
  cnn_plan_options plan = plan_options();
  cnn_train_options train = train_options();
  plan.seed = train.seed = UINT64_MAX;
  struct training_run run = new_run(small_net, plan, train);
  json_decref(read_settings(&run));
  cnn_model_info info = {.settings = cnn_trainer_settings(run.trainer)};
  ok(cnn_model_save(in_scratch("model"), run.plan, &info));
  run_free(&run);
}

/* ---- memory ---- */

/* From the first step to the last no one allocates: not the library, not a library under it. */
static void no_allocation_with(const char *net, int threads, int64_t evaluate) {
  struct reports reports = {0};
  cnn_plan_options plan = plan_options();
  cnn_train_options train = train_options();
  plan.threads = threads;
  train.evaluate_train = train.evaluate_test = evaluate;
  train.on_progress = keep_report;
  train.context = &reports;
  struct training_run run = new_run(net, plan, train);
  ok(cnn_trainer_run(run.trainer));
  int last = reports.count - 2; /* the one after it is of the last epoch's end */
  assert_int_equal(reports.report[last].total_step, 3 * STEPS);
  long allocations = reports.allocations[last] - reports.allocations[0];
  long all = reports.mallocs[last] - reports.mallocs[0];
  if (allocations || all)
    fail_msg("%d threads: %ld allocations by the library, %ld in the process", threads, allocations, all);
  run_free(&run);
}

static void no_allocation(void **state) {
  (void)state;
  for (int threads = 1; threads <= 7; threads += threads == 3 ? 4 : 1) {
    no_allocation_with(small_net, threads, 0);
    no_allocation_with(wide_net, threads, -1);
  }
}

static void mallocs_are_counted(void **state) {
  (void)state;
#ifdef COUNTS_MALLOC
  long before = malloc_count();
  char *volatile copy = strdup("in libc"); /* volatile: a compiler may leave out what is freed at once */
  free(copy);
  assert_int_equal(malloc_count() - before, 1);
  json_decref(json_string("in jansson"));
  assert_true(malloc_count() - before > 1);
#else
  skip();
#endif
}

/* Everything from text to an evaluated trainer, as far as memory goes. */
static cnn_status make_all(struct training_run *run) {
  float images[2 * SIDE * SIDE] = {0}, loss;
  cnn_plan_options plan = plan_options();
  cnn_train_options train = train_options();
  cnn_evaluation evaluation;
  cnn_memory memory;
  cnn_status status = cnn_net_parse(small_net, "test", &run->net);
  if (status == CNN_OK) status = cnn_plan_memory(run->net, &plan, "adam", &memory);
  if (status == CNN_OK) status = cnn_plan_new(run->net, &plan, &run->plan);
  if (status == CNN_OK) status = cnn_trainer_new(run->plan, run->data, &train, &run->trainer);
  if (status == CNN_OK) status = cnn_trainer_run(run->trainer);
  if (status == CNN_OK) status = cnn_evaluate(run->plan, run->data, CNN_SPLIT_TEST, 0, &evaluation);
  if (status == CNN_OK)
    status = cnn_plan_gradient(run->plan, (cnn_tensor){images, {2, 1, SIDE, SIDE}}, (int32_t[]){0, 1}, &loss);
  return status;
}

static void each_allocation_fails(void **state) {
  (void)state;
  cnn_dataset *data = open_data(IMAGES, CLASSES);
  long successes = 0;
  for (bool done = false; !done; successes++) {
    struct training_run run = {.data = data};
    mem_fail_after(successes);
    cnn_status status = make_all(&run);
    mem_fail_after(-1);
    done = status == CNN_OK;
    if (!done && status != CNN_E_MEMORY) fail_msg("allocation %ld: %s", successes + 1, cnn_why());
    if (!done) assert_non_null(strstr(cnn_why(), "out of memory"));
    run.data = NULL;
    run_free(&run);
    assert_true(successes < 1000);
  }
  assert_true(successes > 10);
  cnn_dataset_free(data);
}

/* ---- it learns ---- */

static void learns(void **state) {
  (void)state;
  static const char *const nets[] = {
      small_net,
      "input shape=1x8x8\nconv filters=6 kernel=3 init=xavier\nsigmoid\navgpool kernel=2 stride=2\n"
      "affine units=5 init=xavier\nsoftmax\n",
      "input shape=1x8x8\nconv filters=6 kernel=3 pad=1 init=xavier\ntanh\navgpool kernel=2 stride=2\n"
      "affine units=5 init=xavier\nsoftmax\n",
      "input shape=1x8x8\nconv filters=6 kernel=3 init=he\nrelu\navgpool kernel=2 stride=2\nconv filters=9 "
      "kernel=2\ntanh\nmaxpool kernel=2 stride=2\nflatten\naffine units=5 init=xavier\n",
      "input shape=1x8x8\naffine units=20 init=xavier\nsigmoid\naffine units=5 init=xavier\n",
      "input shape=1x8x8\naffine units=20 init=xavier\ntanh\naffine units=5 init=xavier\nsoftmax\n",
  };
  for (size_t i = 0; i < sizeof nets / sizeof *nets; i++)
    for (int loss = 0; loss < 2; loss++) {
      cnn_plan_options plan = plan_options();
      cnn_train_options train = train_options();
      plan.loss = (cnn_loss)loss;
      plan.threads = 1;
      train.epochs = 30;
      train.lr = 0.02;
      struct training_run run = new_run(nets[i], plan, train);
      cnn_evaluation before, after;
      ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 0, &before));
      ok(cnn_trainer_run(run.trainer));
      ok(cnn_evaluate(run.plan, run.data, CNN_SPLIT_TRAIN, 0, &after));
      if (!(after.loss < 0.1 * before.loss && after.correct == IMAGES))
        fail_msg("net %zu, loss %d: from %g to %g, %" PRId64 " of %d right", i, loss, before.loss, after.loss,
                 after.correct, IMAGES);
      run_free(&run);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_options),
      cmocka_unit_test(inference_plan),
      cmocka_unit_test(data_that_does_not_fit),
      cmocka_unit_test(wrong_gradient_calls),
      cmocka_unit_test(bits),
      cmocka_unit_test(dropout),
      cmocka_unit_test(progress),
      cmocka_unit_test(progress_without_evaluation),
      cmocka_unit_test(steps_then_run),
      cmocka_unit_test(limit),
      cmocka_unit_test(batch_larger_than_data),
      cmocka_unit_test(stop),
      cmocka_unit_test(settings),
      cmocka_unit_test(settings_that_matter),
      cmocka_unit_test(settings_of_the_largest_seed),
      cmocka_unit_test(no_allocation),
      cmocka_unit_test(mallocs_are_counted),
      cmocka_unit_test(each_allocation_fails),
      cmocka_unit_test(learns),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
