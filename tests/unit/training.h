/* For tests of training: a small data set, two networks for it, and all that a run takes. */
#ifndef TESTS_UNIT_TRAINING_H
#define TESTS_UNIT_TRAINING_H

#include "data_scratch.h"

#include "plans.h"
#include "training_run.h"

enum { IMAGES = 50, CLASSES = 5, SIDE = 8, BATCH = 8, STEPS = 7 /* of an epoch; the last has 2 images */ };

static const char small_net[] =
    "input shape=1x8x8\n"
    "conv filters=4 kernel=3 init=he\n"
    "relu\n"
    "maxpool kernel=2 stride=2\n"
    "affine units=5 init=xavier\n"
    "softmax\n";

/* More weights than one task of the optimiser takes. */
static const char wide_net[] =
    "input shape=1x8x8\n"
    "conv filters=20 kernel=3 init=he\n"
    "relu\n"
    "maxpool kernel=2 stride=2\n"
    "affine units=70 init=he\n"
    "relu\n"
    "affine units=5 init=xavier\n"
    "softmax\n";

/* Images of SIDE x SIDE bytes and their labels, as training and as test split. */
static inline cnn_dataset *open_bytes(int images, const uint8_t *pixel, const uint8_t *label) {
  static uint8_t file[IMAGES * SIDE * SIDE + 64];
  assert_true(images <= IMAGES);
  const char *image_path = in_scratch("images"), *label_path = in_scratch("labels");
  uint32_t dims[] = {(uint32_t)images, SIDE, SIDE};
  put_bytes(image_path, file, make_idx(file, 3, dims, pixel, (size_t)images * SIDE * SIDE));
  put_bytes(label_path, file, make_idx(file, 1, dims, label, (size_t)images));
  char source[4 * 1024 + 4];
  snprintf(source, sizeof source, "%s,%s,%s,%s", image_path, label_path, image_path, label_path);
  cnn_dataset *data = NULL;
  ok(cnn_dataset_open(source, NULL, &data));
  return data;
}

/* `images` images; pixels by seed, brighter in two rows that tell the class. */
static inline cnn_dataset *open_data(int images, int classes) {
  static uint8_t pixel[IMAGES * SIDE * SIDE], label[IMAGES];
  uint64_t random = 2026;
  for (int i = 0; i < IMAGES; i++) label[i] = (uint8_t)(i % classes);
  for (int k = 0; k < (int)sizeof pixel; k++) {
    int of = label[k / (SIDE * SIDE)], row = k / SIDE % SIDE;
    pixel[k] = (uint8_t)(next_random(&random) % 100 + (row == of || row == of + 2 ? 155 : 0));
  }
  return open_bytes(images, pixel, label);
}

static inline cnn_plan_options plan_options(void) {
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = BATCH;
  options.threads = 2;
  return options;
}

static inline cnn_train_options train_options(void) {
  cnn_train_options options = cnn_train_defaults();
  options.epochs = 3;
  options.lr = 0.01;
  options.evaluate_train = options.evaluate_test = 0;
  return options;
}

static inline struct training_run new_run(const char *net, cnn_plan_options plan, cnn_train_options train) {
  struct training_run run = {.data = open_data(IMAGES, CLASSES), .net = parse(net)};
  run.plan = plan_of(run.net, plan);
  ok(cnn_trainer_new(run.plan, run.data, &train, &run.trainer));
  return run;
}

static inline bool same_weights(const cnn_plan *a, const cnn_plan *b) {
  int64_t count_a, count_b;
  float *values_a = all(a, cnn_plan_get_weight, &count_a), *values_b = all(b, cnn_plan_get_weight, &count_b);
  bool same = count_a == count_b && !memcmp(values_a, values_b, (size_t)count_a * sizeof *values_a);
  free(values_a);
  free(values_b);
  return same;
}

#endif
