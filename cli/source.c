/* Where a command's network comes from. train, summary, gradcheck and bench take a built-in name, a .net
 * file or (but for train) a model file; eval and predict take a model file. */
#include "source.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char model_ending[] = ".safetensors";

/* A safetensors file starts with eight bytes of length and the '{' of its header. */
static bool is_model(const char *path) {
  size_t length = strlen(path), ending = sizeof model_ending - 1;
  if (length > ending && strcmp(path + length - ending, model_ending) == 0) return true;
  if (!strpbrk(path, "/.")) return false; /* a built-in name, whatever lies in the folder */
  unsigned char start[9];
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  size_t got = fread(start, 1, sizeof start, file);
  fclose(file);
  return got == sizeof start && start[7] == 0 && start[8] == '{';
}

cnn_status source_load(const char *name, struct source *source) {
  cnn_status status;
  if (is_model(name)) {
    status = cnn_model_load(name, &source->model);
    if (status == CNN_OK) source->net = cnn_model_net(source->model);
    return status;
  }
  status = cnn_net_load(name, &source->owned);
  if (status == CNN_OK) status = cnn_net_check(source->owned);
  source->net = source->owned;
  return status;
}

void source_free(struct source *source) {
  cnn_net_free(source->owned);
  cnn_model_free(source->model);
  *source = (struct source){0};
}

void source_base_name(const char *name, char *base, size_t size) {
  const char *slash = strrchr(name, '/');
  const char *start = slash ? slash + 1 : name;
  const char *dot = strrchr(start, '.');
  size_t length = dot && dot > start ? (size_t)(dot - start) : strlen(start);
  snprintf(base, size, "%.*s", (int)length, start);
}

/* A hundred, or fewer where their outputs and the gradients there are large. */
static int64_t usual_batch(const cnn_net *net) {
  int64_t values = 0;
  cnn_layer_info layer;
  for (int i = 0; i < cnn_net_layer_count(net); i++)
    if (cnn_net_layer(net, i, &layer) == CNN_OK) values += layer.out.c * layer.out.h * layer.out.w;
  int64_t fit = (int64_t)256000000 / (2 * (int64_t)sizeof(float) * (values + 1));
  return fit < 1 ? 1 : fit > 100 ? 100 : fit;
}

static cnn_loss loss_of(const cnn_model *model) {
  json_t *settings = json_loads(cnn_model_settings(model), 0, NULL);
  const char *name = json_string_value(json_object_get(settings, "loss"));
  cnn_loss loss = name && strcmp(name, "mse") == 0 ? CNN_LOSS_MEAN_SQUARED_ERROR : CNN_LOSS_CROSS_ENTROPY;
  json_decref(settings);
  return loss;
}

cnn_status source_model_plan(const char *path, bool inside, int64_t batch, int64_t threads, cnn_model **model,
                             cnn_plan **plan) {
  cnn_model *loaded = NULL;
  cnn_plan *built = NULL;
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = inside ? CNN_TRAIN : CNN_INFER;
  options.keep = inside;
  options.threads = (int)threads;
  cnn_status status = cnn_model_load(path, &loaded);
  if (status == CNN_OK) {
    options.batch = batch ? batch : usual_batch(cnn_model_net(loaded));
    options.loss = loss_of(loaded);
  }
  if (status == CNN_OK) status = cnn_plan_new(cnn_model_net(loaded), &options, &built);
  if (status == CNN_OK) status = cnn_model_apply(loaded, built);
  if (status != CNN_OK) {
    cnn_plan_free(built);
    cnn_model_free(loaded);
    return status;
  }
  *model = loaded;
  *plan = built;
  return CNN_OK;
}
