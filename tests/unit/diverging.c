/* Training that goes wrong: a weight, an output or an update that is not finite ends the run, and its place
 * is named (src/train/trainer.c, src/net/exec.c). Every layer's part in it is in not_finite.c. */
#include "training.h"

#include <math.h>

static void fails_in_step(struct training_run *run, int64_t step, const char *words) {
  char place[64];
  snprintf(place, sizeof place, "epoch 1, step %" PRId64 ":", step);
  assert_fails(CNN_E_NUMERIC, cnn_trainer_run(run->trainer), place);
  if (!strstr(cnn_why(), words)) fail_msg("expected \"%s\" in: %s", words, cnn_why());
}

/* A bias of -inf comes out of a relu as 0, and all else is finite: it shows when the epoch ends. */
static void weight_not_finite(void **state) {
  (void)state;
  static const char *const names[] = {"conv1.weight", "conv1.bias", "affine1.weight", "affine1.bias"};
  static const float values[] = {INFINITY, -INFINITY, NAN};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      struct training_run run = new_run(small_net, plan_options(), train_options());
      fill_weight(run.plan, names[i], values[k]);
      bool hidden = strcmp(names[i], "conv1.bias") == 0 && values[k] == -INFINITY;
      fails_in_step(&run, hidden ? STEPS : 1, names[i]);
      run_free(&run);
    }
}

/* The weights are finite, their products not. */
static void output_not_finite(void **state) {
  (void)state;
  struct training_run run = new_run(small_net, plan_options(), train_options());
  fill_weight(run.plan, "conv1.weight", 1);
  fill_weight(run.plan, "affine1.weight", 1e38F);
  int64_t count, again;
  float *before = all(run.plan, cnn_plan_get_weight, &count);
  fails_in_step(&run, 1, "'affine1' is not finite, first in image group 0 (image 0 of the batch)");
  float *after = all(run.plan, cnn_plan_get_weight, &again);
  assert_memory_equal(before, after, (size_t)count * sizeof *before);
  free(before);
  free(after);
  run_free(&run);
}

/* One image of eight is bright, and too bright for these weights. Whichever of them it is, the shuffle puts
 * it somewhere in the only mini-batch, and each somewhere else. */
static void image_group(void **state) {
  (void)state;
  static uint8_t pixel[BATCH * SIDE * SIDE], label[BATCH] = {0, 1, 2, 3, 4};
  bool seen[BATCH] = {false};
  cnn_plan_options options = plan_options();
  options.group = 2;
  for (int bright = 0; bright < BATCH; bright++) {
    for (size_t k = 0; k < sizeof pixel; k++) pixel[k] = k / (SIDE * SIDE) == (size_t)bright ? 255 : 0;
    struct training_run run = {.data = open_bytes(BATCH, pixel, label), .net = parse(small_net)};
    run.plan = plan_of(run.net, options);
    fill_weight(run.plan, "conv1.weight", 1e38F);
    ok(cnn_trainer_new(run.plan, run.data, NULL, &run.trainer));
    fails_in_step(&run, 1, "the output of 'conv1' is not finite, first in image group");
    int64_t group = strtoll(strstr(cnn_why(), "image group") + strlen("image group"), NULL, 10);
    int64_t image = strtoll(strstr(cnn_why(), "(image") + strlen("(image"), NULL, 10);
    assert_true(image >= 0 && image < BATCH);
    assert_int_equal(group, image / 2);
    assert_false(seen[image]);
    seen[image] = true;
    run_free(&run);
  }
}

static void huge_learning_rate(void **state) {
  (void)state;
  for (int loss = 0; loss < 2; loss++) {
    cnn_plan_options plan = plan_options();
    cnn_train_options train = train_options();
    plan.loss = (cnn_loss)loss;
    train.optimizer = "sgd";
    train.lr = 1e6;
    /* no relu, which may die of a wild step and be at peace */
    struct training_run run =
        new_run("input shape=1x8x8\naffine units=20 init=he\naffine units=5 init=he\n", plan, train);
    assert_fails(CNN_E_NUMERIC, cnn_trainer_run(run.trainer), "epoch 1, step ");
    if (!strstr(cnn_why(), "affine1") && !strstr(cnn_why(), "affine2"))
      fail_msg("no layer and no weight is named: %s", cnn_why());
    assert_non_null(strstr(cnn_why(), "learning rate"));
    run_free(&run);
  }
}

