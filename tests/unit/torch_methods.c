/* The same training methods in PyTorch: factors of every schedule, step by step, and a tiny network's weights
 * after three epochs with each optimiser's weight decay, with schedules, clipping, label smoothing, an
 * average of weights, and learning rates of their own for layers.
 *
 * What PyTorch gave is kept in tests/golden/torch-methods.txt, made by tools/make-torch-methods.py. That
 * script runs this program with `--dump FOLDER`, which leaves there what PyTorch must start from: images, the
 * images of each mini-batch, and for each run its initial weights with network and settings. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "train/trainer.h"
#include "training_run.h"

#define GOLDEN CNN_SOURCE_DIR "/tests/golden/torch-methods.txt"

enum { IMAGES = 50, BATCH = 8, SIDE = 8, CLASSES = 5, EPOCHS = 3, MOST_VALUES = 256 };

/* Relative; of weights to the way they went, in norm. As in torch.c: float32's own, and little else. Clipping
 * by the norm has 1e-6 more: PyTorch divides by the norm + 1e-6. */
static const double most_weight_difference = 5e-6, most_factor_difference = 1e-12;

static const char plain[] =
    "input shape=1x8x8\nconv filters=4 kernel=3 init=he\nrelu\nmaxpool kernel=2 stride=2\n"
    "affine units=5 init=xavier\nsoftmax\n";
static const char paced[] =
    "input shape=1x8x8\nconv filters=4 kernel=3 init=he lr=0.5 bias_lr=2 decay=0\nrelu\n"
    "maxpool kernel=2 stride=2\naffine units=5 init=xavier lr=1.5 decay=3\nsoftmax\n";
static const char frozen[] =
    "input shape=1x8x8\nconv filters=4 kernel=3 init=he lr=0\nrelu\nmaxpool kernel=2 stride=2\n"
    "affine units=5 init=xavier bias_lr=0\nsoftmax\n";

struct method {
  const char *net, *optimizer;
  double lr, weight_decay;
  bool decay_biases;
  const char *schedule;
  double warmup, clip_norm, clip_value, label_smoothing, ema;
};

static const struct method methods[] = {
    {plain, "sgd", 0.1, 0.02, false, "constant", 0, 0, 0, 0, 0},
    {plain, "sgd", 0.1, 0.02, true, "step every=1 factor=0.5", 0, 0, 0, 0, 0},
    {plain, "momentum", 0.02, 0.0005, false, "multistep at=1,2 factor=0.1", 0, 0, 0, 0,
     0}, /* AlexNet's rule */
    {plain, "momentum", 0.02, 0.02, true, "one-cycle", 0, 0, 0, 0, 0},
    {plain, "nesterov", 0.02, 0.02, false, "cosine end=0.1", 0, 0, 0, 0, 0},
    {plain, "nesterov", 0.02, 0.02, true, "constant", 1, 0, 0, 0, 0},
    {plain, "adagrad", 0.02, 0.02, false, "exponential factor=0.7", 0, 0, 0, 0, 0},
    {plain, "adagrad", 0.02, 0.02, true, "constant", 0, 0, 0, 0, 0},
    {plain, "rmsprop", 0.005, 0.02, false, "constant", 0, 0, 0, 0, 0},
    {plain, "rmsprop", 0.005, 0.02, true, "cosine", 0.5, 0, 0, 0, 0},
    {plain, "adam", 0.01, 0.02, false, "one-cycle rise=0.5 shape=linear", 0, 0, 0, 0, 0},
    {plain, "adam", 0.01, 0.02, true, "constant", 0, 0, 0, 0, 0},
    {plain, "adamw", 0.01, 0.3, false, "constant", 0, 0, 0, 0, 0},
    {plain, "adamw", 0.01, 0.3, true, "cosine", 1, 0, 0, 0, 0},
    {plain, "adamw", 0.01, -1, false, "constant", 0, 0, 0, 0, 0},
    {plain, "sgd", 0.1, 0, false, "constant", 0, 0.3, 0, 0, 0},
    {plain, "momentum", 0.02, 0.02, false, "constant", 0, 0.3, 0, 0, 0},
    {plain, "adam", 0.01, 0, false, "constant", 0, 0, 0.01, 0, 0},
    {plain, "sgd", 0.1, 0.02, false, "constant", 0, 0, 0.01, 0, 0},
    {plain, "adam", 0.01, 0, false, "constant", 0, 0, 0, 0.1, 0},
    {plain, "sgd", 0.1, 0, false, "constant", 0, 0, 0, 0, 0.9},
    {plain, "adamw", 0.01, 0.3, false, "cosine", 0, 0.3, 0, 0.1, 0.8},
    {paced, "momentum", 0.02, 0.02, true, "constant", 0, 0, 0, 0, 0},
    {paced, "adamw", 0.01, 0.3, false, "constant", 0, 0.3, 0, 0, 0},
    {frozen, "sgd", 0.1, 0.02, true, "constant", 0, 0.3, 0, 0, 0.9},
};
enum { METHODS = sizeof methods / sizeof *methods };

