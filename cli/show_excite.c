/* cnn show excite: what channels of a layer look for (Figure 7-26). Of each an image that the network makes
 * itself by gradient ascent, and the patches of a data set that excite it most, each as large as the
 * receptive field of the value that it gives. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "output.h"
#include "show.h"

enum {
  BATCH = 32,
  CHANNELS = 32, /* usual numbers: of channels, of patches of each, of patches of one alone */
  PATCHES = 8,
  MANY_PATCHES = 24,
  MANY_COLUMNS = 6,
};

struct excite {
  const struct show *show;
  struct seen seen;
  cnn_layer_info layer;
  cnn_shape in;              /* of the network */
  int64_t first, channels;   /* that are shown */
  float *ascents, *response; /* an image each, and what it gives */
  cnn_dataset *data;         /* or NULL */
  cnn_split split;
  int64_t searched, patches; /* images of it; patches of each channel */
  cnn_excitation *best;      /* [layer.out.c][patches] */
  float *images;             /* [BATCH] as the model takes them */
};

static void excite_free(struct excite *e) {
  free(e->ascents);
  free(e->response);
  free(e->best);
  free(e->images);
  cnn_dataset_free(e->data);
  seen_free(&e->seen);
}

static const cnn_excitation *best_of(const struct excite *e, int64_t channel) {
  return e->best + (e->first + channel) * e->patches;
}

static cnn_rectangle field_of(const struct excite *e, int64_t channel, int64_t h, int64_t w) {
  cnn_rectangle field = {0};
  cnn_receptive_field(cnn_plan_net(e->seen.plan), e->layer.name, e->first + channel, h, w, &field, NULL);
  return field;
}

/* ---- Finding ---- */

static cnn_status find_layer(struct excite *e) {
  const struct show *show = e->show;
  const cnn_net *net = cnn_plan_net(e->seen.plan);
  int index;
  cnn_status status = cnn_net_find(net, show->layer, &index);
  if (status == CNN_OK) status = cnn_net_layer(net, index, &e->layer);
  if (status != CNN_OK) return status;
  if (show->channel >= e->layer.out.c) {
    fail_with("--channel: '%s' has %lld channels, 0 to %lld; there is no %lld", show->layer,
              (long long)e->layer.out.c, (long long)e->layer.out.c - 1, (long long)show->channel);
    exit(EXIT_FAILURE);
  }
  bool one = show->channel >= 0;
  int64_t count = show->count ? show->count : CHANNELS;
  e->in = cnn_net_input(net);
  e->first = one ? show->channel : 0;
  e->channels = one ? 1 : count < e->layer.out.c ? count : e->layer.out.c;
  e->patches = show->patches ? show->patches : one ? MANY_PATCHES : PATCHES;
  return CNN_OK;
}

static cnn_status climb(struct excite *e) {
  int64_t channel[BATCH], pixels = e->in.c * e->in.h * e->in.w;
  cnn_status status = CNN_OK;
  e->ascents = calloc((size_t)(e->channels * pixels), sizeof *e->ascents);
  e->response = calloc((size_t)e->channels, sizeof *e->response);
  if (!e->ascents || !e->response) return CNN_E_MEMORY;
  for (int64_t at = 0; status == CNN_OK && at < e->channels; at += BATCH) {
    cnn_tensor x = {e->ascents + at * pixels, e->in};
    x.shape.n = e->channels - at < BATCH ? e->channels - at : BATCH;
    for (int64_t i = 0; i < x.shape.n; i++) channel[i] = e->first + at + i;
    status = cnn_ascend(e->seen.plan, e->layer.name, channel, &e->show->ascent, x, e->response + at);
  }
  return status;
}

