/* cnn predict: the most probable classes of PNG or JPEG files, a line a file. A file that cannot be read is
 * reported and the others go on; the exit code then is 1. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "source.h"

struct predictor {
  cnn_model *model;
  cnn_plan *plan;
  cnn_tensor x, y;
  int64_t pixels, classes;
  bool is_probability; /* the last layer is a softmax */
  bool invert, json;
  int64_t top;
  int64_t *order; /* classes, the `top` most probable first */
};

static void predictor_free(struct predictor *predictor) {
  free(predictor->x.data);
  free(predictor->y.data);
  free(predictor->order);
  cnn_plan_free(predictor->plan);
  cnn_model_free(predictor->model);
}

static cnn_status predictor_new(const char *path, int64_t threads, struct predictor *predictor) {
  cnn_status status = source_model_plan(path, false, 1, threads, &predictor->model, &predictor->plan);
  if (status != CNN_OK) return status;
  const cnn_net *net = cnn_model_net(predictor->model);
  cnn_layer_info last;
  predictor->x.shape = cnn_model_image(predictor->model);
  predictor->y.shape = cnn_net_output(net);
  status = cnn_shape_count(predictor->x.shape, &predictor->pixels);
  if (status == CNN_OK) status = cnn_shape_count(predictor->y.shape, &predictor->classes);
  if (status == CNN_OK) status = cnn_net_layer(net, cnn_net_layer_count(net) - 1, &last);
  if (status != CNN_OK) return status;
  predictor->is_probability = strcmp(last.kind, "softmax") == 0;
  if (predictor->top > predictor->classes) predictor->top = predictor->classes;
  predictor->x.data = calloc((size_t)predictor->pixels, sizeof *predictor->x.data);
  predictor->y.data = calloc((size_t)predictor->classes, sizeof *predictor->y.data);
  predictor->order = calloc((size_t)predictor->classes, sizeof *predictor->order);
  return predictor->x.data && predictor->y.data && predictor->order ? CNN_OK : CNN_E_MEMORY;
}

/* order[0..top): the classes with the largest values, the lower class first where two are the same. */
static void choose(struct predictor *predictor) {
  const float *values = predictor->y.data;
  int64_t *order = predictor->order;
  for (int64_t i = 0; i < predictor->classes; i++) order[i] = i;
  for (int64_t k = 0; k < predictor->top; k++) {
    int64_t best = k;
    for (int64_t i = k + 1; i < predictor->classes; i++) {
      float ours = values[order[i]], theirs = values[order[best]];
      if (ours > theirs || (ours == theirs && order[i] < order[best])) best = i;
    }
    int64_t chosen = order[best];
    order[best] = order[k];
    order[k] = chosen;
  }
}

static cnn_status predict(struct predictor *predictor, const char *path) {
  cnn_status status = cnn_image_read(path, predictor->x.shape, predictor->x.data);
  if (status != CNN_OK) return status;
  if (predictor->invert)
    for (int64_t i = 0; i < predictor->pixels; i++) predictor->x.data[i] = 1 - predictor->x.data[i];
  status = cnn_plan_forward(predictor->plan, predictor->x, predictor->y);
  if (status != CNN_OK) return status;
  if (!predictor->is_probability) scores_to_probabilities(predictor->y.data, predictor->classes);
  choose(predictor);
  return CNN_OK;
}

static void print_text(const struct predictor *predictor, const char *path) {
  char buffer[TEXT_SIZE];
  printf("%s:", path);
  for (int64_t k = 0; k < predictor->top; k++) {
    int64_t index = predictor->order[k];
    printf("%s %s %.4f", k ? "," : "", class_name(predictor->model, index, buffer),
           (double)predictor->y.data[index]);
  }
  putchar('\n');
}

static void print_json(const struct predictor *predictor, const char *path, const char *error,
                       struct json *out) {
  char buffer[TEXT_SIZE];
  json_open(out, NULL, '{');
  json_string(out, "path", path);
  if (error) {
    json_string(out, "error", error);
    json_close(out, '}');
    return;
  }
  json_open(out, "classes", '[');
  for (int64_t k = 0; k < predictor->top; k++) {
    int64_t index = predictor->order[k];
    json_open(out, NULL, '{');
    json_string(out, "class", class_name(predictor->model, index, buffer));
    json_float(out, "probability", predictor->y.data[index]);
    json_close(out, '}');
  }
  json_close(out, ']');
  json_close(out, '}');
}

static int predict_all(struct predictor *predictor, char **paths, int count) {
  struct json out = {stdout, false};
  int result = EXIT_SUCCESS;
  if (predictor->json) json_open(&out, NULL, '[');
  for (int i = 0; i < count; i++) {
    bool failed = predict(predictor, paths[i]) != CNN_OK;
    if (predictor->json)
      print_json(predictor, paths[i], failed ? cnn_why() : NULL, &out);
    else if (!failed)
      print_text(predictor, paths[i]);
    if (failed) result = fail();
  }
  if (predictor->json) {
    json_close(&out, ']');
    putchar('\n');
  }
  return result;
}

int cmd_predict(int argc, char **argv) {
  struct predictor predictor = {.top = 3};
  int64_t threads = 0;
  const struct option_row rows[] = {
      ROW_WHOLE("top", "K", &predictor.top, 1, 1e6, NULL, "print the K most probable classes"),
      ROW_SWITCH("invert", &predictor.invert, "swap black and white: for dark digits on white paper"),
      ROW_THREADS(&threads), ROW_JSON(&predictor.json), ROW_END};
  struct command_line line = {
      .words = "MODEL IMAGE...",
      .least = 2,
      .most = NO_LIMIT_OF_WORDS,
      .rows = rows,
      .about =
          "Print for each IMAGE, a PNG or JPEG file, its most probable classes and their probabilities. "
          "Images are resized to what the model was trained on.",
      .after =
          "Models of MNIST know white digits on black; give --invert for ink on paper.\n\n"
          "Example:\n  cnn predict simple-conv-net.safetensors --invert scan.png\n"};
  command_line_parse(&line, argc, argv);

  cnn_status status = predictor_new(line.word[0], threads, &predictor);
  int result;
  if (status == CNN_E_MEMORY)
    result = fail_with("out of memory for '%s'", line.word[0]);
  else if (status != CNN_OK)
    result = fail();
  else
    result = predict_all(&predictor, line.word + 1, line.count - 1);
  predictor_free(&predictor);
  return result;
}
