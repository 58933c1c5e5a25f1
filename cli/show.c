/* See show.h. */
#include "show.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

int show_result(cnn_status status) {
  if (status == CNN_E_MEMORY) return fail_with("out of memory");
  return status == CNN_OK ? EXIT_SUCCESS : fail();
}

const char *show_class(const cnn_model *model, int64_t index, char buffer[96]) {
  const char *name = cnn_model_class(model, (int)index);
  snprintf(buffer, 96, "%lld", (long long)index);
  return name ? name : buffer;
}

/* ---- Models at work ---- */

static cnn_status allocate(cnn_tensor *t) {
  int64_t count;
  cnn_status status = cnn_shape_count(t->shape, &count);
  if (status != CNN_OK) return status;
  t->data = calloc((size_t)count, sizeof *t->data);
  return t->data ? CNN_OK : CNN_E_MEMORY;
}

cnn_status seen_open(const struct show *show, cnn_mode mode, int64_t batch, struct seen *seen) {
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = mode;
  options.batch = batch;
  options.threads = (int)show->threads;
  options.keep = true;
  cnn_status status = cnn_model_load(show->model, &seen->model);
  if (status == CNN_OK) status = cnn_plan_new(cnn_model_net(seen->model), &options, &seen->plan);
  if (status == CNN_OK) status = cnn_model_apply(seen->model, seen->plan);
  if (status != CNN_OK) return status;
  seen->x.shape = cnn_model_image(seen->model);
  seen->y.shape = cnn_net_output(cnn_model_net(seen->model));
  status = allocate(&seen->x);
  return status == CNN_OK ? allocate(&seen->y) : status;
}

void seen_free(struct seen *seen) {
  free(seen->x.data);
  free(seen->y.data);
  cnn_plan_free(seen->plan);
  cnn_model_free(seen->model);
}

cnn_status open_data(const struct show *show, cnn_shape taken, cnn_dataset **data, cnn_split *split) {
  cnn_dataset_options options = cnn_dataset_defaults();
  options.image = taken;
  cnn_status status = cnn_dataset_open(show->data, &options, data);
  if (status != CNN_OK) return status;
  *split = strcmp(show->split, "train") == 0 ? CNN_SPLIT_TRAIN : CNN_SPLIT_TEST;
  cnn_shape image = cnn_dataset_image(*data);
  if (image.c != taken.c || image.h != taken.h || image.w != taken.w) {
    fail_with("images of '%s' are %lldx%lldx%lld, the model takes %lldx%lldx%lld", show->data,
              (long long)image.c, (long long)image.h, (long long)image.w, (long long)taken.c,
              (long long)taken.h, (long long)taken.w);
    exit(EXIT_FAILURE);
  }
  return CNN_OK;
}

static cnn_status read_from_data(const struct show *show, cnn_tensor x) {
  cnn_dataset *data;
  cnn_split split;
  cnn_status status = open_data(show, x.shape, &data, &split);
  if (status != CNN_OK) return status;
  status = cnn_dataset_read(data, split, show->index, x.data, NULL);
  cnn_dataset_free(data);
  return status;
}

void keep_middle(cnn_tensor *x, cnn_shape in) {
  int64_t top = (x->shape.h - in.h) / 2, left = (x->shape.w - in.w) / 2;
  cnn_tensor middle = {x->data, in};
  for (int64_t i = 0; i < in.c * in.h * in.w; i++) /* forwards, so in place */
    middle.data[i] = *cnn_tensor_at(*x, 0, i / (in.h * in.w), top + i / in.w % in.h, left + i % in.w);
  *x = middle;
}

cnn_status seen_forward(const struct show *show, struct seen *seen) {
  int64_t count = seen->x.shape.c * seen->x.shape.h * seen->x.shape.w;
  cnn_status status =
      show->image ? cnn_image_read(show->image, seen->x.shape, seen->x.data) : read_from_data(show, seen->x);
  for (int64_t i = 0; show->invert && status == CNN_OK && i < count; i++)
    seen->x.data[i] = 1 - seen->x.data[i];
  if (status != CNN_OK) return status;
  keep_middle(&seen->x, cnn_net_input(cnn_plan_net(seen->plan)));
  return cnn_plan_forward(seen->plan, seen->x, seen->y);
}

