/* cnn show why: which places of an image speak for a class, in three ways (see cnn_saliency() and after). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "show.h"

enum { MAPS = 3, COVERS = 64 /* covered images computed together */ };

/* The class of that name or number, or -1. */
static int64_t class_of(const struct seen *seen, const char *word) {
  char *end;
  for (int64_t c = 0; c < seen->y.shape.c; c++) {
    const char *name = cnn_model_class(seen->model, (int)c);
    if (name && strcmp(name, word) == 0) return c;
  }
  long long number = strtoll(word, &end, 10);
  return *word && !*end && number >= 0 && number < seen->y.shape.c ? number : -1;
}

/* The last convolution, or what acts on its values one by one right above it. */
static const char *last_maps(const cnn_net *net) {
  const char *name = NULL;
  int at = -1;
  cnn_layer_info layer;
  for (int i = 0; i < cnn_net_layer_count(net); i++) {
    if (cnn_net_layer(net, i, &layer) != CNN_OK) continue;
    if (layer.out.h * layer.out.w == 1) continue;
    bool conv = strcmp(layer.kind, "conv") == 0 || strcmp(layer.kind, "table-conv") == 0;
    bool follows = at >= 0 && layer.inputs == 1 && layer.from[0] == at && layer.parameters == 0 &&
                   layer.in.h == layer.out.h && layer.in.w == layer.out.w;
    if (!conv && !follows) continue;
    at = i;
    name = layer.name;
  }
  return name;
}

/* Of `name`, or of the last maps; false where the layer named says nothing about places. A network may have
 * no maps at all: *layer is then NULL. */
static bool choose_layer(const cnn_net *net, const char *name, const char **layer) {
  cnn_layer_info info;
  int index;
  *layer = name ? name : last_maps(net);
  return !name || cnn_net_find(net, name, &index) != CNN_OK || cnn_net_layer(net, index, &info) != CNN_OK ||
         info.out.h * info.out.w > 1;
}

/* The maps' sizes, and memory for them. */
static cnn_status map_of(cnn_shape like, cnn_tensor *map) {
  map->shape = (cnn_shape){1, 1, like.h, like.w};
  map->data = calloc((size_t)(like.h * like.w), sizeof *map->data);
  return map->data ? CNN_OK : CNN_E_MEMORY;
}

static cnn_status explain_at(const struct seen *seen, int64_t class, const char *layer, cnn_tensor *map) {
  const cnn_net *net = cnn_plan_net(seen->plan);
  cnn_layer_info info;
  int index;
  cnn_status status = cnn_net_find(net, layer, &index);
  if (status == CNN_OK) status = cnn_net_layer(net, index, &info);
  if (status == CNN_OK) status = map_of(info.out, map);
  return status == CNN_OK ? cnn_grad_cam(seen->plan, seen->x, class, layer, *map) : status;
}

static cnn_status explain(const struct seen *seen, int64_t class, const char *layer, cnn_tensor map[MAPS]) {
  cnn_shape in = cnn_net_input(cnn_plan_net(seen->plan));
  int side = (int)(in.h < in.w ? in.h : in.w), size = (side + 3) / 4;
  double mean = 0;
  cnn_status status = layer ? explain_at(seen, class, layer, &map[1]) : CNN_OK;
  if (status == CNN_OK) status = map_of(in, &map[0]);
  if (status == CNN_OK) status = map_of(seen->x.shape, &map[2]);
  if (status == CNN_OK) status = cnn_saliency(seen->plan, seen->x, class, map[0]);
  int64_t values = seen->x.shape.c * seen->x.shape.h * seen->x.shape.w;
  for (int64_t i = 0; i < values; i++) mean += (double)seen->x.data[i] / (double)values;
  if (status == CNN_OK)
    status = cnn_occlusion(seen->plan, seen->x, class, size, (size + 3) / 4, (float)mean, map[2]);
  return status;
}

