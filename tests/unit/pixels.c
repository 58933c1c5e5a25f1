/* What happens to pixels on their way into a network: src/train/pixels.c, batch.c, looks.c, src/net/input.c,
 * src/data/statistics.c, and that model files carry it. */
#include "data_scratch.h"

#include <inttypes.h>
#include <math.h>

#include "data/dataset.h"
#include "data/statistics.h"
#include "net/plan.h"
#include "train/looks.h"
#include "train/pixels.h"
#include "train/trainer.h"

#define ok(call)                                     \
  do {                                               \
    if ((call) != CNN_OK) fail_msg("%s", cnn_why()); \
  } while (0)

enum { IMAGES = 40, TESTS = 12, CLASSES = 4, SIDE = 12, CROP = 8, BATCH = 8 };

/* affine only: the input is laid out as channels of blocks inside; conv: n, c, h, w. */
static const char affine_net[] = "input shape=3x12x12\naffine units=9\nrelu\naffine units=4\nsoftmax\n";
static const char conv_net[] =
    "input shape=3x12x12\nconv filters=4 kernel=3 init=he\nrelu\nmaxpool kernel=2 stride=2\naffine units=4\n";
static const char small_net[] =
    "input shape=3x8x8\nconv filters=4 kernel=3 init=he\nrelu\naffine units=4\nsoftmax\n";

static cnn_dataset *data;

static int open_data(void **state) {
  if (scratch_make(state)) return -1;
  if (cnn_dataset_random((cnn_shape){IMAGES, 3, SIDE, SIDE}, TESTS, CLASSES, 5, &data) != CNN_OK) return -1;
  struct dataset_part *part = data->part; /* channels that differ; blue is the same everywhere */
  for (int split = 0; split < 2; split++)
    for (size_t i = 0; i < part[split].bytes; i++) {
      size_t channel = i / (SIDE * SIDE) % 3, x = i % SIDE;
      uint8_t *pixel = &part[split].pixels[i];
      *pixel = channel == 2 ? 77 : channel == 1 ? (uint8_t)(*pixel / 4 + 10 * x) : *pixel;
    }
  return 0;
}

static int close_data(void **state) {
  cnn_dataset_free(data);
  return scratch_remove(state);
}

static cnn_plan *plan_of(const char *text, cnn_mode mode, int threads, cnn_net **net) {
  cnn_plan *plan = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = mode;
  options.batch = BATCH;
  options.threads = threads;
  ok(cnn_net_parse(text, "test", net));
  ok(cnn_plan_new(*net, &options, &plan));
  return plan;
}

static void free_plan(cnn_plan *plan, cnn_net *net) {
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- statistics ---- */

static double pixel(int64_t n, int64_t c, int64_t i) {
  return data->part[0].pixels[(n * 3 + c) * SIDE * SIDE + i] / 255.0;
}

static void test_statistics(void **state) {
  (void)state;
  enum { SOME = 33 };
  struct statistics s;
  double mean[3], deviation[3], covariance[3][3];
  static float image[3 * SIDE * SIDE];
  ok(statistics_new(data, NULL, SOME, &s));
  statistics_channels(&s, mean, deviation);
  statistics_covariance(&s, covariance);
  statistics_mean_image(&s, image);
  for (int a = 0; a < 3; a++) {
    double sum = 0;
    for (int64_t n = 0; n < SOME; n++)
      for (int64_t i = 0; i < SIDE * SIDE; i++) sum += pixel(n, a, i);
    assert_true(fabs(mean[a] - sum / (SOME * SIDE * SIDE)) < 1e-13);
    for (int64_t i = 0; i < SIDE * SIDE; i++) {
      sum = 0;
      for (int64_t n = 0; n < SOME; n++) sum += pixel(n, a, i);
      assert_true(fabs((double)image[a * SIDE * SIDE + i] - sum / SOME) < 1e-7);
    }
  }
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) {
      double sum = 0;
      for (int64_t n = 0; n < SOME; n++)
        for (int64_t i = 0; i < SIDE * SIDE; i++)
          sum += (pixel(n, a, i) - mean[a]) * (pixel(n, b, i) - mean[b]);
      assert_true(fabs(covariance[a][b] - sum / (SOME * SIDE * SIDE)) < 1e-13);
      if (a == b) assert_true(fabs(deviation[a] - sqrt(sum / (SOME * SIDE * SIDE))) < 1e-12);
    }
  assert_true(deviation[2] == 0); /* exactly, not nearly */
  statistics_free(&s);
}

