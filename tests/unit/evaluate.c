/* src/train/evaluate.c. What it refuses is in trainer.c. */
#include "training.h"

#include <math.h>

/* cnn_evaluate against the network's outputs, image by image. */
static void evaluation(void **state) {
  (void)state;
  static const char *const nets[] = {"input shape=1x8x8\naffine units=5 init=xavier\n",
                                     "input shape=1x8x8\naffine units=5 init=xavier\nsoftmax\n"};
  cnn_dataset *data = open_data(IMAGES, CLASSES);
  for (int k = 0; k < 8; k++) {
    cnn_net *net = parse(nets[k / 4]);
    cnn_plan_options options = plan_options();
    options.loss = (cnn_loss)(k / 2 % 2);
    options.mode = k % 2 ? CNN_TRAIN : CNN_INFER;
    cnn_plan *plan = plan_of(net, options);
    for (int64_t limit_ = 0; limit_ <= 13; limit_ += 13) {
      int64_t total = limit_ ? limit_ : IMAGES, correct = 0;
      double loss = 0;
      for (int64_t i = 0; i < total; i++) {
        float x[SIDE * SIDE], y[CLASSES];
        int32_t label;
        ok(cnn_dataset_read(data, CNN_SPLIT_TEST, i, x, &label));
        ok(cnn_plan_forward(plan, (cnn_tensor){x, {1, 1, SIDE, SIDE}}, (cnn_tensor){y, {1, CLASSES, 1, 1}}));
        int best = 0;
        double sum = 0;
        for (int c = 0; c < CLASSES; c++) {
          if (y[c] > y[best]) best = c;
          sum += exp((double)y[c]);
        }
        correct += best == label;
        if (options.loss == CNN_LOSS_CROSS_ENTROPY)
          loss -= k / 4 ? log((double)y[label]) : (double)y[label] - log(sum);
        else
          for (int c = 0; c < CLASSES; c++) loss += 0.5 * pow((double)y[c] - (c == label), 2);
      }
      cnn_evaluation e;
      ok(cnn_evaluate(plan, data, CNN_SPLIT_TEST, limit_, &e));
      assert_int_equal(e.total, total);
      assert_int_equal(e.correct, correct);
      assert_true(e.accuracy == (double)correct / (double)total);
      if (!(fabs(e.loss - loss / (double)total) < 1e-6 * e.loss))
        fail_msg("case %d: the loss is %.9g, by hand %.9g", k, e.loss, loss / (double)total);
    }
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
  cnn_dataset_free(data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(evaluation),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
