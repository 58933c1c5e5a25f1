/* The pictures of a report. Sheets are those of cnn.h, each value a square of pixels, shown at their own size
 * and no larger, so that nothing between a value and the screen smooths it. */
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "report.h"
#include "show.h"

enum {
  MOST_FILTERS = 64, /* of a layer whose filters are seen at once; of others */
  MOST_PLANES = 12,  /* filters, and channels of each */
  MOST_FILTER_LAYERS = 6,
  IMAGES = 10,
  MOST_MAPS = 32, /* of a layer */
  MOST_UNITS = 100,
  MOST_LAYERS = 16,
  SIDE = 64, /* maps that are larger are shrunk */
  TILE = 48,
  SQUARE = 14, /* of a single value */
  WORST = 24
};

static cnn_status write_sheet(FILE *file, cnn_tensor tiles, cnn_sheet_options options, const char *class,
                              const char *alt) {
  cnn_picture *sheet;
  cnn_status status = cnn_picture_sheet(tiles, &options, &sheet);
  if (status != CNN_OK) return status;
  cnn_tensor pixels = cnn_picture_pixels(sheet);
  status = html_image(file, pixels, pixels.shape.w, pixels.shape.h, class, alt);
  cnn_picture_free(sheet);
  return status;
}

/* ---- Filters, before and after ---- */

/* The first filters and channels that are shown, dense. */
static cnn_tensor cut_filters(cnn_tensor filters, float *values) {
  cnn_shape s = filters.shape, cut = s;
  bool whole = s.c == 1 || s.c == 3;
  cut.n = whole ? MOST_FILTERS : MOST_PLANES;
  cut.c = whole ? s.c : MOST_PLANES;
  if (cut.n > s.n) cut.n = s.n;
  if (cut.c > s.c) cut.c = s.c;
  cnn_tensor result = {values, cut};
  for (int64_t n = 0; n < cut.n; n++)
    memcpy(values + n * cut.c * s.h * s.w, filters.data + n * s.c * s.h * s.w,
           (size_t)(cut.c * s.h * s.w) * sizeof *values);
  return result;
}

static cnn_status write_filter_sheet(FILE *file, const cnn_plan *plan, const cnn_weight_info *weight,
                                     const char *layer, const char *when) {
  cnn_tensor filters;
  char alt[256];
  cnn_status status = read_filters(plan, weight, &filters);
  if (status != CNN_OK) return status;
  cnn_tensor cut = cut_filters(filters, filters.data);
  snprintf(alt, sizeof alt, "%lld filters of %.100s %s, in shades of grey", (long long)cut.shape.n, layer,
           when);
  html(file,
       "<figure><figcaption>%s</figcaption><div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"",
       when);
  html_text(file, alt);
  html(file, "\">");
  status = write_sheet(file, cut, (cnn_sheet_options){.zoom = cut.shape.c == 1 || cut.shape.c == 3 ? 0 : 6},
                       "sheet", alt);
  html(file, "</div></figure>\n");
  free(filters.data);
  return status;
}

static void write_filter_title(FILE *file, const cnn_layer_info *layer, const cnn_weight_info *weight) {
  int64_t n = weight->dim[0], c = weight->dims == 3 ? 1 : weight->dim[1], h = weight->dim[weight->dims - 2],
          w = weight->dim[weight->dims - 1];
  bool whole = c == 1 || c == 3;
  html(file, "<h3>");
  html_text(file, layer->name);
  html(file, " <small>%lld filters of %lld×%lld×%lld", (long long)n, (long long)c, (long long)h,
       (long long)w);
  if (whole && n > MOST_FILTERS) html(file, "; the first %d", MOST_FILTERS);
  if (!whole)
    html(file, "; a row a filter, a column an input channel%s",
         n > MOST_PLANES || c > MOST_PLANES ? ", the first 12 of each" : "");
  html(file, "</small></h3>\n");
}

cnn_status filters_write(FILE *file, const struct measured *m) {
  const cnn_net *net = cnn_plan_net(m->study.plan);
  int shown = 0, there = 0;
  html(file, "<p>Of each filter the smallest weight is black and the largest white.</p>\n");
  for (int i = 0; i < m->layers; i++) {
    const cnn_layer_info *layer = &m->layer[i].layer;
    cnn_weight_info weight;
    if (!has_filters(net, layer, &weight) || there++ >= MOST_FILTER_LAYERS) continue;
    shown++;
    write_filter_title(file, layer, &weight);
    html(file, "<div class=\"beside\">\n");
    cnn_status status =
        m->initial ? write_filter_sheet(file, m->initial, &weight, layer->name, "before training") : CNN_OK;
    if (status == CNN_OK)
      status = write_filter_sheet(file, m->study.plan, &weight, layer->name, "after training");
    html(file, "</div>\n");
    if (status != CNN_OK) return status;
  }
  if (there == 0) html(file, "<p>The network has no convolution, and so no filters.</p>\n");
  if (!m->initial)
    html(file,
         "<p class=\"fine\">The model does not say the seed of its first weights, so those before training "
         "are not "
         "known.</p>\n");
  if (there > shown)
    html(file,
         "<p class=\"fine\">%d more layers have filters: <code>cnn show filters MODEL --layer "
         "NAME</code>.</p>\n",
         there - shown);
  return CNN_OK;
}