/* ---- normalisation ---- */

/* What a plan's input holds after an image of the data set went in by the door for floats. */
static void read_input(cnn_plan *plan, int64_t index, float *values) {
  float x[3 * SIDE * SIDE];
  ok(cnn_dataset_read(data, CNN_SPLIT_TRAIN, index, x, NULL));
  input_write(plan, (cnn_tensor){x, cnn_dataset_image(data)});
  view_read(&plan->steps[0].y, 0, 1, values);
}

static void test_channel(void **state) {
  (void)state;
  for (int which = 0; which < 2; which++) {
    cnn_net *net = NULL;
    cnn_plan *plan = plan_of(which ? conv_net : affine_net, CNN_INFER, 1, &net);
    static float x[3 * SIDE * SIDE], back[3 * SIDE * SIDE];
    double sum[3] = {0}, square[3] = {0};
    ok(cnn_plan_normalize(plan, data, 0, "channel"));
    for (int64_t n = 0; n < IMAGES; n++) {
      read_input(plan, n, x);
      for (int i = 0; i < 3 * SIDE * SIDE; i++)
        sum[i / (SIDE * SIDE)] += (double)x[i], square[i / (SIDE * SIDE)] += (double)x[i] * (double)x[i];
    }
    double count = IMAGES * SIDE * SIDE;
    for (int c = 0; c < 2; c++) {
      assert_true(fabs(sum[c] / count) < 1e-6);
      assert_true(fabs(square[c] / count - 1) < 1e-5);
    }
    assert_true(fabs(sum[2]) < 1e-3 && square[2] < 1e-6); /* no deviation: not divided by it */
    ok(cnn_plan_normalize(plan, data, 0, "none scale=255"));
    read_input(plan, 0, x);
    ok(cnn_plan_normalize(plan, data, 0, "none"));
    read_input(plan, 0, back);
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
      assert_true(back[i] == dataset_value(data->part[0].pixels[i]));
      assert_true(x[i] == back[i] * 255.0F);
    }
    free_plan(plan, net);
  }
}

static void test_mean_image(void **state) {
  (void)state;
  cnn_net *net = NULL;
  cnn_plan *plan = plan_of(conv_net, CNN_INFER, 1, &net);
  static float x[3 * SIDE * SIDE];
  static double sum[3 * SIDE * SIDE];
  ok(cnn_plan_normalize(plan, data, 0, "mean-image scale=2"));
  for (int64_t n = 0; n < IMAGES; n++) {
    read_input(plan, n, x);
    for (int i = 0; i < 3 * SIDE * SIDE; i++) sum[i] += (double)x[i];
  }
  for (int i = 0; i < 3 * SIDE * SIDE; i++) assert_true(fabs(sum[i]) < 1e-4);
  read_input(plan, 3, x);
  assert_true(fabs((double)x[0] - (double)x[1] -
                   2 * (pixel(3, 0, 0) - pixel(3, 0, 1) - (double)plan->input.mean[0] +
                        (double)plan->input.mean[1])) < 1e-6);
  const struct {
    const char *how;
    cnn_status status;
  } wrong[] = {
      {"mean", CNN_E_KEY},           {"channel channel", CNN_E_KEY},      {"scale=2", CNN_E_ARGUMENT},
      {"channel scale=", CNN_E_KEY}, {"channel scale=0", CNN_E_ARGUMENT}, {" ", CNN_E_ARGUMENT}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_equal(cnn_plan_normalize(plan, data, 0, wrong[i].how), wrong[i].status);
    assert_why("normalize: ");
  }
  free_plan(plan, net);
}

