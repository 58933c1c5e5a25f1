/* Model files: the weights of a plan by name, its network as text, and the run's settings, in one
 * safetensors file. Called through cnn.h.
 *
 * In the file's metadata: "format" = "cnn", "cnn_version" = "1", "net" = the .net text, "settings" =
 * JSON text, "classes" = JSON text, an array of names. The tensors are those of cnn_net_weight(), in
 * its order, all F32. A file that lacks one of them, or has one more, is refused.
 *
 * Where the plan does something to its input (net/input.h), "image" = "256x256" is the size of images that
 * the network's input is cropped from, and the tensors "input.mean", (c) or (c, h, w), and "input.factor",
 * (c), normalise values; a library that does not know them refuses the file. */
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "core/memory.h"
#include "core/text.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "net/input.h"
#include "net/net.h"

#define MODEL_VERSION "1"

enum { SETTINGS_DEPTH = 32, CLASSES_DEPTH = 1 };

struct cnn_model {
  struct safetensors *file;
  cnn_net *net;
  json_t *classes;                        /* NULL where it has none */
  cnn_shape image;                        /* that it takes */
  const struct safetensor *mean, *factor; /* NULL: not normalised */
};

static const char mean_name[] = "input.mean", factor_name[] = "input.factor",
                  variance_name[] = ".running_var";

/* The first value that is not finite, or -1. */
static int64_t find_not_finite(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(values[i])) return i;
  return -1;
}

static cnn_status check_class_count(size_t count, const cnn_net *net, cnn_status otherwise) {
  int64_t outputs;
  CNN_TRY(cnn_shape_count(cnn_net_output(net), &outputs));
  if (count <= INT_MAX && (int64_t)count <= outputs) return CNN_OK;
  return CNN_FAIL(otherwise, "%zu names of classes, but the network has %lld outputs", count,
                  (long long)outputs);
}

static cnn_status check_settings(const char *settings, cnn_status otherwise) {
  json_t *value;
  cnn_status status = io_json_read(settings, strlen(settings), SETTINGS_DEPTH, &value);
  if (status == CNN_OK) {
    if (!json_is_object(value)) status = CNN_FAIL(CNN_E_FORMAT, "not a JSON object");
    json_decref(value);
  }
  if (status != CNN_E_FORMAT) return status;
  status_prefix("settings: ");
  return otherwise;
}

/* ---- Saving ---- */

static struct safetensor tensor_of(const cnn_weight_info *weight) {
  struct safetensor tensor = {.name = weight->name, .dims = weight->dims, .count = weight->count};
  for (int i = 0; i < weight->dims; i++) tensor.dim[i] = weight->dim[i];
  return tensor;
}

static cnn_status get_values(const cnn_plan *plan, const char *name, float *values, int64_t count) {
  const float *from = NULL;
  if (strcmp(name, mean_name) == 0) from = input_of(plan)->mean;
  if (strcmp(name, factor_name) == 0) from = input_of(plan)->factor;
  if (!from) return cnn_plan_get_weight(plan, name, values, count);
  memcpy(values, from, (size_t)count * sizeof *values);
  return CNN_OK;
}

static bool is_variance(const char *name) {
  size_t length = strlen(name), end = strlen(variance_name);
  return length > end && strcmp(name + length - end, variance_name) == 0;
}

static int64_t find_below_0(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (values[i] < 0) return i;
  return -1;
}

static cnn_status fill(void *context, const struct safetensor *tensor, int64_t count, float *values) {
  const cnn_plan *plan = context;
  CNN_TRY(get_values(plan, tensor->name, values, count));
  int64_t below = is_variance(tensor->name) ? find_below_0(values, count) : -1;
  if (below >= 0)
    return CNN_FAIL(CNN_E_NUMERIC, "'%s' holds %g at element %lld, but no variance is below 0", tensor->name,
                    (double)values[below], (long long)below);
  int64_t bad = find_not_finite(values, count);
  if (bad < 0) return CNN_OK;
  return CNN_FAIL(CNN_E_NUMERIC,
                  "'%s' holds %f at element %lld: such a model is not saved; train again, with a "
                  "smaller learning rate",
                  tensor->name, (double)values[bad], (long long)bad);
}

