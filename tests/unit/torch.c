/* The same training in PyTorch: the losses of SimpleConvNet over its first 100 mini-batches of MNIST, a tiny
 * network's weights after 20 steps of optimisers and losses (torch_methods.c has all of them), and local
 * response normalisation.
 *
 * What PyTorch gave is kept in tests/golden/torch-*.txt, made by tools/make-torch-golden.py. That script
 * runs this program with `--dump FOLDER`, which leaves there all that PyTorch must start from: the initial
 * weights as model files, which images each mini-batch takes, and the tiny network's data and settings. */
#include "data_scratch.h"

#include <inttypes.h>
#include <math.h>

#include "core/rng.h"
#include "net/plan.h"
#include "training_run.h"

#define GOLDEN CNN_SOURCE_DIR "/tests/golden/"

enum { STEPS = 100, SAME_ORDER_STEPS = 3 }; /* SimpleConvNet, mini-batches of 100 */
/* PyTorch's own float32 stays within 1e-6 of its float64. The limits leave room for sums in another order and
 * for little else: 1 - 0.999F in place of 0.001F shows. */
static const double most_loss_difference = 1e-5, most_weight_difference = 5e-6, most_lrn_difference = 2e-6;

enum { TINY_STEPS = 20, TINY_IMAGES = 50, TINY_BATCH = 8, TINY_SIDE = 8, TINY_CLASSES = 5 };

static const char tiny_net[] =
    "input shape=1x8x8\n"
    "conv filters=4 kernel=3 init=he\n"
    "relu\n"
    "maxpool kernel=2 stride=2\n"
    "affine units=5 init=xavier\n"
    "softmax\n";

struct setting {
  const char *optimizer;
  cnn_loss loss;
  double lr; /* large enough that 20 steps go some way */
};