/* ---- training, saving, loading ---- */

static cnn_train_options settings(const char *augment, const char *normalize) {
  cnn_train_options options = cnn_train_defaults();
  options.epochs = 2;
  options.augment = augment;
  options.normalize = normalize;
  return options;
}

/* A model trained on `threads` threads, in `path`; its evaluation at the end. */
static cnn_evaluation train(const char *text, const char *augment, const char *normalize, int threads,
                            const char *path) {
  cnn_net *net = NULL;
  cnn_plan *plan = plan_of(text, CNN_TRAIN, threads, &net);
  cnn_trainer *trainer = NULL;
  cnn_train_options options = settings(augment, normalize);
  cnn_evaluation evaluation;
  ok(cnn_trainer_new(plan, data, &options, &trainer));
  float loss;
  ok(cnn_trainer_step(trainer, &loss));
  long before = mem_count();
  ok(cnn_trainer_step(trainer, &loss));
  assert_int_equal(mem_count(), before); /* scratch was planned */
  ok(cnn_trainer_run(trainer));
  cnn_model_info info = {.settings = cnn_trainer_settings(trainer)};
  ok(cnn_model_save(path, plan, &info));
  ok(cnn_evaluate(plan, data, CNN_SPLIT_TEST, 0, &evaluation));
  cnn_trainer_free(trainer);
  free_plan(plan, net);
  return evaluation;
}

static void assert_same_file(const char *a, const char *b) {
  size_t a_size, b_size;
  uint8_t *a_bytes = get_bytes(a, &a_size), *b_bytes = get_bytes(b, &b_size);
  assert_int_equal(a_size, b_size);
  assert_memory_equal(a_bytes, b_bytes, a_size);
  free(a_bytes);
  free(b_bytes);
}

/* A model file is all that evaluation and prediction need; threads change nothing. */
static void check_model(const char *text, const char *augment, const char *normalize) {
  const char *path = in_scratch("one.safetensors"), *another = in_scratch("two.safetensors");
  cnn_evaluation trained = train(text, augment, normalize, 1, path), loaded;
  for (int threads = 2; threads <= 7; threads += 5) {
    train(text, augment, normalize, threads, another);
    assert_same_file(path, another);
  }
  cnn_model *model = NULL;
  ok(cnn_model_load(path, &model));
  cnn_plan *plan = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = CNN_INFER;
  options.batch = BATCH;
  ok(cnn_plan_new(cnn_model_net(model), &options, &plan));
  ok(cnn_model_apply(model, plan));
  assert_int_equal(cnn_model_image(model).h, SIDE);
  assert_int_equal(cnn_plan_image(plan).w, SIDE);
  ok(cnn_evaluate(plan, data, CNN_SPLIT_TEST, 0, &loaded));
  assert_true(loaded.loss == trained.loss && loaded.correct == trained.correct);
  /* the same by the door for floats, image by image */
  bool softmax = strstr(text, "softmax");
  cnn_shape image = cnn_plan_image(plan);
  float x[3 * SIDE * SIDE], y[CLASSES];
  int64_t correct = 0;
  double loss = 0;
  for (int64_t n = 0; n < TESTS; n++) {
    int32_t label;
    double sum = 0;
    ok(cnn_dataset_read(data, CNN_SPLIT_TEST, n, x, &label));
    ok(cnn_plan_forward(plan, (cnn_tensor){x, image}, (cnn_tensor){y, {1, CLASSES, 1, 1}}));
    int best = 0;
    for (int c = 0; c < CLASSES; c++) {
      if (y[c] > y[best]) best = c;
      sum += exp((double)y[c]);
    }
    correct += best == label;
    loss -= softmax ? log((double)y[label]) : (double)y[label] - log(sum);
  }
  assert_int_equal(correct, loaded.correct);
  assert_true(fabs(loss / TESTS - loaded.loss) < 1e-5);
  ok(cnn_model_save(another, plan, &(cnn_model_info){.settings = cnn_model_settings(model)}));
  assert_same_file(path, another);
  cnn_plan_free(plan);
  cnn_model_free(model);
}