static cnn_status quote_classes(const cnn_model_info *info, const cnn_net *net, struct text *text) {
  if (info->class_count < 0)
    return CNN_FAIL(CNN_E_ARGUMENT, "a class_count of %d: it must be >= 0", info->class_count);
  CNN_TRY(check_class_count((size_t)info->class_count, net, CNN_E_ARGUMENT));
  for (int i = 0; i < info->class_count; i++) {
    if (!info->classes[i]) return CNN_FAIL(CNN_E_ARGUMENT, "the name of class %d is NULL", i);
    text_add(text, i ? "," : "[");
    io_json_quote(text, info->classes[i]);
  }
  text_add(text, "]");
  return text->failed ? status_no_memory(text->size, "names of classes") : CNN_OK;
}

/* The tensors of a plan's normalisation; how many. */
static int add_input(const cnn_plan *plan, struct safetensor *tensors) {
  cnn_shape image = input_image(plan);
  int64_t means = input_of(plan)->means;
  if (!means) return 0;
  tensors[0] = (struct safetensor){.name = mean_name, .dims = 1, .dim = {image.c}, .count = means};
  if (means > image.c) {
    tensors[0].dims = 3;
    tensors[0].dim[1] = image.h;
    tensors[0].dim[2] = image.w;
  }
  tensors[1] = (struct safetensor){.name = factor_name, .dims = 1, .dim = {image.c}, .count = image.c};
  return 2;
}

static cnn_status save_tensors(const char *path, const cnn_plan *plan, const struct safetensors_note *notes,
                               int note_count) {
  const cnn_net *net = cnn_plan_net(plan);
  int count = cnn_net_weight_count(net);
  struct safetensor *tensors = mem_zeroed((size_t)count + 2, sizeof *tensors);
  if (!tensors) return status_no_memory((size_t)count * sizeof *tensors, "the list of tensors");
  cnn_status status = CNN_OK;
  for (int i = 0; status == CNN_OK && i < count; i++) {
    cnn_weight_info weight;
    status = cnn_net_weight(net, i, &weight);
    if (status == CNN_OK) tensors[i] = tensor_of(&weight);
  }
  if (status == CNN_OK) count += add_input(plan, tensors + count);
  if (status == CNN_OK)
    status = safetensors_write(path, notes, note_count, tensors, count, fill, (void *)(uintptr_t)plan);
  mem_free(tensors);
  return status;
}

/* The network as text; free it after success. */
static cnn_status write_net(const cnn_net *net, struct text *text) {
  net_write(net, text);
  cnn_status status = CNN_OK;
  if (text->failed)
    status = status_no_memory(0, "the network as text");
  else if (text->length > NET_LARGEST_TEXT)
    status =
        CNN_FAIL(CNN_E_ARGUMENT, "the network as text is longer than %d bytes, and could not be loaded again",
                 (int)NET_LARGEST_TEXT);
  if (status != CNN_OK) text_free(text);
  return status;
}

