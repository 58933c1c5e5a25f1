/* The network of `cnn serve`: the bytes of an image in, JSON out. All memory but that of the texts is made at
 * the start, so how much it is does not depend on how often it is asked. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "serve.h"
#include "source.h"

enum {
  MOST_MAPS = 64,    /* of a layer that are sent; */
  MOST_CELLS = 4096, /* of one whose output is 1x1: cells */
};

/* A layer whose output the page shows. */
struct shown {
  cnn_layer_info layer;
  int64_t maps, values; /* that are sent, of all that its output has */
  int64_t count;        /* of its output */
};

struct look {
  char name[TEXT_SIZE];
  cnn_model *model;
  cnn_plan *plan;
  cnn_tensor x, y;
  int64_t pixels, classes;
  bool is_probability; /* the last layer is a softmax */
  cnn_shape input;     /* of the network: the image, or smaller */
  struct shown *shown;
  int shown_count;
  float *map;           /* a value for each pixel of the input */
  float *values;        /* of any one layer */
  unsigned char *bytes; /* the same, as they are sent */
  char *text;           /* and as base64, in quotes */
};

void look_free(struct look *look) {
  if (!look) return;
  free(look->x.data);
  free(look->y.data);
  free(look->shown);
  free(look->map);
  free(look->values);
  free(look->bytes);
  free(look->text);
  cnn_plan_free(look->plan);
  cnn_model_free(look->model);
  free(look);
}

cnn_shape look_image(const struct look *look) { return look->x.shape; }
int64_t look_bytes(const struct look *look) { return look->pixels; }
const cnn_net *look_net(const struct look *look) { return cnn_model_net(look->model); }

/* All layers but inputs. *most: the most values that one of them has. */
static cnn_status list_layers(struct look *look, int64_t *most) {
  const cnn_net *net = look_net(look);
  for (int i = 0; i < cnn_net_layer_count(net); i++) {
    struct shown *shown = &look->shown[look->shown_count];
    cnn_status status = cnn_net_layer(net, i, &shown->layer);
    if (status == CNN_OK) status = cnn_shape_count(shown->layer.out, &shown->count);
    if (status != CNN_OK) return status;
    if (shown->layer.inputs == 0) continue;
    int64_t plane = shown->layer.out.h * shown->layer.out.w, limit = plane == 1 ? MOST_CELLS : MOST_MAPS;
    shown->maps = shown->layer.out.c < limit ? shown->layer.out.c : limit;
    shown->values = shown->maps * plane;
    if (shown->count > *most) *most = shown->count;
    look->shown_count++;
  }
  look->is_probability = strcmp(look->shown[look->shown_count - 1].layer.kind, "softmax") == 0;
  return CNN_OK;
}

static bool make_memory(struct look *look, int64_t most) {
  look->x.data = calloc((size_t)look->pixels, sizeof *look->x.data);
  look->y.data = calloc((size_t)look->classes, sizeof *look->y.data);
  look->map = calloc((size_t)(look->input.h * look->input.w), sizeof *look->map);
  look->values = calloc((size_t)most, sizeof *look->values);
  look->bytes = calloc((size_t)most, 1);
  look->text = calloc((size_t)most / 3 * 4 + 16, 1);
  return look->x.data && look->y.data && look->map && look->values && look->bytes && look->text;
}

/* False after saying why not. */
static bool make(struct look *look, const char *path, int64_t threads) {
  if (source_model_plan(path, true, 1, threads, &look->model, &look->plan) != CNN_OK) return fail(), false;
  source_base_name(path, look->name, sizeof look->name);
  look->x.shape = cnn_model_image(look->model);
  look->y.shape = cnn_net_output(look_net(look));
  look->input = cnn_net_input(look_net(look));
  if (look->y.shape.h * look->y.shape.w != 1)
    return fail_with("'%s' gives more than one value for each class; there is no page for such networks",
                     path),
           false;
  look->shown = calloc((size_t)cnn_net_layer_count(look_net(look)), sizeof *look->shown);
  if (!look->shown) return fail_with("out of memory for '%s'", path), false;
  if (cnn_shape_count(look->x.shape, &look->pixels) != CNN_OK ||
      cnn_shape_count(look->y.shape, &look->classes) != CNN_OK)
    return fail(), false;
  int64_t most = look->pixels;
  if (list_layers(look, &most) != CNN_OK) return fail(), false;
  return make_memory(look, most) || (fail_with("out of memory for '%s'", path), false);
}

struct look *look_new(const char *path, int64_t threads) {
  struct look *look = calloc(1, sizeof *look);
  if (!look) return fail_with("out of memory for '%s'", path), NULL;
  if (make(look, path, threads)) return look;
  look_free(look);
  return NULL;
}

/* ---- The network's answers ---- */

/* look->y becomes the probabilities of an image. */
static cnn_status predict(struct look *look, const unsigned char *bytes) {
  for (int64_t i = 0; i < look->pixels; i++) look->x.data[i] = (float)bytes[i] / 255.0f;
  cnn_status status = cnn_plan_forward(look->plan, look->x, look->y);
  if (status == CNN_OK && !look->is_probability) scores_to_probabilities(look->y.data, look->classes);
  return status;
}

static int64_t best_class(const struct look *look) {
  int64_t best = 0;
  for (int64_t i = 1; i < look->classes; i++)
    if (look->y.data[i] > look->y.data[best]) best = i;
  return best;
}