/* One part of the picture, its name above. */
static cnn_status captioned(const char *words, cnn_picture *inner, cnn_picture **out) {
  enum { EDGE = 6 };
  cnn_tensor pixels = cnn_picture_pixels(inner);
  int64_t width = pixels.shape.w, text = cnn_text_width(words);
  cnn_status status = cnn_picture_new(pixels.shape.h + CNN_TEXT_HEIGHT + 2 * EDGE,
                                      (width > text ? width : text) + 2 * EDGE, CNN_PAPER, out);
  if (status == CNN_OK) {
    cnn_picture_text(*out, words, 3, EDGE, 0);
    cnn_picture_paste(*out, pixels, 1, CNN_TEXT_HEIGHT + EDGE, EDGE);
  }
  cnn_picture_free(inner);
  return status;
}

static cnn_status draw_why(const struct show *show, const struct seen *seen, const char *layer,
                           const cnn_tensor map[MAPS], cnn_picture **picture) {
  static const char *const words[MAPS] = {"saliency", "Grad-CAM", "occlusion"};
  cnn_picture *part[MAPS + 1] = {NULL}, *inner;
  cnn_shape s = seen->x.shape;
  int64_t side = s.h < s.w ? s.h : s.w, zoom = show->zoom   ? show->zoom
                                               : side < 168 ? (168 + side - 1) / side
                                                            : 1;
  int count = 0;
  cnn_status status = cnn_picture_new(s.h * zoom, s.w * zoom, 0, &inner);
  if (status == CNN_OK) {
    cnn_picture_paste(inner, seen->x, zoom, 0, 0);
    status = captioned("image", inner, &part[count]);
    if (status == CNN_OK) count++;
  }
  for (int i = 0; status == CNN_OK && i < MAPS; i++) {
    char caption[128];
    if (!map[i].data) continue; /* no layer for Grad-CAM */
    snprintf(caption, sizeof caption, "%s%s%s", words[i], i == 1 ? " at " : "", i == 1 ? layer : "");
    status = cnn_picture_overlay(seen->x, map[i], zoom, &inner);
    if (status == CNN_OK) status = captioned(caption, inner, &part[count]);
    if (status == CNN_OK) count++;
  }
  if (status == CNN_OK) return join_pictures(part, count, true, picture);
  for (int i = 0; i < count; i++) cnn_picture_free(part[i]);
  return status;
}

int show_why(const struct show *show) {
  struct seen seen = {0};
  cnn_tensor map[MAPS] = {{0}};
  cnn_picture *picture = NULL;
  char name[96];
  cnn_status status = seen_open(show, CNN_TRAIN, COVERS, &seen);
  if (status == CNN_OK) status = seen_forward(show, &seen);
  if (status != CNN_OK) {
    seen_free(&seen);
    return show_result(status);
  }
  int64_t class = show->class ? class_of(&seen, show->class) : 0;
  const char *layer;
  bool has_places = choose_layer(cnn_plan_net(seen.plan), show->layer, &layer);
  if (class < 0 || !has_places) {
    int code = class < 0 ? fail_with("--class: the model has no class '%s'", show->class)
                         : fail_with(
                               "--layer: each output of '%s' is one value for the whole image; name a "
                               "convolution or pooling layer",
                               layer);
    seen_free(&seen);
    return code;
  }
  to_probabilities(seen.plan, seen.y.data, seen.y.shape.c);
  for (int64_t c = 1; !show->class && c < seen.y.shape.c; c++)
    if (seen.y.data[c] > seen.y.data[class]) class = c;
  status = explain(&seen, class, layer, map);
  if (status == CNN_OK) status = draw_why(show, &seen, layer, map, &picture);
  status = write_picture(status, picture, show->out);
  if (status == CNN_OK)
    printf("%s: what speaks for %s, which gets probability %.4f\n", show->out,
           show_class(seen.model, class, name), (double)seen.y.data[class]);
  for (int i = 0; i < MAPS; i++) free(map[i].data);
  seen_free(&seen);
  return show_result(status);
}