static const struct setting settings[] = {
    {"sgd", CNN_LOSS_CROSS_ENTROPY, 0.1},       {"sgd", CNN_LOSS_MEAN_SQUARED_ERROR, 1},
    {"momentum", CNN_LOSS_CROSS_ENTROPY, 0.02}, {"nesterov", CNN_LOSS_CROSS_ENTROPY, 0.02},
    {"adagrad", CNN_LOSS_CROSS_ENTROPY, 0.02},  {"rmsprop", CNN_LOSS_CROSS_ENTROPY, 0.005},
    {"adam", CNN_LOSS_CROSS_ENTROPY, 0.01},     {"adam", CNN_LOSS_MEAN_SQUARED_ERROR, 0.01},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static const char *loss_name(cnn_loss loss) {
  return loss == CNN_LOSS_CROSS_ENTROPY ? "cross-entropy" : "mse";
}

static bool have_mnist(void) {
  cnn_data_info info;
  for (int i = 0; i < cnn_data_count(); i++)
    if (cnn_data_get(i, &info) == CNN_OK && strcmp(info.name, "mnist") == 0) return info.present;
  return false;
}

/* SimpleConvNet as section 7.5 trains it. */
static struct training_run mnist_run(void) {
  struct training_run run = {0};
  ok(cnn_dataset_open("mnist", NULL, &run.data));
  ok(cnn_net_load("simple-conv-net", &run.net));
  ok(cnn_plan_new(run.net, NULL, &run.plan));
  ok(cnn_trainer_new(run.plan, run.data, NULL, &run.trainer));
  return run;
}

/* ---- the tiny network's images: bytes by seed, brighter in two rows that tell the class ---- */

static void put_tiny_data(const char *images, const char *labels) {
  static uint8_t pixel[TINY_IMAGES * TINY_SIDE * TINY_SIDE], label[TINY_IMAGES], file[sizeof pixel + 64];
  struct rng rng = rng_stream(2026, RNG_GRADCHECK, 1);
  for (int i = 0; i < TINY_IMAGES; i++) label[i] = (uint8_t)(i % TINY_CLASSES);
  for (int k = 0; k < (int)sizeof pixel; k++) {
    int of = label[k / (TINY_SIDE * TINY_SIDE)], row = k / TINY_SIDE % TINY_SIDE;
    pixel[k] = (uint8_t)(rng_below(&rng, (uint64_t)k, 100) + (row == of || row == of + 2 ? 155 : 0));
  }
  put_bytes(images, file,
            make_idx(file, 3, (uint32_t[]){TINY_IMAGES, TINY_SIDE, TINY_SIDE}, pixel, sizeof pixel));
  put_bytes(labels, file, make_idx(file, 1, (uint32_t[]){TINY_IMAGES}, label, sizeof label));
}

/* The data in `folder`, as training and as test split. */
static struct training_run tiny_run(const char *folder, const struct setting *setting) {
  struct training_run run = {0};
  char images[1024], labels[1024], source[4 * 1024 + 4];
  snprintf(images, sizeof images, "%s/images", folder);
  snprintf(labels, sizeof labels, "%s/labels", folder);
  snprintf(source, sizeof source, "%s,%s,%s,%s", images, labels, images, labels);
  put_tiny_data(images, labels);
  ok(cnn_dataset_open(source, NULL, &run.data));
  ok(cnn_net_parse(tiny_net, "tiny", &run.net));
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = TINY_BATCH;
  options.loss = setting->loss;
  ok(cnn_plan_new(run.net, &options, &run.plan));
  cnn_train_options train = cnn_train_defaults();
  train.optimizer = setting->optimizer;
  train.lr = setting->lr;
  ok(cnn_trainer_new(run.plan, run.data, &train, &run.trainer));
  return run;
}

/* ---- the order of images ---- */

/* An epoch's images, as the trainer takes them: Fisher and Yates over stream RNG_SHUFFLE of the seed, one
 * index an epoch. Written down here again, so that a change of the
 * rule does not go unseen: it changes every run. */
static void epoch_order(int32_t *order, int64_t images, uint64_t seed, uint32_t epoch) {
  struct rng rng = rng_stream(seed, RNG_SHUFFLE, epoch);
  for (int64_t i = 0; i < images; i++) order[i] = (int32_t)i;
  for (int64_t i = images - 1; i > 0; i--) {
    int64_t j = (int64_t)rng_below(&rng, (uint64_t)i, (uint64_t)i + 1);
    int32_t swap = order[i];
    order[i] = order[j];
    order[j] = swap;
  }
}

/* One line for each of the first `steps` mini-batches: the indices of its images. */
static void put_order(const char *path, int64_t images, int64_t batch, int steps) {
  int32_t *order = malloc((size_t)images * sizeof *order);
  FILE *file = fopen(path, "w");
  assert_non_null(order);
  assert_non_null(file);
  int64_t at = images;
  uint32_t epoch = 0;
  for (int step = 0; step < steps; step++) {
    if (at >= images) epoch_order(order, images, cnn_train_defaults().seed, epoch++), at = 0;
    int64_t end = at + batch < images ? at + batch : images;
    for (; at < end; at++) fprintf(file, "%" PRId32 "%c", order[at], at + 1 < end ? ' ' : '\n');
  }
  assert_int_equal(fclose(file), 0);
  free(order);
}

/* The network with local response normalisation; free both. */
static cnn_plan *lrn_plan(cnn_net **net) {
  static const char text[] =
      "input shape=2x9x9\n"
      "conv filters=20 kernel=3 pad=1 init=he\n"
      "relu\n"
      "lrn alpha=2\n"
      "maxpool kernel=3 stride=2\n"
      "affine units=3 init=xavier\n"
      "softmax\n";
  cnn_plan *plan;
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = 4;
  ok(cnn_net_parse(text, "lrn", net));
  ok(cnn_plan_new(*net, &options, &plan));
  return plan;
}

static void dump(const char *folder) {
  char path[2048];
  cnn_net *net;
  cnn_plan *plan = lrn_plan(&net);
  snprintf(path, sizeof path, "%s/lrn.safetensors", folder);
  ok(cnn_model_save(path, plan, NULL));
  cnn_plan_free(plan);
  cnn_net_free(net);
  struct training_run run = mnist_run();
  snprintf(path, sizeof path, "%s/simple-conv-net.safetensors", folder);
  ok(cnn_model_save(path, run.plan, NULL));
  snprintf(path, sizeof path, "%s/simple-conv-net.order", folder);
  put_order(path, cnn_dataset_count(run.data, CNN_SPLIT_TRAIN), cnn_plan_settings(run.plan).batch, STEPS);
  run_free(&run);

  snprintf(path, sizeof path, "%s/tiny.order", folder);
  put_order(path, TINY_IMAGES, TINY_BATCH, TINY_STEPS);
  snprintf(path, sizeof path, "%s/tiny.jsonl", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  snprintf(path, sizeof path, "%s/tiny.safetensors", folder);
  for (int i = 0; i < SETTINGS; i++) {
    run = tiny_run(folder, &settings[i]);
    fprintf(file, "%s\n", cnn_trainer_settings(run.trainer));
    ok(cnn_model_save(path, run.plan, NULL)); /* the same each time */
    run_free(&run);
  }
  assert_int_equal(fclose(file), 0);
}

/* ---- golden files: lines of '#', then words ---- */

static FILE *open_golden(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file) fail_msg("%s is missing", path);
  char line[256];
  long start;
  do start = ftell(file);
  while (fgets(line, sizeof line, file) && line[0] == '#');
  assert_int_equal(fseek(file, start, SEEK_SET), 0);
  return file;
}

static double next_number(FILE *file) {
  char word[64], *end;
  assert_int_equal(fscanf(file, " %63s", word), 1);
  double value = strtod(word, &end);
  if (*end) fail_msg("'%s' in a golden file is no number", word);
  return value;
}

static bool next_word(FILE *file, char word[64]) { return fscanf(file, " %63s", word) == 1; }

/* ---- SimpleConvNet ---- */

/* The loss of images order[0 .. batch-1], by the plan's present weights. */
static float loss_of(const struct training_run *run, const int32_t *order) {
  int64_t batch = cnn_plan_settings(run->plan).batch, pixels = 28 * 28;
  float *images = malloc((size_t)(batch * pixels) * sizeof *images), loss;
  int32_t *labels = malloc((size_t)batch * sizeof *labels);
  assert_non_null(images);
  assert_non_null(labels);
  for (int64_t n = 0; n < batch; n++)
    ok(cnn_dataset_read(run->data, CNN_SPLIT_TRAIN, order[n], images + n * pixels, &labels[n]));
  ok(cnn_plan_gradient(run->plan, (cnn_tensor){images, {batch, 1, 28, 28}}, labels, &loss));
  free(images);
  free(labels);
  return loss;
}

static void simple_conv_net(void **state) {
  (void)state;
  if (!have_mnist()) {
    print_message("skipped: MNIST is not here; fetch it with `cnn data fetch mnist`\n");
    skip();
  }
  struct training_run run = mnist_run();
  int64_t images = cnn_dataset_count(run.data, CNN_SPLIT_TRAIN);
  int32_t *order = malloc((size_t)images * sizeof *order);
  assert_non_null(order);
  epoch_order(order, images, cnn_train_defaults().seed, 0);
  FILE *golden = open_golden(GOLDEN "torch-simple-conv-net.txt");
  double most[2] = {0};
  for (int step = 1; step <= STEPS; step++) {
    float loss, again = 0;
    if (step <= SAME_ORDER_STEPS) again = loss_of(&run, order + (step - 1) * 100);
    ok(cnn_trainer_step(run.trainer, &loss));
    if (step <= SAME_ORDER_STEPS && loss != again)
      fail_msg("step %d: the trainer takes images in another order than this test", step);
    assert_int_equal(next_number(golden), step);
    for (int precision = 0; precision < 2; precision++) {
      double torch = next_number(golden), difference = fabs((double)loss - torch) / torch;
      if (!(difference <= most_loss_difference))
        fail_msg("step %d: the loss is %.9g; PyTorch's in float%d is %.9g, which differs by %.3g", step,
                 (double)loss, precision ? 64 : 32, torch, difference);
      if (difference > most[precision]) most[precision] = difference;
    }
  }
  print_message("%d losses differ by at most %.2g from PyTorch's in float32, %.2g from those in float64\n",
                STEPS, most[0], most[1]);
  fclose(golden);
  free(order);
  run_free(&run);
}

/* ---- optimisers and losses ---- */

/* Relative to how far PyTorch's weights went from the initial ones, in norm. */
static double check_weight(FILE *golden, const struct training_run *run, const struct training_run *fresh,
                           const cnn_weight_info *weight, const struct setting *setting) {
  enum { MOST = 256 };
  float now[MOST], initial[MOST];
  char name[64];
  assert_true(weight->count <= MOST);
  assert_true(next_word(golden, name));
  assert_string_equal(name, weight->name);
  assert_int_equal(next_number(golden), weight->count);
  ok(cnn_plan_get_weight(run->plan, name, now, weight->count));
  ok(cnn_plan_get_weight(fresh->plan, name, initial, weight->count));
  double error = 0, way = 0;
  for (int64_t i = 0; i < weight->count; i++) {
    double torch = next_number(golden), e = (double)now[i] - torch, w = torch - (double)initial[i];
    error += e * e;
    way += w * w;
  }
  double relative = sqrt(error / way);
  if (!(relative <= most_weight_difference))
    fail_msg("%s, %s: '%s' differs by %.3g after %d steps", setting->optimizer, loss_name(setting->loss),
             name, relative, TINY_STEPS);
  return relative;
}

static void optimizers(void **state) {
  (void)state;
  FILE *golden = open_golden(GOLDEN "torch-optimizers.txt");
  char word[64];
  for (int i = 0; i < SETTINGS; i++) {
    const struct setting *setting = &settings[i];
    struct training_run run = tiny_run(scratch, setting), fresh = tiny_run(scratch, setting);
    assert_true(next_word(golden, word));
    assert_string_equal(word, setting->optimizer);
    assert_true(next_word(golden, word));
    assert_string_equal(word, loss_name(setting->loss));
    assert_true(next_number(golden) == setting->lr);
    for (int step = 0; step < TINY_STEPS; step++) ok(cnn_trainer_step(run.trainer, NULL));
    double most = 0;
    for (int w = 0; w < cnn_net_weight_count(run.net); w++) {
      cnn_weight_info weight;
      ok(cnn_net_weight(run.net, w, &weight));
      most = fmax(most, check_weight(golden, &run, &fresh, &weight, setting));
    }
    print_message("%s, %s: weights differ by at most %.2g of their way from PyTorch's in float64\n",
                  setting->optimizer, loss_name(setting->loss), most);
    run_free(&run);
    run_free(&fresh);
  }
  assert_false(next_word(golden, word));
  fclose(golden);
}

/* ---- local response normalisation ---- */

/* The values of pattern() in tools/make-torch-golden.py. */
static float pattern(int64_t i, int64_t factor, int64_t offset, int64_t modulus, int64_t divisor) {
  int64_t half = modulus / 2, value = (i * factor + offset) % modulus - half;
  return (float)value / (float)divisor;
}

/* The next array of the golden file against `count` values, in norm. */
static double compare(FILE *golden, const char *name, const float *values, int64_t count) {
  char word[64];
  double error = 0, norm = 0;
  assert_true(next_word(golden, word));
  assert_string_equal(word, name);
  assert_int_equal(next_number(golden), count);
  for (int64_t i = 0; i < count; i++) {
    double torch = next_number(golden);
    error += ((double)values[i] - torch) * ((double)values[i] - torch);
    norm += torch * torch;
  }
  assert_true(norm > 0);
  if (!(sqrt(error / norm) <= most_lrn_difference)) fail_msg("%s differs by %.3g", name, sqrt(error / norm));
  return sqrt(error / norm);
}

static float lrn_dy[512];
static void set_dy(void *context, int64_t n0, int64_t n1) {
  const struct view *dy = context;
  view_write(dy, n0, n1, lrn_dy + n0 * dy->shape.c * dy->shape.h * dy->shape.w);
}

/* One case: reads its settings, runs the layer alone. */
static double check_lrn(FILE *golden) {
  long long dim[5];
  double number[3];
  char text[256];
  float y[512], x[512];
  for (int i = 0; i < 5; i++) dim[i] = (long long)next_number(golden);
  for (int i = 0; i < 3; i++) number[i] = next_number(golden);
  snprintf(text, sizeof text, "input shape=%lldx%lldx%lld\nlrn size=%lld alpha=%.17g beta=%.17g k=%.17g\n",
           dim[1], dim[2], dim[3], dim[4], number[0], number[1], number[2]);
  int64_t count = dim[0] * dim[1] * dim[2] * dim[3];
  assert_true(count <= 512);
  cnn_net *net;
  cnn_plan *plan;
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = dim[0], .loss = CNN_LOSS_MEAN_SQUARED_ERROR};
  ok(cnn_net_parse(text, "lrn", &net));
  ok(plan_new(net, &options, true, &plan));
  struct step *step = &plan->steps[1];
  for (int64_t i = 0; i < count; i++) {
    x[i] = pattern(i, 7919, 3, 2001, 400);
    lrn_dy[i] = pattern(i, 104729, 17, 1999, 500);
  }
  view_write(&plan->steps[0].y, 0, dim[0], x);
  exec_gradient(plan, dim[0], &(struct hooks){.scored = set_dy, .context = &step->dy});
  view_read(&step->y, 0, dim[0], y);
  view_read(&step->dx[0], 0, dim[0], x);
  double forward = compare(golden, "y", y, count), backward = compare(golden, "dx", x, count);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return fmax(forward, backward);
}