/* ---- Feature maps of ten images ---- */

struct features {
  FILE *file;
  const struct measured *m;
  int64_t index[IMAGES], count;
  cnn_tensor x, y,
      maps;   /* the images; the network's outputs; of one layer at a time, with room for the largest */
  float *cut; /* what is shown of it */
};

/* The first image of each class, then the second, as far as there are any. */
static cnn_status choose_images(struct features *f) {
  const struct study *s = &f->m->study;
  for (int64_t round = 0; f->count < IMAGES && round < IMAGES; round++)
    for (int64_t class = 0; f->count < IMAGES && class < s->classes; class ++) {
      int64_t wanted = round;
      for (int64_t i = 0; i < s->images; i++) {
        int32_t label;
        cnn_status status = cnn_dataset_read(s->data, s->split, i, NULL, &label);
        if (status != CNN_OK) return status;
        if (label != class || wanted-- > 0) continue;
        f->index[f->count++] = i;
        break;
      }
    }
  return CNN_OK;
}

static cnn_status run_images(struct features *f) {
  const struct study *s = &f->m->study;
  int64_t most = 1;
  for (int i = 0; i < f->m->layers; i++) {
    cnn_shape out = f->m->layer[i].layer.out;
    most = out.c * out.h * out.w > most ? out.c * out.h * out.w : most;
  }
  f->x.shape = cnn_model_image(s->model);
  f->y.shape = cnn_net_output(cnn_plan_net(s->plan));
  f->x.shape.n = f->y.shape.n = f->count;
  f->x.data = calloc((size_t)(f->count * s->pixels), sizeof(float));
  f->y.data = calloc((size_t)(f->count * s->classes), sizeof(float));
  f->maps.data = calloc((size_t)(f->count * most), sizeof(float));
  f->cut = calloc((size_t)(f->count * most), sizeof(float));
  if (!f->x.data || !f->y.data || !f->maps.data || !f->cut) return CNN_E_MEMORY;
  for (int64_t i = 0; i < f->count; i++) {
    cnn_status status = cnn_dataset_read(s->data, s->split, f->index[i], f->x.data + i * s->pixels, NULL);
    if (status != CNN_OK) return status;
  }
  return CNN_OK;
}

/* The outputs of a layer for the images; as many at a time as the plan takes. */
static cnn_status read_layer(struct features *f, const cnn_layer_info *layer) {
  int64_t batch = f->m->study.batch;
  f->maps.shape = layer->out;
  f->maps.shape.n = f->count;
  cnn_status status = CNN_OK;
  for (int64_t first = 0, count; status == CNN_OK && first < f->count; first += count) {
    cnn_tensor x, y, maps;
    count = f->count - first < batch ? f->count - first : batch;
    status = cnn_tensor_images(f->x, first, count, &x);
    if (status == CNN_OK) status = cnn_tensor_images(f->y, first, count, &y);
    if (status == CNN_OK) status = cnn_tensor_images(f->maps, first, count, &maps);
    if (status == CNN_OK && (first > 0 || batch < f->count || layer == &f->m->layer[0].layer))
      status = cnn_plan_forward(f->m->study.plan, x, y);
    if (status == CNN_OK) status = cnn_plan_get_output(f->m->study.plan, layer->name, maps);
  }
  return status;
}

/* Images as tiles of side x side pixels, each of the nearest value; one below the other where `stacked`. */
static cnn_status write_thumbs(const struct features *f, int64_t h, int64_t w, bool stacked) {
  cnn_shape s = f->x.shape;
  float *values = calloc((size_t)(f->count * s.c * h * w), sizeof *values);
  if (!values) return CNN_E_MEMORY;
  cnn_tensor tiles = {values, {f->count, s.c, h, w}};
  for (int64_t n = 0; n < f->count; n++)
    for (int64_t c = 0; c < s.c; c++)
      for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
          float value = *cnn_tensor_at(f->x, n, c, (2 * y + 1) * s.h / (2 * h), (2 * x + 1) * s.w / (2 * w));
          values[stacked ? (c * f->count * h + n * h + y) * w + x : ((n * s.c + c) * h + y) * w + x] = value;
        }
  if (stacked) tiles.shape = (cnn_shape){1, s.c, f->count * h, w};
  cnn_status status =
      write_sheet(f->file, tiles, (cnn_sheet_options){.zoom = 1, .columns = 1, .asis = true}, "thumbs", "");
  free(values);
  return status;
}