/* look->values becomes the saliency of each pixel of the image that predict() had, for the best class: 0
 * around the middle, where the network takes the middle of a larger image. */
static cnn_status find_saliency(struct look *look) {
  cnn_tensor map = {look->map, {1, 1, look->input.h, look->input.w}};
  cnn_status status = cnn_saliency(look->plan, look->x, best_class(look), map);
  if (status != CNN_OK) return status;
  cnn_shape image = look->x.shape;
  int64_t top = (image.h - map.shape.h) / 2, left = (image.w - map.shape.w) / 2;
  memset(look->values, 0, (size_t)(image.h * image.w) * sizeof *look->values);
  for (int64_t h = 0; h < map.shape.h; h++)
    memcpy(look->values + (top + h) * image.w + left, cnn_tensor_at(map, 0, 0, h, 0),
           (size_t)map.shape.w * sizeof *look->values);
  return CNN_OK;
}

/* ---- JSON ---- */

/* The largest absolute value of look->values[0..count). */
static float largest_of(const struct look *look, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++)
    if (fabsf(look->values[i]) > largest) largest = fabsf(look->values[i]);
  return largest;
}

/* A key with look->values[0..count) as bytes: `steps` stands for the largest absolute value. What is not
 * finite becomes 0. */
static void write_values(struct look *look, struct json *out, const char *key, int64_t count, float largest,
                         float steps) {
  for (int64_t i = 0; i < count; i++) {
    float part = largest > 0 ? look->values[i] / largest : 0;
    look->bytes[i] = (unsigned char)(isfinite(part) ? lrintf(part * steps) : 0);
  }
  look->text[0] = '"';
  char *end = base64(look->bytes, (size_t)count, look->text + 1);
  strcpy(end, "\"");
  json_raw(out, key, look->text);
}

static void write_probabilities(const struct look *look, struct json *out) {
  json_open(out, "probabilities", '[');
  for (int64_t i = 0; i < look->classes; i++) json_float(out, NULL, look->y.data[i]);
  json_close(out, ']');
}

static void write_class_names(const struct look *look, struct json *out) {
  json_open(out, "classes", '[');
  for (int64_t i = 0; i < look->classes; i++) {
    char number[TEXT_SIZE];
    json_string(out, NULL, class_name(look->model, i, number));
  }
  json_close(out, ']');
}

struct answer {
  char *text;
  size_t size;
  struct json json;
};

static bool answer_begin(struct answer *answer) {
  *answer = (struct answer){0};
  answer->json.file = open_memstream(&answer->text, &answer->size);
  if (answer->json.file) json_open(&answer->json, NULL, '{');
  return answer->json.file;
}

static char *answer_end(struct answer *answer, size_t *size) {
  json_close(&answer->json, '}');
  fputc('\n', answer->json.file);
  bool failed = ferror(answer->json.file);
  if (fclose(answer->json.file) != 0 || failed) {
    free(answer->text);
    return NULL;
  }
  *size = answer->size;
  return answer->text;
}

char *look_model(const struct look *look, size_t *size) {
  struct answer answer;
  if (!answer_begin(&answer)) return NULL;
  struct json *out = &answer.json;
  json_string(out, "model", look->name);
  json_shape(out, "image", look->x.shape);
  write_class_names(look, out);
  json_open(out, "layers", '[');
  for (int i = 0; i < look->shown_count; i++) {
    const struct shown *shown = &look->shown[i];
    json_open(out, NULL, '{');
    json_string(out, "name", shown->layer.name);
    json_string(out, "kind", shown->layer.kind);
    json_shape(out, "shape", shown->layer.out);
    json_integer(out, "maps", shown->maps);
    json_close(out, '}');
  }
  json_close(out, ']');
  return answer_end(&answer, size);
}

char *look_predict(struct look *look, const unsigned char *bytes, size_t *size) {
  struct answer answer;
  if (predict(look, bytes) != CNN_OK || !answer_begin(&answer)) return NULL;
  struct json *out = &answer.json;
  char number[TEXT_SIZE];
  json_string(out, "class", class_name(look->model, best_class(look), number));
  write_probabilities(look, out);
  return answer_end(&answer, size);
}

static cnn_status write_layers(struct look *look, struct json *out) {
  cnn_status status = CNN_OK;
  json_open(out, "layers", '[');
  for (int i = 0; i < look->shown_count && status == CNN_OK; i++) {
    const struct shown *shown = &look->shown[i];
    status = cnn_plan_get_output(look->plan, shown->layer.name, (cnn_tensor){look->values, shown->layer.out});
    float largest = largest_of(look, shown->values);
    json_open(out, NULL, '{');
    json_float(out, "largest", largest);
    write_values(look, out, "values", shown->values, largest, 127);
    json_close(out, '}');
  }
  json_close(out, ']');
  return status;
}

char *look_inside(struct look *look, const unsigned char *bytes, size_t *size) {
  struct answer answer;
  if (predict(look, bytes) != CNN_OK || !answer_begin(&answer)) return NULL;
  struct json *out = &answer.json;
  int64_t plane = look->x.shape.h * look->x.shape.w;
  write_probabilities(look, out);
  cnn_status status = write_layers(look, out);
  if (status == CNN_OK) status = find_saliency(look);
  write_values(look, out, "saliency", plane, largest_of(look, plane), 255);
  char *text = answer_end(&answer, size);
  if (status == CNN_OK) return text;
  free(text);
  return NULL;
}