static double check_lrn_net(FILE *golden) {
  enum { COUNT = 4 * 2 * 9 * 9, MOST = 1024 };
  float x[COUNT], loss, gradient[MOST];
  const int32_t labels[] = {0, 1, 2, 1};
  cnn_net *net;
  cnn_plan *plan = lrn_plan(&net);
  for (int i = 0; i < COUNT; i++) x[i] = pattern(i, 7919, 3, 2001, 400);
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, {4, 2, 9, 9}}, labels, &loss));
  double torch = next_number(golden), most = fabs((double)loss - torch) / torch;
  assert_true(most <= most_lrn_difference);
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    assert_true(info.count <= MOST);
    ok(cnn_plan_get_gradient(plan, info.name, gradient, info.count));
    most = fmax(most, compare(golden, info.name, gradient, info.count));
  }
  cnn_plan_free(plan);
  cnn_net_free(net);
  return most;
}

static void normalisation(void **state) {
  (void)state;
  FILE *golden = open_golden(GOLDEN "torch-lrn.txt");
  char word[64];
  double most = 0;
  int cases = 0;
  while (next_word(golden, word) && strcmp(word, "lrn") == 0) {
    most = fmax(most, check_lrn(golden));
    cases++;
  }
  assert_int_equal(cases, 6);
  assert_string_equal(word, "net");
  most = fmax(most, check_lrn_net(golden));
  assert_false(next_word(golden, word));
  print_message("local response normalisation differs by at most %.2g from PyTorch's in float64\n", most);
  fclose(golden);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
    dump(argv[2]);
    return 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(simple_conv_net), cmocka_unit_test(optimizers),

                                     cmocka_unit_test(normalisation)};
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