/* The first maps of each image into f->cut, shrunk by means over squares where they are large. */
static cnn_tensor cut_maps(const struct features *f) {
  cnn_shape s = f->maps.shape, cut = s;
  int64_t longest = s.h > s.w ? s.h : s.w, by = (longest + SIDE - 1) / SIDE;
  cut.c = s.c < MOST_MAPS ? s.c : MOST_MAPS;
  cut.h = s.h / by > 0 ? s.h / by : 1;
  cut.w = s.w / by > 0 ? s.w / by : 1;
  cnn_tensor result = {f->cut, cut};
  for (int64_t n = 0; n < cut.n; n++)
    for (int64_t c = 0; c < cut.c; c++)
      for (int64_t y = 0; y < cut.h; y++)
        for (int64_t x = 0; x < cut.w; x++) {
          float sum = 0;
          int64_t count = 0;
          for (int64_t k = 0; k < by * by; k++) {
            if (y * by + k / by >= s.h || x * by + k % by >= s.w) continue;
            sum += *cnn_tensor_at(f->maps, n, c, y * by + k / by, x * by + k % by);
            count++;
          }
          *cnn_tensor_at(result, n, c, y, x) = sum / (float)count;
        }
  return result;
}

/* Maps: a row an image, a column a channel. Single values: the same as one map of all. */
static cnn_status write_layer_maps(const struct features *f, const cnn_layer_info *layer) {
  cnn_shape s = layer->out;
  bool single = s.h == 1 && s.w == 1;
  int64_t limit = single ? MOST_UNITS : MOST_MAPS;
  char shape[TEXT_SIZE], alt[256];
  snprintf(alt, sizeof alt, "Output of %.100s: a row for each of the %lld images, a column for each %s",
           layer->name, (long long)f->count, single ? "unit" : "channel");
  html(f->file, "<h3>");
  html_text(f->file, layer->name);
  html(f->file, " <small>%s %s", layer->kind, shape_text(s, shape));
  if (s.c > limit) html(f->file, "; the first %lld of %lld", (long long)limit, (long long)s.c);
  html(f->file, "</small></h3>\n<div class=\"wide strip%s\" tabindex=\"0\" role=\"region\" aria-label=\"",
       single ? " flat" : "");
  html_text(f->file, alt);
  html(f->file, "\">");
  cnn_status status;
  if (single) {
    cnn_shape cut = {1, 1, f->count, s.c < limit ? s.c : limit};
    for (int64_t n = 0; n < f->count; n++)
      memcpy(f->cut + n * cut.w, f->maps.data + n * s.c, (size_t)cut.w * sizeof *f->cut);
    status = write_thumbs(f, SQUARE, SQUARE, true);
    if (status == CNN_OK)
      status =
          write_sheet(f->file, (cnn_tensor){f->cut, cut}, (cnn_sheet_options){.zoom = SQUARE}, "sheet", alt);
  } else {
    cnn_tensor cut = cut_maps(f);
    int64_t side = cut.shape.h < cut.shape.w ? cut.shape.h : cut.shape.w, zoom = (TILE + side - 1) / side;
    status = write_thumbs(f, cut.shape.h * zoom, cut.shape.w * zoom, false);
    if (status == CNN_OK)
      status =
          write_sheet(f->file, cut, (cnn_sheet_options){.zoom = zoom, .columns = cut.shape.c, .split = true},
                      "sheet", alt);
  }
  html(f->file, "</div>\n");
  return status;
}

static cnn_status write_images(const struct features *f) {
  const struct study *s = &f->m->study;
  cnn_shape image = f->x.shape;
  image.n = 1;
  html(f->file, "<ul class=\"gallery\">\n");
  for (int64_t n = 0; n < f->count; n++) {
    char alt[64], name[96];
    int32_t label;
    float *outputs = f->y.data + n * s->classes;
    int64_t best = 0, zoom = (72 + image.h - 1) / image.h;
    cnn_status status = cnn_dataset_read(s->data, s->split, f->index[n], NULL, &label);
    if (status != CNN_OK) return status;
    to_probabilities(s->plan, outputs, s->classes);
    for (int64_t c = 1; c < s->classes; c++) best = outputs[c] > outputs[best] ? c : best;
    snprintf(alt, sizeof alt, "Test image %lld", (long long)f->index[n]);
    html(f->file, "<li><figure>");
    status = html_image(f->file, (cnn_tensor){f->x.data + n * s->pixels, image}, image.w * zoom,
                        image.h * zoom, "pixels", alt);
    if (status != CNN_OK) return status;
    html(f->file, "<figcaption><b>");
    html_text(f->file, show_class(s->model, label, name));
    html(f->file, "</b>%s ", best == label ? ":" : ", taken for");
    if (best != label) html_text(f->file, show_class(s->model, best, name));
    html(f->file, " %.1f %%</figcaption></figure></li>\n", 100 * (double)outputs[best]);
  }
  html(f->file, "</ul>\n");
  return CNN_OK;
}

