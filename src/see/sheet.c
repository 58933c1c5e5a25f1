/* Sheets of tiles, and maps laid over images: tensors made visible. Values become grey, the smallest black
 * and the largest white (7.6.1 of the chapter), and each value a square of pixels. */
#include <inttypes.h>
#include <math.h>

#include "core/memory.h"
#include "core/status.h"
#include "see/see.h"

enum { TILE = 48, MOST_ZOOM = 1024, LARGE = 1 << 25 /* pixels of a sheet, beyond which zoom is less */ };

cnn_status see_check_image(cnn_tensor t, const char *what) {
  cnn_shape s = t.shape;
  if (s.n == 1 && (s.c == 1 || s.c == 3) && s.h > 0 && s.w > 0) return CNN_OK;
  return CNN_FAIL(CNN_E_SHAPE,
                  "%s is %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64
                  "; it must be one image of 1 or 3 channels",
                  what, s.n, s.c, s.h, s.w);
}

/* The smallest and the largest of `count` values, those that are no numbers left out. */
static void find_range(const float *values, int64_t count, float *least, float *most) {
  *least = INFINITY, *most = -INFINITY;
  for (int64_t i = 0; i < count; i++) {
    if (values[i] < *least) *least = values[i];
    if (values[i] > *most) *most = values[i];
  }
}

static float scaled(float value, float least, float most) {
  if (!(most > least)) return isfinite(value) && value != 0 ? 0.5F : 0; /* all alike: a dead map is black */
  return (value - least) / (most - least);
}

void cnn_scale(cnn_tensor t) {
  float least, most;
  int64_t count = t.shape.n * t.shape.c * t.shape.h * t.shape.w;
  find_range(t.data, count, &least, &most);
  for (int64_t i = 0; i < count; i++) t.data[i] = scaled(t.data[i], least, most);
}

/* ---- Sheets ---- */

struct sheet {
  cnn_tensor tiles;
  const cnn_sheet_options *options;
  int64_t channels;                       /* of a tile: 1 or 3 */
  int64_t count, columns, rows;           /* of tiles */
  int64_t zoom, title, label, high, wide; /* pixels; high, wide: from one tile to the next */
  float least, most;                      /* of all tiles */
};

static int64_t label_width(const struct sheet *sheet) {
  int64_t widest = 0;
  for (int64_t i = 0; sheet->options->labels && i < sheet->count; i++) {
    int64_t width = cnn_text_width(sheet->options->labels[i]);
    if (width > widest) widest = width;
  }
  return widest;
}

static int64_t root(int64_t n) {
  int64_t r = 1;
  while (r * r < n) r++;
  return r;
}

/* Near a square, or a filter of several channels a row. */
static int64_t columns_of(const struct sheet *sheet) {
  cnn_shape s = sheet->tiles.shape;
  int64_t columns = sheet->options->columns;
  if (!columns) columns = s.n > 1 && sheet->count > s.n ? s.c : root(sheet->count + sheet->count / 2);
  return columns < sheet->count ? columns : sheet->count;
}

/* Distances in pixels, for sheet->zoom. */
static void measure(struct sheet *sheet) {
  cnn_shape s = sheet->tiles.shape;
  int64_t width = s.w * sheet->zoom, label = label_width(sheet);
  sheet->high = s.h * sheet->zoom + GAP + sheet->label;
  if (label) label += CNN_TEXT_WIDTH; /* so that labels do not touch */
  sheet->wide = (width > label ? width : label) + GAP;
}

static cnn_status lay_out(struct sheet *sheet) {
  const cnn_sheet_options *o = sheet->options;
  cnn_shape s = sheet->tiles.shape;
  int64_t values, side = s.h > s.w ? s.h : s.w;
  CNN_TRY(cnn_shape_count(s, &values));
  if (o->columns < 0 || o->zoom < 0 || o->zoom > MOST_ZOOM)
    return CNN_FAIL(CNN_E_ARGUMENT, "a sheet of %" PRId64 " columns, zoom %" PRId64 "; zoom must be 0 to %d",
                    o->columns, o->zoom, MOST_ZOOM);
  sheet->channels = s.c == 3 && !o->split ? 3 : 1;
  sheet->count = s.n * s.c / sheet->channels;
  sheet->columns = columns_of(sheet);
  sheet->rows = (sheet->count + sheet->columns - 1) / sheet->columns;
  sheet->zoom = o->zoom ? o->zoom : side < TILE ? (TILE + side - 1) / side : 1;
  sheet->title = o->title ? CNN_TEXT_HEIGHT + GAP : 0;
  sheet->label = o->labels ? CNN_TEXT_HEIGHT : 0;
  measure(sheet);
  while (!o->zoom && sheet->zoom > 1 && sheet->rows * sheet->high * sheet->columns > LARGE / sheet->wide) {
    sheet->zoom--;
    measure(sheet);
  }
  find_range(sheet->tiles.data, values, &sheet->least, &sheet->most);
  return CNN_OK;
}

