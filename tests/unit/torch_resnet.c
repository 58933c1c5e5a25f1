/* nets/resnet20.net in PyTorch, with the same weights: the scores and every weight's gradient of a training
 * step, and the probabilities of evaluation. What PyTorch gave is kept in tests/golden/torch-resnet20.txt,
 * made by tools/make-torch-batchnorm.py, which runs this program with `--dump FOLDER` for the weights. */
#include "golden.h"
#include "plans.h"

enum { IMAGES = 4, CLASSES = 10, PIXELS = 3 * 32 * 32 };

/* Relative, in norm; PyTorch computed in double. */
static const double most = 1e-4;

/* The weights of seed 3, but that those of normalisations differ from channel to channel. */
static cnn_plan *resnet(cnn_net **net) {
  ok(cnn_net_load("resnet20", net));
  cnn_plan *plan = plan_of(*net, training(IMAGES));
  for (int w = 0; w < cnn_net_weight_count(*net); w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(*net, w, &info));
    if (info.dims != 1 || !info.trained) continue;
    bool bias = strstr(info.name, ".bias") != NULL;
    float *values = golden_pattern(info.count, 31, 5 + w, 41, 80);
    for (int64_t i = 0; !bias && i < info.count; i++) values[i] += 1;
    ok(cnn_plan_set_weight(plan, info.name, values, info.count));
    free(values);
  }
  return plan;
}

static void compare_gradient(FILE *golden, const cnn_plan *plan, const cnn_weight_info *info, double *worst) {
  float *values = malloc((size_t)info->count * sizeof *values);
  double norm = 0;
  assert_non_null(values);
  ok(cnn_plan_get_gradient(plan, info->name, values, info->count));
  for (int64_t i = 0; i < info->count; i++) norm += (double)values[i] * (double)values[i];
  golden_word(golden, "norm");
  double torch = golden_number(golden), apart = fabs(sqrt(norm) - torch) / torch;
  if (!(apart <= most)) fail_msg("%s: the gradient's norm is %g, not %g", info->name, sqrt(norm), torch);
  *worst = fmax(*worst, apart);
  golden_compare(golden, info->name, values, info->count, (info->count + 31) / 32, most);
  free(values);
}

struct kept {
  const cnn_plan *plan;
  float scores[IMAGES * CLASSES];
};

/* Scores make room for others when the loss is known. */
static void keep_scores(void *context, int64_t n0, int64_t n1) {
  struct kept *kept = context;
  view_read(plan_scores(kept->plan), n0, n1, kept->scores + n0 * CLASSES);
}

static void as_in_torch(void **state) {
  (void)state;
  cnn_net *net;
  cnn_plan *plan = resnet(&net);
  FILE *golden = golden_open("torch-resnet20.txt");
  float *x = golden_pattern(IMAGES * PIXELS, 7919, 3, 2001, 400), loss;
  const int32_t labels[IMAGES] = {3, 1, 4, 1};
  struct kept kept = {.plan = plan};
  double worst = 0;
  ok(cnn_plan_gradient(plan, images(plan, x, IMAGES), labels, &loss));
  golden_word(golden, "loss");
  assert_float_equal(loss, golden_number(golden), 1e-5);
  exec_gradient(plan, IMAGES, &(struct hooks){.scored = keep_scores, .context = &kept});
  golden_compare(golden, "scores", kept.scores, IMAGES * CLASSES, 1, most);
  float *probabilities = forward(plan, x, IMAGES);
  golden_compare(golden, "probabilities", probabilities, IMAGES * CLASSES, 1, most);
  ok(cnn_plan_gradient(plan, images(plan, x, IMAGES), labels, &loss));
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    if (info.trained) compare_gradient(golden, plan, &info, &worst);
  }
  print_message("norms of gradients differ by at most %.1e\n", worst);
  free(probabilities);
  free(x);
  fclose(golden);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static int dump(const char *folder) {
  char path[512];
  cnn_net *net;
  cnn_plan *plan = resnet(&net);
  snprintf(path, sizeof path, "%s/resnet20.safetensors", folder);
  ok(cnn_model_save(path, plan, NULL));
  cnn_plan_free(plan);
  cnn_net_free(net);
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--dump") == 0) return dump(argv[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_in_torch)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