static void test_models_carry_it(void **state) {
  (void)state;
  static const char all[] =
      "pad=1 shift=1 rotate=10 scale=0.1 elastic=sigma:2,alpha:8 flip erase=4 color=0.1";
  check_model(conv_net, NULL, NULL);
  check_model(conv_net, all, "channel");
  check_model(affine_net, all, "mean-image");
  check_model(conv_net, "flip", "mean-image scale=3");
  check_model(small_net, "crop=12 flip", "mean-image");
  check_model(small_net, "crop=12 color=0.2", "channel scale=0.5");
}

/* Images held back for validation have no part in what is subtracted. */
static void test_validation(void **state) {
  (void)state;
  cnn_net *net = NULL;
  cnn_plan *plan = plan_of(conv_net, CNN_TRAIN, 1, &net);
  cnn_trainer *trainer = NULL;
  cnn_train_options options = settings("flip", "channel");
  options.validation = 10;
  ok(cnn_trainer_new(plan, data, &options, &trainer));
  assert_string_equal(cnn_trainer_options(trainer).augment, "flip");
  assert_string_equal(cnn_trainer_options(trainer).normalize, "channel");
  double sum = 0, all = 0;
  for (int64_t i = 0; i < IMAGES; i++)
    for (int64_t k = 0; k < SIDE * SIDE; k++) {
      sum += i < IMAGES - 10 ? pixel(trainer->index[i], 0, k) : 0;
      all += pixel(i, 0, k);
    }
  double mean = (double)plan->input.mean[0];
  assert_true(fabs(mean - sum / ((IMAGES - 10) * SIDE * SIDE)) < 1e-6);
  assert_true(fabs(mean - all / (IMAGES * SIDE * SIDE)) > 1e-5);
  ok(cnn_trainer_run(trainer));
  cnn_trainer_free(trainer);
  free_plan(plan, net);
}