static cnn_status search(struct excite *e) {
  cnn_shape image = cnn_model_image(e->seen.model);
  int64_t pixels = image.c * image.h * image.w;
  cnn_status status = open_data(e->show, image, &e->data, &e->split);
  if (status != CNN_OK) return status;
  e->searched = cnn_dataset_count(e->data, e->split);
  if (e->show->limit && e->show->limit < e->searched) e->searched = e->show->limit;
  if (e->patches > e->searched) e->patches = e->searched;
  e->best = calloc((size_t)(e->layer.out.c * e->patches), sizeof *e->best);
  e->images = calloc((size_t)(BATCH * pixels), sizeof *e->images);
  if (!e->best || !e->images) return CNN_E_MEMORY;
  for (int64_t i = 0; i < e->layer.out.c * e->patches; i++) e->best[i].image = -1;
  for (int64_t at = 0; status == CNN_OK && at < e->searched; at += image.n) {
    image.n = e->searched - at < BATCH ? e->searched - at : BATCH;
    for (int64_t i = 0; status == CNN_OK && i < image.n; i++)
      status = cnn_dataset_read(e->data, e->split, at + i, e->images + i * pixels, NULL);
    if (status == CNN_OK)
      status =
          cnn_strongest(e->seen.plan, e->layer.name, (cnn_tensor){e->images, image}, at, e->patches, e->best);
  }
  return status;
}

/* ---- Drawing ---- */

/* Tiles, in pixels: each with its words above. A channel is its number, its ascent, and patches in columns.
 */
struct layout {
  int64_t zoom, ascent_zoom, high, wide, ascent_high,
      ascent_wide;                        /* of what one takes, words and gap included */
  int64_t columns, rows;                  /* of patches */
  int64_t number;                         /* width of a channel's number */
  int64_t block_high, block_wide, across; /* of a channel; how many beside each other */
};

enum { GAP = 4, TILE = 48, BIG_TILE = 84, WIDTH = 1330 };

/* An image cut to a rectangle: what is beyond its edge has a colour that no grey image has. */
static cnn_status draw_cut(cnn_picture *sheet, cnn_tensor image, cnn_rectangle field, int64_t zoom,
                           int64_t top, int64_t left) {
  float beyond[3] = {0.70F, 0.76F, 0.84F};
  cnn_picture *tile;
  cnn_status status = cnn_picture_new(field.h * zoom, field.w * zoom, 0, &tile);
  if (status != CNN_OK) return status;
  cnn_picture_paste(tile, (cnn_tensor){beyond, {1, 3, 1, 1}}, (field.h > field.w ? field.h : field.w) * zoom,
                    0, 0);
  cnn_picture_paste(tile, image, zoom, -field.top * zoom, -field.left * zoom);
  cnn_picture_paste(sheet, cnn_picture_pixels(tile), 1, top, left);
  cnn_picture_free(tile);
  return CNN_OK;
}

/* A response, in as many digits as fit above a tile, then the words. */
static void draw_words(cnn_picture *sheet, double response, const char *words, int64_t wide, int64_t top,
                       int64_t left) {
  char text[160];
  snprintf(text, sizeof text, "%#.3g", response);
  if (cnn_text_width(text) > wide) snprintf(text, sizeof text, "%#.2g", response);
  if (cnn_text_width(text) > wide) snprintf(text, sizeof text, "%.1g", response);
  snprintf(text + strlen(text), sizeof text - strlen(text), " %s", words);
  if (cnn_text_width(text) > wide) text[wide / CNN_TEXT_WIDTH] = '\0';
  cnn_picture_text(sheet, text, top, left, 0);
}

static cnn_status draw_ascent(const struct excite *e, const struct layout *l, int64_t channel,
                              cnn_picture *sheet, int64_t top, int64_t left) {
  cnn_tensor image = {e->ascents + channel * e->in.c * e->in.h * e->in.w, e->in};
  draw_words(sheet, (double)e->response[channel], "", l->ascent_wide - GAP, top, left);
  return draw_cut(sheet, image, field_of(e, channel, e->layer.out.h / 2, e->layer.out.w / 2), l->ascent_zoom,
                  top + CNN_TEXT_HEIGHT, left);
}

static cnn_status draw_patch(const struct excite *e, const struct layout *l, int64_t channel, int64_t rank,
                             cnn_picture *sheet, int64_t top, int64_t left) {
  const cnn_excitation *patch = best_of(e, channel) + rank;
  cnn_tensor image = {e->images, cnn_model_image(e->seen.model)};
  int32_t label;
  if (patch->image < 0) return CNN_OK;
  cnn_status status = cnn_dataset_read(e->data, e->split, patch->image, image.data, &label);
  if (status != CNN_OK) return status;
  keep_middle(&image, e->in);
  draw_words(sheet, (double)patch->response, e->channels == 1 ? cnn_dataset_class(e->data, label) : "",
             l->wide - GAP, top, left);
  return draw_cut(sheet, image, field_of(e, channel, patch->h, patch->w), l->zoom, top + CNN_TEXT_HEIGHT,
                  left);
}

