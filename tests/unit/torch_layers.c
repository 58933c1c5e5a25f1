/* Layers alone and networks of nets/ against PyTorch in float64: tests/golden/torch-layers.txt, made by
 * tools/make-layer-golden.py, which runs this program with --dump for the networks' first weights. */
#include "engine.h"

#define GOLDEN CNN_SOURCE_DIR "/tests/golden/torch-layers.txt"

static const double most_layer_difference = 1e-6, most_net_difference = 1e-5; /* relative, in norm */
enum { LAYERS = 12, MOST = 4096, BATCH = 4, SAMPLES = 64 };
static const char *const nets[] = {"lenet5-1998", "mobile"};
enum { NETS = sizeof nets / sizeof *nets };

/* The values of pattern() in the script. */
static void fill(float *values, int64_t count, int64_t factor, int64_t offset, int64_t modulus,
                 float divisor) {
  for (int64_t i = 0; i < count; i++) {
    int64_t whole = (i * factor + offset) % modulus - modulus / 2;
    values[i] = (float)whole / divisor;
  }
}

/* Normalisations begin as 1 and 0 everywhere; here they and their running values differ by channel. */
static void vary_batchnorm(const cnn_net *net, cnn_plan *plan) {
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    float values[MOST];
    ok(cnn_net_weight(net, w, &info));
    if (strncmp(info.name, "batchnorm", 9) != 0) continue;
    bool factor = strstr(info.name, ".weight") || strstr(info.name, ".running_var");
    fill(values, info.count, 31, 5 + w, 41, 80);
    for (int64_t i = 0; factor && i < info.count; i++) values[i] += 1;
    ok(cnn_plan_set_weight(plan, info.name, values, info.count));
  }
}

static cnn_plan *net_plan(const char *name, cnn_net **net) {
  cnn_plan *plan;
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = BATCH;
  ok(cnn_net_load(name, net));
  ok(cnn_plan_new(*net, &options, &plan));
  vary_batchnorm(*net, plan);
  return plan;
}

static int dump(const char *folder) {
  for (int i = 0; i < NETS; i++) {
    char path[2048];
    cnn_net *net;
    cnn_plan *plan = net_plan(nets[i], &net);
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, nets[i]);
    cnn_status status = cnn_model_save(path, plan, NULL);
    cnn_plan_free(plan);
    cnn_net_free(net);
    if (status != CNN_OK) return 1;
  }
  return 0;
}

/* ---- the golden file: lines of '#', then words ---- */

static FILE *open_golden(void) {
  FILE *file = fopen(GOLDEN, "r");
  if (!file) fail_msg("%s is missing", GOLDEN);
  char line[256];
  long start;
  do start = ftell(file);
  while (fgets(line, sizeof line, file) && line[0] == '#');
  assert_int_equal(fseek(file, start, SEEK_SET), 0);
  return file;
}

static bool next_word(FILE *file, char word[256]) { return fscanf(file, " %255s", word) == 1; }

static double next_number(FILE *file) {
  char word[256], *end;
  assert_true(next_word(file, word));
  double value = strtod(word, &end);
  if (*end) fail_msg("'%s' in a golden file is no number", word);
  return value;
}

static void expect(FILE *file, const char *expected) {
  char word[256];
  assert_true(next_word(file, word));
  assert_string_equal(word, expected);
}

/* The next array against every `step`-th of `count` values, in norm. */
static double compare(FILE *golden, const char *of, const char *name, const float *values, int64_t count,
                      int64_t step, double limit) {
  double error = 0, norm = 0;
  expect(golden, name);
  assert_int_equal(next_number(golden), (count + step - 1) / step);
  for (int64_t i = 0; i < count; i += step) {
    double torch = next_number(golden);
    error += ((double)values[i] - torch) * ((double)values[i] - torch);
    norm += torch * torch;
  }
  assert_true(norm > 0);
  if (!(sqrt(error / norm) <= limit)) fail_msg("%s: %s differs by %.3g", of, name, sqrt(error / norm));
  return sqrt(error / norm);
}

static int64_t elements(cnn_shape s) { return s.n * s.c * s.h * s.w; }

/* ---- one layer ---- */

static float values[MOST], gradient[MOST];
static void set_dy(void *context, int64_t n0, int64_t n1) {
  const struct view *dy = context;
  view_write(dy, n0, n1, gradient + n0 * dy->shape.c * dy->shape.h * dy->shape.w);
}