/* What was trained before still is, to the byte: settings that were not given leave no trace. */
static void test_settings(void **state) {
  (void)state;
  const struct {
    const char *augment, *normalize, *expected;
  } cases[] = {{NULL, NULL, "}"},
               {"", "", "}"},
               {" fill=zero ", NULL, "}"},
               {" flip  shift=2.5", NULL, "\"augment\":\"shift=2.5 flip\""},
               {NULL, "scale=255 mean-image", "\"normalize\":\"mean-image scale=255\""},
               {"pad=2", "channel", ",\"augment\":\"pad=2\",\"normalize\":\"channel\",\"images\":40}"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = NULL;
    cnn_plan *plan = plan_of(conv_net, CNN_TRAIN, 1, &net);
    cnn_trainer *trainer = NULL;
    cnn_train_options options = settings(cases[i].augment, cases[i].normalize);
    ok(cnn_trainer_new(plan, data, &options, &trainer));
    const char *text = cnn_trainer_settings(trainer);
    assert_non_null(strstr(text, cases[i].expected));
    if (i < 3) assert_true(!strstr(text, "augment") && !strstr(text, "normalize"));
    cnn_trainer_free(trainer);
    free_plan(plan, net);
  }
}

static void test_what_does_not_fit(void **state) {
  (void)state;
  const struct {
    const char *net, *augment, *normalize, *why;
    cnn_status status;
  } cases[] = {{conv_net, "fliip", NULL, "did you mean 'flip'", CNN_E_KEY},
               {conv_net, NULL, "chanel", "is not understood", CNN_E_KEY},
               {conv_net, "crop=10", NULL, "smaller than the network's input", CNN_E_SHAPE},
               {small_net, NULL, NULL, "the network takes 3x8x8", CNN_E_SHAPE},
               {small_net, "crop=11", NULL, "takes 3x11x11", CNN_E_SHAPE}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = NULL;
    cnn_plan *plan = plan_of(cases[i].net, CNN_TRAIN, 1, &net);
    cnn_trainer *trainer = NULL;
    cnn_train_options options = settings(cases[i].augment, cases[i].normalize);
    cnn_shape before = cnn_plan_image(plan);
    assert_int_equal(cnn_trainer_new(plan, data, &options, &trainer), cases[i].status);
    assert_why(cases[i].why);
    assert_int_equal(cnn_plan_image(plan).h, before.h); /* the plan is as it was */
    assert_int_equal(cnn_plan_image(plan).w, before.w);
    free_plan(plan, net);
  }
}

/* Without normalize= the plan's stays, also where images become larger than the input; a mean image cannot.
 */
static void test_normalisation_stays(void **state) {
  (void)state;
  static const float mean[3 * 12 * 12] = {0.25F, 0.5F, 0.75F}, factor[3] = {1, 2, 3};
  static const struct {
    int64_t h, means;
    const char *normalize;
    cnn_status status;
  } cases[] = {{0, 3, NULL, CNN_OK},
               {SIDE, 3, NULL, CNN_OK},
               {SIDE, 3 * SIDE * SIDE, NULL, CNN_OK},
               {0, 3 * CROP * CROP, NULL, CNN_E_SHAPE},
               {0, 3 * CROP * CROP, "channel", CNN_OK}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = NULL;
    cnn_plan *plan = plan_of(small_net, CNN_TRAIN, 1, &net);
    cnn_trainer *trainer = NULL;
    cnn_train_options options = settings("crop=12 flip", cases[i].normalize);
    if (cases[i].h) ok(input_set_image(plan, cases[i].h, cases[i].h));
    ok(input_set_normal(plan, mean, cases[i].means, factor));
    assert_int_equal(cnn_trainer_new(plan, data, &options, &trainer), cases[i].status);
    if (cases[i].status != CNN_OK) assert_why("mean image is 8x8, but images are to be 12x12");
    assert_int_equal(plan->input.means, cases[i].normalize ? 3 : cases[i].means);
    assert_int_equal(cnn_plan_image(plan).h, cases[i].status == CNN_OK ? SIDE : CROP);
    if (!cases[i].normalize) assert_memory_equal(plan->input.factor, factor, sizeof factor);
    cnn_trainer_free(trainer);
    free_plan(plan, net);
  }
}

/* A model file with only half of the normalisation, or a size that cannot be, is refused. */
static void test_damaged_models(void **state) {
  (void)state;
  const char *path = in_scratch("whole.safetensors"), *broken = in_scratch("broken.safetensors");
  const struct {
    const char *from, *to, *why;
  } cases[] = {{"\"input.mean\"", "\"inputXmean\"", "no 'input.mean'"},
               {"\"input.factor\"", "\"inputXfactor\"", "no 'input.factor'"},
               {"\"image\":\"12x12\"", "\"image\":\"12x07\"", "at least 8x8"},
               {"\"image\":\"12x12\"", "\"image\":\"12y12\"", "at least 8x8"},
               {"\"image\":\"12x12\"", "\"image\":\"12x13\"", "input.mean"}};
  train(small_net, "crop=12", "mean-image", 1, path);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    size_t size, length = strlen(cases[i].from);
    uint8_t *bytes = get_bytes(path, &size);
    uint8_t *at = memmem(bytes, size, cases[i].from, length);
    assert_non_null(at);
    memcpy(at, cases[i].to, length);
    put_bytes(broken, bytes, size);
    free(bytes);
    cnn_model *model = NULL;
    assert_true(cnn_model_load(broken, &model) != CNN_OK);
    assert_why(cases[i].why);
  }
}

/* ---- several looks ---- */