static struct layout lay_out(const struct excite *e) {
  cnn_rectangle field = field_of(e, 0, e->layer.out.h / 2, e->layer.out.w / 2);
  bool one = e->channels == 1;
  int64_t side = field.h < field.w ? field.h : field.w, tile = one ? BIG_TILE : TILE;
  struct layout l = {.zoom = e->show->zoom ? e->show->zoom : side < tile ? (tile + side - 1) / side : 1};
  l.ascent_zoom = one && e->data ? 2 * l.zoom : l.zoom;
  l.high = field.h * l.zoom + CNN_TEXT_HEIGHT + GAP;
  l.wide = (field.w * l.zoom > TILE ? field.w * l.zoom : TILE) + GAP;
  l.ascent_high = field.h * l.ascent_zoom + CNN_TEXT_HEIGHT + GAP;
  l.ascent_wide = (field.w * l.ascent_zoom > TILE ? field.w * l.ascent_zoom : TILE) + GAP;
  if (e->data) l.columns = one && e->patches > MANY_COLUMNS ? MANY_COLUMNS : e->patches;
  if (e->data) l.rows = (e->patches + l.columns - 1) / l.columns;
  l.number = one ? 0 : 4 * CNN_TEXT_WIDTH;
  int64_t patches_high = l.rows * l.high;
  l.block_high = (l.ascent_high > patches_high ? l.ascent_high : patches_high) + GAP;
  l.block_wide = l.number + l.ascent_wide + 2 * GAP + l.columns * l.wide + 2 * GAP;
  l.across = 1;
  while (l.across * l.across * l.block_wide < e->channels * l.block_high &&
         (l.across + 1) * l.block_wide <= WIDTH)
    l.across++;
  return l;
}

static cnn_status draw_channel(const struct excite *e, const struct layout *l, int64_t channel,
                               cnn_picture *sheet, int64_t top, int64_t left) {
  char number[32];
  int64_t k = e->first + channel;
  snprintf(number, sizeof number, "%lld", (long long)k);
  if (l->number)
    cnn_picture_text(sheet, number, top + CNN_TEXT_HEIGHT + (l->ascent_high - 2 * CNN_TEXT_HEIGHT) / 2, left,
                     0);
  left += l->number;
  cnn_status status = draw_ascent(e, l, channel, sheet, top, left);
  left += l->ascent_wide + 2 * GAP;
  for (int64_t i = 0; e->data && status == CNN_OK && i < e->patches; i++)
    status =
        draw_patch(e, l, channel, i, sheet, top + i / l->columns * l->high, left + i % l->columns * l->wide);
  return status;
}

static cnn_status draw_excite(const struct excite *e, cnn_picture **sheet) {
  struct layout l = lay_out(e);
  char title[2][200] = {"", ""}, shape[TEXT_SIZE];
  cnn_rectangle field = field_of(e, 0, e->layer.out.h / 2, e->layer.out.w / 2);
  int used = snprintf(title[0], sizeof title[0], "%s: %s, receptive field %lldx%lld", e->layer.name,
                      shape_text(e->layer.out, shape), (long long)field.h, (long long)field.w);
  if (e->channels == 1)
    snprintf(title[0] + used, sizeof title[0] - (size_t)used, ", channel %lld", (long long)e->first);
  snprintf(title[1], sizeof title[1], "by gradient ascent%s%s",
           e->data ? "; beside it the strongest of " : "", e->data ? cnn_dataset_name(e->data) : "");
  int64_t rows = (e->channels + l.across - 1) / l.across, head = 2 * CNN_TEXT_HEIGHT + 2 * GAP,
          wide = 2 * GAP + l.across * l.block_wide;
  for (int i = 0; i < 2; i++)
    if (cnn_text_width(title[i]) + 2 * GAP > wide) wide = cnn_text_width(title[i]) + 2 * GAP;
  cnn_status status = cnn_picture_new(head + rows * l.block_high, wide, CNN_PAPER, sheet);
  if (status != CNN_OK) return status;
  for (int i = 0; i < 2; i++) cnn_picture_text(*sheet, title[i], GAP + i * CNN_TEXT_HEIGHT, GAP, 0);
  for (int64_t c = 0; status == CNN_OK && c < e->channels; c++)
    status = draw_channel(e, &l, c, *sheet, head + c / l.across * l.block_high,
                          2 * GAP + c % l.across * l.block_wide);
  return status;
}

