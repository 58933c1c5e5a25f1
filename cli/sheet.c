/* See sheet.h. A row is one training image: left as it is, then drawn `columns` times as a run with this seed
 * would draw it. */
#include "sheet.h"

#include <stdlib.h>

#include "messages.h"

enum { GAP = 2, TILE = 64 /* pixels that a tile should have at least */ };

struct canvas {
  cnn_picture *picture;
  int64_t zoom;
};

static void paste(const struct canvas *canvas, float *image, cnn_shape shape, int64_t top, int64_t left) {
  shape.n = 1;
  cnn_picture_paste(canvas->picture, (cnn_tensor){image, shape}, canvas->zoom, top, left);
}

/* The images of the sheet: class by class, the first of each, then the second of each. */
static int64_t choose(const cnn_dataset *data, int64_t row) {
  int classes = cnn_dataset_classes(data);
  int64_t count = cnn_dataset_count(data, CNN_SPLIT_TRAIN), wanted = row / classes;
  int32_t label;
  for (int64_t i = 0; i < count; i++)
    if (cnn_dataset_read(data, CNN_SPLIT_TRAIN, i, NULL, &label) == CNN_OK && label == row % classes &&
        wanted-- == 0)
      return i;
  return row % count; /* the class has no more */
}

static cnn_status draw_rows(const struct sheet *sheet, const cnn_dataset *data, cnn_augmenter *augmenter,
                            const struct canvas *canvas, float *image) {
  cnn_shape whole = cnn_dataset_image(data), tile = cnn_augmenter_shape(augmenter);
  int64_t high = whole.h * canvas->zoom + GAP, wide = tile.w * canvas->zoom + GAP;
  for (int64_t r = 0; r < sheet->rows; r++) {
    int64_t index = choose(data, r), left = GAP;
    cnn_status status = cnn_dataset_read(data, CNN_SPLIT_TRAIN, index, image, NULL);
    if (status != CNN_OK) return status;
    paste(canvas, image, whole, GAP + r * high, left);
    left += whole.w * canvas->zoom + 3 * GAP;
    for (int64_t k = 0; k < sheet->columns; k++) {
      uint64_t number = (uint64_t)(r * sheet->columns + k);
      status = cnn_augmenter_draw(augmenter, index, (uint64_t)sheet->seed, number, image);
      if (status != CNN_OK) return status;
      paste(canvas, image, tile, GAP + r * high, left + k * wide);
    }
  }
  return CNN_OK;
}

static int64_t zoom_of(const struct sheet *sheet, cnn_shape tile) {
  int64_t side = tile.h < tile.w ? tile.h : tile.w;
  return sheet->zoom ? sheet->zoom : side < TILE ? (TILE + side - 1) / side : 1;
}

static cnn_status draw_sheet(const struct sheet *sheet, const cnn_dataset *data, cnn_augmenter *augmenter) {
  cnn_shape whole = cnn_dataset_image(data), tile = cnn_augmenter_shape(augmenter);
  struct canvas canvas = {.zoom = zoom_of(sheet, tile)};
  cnn_status status = cnn_picture_new(
      GAP + sheet->rows * (whole.h * canvas.zoom + GAP),
      4 * GAP + whole.w * canvas.zoom + sheet->columns * (tile.w * canvas.zoom + GAP), 0.5F, &canvas.picture);
  if (status != CNN_OK) return status;
  float *image = malloc((size_t)(whole.c * whole.h * whole.w) * sizeof *image);
  status = image ? draw_rows(sheet, data, augmenter, &canvas, image) : CNN_E_MEMORY;
  if (status == CNN_OK) status = cnn_picture_write(canvas.picture, sheet->out);
  free(image);
  cnn_picture_free(canvas.picture);
  return status;
}

cnn_status sheet_write(const struct sheet *sheet) {
  cnn_dataset *data = NULL;
  cnn_augmenter *augmenter = NULL;
  cnn_dataset_options options = cnn_dataset_defaults();
  cnn_shape parsed;
  cnn_status status = cnn_augment_image(sheet->augment, sheet->input, &parsed);
  if (sheet->input.c) options.image = parsed;
  if (status == CNN_OK) status = cnn_dataset_open(sheet->source, &options, &data);
  if (status == CNN_OK && sheet->input.c && cnn_dataset_image(data).c != sheet->input.c)
    exit(fail_with("--image has %lld channels, the images of '%s' have %lld", (long long)sheet->input.c,
                   sheet->source, (long long)cnn_dataset_image(data).c));
  if (status == CNN_OK)
    status = cnn_augmenter_new(sheet->augment, data, sheet->input.h, sheet->input.w, &augmenter);
  if (status == CNN_OK) status = draw_sheet(sheet, data, augmenter);
  cnn_augmenter_free(augmenter);
  cnn_dataset_free(data);
  return status;
}