cnn_status seen_output(const struct seen *seen, const char *layer, cnn_tensor *output) {
  const cnn_net *net = cnn_plan_net(seen->plan);
  cnn_layer_info info;
  cnn_tensor result = {0};
  int index;
  cnn_status status = cnn_net_find(net, layer, &index);
  if (status == CNN_OK) status = cnn_net_layer(net, index, &info);
  if (status != CNN_OK) return status;
  result.shape = info.out;
  status = allocate(&result);
  if (status == CNN_OK) status = cnn_plan_get_output(seen->plan, layer, result);
  if (status == CNN_OK)
    *output = result;
  else
    free(result.data);
  return status;
}

bool has_filters(const cnn_net *net, const cnn_layer_info *layer, cnn_weight_info *weight) {
  char name[160];
  snprintf(name, sizeof name, "%s.weight", layer->name);
  for (int w = 0; w < cnn_net_weight_count(net); w++)
    if (cnn_net_weight(net, w, weight) == CNN_OK && weight->dims >= 3 && strcmp(weight->name, name) == 0)
      return true;
  return false;
}

cnn_status read_filters(const cnn_plan *plan, const cnn_weight_info *weight, cnn_tensor *filters) {
  bool table = weight->dims == 3;
  cnn_tensor result = {.shape = {weight->dim[0], table ? 1 : weight->dim[1], weight->dim[table ? 1 : 2],
                                 weight->dim[table ? 2 : 3]}};
  cnn_status status = allocate(&result);
  if (status == CNN_OK) status = cnn_plan_get_weight(plan, weight->name, result.data, weight->count);
  if (status == CNN_OK)
    *filters = result;
  else
    free(result.data);
  return status;
}

cnn_status initial_plan(const cnn_model *model, cnn_plan **plan) {
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = CNN_INFER;
  options.batch = options.threads = 1;
  cnn_status status = cnn_model_seed(model, &options.seed);
  return status == CNN_OK ? cnn_plan_new(cnn_model_net(model), &options, plan) : status;
}

cnn_status find_filters(const cnn_plan *plan, const char *name, cnn_layer_info *layer, cnn_tensor *filters) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_weight_info weight;
  int index = 0, end = cnn_net_layer_count(net);
  cnn_status status = name ? cnn_net_find(net, name, &index) : CNN_OK;
  if (status != CNN_OK) return status;
  if (name) end = index + 1;
  for (; index < end; index++) {
    status = cnn_net_layer(net, index, layer);
    if (status != CNN_OK) return status;
    if (has_filters(net, layer, &weight)) break;
  }
  if (index >= end) {
    if (name)
      fail_with("layer '%s' has no filters; convolutions have (`cnn summary` lists the layers)", name);
    else
      fail_with("the network has no layer with filters; `cnn show features` and `why` work without");
    exit(EXIT_FAILURE);
  }
  return read_filters(plan, &weight, filters);
}

void to_probabilities(const cnn_plan *plan, float *outputs, int64_t count) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_layer_info last;
  if (cnn_net_layer(net, cnn_net_layer_count(net) - 1, &last) != CNN_OK || strcmp(last.kind, "softmax") == 0)
    return;
  double most = (double)outputs[0], sum = 0;
  for (int64_t i = 1; i < count; i++)
    if ((double)outputs[i] > most) most = (double)outputs[i];
  for (int64_t i = 0; i < count; i++) sum += exp((double)outputs[i] - most);
  for (int64_t i = 0; i < count; i++) outputs[i] = (float)(exp((double)outputs[i] - most) / sum);
}

/* ---- Pictures ---- */

cnn_status titled_sheet(cnn_tensor tiles, cnn_sheet_options options, cnn_picture **sheet, const char *format,
                        ...) {
  char title[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(title, sizeof title, format, arguments);
  va_end(arguments);
  options.title = title;
  return cnn_picture_sheet(tiles, &options, sheet);
}

cnn_status write_picture(cnn_status status, cnn_picture *picture, const char *path) {
  if (status == CNN_OK && picture) status = cnn_picture_write(picture, path);
  cnn_picture_free(picture);
  return status;
}

cnn_status join_pictures(cnn_picture **pictures, int count, bool across, cnn_picture **joined) {
  cnn_status status = cnn_picture_join(pictures, count, across, joined);
  for (int i = 0; i < count; i++) cnn_picture_free(pictures[i]);
  return status;
}