/* ---- Tables ---- */

static void print_field(struct json *out, const struct excite *e, int64_t channel, int64_t h, int64_t w) {
  cnn_rectangle field = field_of(e, channel, h, w);
  json_integer(out, "row", h);
  json_integer(out, "column", w);
  json_open(out, "field", '{');
  json_integer(out, "top", field.top);
  json_integer(out, "left", field.left);
  json_integer(out, "height", field.h);
  json_integer(out, "width", field.w);
  json_close(out, '}');
}

static void print_json(const struct excite *e) {
  struct json out = {stdout, false};
  json_open(&out, NULL, '{');
  json_string(&out, "layer", e->layer.name);
  json_shape(&out, "shape", e->layer.out);
  if (e->data) json_integer(&out, "images", e->searched);
  json_open(&out, "channels", '[');
  for (int64_t c = 0; c < e->channels; c++) {
    json_open(&out, NULL, '{');
    json_integer(&out, "channel", e->first + c);
    json_open(&out, "ascent", '{');
    json_float(&out, "response", e->response[c]);
    print_field(&out, e, c, e->layer.out.h / 2, e->layer.out.w / 2);
    json_close(&out, '}');
    if (e->data) json_open(&out, "patches", '[');
    for (int64_t i = 0; e->data && i < e->patches && best_of(e, c)[i].image >= 0; i++) {
      const cnn_excitation *patch = best_of(e, c) + i;
      json_open(&out, NULL, '{');
      json_integer(&out, "index", patch->image);
      json_float(&out, "response", patch->response);
      print_field(&out, e, c, patch->h, patch->w);
      json_close(&out, '}');
    }
    if (e->data) json_close(&out, ']');
    json_close(&out, '}');
  }
  json_close(&out, ']');
  json_close(&out, '}');
  putchar('\n');
}

static void print_words(const struct excite *e) {
  cnn_rectangle field = field_of(e, 0, e->layer.out.h / 2, e->layer.out.w / 2);
  if (e->show->channel >= 0) {
    printf("ascent gives %.6g\n", (double)e->response[0]);
    if (e->data) printf("%8s  %10s  %s\n", "image", "response", "receptive field: rows, columns");
    for (int64_t i = 0; e->data && i < e->patches && best_of(e, 0)[i].image >= 0; i++) {
      const cnn_excitation *patch = best_of(e, 0) + i;
      cnn_rectangle at = field_of(e, 0, patch->h, patch->w);
      printf("%8lld  %10.6g  %lld to %lld, %lld to %lld\n", (long long)patch->image, (double)patch->response,
             (long long)at.top, (long long)(at.top + at.h - 1), (long long)at.left,
             (long long)(at.left + at.w - 1));
    }
  }
  printf("%s: %lld of %lld channels of %s, receptive field %lldx%lld\n", e->show->out, (long long)e->channels,
         (long long)e->layer.out.c, e->layer.name, (long long)field.h, (long long)field.w);
}

int show_excite(const struct show *show) {
  struct excite e = {.show = show};
  cnn_picture *picture = NULL;
  cnn_status status = seen_open(show, CNN_TRAIN, BATCH, &e.seen);
  if (status == CNN_OK) status = find_layer(&e);
  if (status == CNN_OK && show->data) status = search(&e);
  if (status == CNN_OK) status = climb(&e);
  if (status == CNN_OK) status = draw_excite(&e, &picture);
  status = write_picture(status, picture, show->out);
  if (status == CNN_OK && show->json) print_json(&e);
  if (status == CNN_OK && !show->json) print_words(&e);
  excite_free(&e);
  return show_result(status);
}