static double check_layer(FILE *golden) {
  char line[256], text[512];
  cnn_net *net;
  cnn_plan *plan;
  assert_true(next_word(golden, line));
  for (char *at = line; *at; at++)
    if (*at == '_') *at = ' ';
  cnn_shape in;
  in.n = (int64_t)next_number(golden), in.c = (int64_t)next_number(golden);
  in.h = (int64_t)next_number(golden), in.w = (int64_t)next_number(golden);
  snprintf(text, sizeof text, "input shape=%" PRId64 "x%" PRId64 "x%" PRId64 "\n%s\n", in.c, in.h, in.w,
           line);
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = in.n, .loss = CNN_LOSS_MEAN_SQUARED_ERROR};
  ok(cnn_net_parse(text, line, &net));
  ok(plan_new(net, &options, true, &plan));
  struct step *step = &plan->steps[1];
  cnn_shape out = step->y.shape;
  assert_true(elements(in) <= MOST && elements(out) <= MOST);
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    fill(values, net->weights[w].booking.packed, 31337, 5 + w, 1009, 1000);
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    ok(cnn_plan_set_weight(plan, info.name, values, info.count));
  }
  fill(values, elements(in), 7919, 3, 2001, 400);
  fill(gradient, elements(out), 104729, 17, 1999, 500);
  view_write(&plan->steps[0].y, 0, in.n, values);
  exec_gradient(plan, in.n, &(struct hooks){.scored = set_dy, .context = &step->dy});
  view_read(&step->y, 0, in.n, values);
  double most = compare(golden, line, "y", values, elements(out), 1, most_layer_difference);
  view_read(&step->dx[0], 0, in.n, values);
  most = fmax(most, compare(golden, line, "dx", values, elements(in), 1, most_layer_difference));
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    assert_true(info.count <= MOST);
    ok(cnn_plan_get_gradient(plan, info.name, values, info.count));
    most = fmax(most, compare(golden, line, "dw", values, info.count, 1, most_layer_difference));
  }
  cnn_plan_free(plan);
  cnn_net_free(net);
  return most;
}

static void layers(void **state) {
  (void)state;
  FILE *golden = open_golden();
  char word[256];
  double most = 0;
  int count = 0;
  for (; next_word(golden, word) && strcmp(word, "layer") == 0; count++)
    most = fmax(most, check_layer(golden));
  assert_int_equal(count, LAYERS);
  assert_string_equal(word, "net");
  print_message("%d layers differ by at most %.2g from PyTorch's in float64\n", count, most);
  fclose(golden);
}

/* ---- networks ---- */

static int trained(const cnn_net *net) {
  int count = 0;
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    count += info.trained;
  }
  return count;
}

static double check_gradients(FILE *golden, const char *name, const cnn_plan *plan, int weights) {
  double most = 0;
  for (int w = 0; w < weights; w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(cnn_plan_net(plan), w, &info));
    if (!info.trained) continue;
    float *dw = malloc((size_t)info.count * sizeof *dw);
    assert_non_null(dw);
    ok(cnn_plan_get_gradient(plan, info.name, dw, info.count));
    expect(golden, info.name);
    double norm = 0, torch = next_number(golden);
    for (int64_t i = 0; i < info.count; i++) norm += (double)dw[i] * (double)dw[i];
    if (!(fabs(sqrt(norm) - torch) <= most_net_difference * torch))
      fail_msg("%s: the gradient of %s is of norm %.9g, not %.9g", name, info.name, sqrt(norm), torch);
    int64_t step = (info.count + SAMPLES - 1) / SAMPLES;
    most = fmax(most, compare(golden, info.name, "every", dw, info.count, step, most_net_difference));
    free(dw);
  }
  return most;
}

static double check_net(FILE *golden, const char *name) {
  static const int32_t labels[BATCH] = {0, 3, 9, 5};
  cnn_net *net;
  cnn_plan *plan = net_plan(name, &net);
  cnn_shape in = cnn_net_input(net);
  in.n = BATCH;
  float *x = malloc((size_t)elements(in) * sizeof *x), y[BATCH * 10], loss;
  assert_non_null(x);
  fill(x, elements(in), 7919, 3, 2001, 1000);
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, in}, labels, &loss));
  expect(golden, name);
  double torch = next_number(golden);
  assert_true(fabs((double)loss - torch) <= most_net_difference * torch);
  assert_int_equal(next_number(golden), trained(net));
  ok(cnn_plan_forward(plan, (cnn_tensor){x, in}, (cnn_tensor){y, {BATCH, 10, 1, 1}}));
  for (int i = 0; i < BATCH * 10; i++) y[i] = (float)log((double)y[i]);
  double most = compare(golden, name, "log-probabilities", y, BATCH * 10, 1, most_net_difference);
  most = fmax(most, check_gradients(golden, name, plan, cnn_net_weight_count(net)));
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return most;
}

static void networks(void **state) {
  (void)state;
  FILE *golden = open_golden();
  char word[256];
  while (next_word(golden, word) && strcmp(word, "net") != 0) continue;
  for (int i = 0; i < NETS; i++) {
    assert_string_equal(word, "net");
    double most = check_net(golden, nets[i]);
    print_message("%s: outputs and gradients differ by at most %.2g from PyTorch's in float64\n", nets[i],
                  most);
    assert_int_equal(next_word(golden, word), i + 1 < NETS);
  }
  fclose(golden);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--dump") == 0) return dump(argv[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(layers), cmocka_unit_test(networks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