/* The loss is finite, the gradient not: clipping by its norm finds that out before anything has followed it,
 * nor running statistics, nor the average, nor what Adam counts. */
static void clipped_gradient_not_finite(void **state) {
  (void)state;
  enum { OUT = 5, IN = 20 * 6 * 6 };
  static const char net[] =
      "input shape=1x8x8\nconv filters=20 kernel=3 init=he\nbatchnorm\naffine units=5\nsoftmax\n";
  static float good[OUT * IN], steep[OUT * IN], one[20], other[20];
  cnn_train_options options = train_options();
  options.clip_norm = 1;
  options.ema = 0.5;
  struct training_run run = new_run(net, plan_options(), options),
                      same = new_run(net, plan_options(), options);
  for (int i = 0; i < IN; i++) steep[i] = 3e38F; /* to the first output */
  for (int step = 0; step < 4; step++) {
    if (step == 2) {
      ok(cnn_plan_get_weight(run.plan, "affine1.weight", good, OUT * IN));
      ok(cnn_plan_get_weight(run.plan, "batchnorm1.weight", one, 20));
      ok(cnn_plan_get_weight(run.plan, "batchnorm1.bias", other, 20));
      ok(cnn_plan_set_weight(run.plan, "affine1.weight", steep, OUT * IN));
      fill_weight(run.plan, "batchnorm1.weight", 1e-38F);
      fill_weight(run.plan, "batchnorm1.bias", 0);
      assert_fails(CNN_E_NUMERIC, cnn_trainer_step(run.trainer, NULL),
                   "the gradient of 'conv1.weight' is not finite");
      ok(cnn_plan_set_weight(run.plan, "affine1.weight", good, OUT * IN));
      ok(cnn_plan_set_weight(run.plan, "batchnorm1.weight", one, 20));
      ok(cnn_plan_set_weight(run.plan, "batchnorm1.bias", other, 20));
      ok(cnn_plan_get_weight(run.plan, "batchnorm1.running_mean", one, 20));
      ok(cnn_plan_get_weight(same.plan, "batchnorm1.running_mean", other, 20));
      assert_memory_equal(one, other, sizeof one);
    }
    ok(cnn_trainer_step(run.trainer, NULL));
    ok(cnn_trainer_step(same.trainer, NULL));
    assert_true(same_weights(run.plan, same.plan)); /* running ones too */
  }
  run_free(&run);
  run_free(&same);
}

struct spoiler {
  cnn_plan *plan;
  int64_t step;
};

static void spoil(void *context, const cnn_progress *progress) {
  const struct spoiler *spoiler = context;
  if (!progress->epoch_end && progress->total_step == spoiler->step)
    fill_weight(spoiler->plan, "affine1.bias", INFINITY);
}

/* The last step's update has no step after it that would notice. */
static void last_update_not_finite(void **state) {
  (void)state;
  struct spoiler spoiler = {.step = 3 * STEPS};
  cnn_train_options options = train_options();
  options.on_progress = spoil;
  options.context = &spoiler;
  struct training_run run = new_run(small_net, plan_options(), options);
  spoiler.plan = run.plan;
  assert_fails(CNN_E_NUMERIC, cnn_trainer_run(run.trainer),
               "epoch 3, step 7: weight 'affine1.bias' became inf");
  run_free(&run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weight_not_finite),
      cmocka_unit_test(output_not_finite),
      cmocka_unit_test(image_group),
      cmocka_unit_test(huge_learning_rate),
      cmocka_unit_test(clipped_gradient_not_finite),
      cmocka_unit_test(last_update_not_finite),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