static void test_looks(void **state) {
  (void)state;
  struct looks looks;
  cnn_shape image = {1, 3, SIDE, SIDE}, input = {1, 3, CROP, CROP};
  const struct {
    const char *text;
    int count;
  } right[] = {{NULL, 1},        {"flip", 2},
               {"shift=1", 9},   {"flip shift=2", 50},
               {"ten-crop", 10}, {" ten-crop shift=1", 90}};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
    ok(looks_parse(right[i].text, image, input, &looks));
    assert_int_equal(looks.count, right[i].count);
    for (int a = 0; a < looks.count; a++)
      for (int b = 0; b < a; b++)
        assert_memory_not_equal(&looks.look[a], &looks.look[b], offsetof(struct look, flip) + 1);
  }
  const char *wrong[] = {"flop",    "flip=1",          "shift",         "shift=0",
                         "shift=6", "shift=1 shift=1", "ten-crop flip", "shift=5 flip"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_true(looks_parse(wrong[i], image, input, &looks) != CNN_OK);
    assert_memory_equal(cnn_why(), "tta: ", 5);
  }
  assert_int_equal(looks_parse("ten-crop", input, input, &looks), CNN_E_ARGUMENT);
  assert_why("--augment crop=SIZE");
  ok(looks_parse("ten-crop", (cnn_shape){1, input.c, input.h + 1, input.w + 1}, input, &looks));
  assert_int_equal(looks.count, 10);
}

/* Texts of words at random: taken or refused with a sentence, never anything else. */
static void test_texts_at_random(void **state) {
  (void)state;
  static const char *const bits[] = {"flip",     "shift", "=",       "1",          "5",      " ",
                                     "ten-crop", "none",  "channel", "mean-image", "scale=", "255",
                                     "-",        "1e9",   ".",       "\t",         "\x80",   "s"};
  cnn_shape image = {1, 3, SIDE, SIDE}, input = {1, 3, CROP, CROP};
  uint64_t random = 21;
  int taken[2] = {0};
  for (int trial = 0; trial < 20000; trial++) {
    char text[128] = "";
    struct looks looks;
    struct pixels pixels;
    for (uint32_t i = next_random(&random) % 6; i > 0; i--)
      strcat(text, bits[next_random(&random) % (sizeof bits / sizeof *bits)]);
    cnn_status status = looks_parse(text, image, input, &looks);
    if (status == CNN_OK) {
      taken[0]++;
      assert_in_range(looks.count, 1, MOST_LOOKS);
    } else {
      assert_memory_equal(cnn_why(), "tta: ", 5);
    }
    status = pixels_parse(NULL, text, &pixels);
    if (status == CNN_OK) {
      taken[1]++;
      assert_true(!pixels.normalized || (pixels.scale >= 1e-6 && pixels.scale <= 1e6));
      pixels_free(&pixels);
    } else {
      assert_memory_equal(cnn_why(), "normalize: ", 11);
    }
  }
  assert_true(taken[0] > 500 && taken[1] > 500);
}