/* Layers that hand on what they get are left out; of many, those at even distances are shown. */
static cnn_status write_layers(struct features *f) {
  static const char *const same[] = {"input", "dropout", "flatten"};
  int count = 0, number = 0;
  bool *shown = calloc((size_t)f->m->layers, sizeof *shown);
  if (!shown) return CNN_E_MEMORY;
  for (int i = 0; i < f->m->layers; i++) {
    shown[i] = true;
    for (int k = 0; k < 3; k++) shown[i] = shown[i] && strcmp(f->m->layer[i].layer.kind, same[k]) != 0;
    count += shown[i];
  }
  cnn_status status = CNN_OK;
  for (int i = 0; i < f->m->layers && status == CNN_OK; i++) {
    if (!shown[i]) continue;
    int turn = number++;
    if (count > MOST_LAYERS && turn * MOST_LAYERS / count == (turn - 1) * MOST_LAYERS / count && turn > 0)
      continue;
    status = read_layer(f, &f->m->layer[i].layer);
    if (status == CNN_OK) status = write_layer_maps(f, &f->m->layer[i].layer);
  }
  if (count > MOST_LAYERS)
    html(f->file,
         "<p class=\"fine\">Of %d layers %d are shown: <code>cnn show features MODEL IMAGE</code> shows "
         "all.</p>\n",
         count, MOST_LAYERS);
  free(shown);
  return status;
}

cnn_status features_write(FILE *file, const struct measured *m) {
  struct features f = {.file = file, .m = m};
  cnn_status status = choose_images(&f);
  if (status == CNN_OK) status = run_images(&f);
  if (status == CNN_OK) status = read_layer(&f, &m->layer[0].layer);
  html(file,
       "<p>The first image of each class, what the network takes it for, and how surely. Below, what the "
       "layers make of "
       "them: a row an image, a column a channel; of each map the smallest value is black and the largest "
       "white.</p>\n");
  if (status == CNN_OK) status = write_images(&f);
  if (status == CNN_OK) status = write_layers(&f);
  free(f.x.data);
  free(f.y.data);
  free(f.maps.data);
  free(f.cut);
  return status;
}

/* ---- Mistakes ---- */

static cnn_status write_mistake(FILE *file, const struct study *s, const struct mistake *mistake,
                                float *image) {
  char truth[96], guessed[96], alt[256];
  cnn_shape shape = cnn_model_image(s->model);
  int64_t zoom = (96 + shape.h - 1) / shape.h;
  cnn_status status = cnn_dataset_read(s->data, s->split, mistake->index, image, NULL);
  if (status != CNN_OK) return status;
  show_class(s->model, mistake->truth, truth);
  show_class(s->model, mistake->guessed, guessed);
  snprintf(alt, sizeof alt, "Test image %lld", (long long)mistake->index);
  const char *t = show_class(s->model, mistake->truth, truth),
             *g = show_class(s->model, mistake->guessed, guessed);
  html(file, "<li><figure>");
  status = html_image(file, (cnn_tensor){image, shape}, shape.w * zoom, shape.h * zoom, "pixels", alt);
  html(file, "<figcaption><b>");
  html_text(file, t);
  html(file, "</b>, taken for <b>");
  html_text(file, g);
  html(file,
       "</b> <span class=\"fine\">%.1f %%</span><span class=\"fine\">image "
       "%lld</span></figcaption></figure></li>\n",
       100 * mistake->confidence, (long long)mistake->index);
  return status;
}

cnn_status mistakes_write(FILE *file, const struct measured *m) {
  const struct mistakes *mistakes = &m->mistakes;
  char count[32], images[32];
  int64_t shown = mistakes->count < WORST ? mistakes->count : WORST;
  html(file, "<p>%s of %s images are mistaken%s</p>\n", grouped(mistakes->count, count),
       grouped(m->study.images, images),
       mistakes->count == 0      ? "."
       : shown < mistakes->count ? "; below are those of which the network was surest."
                                 : ", the surest first.");
  if (shown == 0) return CNN_OK;
  float *image = malloc((size_t)m->study.pixels * sizeof *image);
  cnn_status status = image ? CNN_OK : CNN_E_MEMORY;
  html(file, "<ul class=\"gallery\">\n");
  for (int64_t i = 0; i < shown && status == CNN_OK; i++)
    status = write_mistake(file, &m->study, &mistakes->row[i], image);
  html(file, "</ul>\n");
  free(image);
  return status;
}