cnn_status cnn_model_save(const char *path, const cnn_plan *plan, const cnn_model_info *info) {
  if (!path || !plan) return CNN_FAIL(CNN_E_ARGUMENT, "cnn_model_save needs a path and a plan");
  if (info && info->settings) CNN_TRY(check_settings(info->settings, CNN_E_ARGUMENT));
  const cnn_net *net = cnn_plan_net(plan);
  struct text text = {0};
  CNN_TRY(write_net(net, &text));

  char size[48];
  struct safetensors_note notes[6] = {{"format", "cnn"}, {"cnn_version", MODEL_VERSION}, {"net", text.data}};
  int count = 3;
  if (info && info->settings) notes[count++] = (struct safetensors_note){"settings", info->settings};
  if (input_of(plan)->h) {
    snprintf(size, sizeof size, "%lldx%lld", (long long)input_of(plan)->h, (long long)input_of(plan)->w);
    notes[count++] = (struct safetensors_note){"image", size};
  }
  struct text classes = {0};
  cnn_status status = CNN_OK;
  if (info && info->classes && info->class_count != 0) {
    status = quote_classes(info, net, &classes);
    notes[count++] = (struct safetensors_note){"classes", classes.data};
  }
  if (status == CNN_OK) status = save_tensors(path, plan, notes, count);
  text_free(&text);
  text_free(&classes);
  return status;
}

/* ---- Loading: each of these checks one thing, in this order ---- */

static cnn_status check_kind(const struct safetensors *file) {
  const char *format = safetensors_metadata(file, "format");
  const char *version = safetensors_metadata(file, "cnn_version");
  if (!format || strcmp(format, "cnn") != 0 || !version)
    return CNN_FAIL(CNN_E_FORMAT,
                    "a safetensors file, but not a model of cnn: its metadata has no \"format\" = "
                    "\"cnn\" with a \"cnn_version\"; give a file that cnn_model_save() or `cnn train` wrote");
  if (strcmp(version, MODEL_VERSION) != 0)
    return CNN_FAIL(CNN_E_UNSUPPORTED,
                    "a model file of version '%s', and this library reads version '%s': use a "
                    "library that fits",
                    io_shown(version).text, MODEL_VERSION);
  return CNN_OK;
}

static cnn_status load_net(const char *path, cnn_model *model) {
  const char *net = safetensors_metadata(model->file, "net");
  if (!net) return CNN_FAIL(CNN_E_FORMAT, "%s: its metadata has no \"net\", the network as text", path);
  struct text source = {0};
  text_add(&source, "%s: net", path);
  cnn_status status = source.failed ? status_no_memory(strlen(path), "a file name")
                                    : cnn_net_parse(net, source.data, &model->net);
  text_free(&source);
  return status;
}

/* "256x256", at least as large as the network's input. */
static cnn_status load_image(cnn_model *model) {
  const char *size = safetensors_metadata(model->file, "image");
  model->image = cnn_net_input(model->net);
  if (!size) return CNN_OK;
  int64_t image[2];
  if (text_to_sizes(size, strlen(size), image, 2) != 2 || image[0] < model->image.h ||
      image[1] < model->image.w || image[0] > INT32_MAX || image[1] > INT32_MAX)
    return CNN_FAIL(CNN_E_FORMAT, "image: '%s' is not a size of at least %lldx%lld", io_shown(size).text,
                    (long long)model->image.h, (long long)model->image.w);
  model->image.h = image[0];
  model->image.w = image[1];
  return CNN_OK;
}

static bool same_dims(const struct safetensor *tensor, const cnn_weight_info *weight) {
  return tensor->dims == weight->dims &&
         memcmp(tensor->dim, weight->dim, (size_t)weight->dims * sizeof *tensor->dim) == 0;
}

static bool is_weight(const cnn_net *net, const char *name) {
  cnn_weight_info weight;
  for (int i = 0; i < cnn_net_weight_count(net); i++)
    if (cnn_net_weight(net, i, &weight) == CNN_OK && strcmp(weight.name, name) == 0) return true;
  return false;
}

/* Add "; the nearest there is 'conv1.bias'", of the file's tensors or, where file is NULL, of the
 * network's weights. Nothing where none is near. */
