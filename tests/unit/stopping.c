/* Runs that are asked to stop: when they hear it, and that they go on. src/train/trainer.c, evaluate.c. */
#include "training.h"

/* Asks its run to stop after step `at`, counted from the start. */
struct stopper {
  cnn_trainer *trainer;
  int64_t at;
};

static void stop_at(void *context, const cnn_progress *progress) {
  const struct stopper *stopper = context;
  if (!progress->epoch_end && progress->total_step == stopper->at) cnn_trainer_stop(stopper->trainer);
}

static struct training_run new_stopped(struct stopper *stopper, int64_t evaluate) {
  cnn_train_options options = train_options();
  options.on_progress = stop_at;
  options.context = stopper;
  options.evaluate_train = evaluate;
  struct training_run run = new_run(small_net, plan_options(), options);
  stopper->trainer = run.trainer;
  return run;
}

/* A run that goes on after a stop ends where one that was never stopped does. */
static void test_goes_on(void **state) {
  (void)state;
  struct stopper stopper = {.at = STEPS + 3}, never = {.at = -1};
  struct training_run stopped = new_stopped(&stopper, 0), whole = new_stopped(&never, 0);
  assert_int_equal(cnn_trainer_run(stopped.trainer), CNN_E_STOPPED);
  assert_why("in epoch 2, before step 4");
  ok(cnn_trainer_run(stopped.trainer));
  ok(cnn_trainer_run(whole.trainer));
  assert_true(same_weights(stopped.plan, whole.plan));
  run_free(&stopped);
  run_free(&whole);
}
/* It is heard within the evaluation after an epoch, and once. */
static void test_evaluation(void **state) {
  (void)state;
  struct stopper stopper = {.at = STEPS};
  struct training_run run = new_stopped(&stopper, -1);
  cnn_evaluation evaluation;
  assert_int_equal(cnn_trainer_run(run.trainer), CNN_E_STOPPED);
  assert_why("while images were evaluated");
  ok(cnn_trainer_evaluate(run.trainer, CNN_SPLIT_TRAIN, 0, &evaluation));
  ok(cnn_trainer_run(run.trainer));
  run_free(&run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goes_on),
      cmocka_unit_test(test_evaluation),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