/* ten-crop by hand: windows cut here, the mean of their probabilities. */
static void test_ten_crop(void **state) {
  (void)state;
  const char *path = in_scratch("ten.safetensors");
  train(small_net, "crop=12", "channel", 1, path);
  cnn_model *model = NULL;
  cnn_plan *plan = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  cnn_evaluation evaluation;
  options.mode = CNN_INFER;
  options.batch = BATCH;
  options.threads = 2;
  ok(cnn_model_load(path, &model));
  ok(cnn_plan_new(cnn_model_net(model), &options, &plan));
  ok(cnn_model_apply(model, plan));
  ok(cnn_evaluate_tta(plan, data, CNN_SPLIT_TEST, 0, "ten-crop", &evaluation));
  static const int corner[5][2] = {{2, 2}, {0, 0}, {0, 4}, {4, 0}, {4, 4}};
  double loss = 0;
  int64_t correct = 0;
  for (int64_t n = 0; n < TESTS; n++) {
    float x[3 * SIDE * SIDE], cut[3 * CROP * CROP], y[CLASSES];
    double mean[CLASSES] = {0};
    int32_t label;
    ok(cnn_dataset_read(data, CNN_SPLIT_TEST, n, x, &label));
    for (int k = 0; k < 10; k++) {
      for (int i = 0; i < 3 * CROP * CROP; i++) {
        int c = i / (CROP * CROP), h = i / CROP % CROP, w = k % 2 ? CROP - 1 - i % CROP : i % CROP;
        cut[i] = x[(c * SIDE + corner[k / 2][0] + h) * SIDE + corner[k / 2][1] + w];
      }
      ok(cnn_plan_forward(plan, (cnn_tensor){cut, {1, 3, CROP, CROP}}, (cnn_tensor){y, {1, CLASSES, 1, 1}}));
      for (int c = 0; c < CLASSES; c++) mean[c] += (double)y[c] / 10;
    }
    int best = 0;
    for (int c = 1; c < CLASSES; c++) best = mean[c] > mean[best] ? c : best;
    correct += best == label;
    loss -= log(mean[label]) / TESTS;
  }
  assert_int_equal(evaluation.correct, correct);
  assert_int_equal(evaluation.total, TESTS);
  assert_true(fabs(evaluation.loss - loss) < 1e-5);
  cnn_evaluation one, none;
  ok(cnn_evaluate_tta(plan, data, CNN_SPLIT_TEST, 0, "", &none));
  ok(cnn_evaluate(plan, data, CNN_SPLIT_TEST, 0, &one));
  assert_memory_equal(&one, &none, sizeof one);
  cnn_plan_free(plan);
  cnn_model_free(model);
}

/* Scores without a softmax layer become probabilities before they are averaged; zeros come in from outside.
 */
static void test_shifts(void **state) {
  (void)state;
  cnn_net *net = NULL;
  cnn_plan *plan = plan_of(conv_net, CNN_INFER, 1, &net);
  cnn_evaluation evaluation;
  ok(cnn_evaluate_tta(plan, data, CNN_SPLIT_TEST, 1, "flip shift=1", &evaluation));
  float x[3 * SIDE * SIDE], moved[3 * SIDE * SIDE], y[CLASSES];
  double mean = 0;
  int32_t label;
  ok(cnn_dataset_read(data, CNN_SPLIT_TEST, 0, x, &label));
  for (int k = 0; k < 18; k++) {
    int dy = k / 2 / 3 - 1, dx = k / 2 % 3 - 1;
    for (int i = 0; i < 3 * SIDE * SIDE; i++) {
      int c = i / (SIDE * SIDE), h = i / SIDE % SIDE - dy, w = (k % 2 ? SIDE - 1 - i % SIDE : i % SIDE) - dx;
      moved[i] = h < 0 || h >= SIDE || w < 0 || w >= SIDE ? 0 : x[(c * SIDE + h) * SIDE + w];
    }
    ok(cnn_plan_forward(plan, (cnn_tensor){moved, {1, 3, SIDE, SIDE}}, (cnn_tensor){y, {1, CLASSES, 1, 1}}));
    double sum = 0;
    for (int c = 0; c < CLASSES; c++) sum += exp((double)y[c]);
    mean += exp((double)y[label]) / sum / 18;
  }
  assert_true(fabs(evaluation.loss + log(mean)) < 1e-5);
  free_plan(plan, net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_statistics),
      cmocka_unit_test(test_channel),
      cmocka_unit_test(test_mean_image),
      cmocka_unit_test(test_models_carry_it),
      cmocka_unit_test(test_settings),
      cmocka_unit_test(test_validation),
      cmocka_unit_test(test_what_does_not_fit),
      cmocka_unit_test(test_normalisation_stays),
      cmocka_unit_test(test_damaged_models),
      cmocka_unit_test(test_looks),
      cmocka_unit_test(test_texts_at_random),
      cmocka_unit_test(test_ten_crop),
      cmocka_unit_test(test_shifts),
  };
  return cmocka_run_group_tests(tests, open_data, close_data);
}