static struct training_run run_new(const struct method *method) {
  struct training_run run = {0};
  cnn_plan_options options = cnn_plan_defaults();
  cnn_train_options train = cnn_train_defaults();
  ok(cnn_dataset_random((cnn_shape){IMAGES, 1, SIDE, SIDE}, 1, CLASSES, 2026, &run.data));
  ok(cnn_net_parse(method->net, "tiny", &run.net));
  options.batch = BATCH;
  ok(cnn_plan_new(run.net, &options, &run.plan));
  train.epochs = EPOCHS;
  train.evaluate_train = train.evaluate_test = 0;
  train.optimizer = method->optimizer;
  train.lr = method->lr;
  train.weight_decay = method->weight_decay;
  train.decay_biases = method->decay_biases;
  train.schedule = method->schedule;
  train.warmup = method->warmup;
  train.clip_norm = method->clip_norm;
  train.clip_value = method->clip_value;
  train.label_smoothing = method->label_smoothing;
  train.ema = method->ema;
  ok(cnn_trainer_new(run.plan, run.data, &train, &run.trainer));
  return run;
}

/* ---- for the script ---- */

static void dump_data(const char *folder) {
  char path[2048];
  struct training_run run = run_new(&methods[0]);
  float image[SIDE * SIDE];
  int32_t label;
  snprintf(path, sizeof path, "%s/images", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  for (int n = 0; n < IMAGES; n++) {
    ok(cnn_dataset_read(run.data, CNN_SPLIT_TRAIN, n, image, &label));
    fprintf(file, "%d", (int)label);
    for (int i = 0; i < SIDE * SIDE; i++) fprintf(file, " %d", (int)lrintf(image[i] * 255));
    fprintf(file, "\n");
  }
  assert_int_equal(fclose(file), 0);
  snprintf(path, sizeof path, "%s/order", folder);
  file = fopen(path, "w");
  assert_non_null(file);
  for (int64_t step = 0; step < EPOCHS * run.trainer->steps; step++) {
    int64_t first = step % run.trainer->steps * BATCH;
    ok(cnn_trainer_step(run.trainer, NULL));
    for (int64_t i = first; i < first + BATCH && i < IMAGES; i++)
      fprintf(file, "%s%" PRId32, i > first ? " " : "", run.trainer->order[i]);
    fprintf(file, "\n");
  }
  assert_int_equal(fclose(file), 0);
  run_free(&run);
}

static void dump(const char *folder) {
  char path[2048];
  dump_data(folder);
  for (int i = 0; i < METHODS; i++) {
    struct training_run run = run_new(&methods[i]);
    snprintf(path, sizeof path, "%s/%02d.safetensors", folder, i);
    ok(cnn_model_save(path, run.plan, &(cnn_model_info){.settings = cnn_trainer_settings(run.trainer)}));
    run_free(&run);
  }
}

/* ---- the golden file ---- */

/* The next line that is no comment, without its end. */
static bool next_line(FILE *file, char *line, int size) {
  while (fgets(line, size, file)) {
    line[strcspn(line, "\n")] = 0;
    if (line[0] && line[0] != '#') return true;
  }
  return false;
}

static double next_number(FILE *file) {
  char word[64], *end;
  assert_int_equal(fscanf(file, " %63s", word), 1);
  double value = strtod(word, &end);
  if (*end) fail_msg("'%s' in the golden file is no number", word);
  return value;
}

static double check_weight(FILE *golden, const struct training_run *run, const struct training_run *fresh,
                           const cnn_weight_info *weight, int method) {
  float now[MOST_VALUES], initial[MOST_VALUES];
  char name[64];
  assert_int_equal(fscanf(golden, " %63s", name), 1);
  assert_string_equal(name, weight->name);
  assert_int_equal(next_number(golden), weight->count);
  assert_true(weight->count <= MOST_VALUES);
  ok(cnn_plan_get_weight(run->plan, name, now, weight->count));
  ok(cnn_plan_get_weight(fresh->plan, name, initial, weight->count));
  double error = 0, way = 0;
  for (int64_t i = 0; i < weight->count; i++) {
    double torch = next_number(golden), e = (double)now[i] - torch, w = torch - (double)initial[i];
    error += e * e;
    way += w * w;
  }
  if (sqrt(way) < 1e-7) { /* it does not learn; the rest is what nine digits leave */
    assert_memory_equal(now, initial, (size_t)weight->count * sizeof *now);
    return 0;
  }
  double relative = sqrt(error / way);
  if (!(relative <= most_weight_difference))
    fail_msg("method %d, %s: '%s' differs by %.3g", method, cnn_trainer_settings(run->trainer), name,
             relative);
  return relative;
}

/* The factors of one line: `schedule TEXT | warmup epochs epoch`, and before each of plateau's a measure. */
static double check_schedule(FILE *golden, char *line) {
  char *bar = strchr(line, '|');
  struct schedule schedule;
  struct plateau plateau = {.factor = 1};
  assert_non_null(bar);
  *bar = 0;
  double warmup = strtod(bar + 1, &bar), most = 0;
  long epochs = strtol(bar, &bar, 10), epoch = strtol(bar, &bar, 10);
  assert_true(epochs > 0 && epoch > 0 && !*bar);
  ok(schedule_read(line + strlen("schedule "), warmup, epochs, epoch, &schedule));
  bool measured = schedule_is_plateau(&schedule);
  for (long step = 0; step < epochs * epoch; step++) {
    if (measured) schedule_measured(&schedule, &plateau, next_number(golden));
    double torch = next_number(golden), factor = schedule_factor(&schedule, step) * plateau.factor;
    double difference = fabs(factor - torch);
    if (!(difference <= most_factor_difference))
      fail_msg("%s: step %ld: the factor is %.17g, PyTorch's is %.17g", line, step, factor, torch);
    most = fmax(most, difference);
  }
  return most;
}

static void schedules(void **state) {
  (void)state;
  FILE *golden = fopen(GOLDEN, "r");
  char line[256];
  double most = 0;
  bool seen[64] = {false};
  assert_non_null(golden);
  while (next_line(golden, line, sizeof line) && strncmp(line, "schedule ", 9) == 0) {
    for (int i = 0; i < cnn_schedule_count(); i++) {
      size_t length = strlen(cnn_schedule_get(i).name);
      if (strncmp(line + 9, cnn_schedule_get(i).name, length) == 0 && line[9 + length] == ' ') seen[i] = true;
    }
    most = fmax(most, check_schedule(golden, line));
  }
  for (int i = 0; i < cnn_schedule_count(); i++)
    if (!seen[i]) fail_msg("'%s' is not compared with PyTorch", cnn_schedule_get(i).name);
  print_message("schedules differ by at most %.2g from PyTorch's\n", most);
  fclose(golden);
}

static void weights(void **state) {
  (void)state;
  FILE *golden = fopen(GOLDEN, "r");
  char line[4096];
  assert_non_null(golden);
  do assert_true(next_line(golden, line, sizeof line));
  while (strncmp(line, "run ", 4));
  for (int i = 0; i < METHODS; i++) {
    struct training_run run = run_new(&methods[i]), fresh = run_new(&methods[i]);
    if (i) assert_int_equal(fscanf(golden, " %4095[^\n]", line), 1);
    assert_string_equal(line + 4, cnn_trainer_settings(run.trainer));
    ok(cnn_trainer_run(run.trainer));
    double most = 0;
    for (int w = 0; w < cnn_net_weight_count(run.net); w++) {
      cnn_weight_info weight;
      ok(cnn_net_weight(run.net, w, &weight));
      most = fmax(most, check_weight(golden, &run, &fresh, &weight, i));
    }
    print_message("%-8s %-32s weights differ by at most %.2g of their way\n", methods[i].optimizer,
                  methods[i].schedule, most);
    run_free(&run);
    run_free(&fresh);
  }
  assert_false(next_line(golden, line, sizeof line));
  fclose(golden);
}

static void every_optimizer_is_here(void **state) {
  (void)state;
  for (int o = 0; cnn_optimizer_name(o); o++) {
    int found[2] = {0};
    for (int i = 0; i < METHODS; i++)
      if (strcmp(methods[i].optimizer, cnn_optimizer_name(o)) == 0 && methods[i].weight_decay > 0)
        found[methods[i].decay_biases]++;
    if (!found[0] || !found[1])
      fail_msg("'%s' with weight decay, of biases and not, is not compared with PyTorch",
               cnn_optimizer_name(o));
  }
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--dump") == 0) {
    dump(argv[2]);
    return 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(schedules), cmocka_unit_test(weights),
                                     cmocka_unit_test(every_optimizer_is_here)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