/* A red frame around the largest value of a tile; where all share one range, around the largest of all. */
static void mark(const struct sheet *sheet, cnn_picture *picture, const float *values, int64_t top,
                 int64_t left) {
  cnn_shape s = sheet->tiles.shape;
  float least, most;
  find_range(values, s.h * s.w, &least, &most);
  if (sheet->options->shared ? most != sheet->most : !(most > least)) return;
  for (int64_t i = 0; i < s.h * s.w; i++)
    if (values[i] == most) {
      cnn_picture_frame(picture, top + i / s.w * sheet->zoom - 1, left + i % s.w * sheet->zoom - 1,
                        sheet->zoom + 2, sheet->zoom + 2, (cnn_colour){0.9F, 0.1F, 0.1F});
      return;
    }
}

static void draw_tile(const struct sheet *sheet, cnn_picture *picture, int64_t i, float *scratch) {
  cnn_shape s = sheet->tiles.shape;
  int64_t values = sheet->channels * s.h * s.w, top = GAP + sheet->title + i / sheet->columns * sheet->high,
          left = GAP + i % sheet->columns * sheet->wide;
  const float *from = sheet->tiles.data + i * values;
  float least = sheet->options->asis ? 0 : sheet->least, most = sheet->options->asis ? 1 : sheet->most;
  if (!sheet->options->shared && !sheet->options->asis) find_range(from, values, &least, &most);
  for (int64_t k = 0; k < values; k++) scratch[k] = scaled(from[k], least, most);
  if (sheet->options->labels) cnn_picture_text(picture, sheet->options->labels[i], top, left, 0);
  top += sheet->label;
  cnn_picture_paste(picture, (cnn_tensor){scratch, {1, sheet->channels, s.h, s.w}}, sheet->zoom, top, left);
  if (sheet->options->mark && sheet->channels == 1) mark(sheet, picture, from, top, left);
}

cnn_status cnn_picture_sheet(cnn_tensor tiles, const cnn_sheet_options *options, cnn_picture **out) {
  static const cnn_sheet_options standard = {0};
  struct sheet sheet = {.tiles = tiles, .options = options ? options : &standard};
  cnn_picture *picture;
  CNN_TRY(lay_out(&sheet));
  int64_t wide = GAP + sheet.columns * sheet.wide,
          title = sheet.options->title ? cnn_text_width(sheet.options->title) : 0;
  if (title + 2 * GAP > wide) wide = title + 2 * GAP;
  CNN_TRY(cnn_picture_new(GAP + sheet.title + sheet.rows * sheet.high, wide, CNN_PAPER, &picture));
  size_t bytes = (size_t)(sheet.channels * tiles.shape.h * tiles.shape.w) * sizeof(float);
  float *scratch = mem_alloc(bytes);
  if (!scratch) {
    cnn_picture_free(picture);
    return status_no_memory(bytes, "a tile");
  }
  if (sheet.options->title) cnn_picture_text(picture, sheet.options->title, GAP, GAP, 0);
  for (int64_t i = 0; i < sheet.count; i++) draw_tile(&sheet, picture, i, scratch);
  mem_free(scratch);
  *out = picture;
  return CNN_OK;
}

/* ---- Overlays ---- */

/* Of a map's value at strength -1 .. 1: orange for, blue against. */
static const float for_it[3] = {1, 0.45F, 0}, against[3] = {0.1F, 0.45F, 1};

cnn_status cnn_picture_overlay(cnn_tensor image, cnn_tensor map, int64_t zoom, cnn_picture **out) {
  cnn_picture *picture;
  CNN_TRY(see_check_image(image, "the image"));
  CNN_TRY(see_check_image(map, "the map"));
  if (map.shape.c != 1) return CNN_FAIL(CNN_E_SHAPE, "a map has 1 channel, not %" PRId64, map.shape.c);
  if (zoom < 1 || zoom > MOST_ZOOM)
    return CNN_FAIL(CNN_E_ARGUMENT, "zoom is %" PRId64 "; it must be 1 to %d", zoom, MOST_ZOOM);
  int64_t h = image.shape.h, w = image.shape.w;
  CNN_TRY(cnn_picture_new(h * zoom, w * zoom, 0, &picture));
  float least, most;
  find_range(map.data, map.shape.h * map.shape.w, &least, &most);
  float strongest = -least > most ? -least : most;
  cnn_tensor to = cnn_picture_pixels(picture);
  for (int64_t y = 0; y < h * zoom; y++)
    for (int64_t x = 0; x < w * zoom; x++) {
      float grey = 0;
      for (int64_t c = 0; c < image.shape.c; c++)
        grey += *cnn_tensor_at(image, 0, c, y / zoom, x / zoom) / (float)image.shape.c;
      float value = *cnn_tensor_at(map, 0, 0, y * map.shape.h / (h * zoom), x * map.shape.w / (w * zoom));
      float strength = strongest > 0 ? value / strongest : 0;
      const float *colour = strength < 0 ? against : for_it;
      if (strength < 0) strength = -strength;
      for (int64_t c = 0; c < 3; c++)
        *cnn_tensor_at(to, 0, c, y, x) = 0.7F * grey * (1 - strength) + colour[c] * strength;
    }
  *out = picture;
  return CNN_OK;
}