static void add_nearest(struct text *hint, const char *name, const struct safetensors *file,
                        const cnn_net *net) {
  int count = file ? safetensors_count(file) : cnn_net_weight_count(net);
  const char **names = mem_zeroed((size_t)count + 1, sizeof *names);
  if (!names) return; /* a hint that cannot be had is left out */
  for (int i = 0; i < count; i++) {
    cnn_weight_info weight = {.name = ""};
    if (!file && cnn_net_weight(net, i, &weight) != CNN_OK) continue;
    names[i] = file ? safetensors_get(file, i)->name : weight.name;
  }
  const char *nearest = text_nearest(name, names);
  if (nearest) text_add(hint, "; the nearest there is '%s'", io_shown(nearest).text);
  mem_free(names);
}

static cnn_status lacks(const struct safetensors *file, const char *name) {
  struct text hint = {0};
  add_nearest(&hint, name, file, NULL);
  cnn_status status = CNN_FAIL(CNN_E_FORMAT,
                               "the network has a weight '%s', but the file has no tensor of that "
                               "name%s",
                               io_shown(name).text, hint.data ? hint.data : "");
  text_free(&hint);
  return status;
}

static cnn_status extra(const struct safetensors *file, const cnn_net *net) {
  const char *name = "";
  for (int i = 0; i < safetensors_count(file); i++) {
    name = safetensors_get(file, i)->name;
    if (!is_weight(net, name) && strcmp(name, mean_name) != 0 && strcmp(name, factor_name) != 0) break;
  }
  struct text hint = {0};
  add_nearest(&hint, name, NULL, net);
  cnn_status status = CNN_FAIL(CNN_E_FORMAT,
                               "the file has a tensor '%s', but the network has no weight of that "
                               "name%s",
                               io_shown(name).text, hint.data ? hint.data : "");
  text_free(&hint);
  return status;
}

static cnn_status check_tensor(const struct safetensor *tensor, const cnn_weight_info *weight) {
  if (!same_dims(tensor, weight))
    return CNN_FAIL(CNN_E_SHAPE, "tensor '%s' has shape %s, but the network's weight has %s",
                    io_shown(weight->name).text, safetensors_shape(tensor->dims, tensor->dim).text,
                    safetensors_shape(weight->dims, weight->dim).text);
  if (!tensor->values)
    return CNN_FAIL(CNN_E_UNSUPPORTED, "tensor '%s' is of type %s%s: this library reads F32, so convert it",
                    io_shown(weight->name).text, tensor->type,
                    strcmp(tensor->type, "F32") == 0 ? ", badly aligned" : "");
  int64_t bad = find_not_finite(tensor->values, tensor->count);
  if (bad >= 0)
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s' holds %f at element %lld: the file is damaged",
                    io_shown(weight->name).text, (double)tensor->values[bad], (long long)bad);
  int64_t below = is_variance(weight->name) ? find_below_0(tensor->values, tensor->count) : -1;
  if (below >= 0)
    return CNN_FAIL(CNN_E_FORMAT, "tensor '%s' holds %g at element %lld, but no variance is below 0",
                    io_shown(weight->name).text, (double)tensor->values[below], (long long)below);
  return CNN_OK;
}

/* Tensors of the normalisation: both or none. */
static cnn_status load_input(cnn_model *model) {
  const struct safetensor *mean = safetensors_find(model->file, mean_name),
                          *factor = safetensors_find(model->file, factor_name);
  cnn_shape image = model->image;
  if (!mean && !factor) return CNN_OK;
  if (!mean || !factor)
    return CNN_FAIL(CNN_E_FORMAT, "the file has a tensor '%s', but no '%s'", mean ? mean_name : factor_name,
                    mean ? factor_name : mean_name);
  cnn_weight_info means = {.name = mean_name, .dims = 1, .dim = {image.c}, .count = image.c},
                  factors = {.name = factor_name, .dims = 1, .dim = {image.c}, .count = image.c};
  if (mean->dims == 3) means.dims = 3, means.dim[1] = image.h, means.dim[2] = image.w;
  CNN_TRY(check_tensor(mean, &means));
  CNN_TRY(check_tensor(factor, &factors));
  model->mean = mean;
  model->factor = factor;
  return CNN_OK;
}

/* Of the file: those that are weights. */
static int weight_tensors(const cnn_model *model) {
  return safetensors_count(model->file) - (model->mean ? 2 : 0);
}

static cnn_status check_tensors(const cnn_model *model) {
  int count = cnn_net_weight_count(model->net);
  for (int i = 0; i < count; i++) {
    cnn_weight_info weight;
    CNN_TRY(cnn_net_weight(model->net, i, &weight));
    const struct safetensor *tensor = safetensors_find(model->file, weight.name);
    if (!tensor) return lacks(model->file, weight.name);
    CNN_TRY(check_tensor(tensor, &weight));
  }
  /* names differ from each other on both sides, so that equal counts are equal sets */
  return weight_tensors(model) == count ? CNN_OK : extra(model->file, model->net);
}

static cnn_status load_classes(cnn_model *model) {
  const char *text = safetensors_metadata(model->file, "classes");
  if (!text) return CNN_OK;
  cnn_status status = io_json_read(text, strlen(text), CLASSES_DEPTH, &model->classes);
  if (status == CNN_E_FORMAT) status_prefix("classes: ");
  CNN_TRY(status);
  if (!json_is_array(model->classes)) return CNN_FAIL(CNN_E_FORMAT, "classes: not a JSON array");
  size_t count = json_array_size(model->classes);
  for (size_t i = 0; i < count; i++)
    if (!json_is_string(json_array_get(model->classes, i)))
      return CNN_FAIL(CNN_E_FORMAT, "classes: the name of class %zu is not a string", i);
  return check_class_count(count, model->net, CNN_E_FORMAT);
}

/* A network's name, or its text, where a model is wanted. */
static bool is_network(const char *path, cnn_status failure) {
  const char *name, *ending = strrchr(path, '.');
  for (int i = 0; (name = cnn_net_builtin(i)); i++)
    if (failure == CNN_E_IO && strcmp(path, name) == 0) return true;
  return failure == CNN_E_FORMAT && ending && strcmp(ending, ".net") == 0;
}

static cnn_status load(const char *path, cnn_model *model) {
  cnn_status status = safetensors_read(path, &model->file);
  if (is_network(path, status))
    return CNN_FAIL(status, "'%s' is a network, not a model: give the file that `cnn train %s` writes", path,
                    path);
  CNN_TRY(status);
  status = check_kind(model->file);
  if (status == CNN_OK) {
    CNN_TRY(load_net(path, model));
    status = load_image(model);
    if (status == CNN_OK) status = load_input(model);
    if (status == CNN_OK) status = check_tensors(model);
  }
  if (status == CNN_OK) status = check_settings(cnn_model_settings(model), CNN_E_FORMAT);
  if (status == CNN_OK) status = load_classes(model);
  if (status != CNN_OK && status != CNN_E_MEMORY) status_prefix("%s: ", path);
  return status;
}

cnn_status cnn_model_load(const char *path, cnn_model **model) {
  if (!path || !model)
    return CNN_FAIL(CNN_E_ARGUMENT, "cnn_model_load needs a path and a place for the model");
  cnn_model *loaded = mem_zeroed(1, sizeof *loaded);
  if (!loaded) return status_no_memory(sizeof *loaded, "a model");
  cnn_status status = load(path, loaded);
  if (status == CNN_OK)
    *model = loaded;
  else
    cnn_model_free(loaded);
  return status;
}

void cnn_model_free(cnn_model *model) {
  if (!model) return;
  json_decref(model->classes);
  cnn_net_free(model->net);
  safetensors_free(model->file);
  mem_free(model);
}

/* ---- Using ---- */

const cnn_net *cnn_model_net(const cnn_model *model) { return model->net; }

const char *cnn_model_text(const cnn_model *model) { return cnn_net_text(model->net); }

cnn_shape cnn_model_image(const cnn_model *model) { return model->image; }

const char *cnn_model_settings(const cnn_model *model) {
  const char *settings = safetensors_metadata(model->file, "settings");
  return settings ? settings : "{}";
}

cnn_status cnn_model_seed(const cnn_model *model, uint64_t *seed) {
  const char *settings = cnn_model_settings(model);
  json_t *value;
  CNN_TRY(io_json_read(settings, strlen(settings), SETTINGS_DEPTH, &value));
  const json_t *number = json_object_get(value, "weights_seed");
  bool found = json_is_integer(number) && json_integer_value(number) >= 0;
  if (found) *seed = (uint64_t)json_integer_value(number);
  if (json_is_string(number)) { /* one of more than 63 bits */
    char *end;
    uint64_t large = strtoull(json_string_value(number), &end, 10);
    found = *json_string_value(number) && !*end;
    if (found) *seed = large;
  }
  json_decref(value);
  return found
             ? CNN_OK
             : CNN_FAIL(CNN_E_DATA, "the model does not say from which seed its initial weights were drawn");
}

const char *cnn_model_class(const cnn_model *model, int index) {
  return index < 0 ? NULL : json_string_value(json_array_get(model->classes, (size_t)index));
}

/* What the model does to its input. A plan for inputs of another size keeps what does not depend on it. */
static cnn_status apply_input(const cnn_model *model, cnn_plan *plan) {
  cnn_shape ours = cnn_net_input(cnn_plan_net(plan)), theirs = cnn_net_input(model->net),
            image = model->image;
  bool same = ours.h == theirs.h && ours.w == theirs.w;
  if (model->mean && (ours.c != theirs.c || (!same && model->mean->dims == 3)))
    return CNN_FAIL(CNN_E_SHAPE,
                    "the plan's network takes %lldx%lldx%lld; the model has a mean %s, for an input of "
                    "%lldx%lldx%lld",
                    (long long)ours.c, (long long)ours.h, (long long)ours.w,
                    model->mean->dims == 3 ? "image" : "of each channel", (long long)theirs.c,
                    (long long)theirs.h, (long long)theirs.w);
  CNN_TRY(input_set_normal(plan, NULL, 0, NULL));
  CNN_TRY(input_set_image(plan, same ? image.h : ours.h, same ? image.w : ours.w));
  if (!model->mean) return CNN_OK;
  return input_set_normal(plan, model->mean->values, model->mean->count, model->factor->values);
}

cnn_status cnn_model_apply(const cnn_model *model, cnn_plan *plan) {
  if (!model || !plan) return CNN_FAIL(CNN_E_ARGUMENT, "cnn_model_apply needs a model and a plan");
  const cnn_net *net = cnn_plan_net(plan);
  int count = cnn_net_weight_count(net);
  if (count != weight_tensors(model))
    return CNN_FAIL(CNN_E_SHAPE, "the plan's network has %d weights, the model's has %d", count,
                    weight_tensors(model));
  for (int apply = 0; apply < 2; apply++) { /* first check all, then change anything */
    if (apply) CNN_TRY(apply_input(model, plan));
    for (int i = 0; i < count; i++) {
      cnn_weight_info weight;
      CNN_TRY(cnn_net_weight(net, i, &weight));
      const struct safetensor *tensor = safetensors_find(model->file, weight.name);
      if (!tensor || !same_dims(tensor, &weight))
        return CNN_FAIL(
            CNN_E_SHAPE, "weight '%s' of the plan's network has shape %s, the model's %s", weight.name,
            safetensors_shape(weight.dims, weight.dim).text,
            tensor ? safetensors_shape(tensor->dims, tensor->dim).text : "network has none of that name");
      if (apply) CNN_TRY(cnn_plan_set_weight(plan, weight.name, tensor->values, tensor->count));
    }
  }
  return CNN_OK;
}
