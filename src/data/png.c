/* PNG files through libpng: 8 bits, grey or colour, transparency laid on black, no messages printed, all
 * memory from core/memory.h. images.h declares png_decode(); images.c calls it.
 *
 * libpng leaves an error by longjmp: what must outlive that lies in struct reader. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "data/images.h"

struct reader {
  png_structp png;
  png_infop info;
  const uint8_t *file;
  size_t size, at;
  struct image image; /* c counts alpha too */
  uint8_t **rows;
  cnn_status status; /* of the failure */
  bool no_memory;
  char *why;
  jmp_buf leave;
};

static void on_error(png_structp png, png_const_charp text) {
  struct reader *reader = png_get_error_ptr(png);
  if (reader->status == CNN_OK && reader->no_memory) reader->status = status_no_memory(0, "a PNG image");
  if (reader->status == CNN_OK) {
    reader->status = CNN_E_FORMAT;
    snprintf(reader->why, IMAGE_WHY, "%s", text);
  }
  longjmp(reader->leave, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static png_voidp take(png_structp png, png_alloc_size_t bytes) {
  struct reader *reader = png_get_mem_ptr(png);
  void *block = mem_alloc(bytes);
  if (!block) reader->no_memory = true;
  return block;
}

static void give(png_structp png, png_voidp block) {
  (void)png;
  mem_free(block);
}

static void read_bytes(png_structp png, png_bytep bytes, size_t count) {
  struct reader *reader = png_get_io_ptr(png);
  if (count > reader->size - reader->at) png_error(png, "the file is cut short");
  memcpy(bytes, reader->file + reader->at, count);
  reader->at += count;
}

/* All of the file. Returns by longjmp where it is not right. */
static void read_image(struct reader *reader) {
  png_structp png = reader->png;
  png_set_read_fn(png, reader, read_bytes);
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* image_reserve() has our own */
  png_read_info(png, reader->info);
  png_set_expand(png); /* palettes to colours, 1, 2 and 4 bits to 8, a transparent colour to alpha */
  png_set_scale_16(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, reader->info);
  struct image *image = &reader->image;
  image->w = png_get_image_width(png, reader->info);
  image->h = png_get_image_height(png, reader->info);
  image->c = png_get_channels(png, reader->info);
  reader->status = image_reserve(image, reader->why);
  if (reader->status != CNN_OK) png_error(png, "");
  size_t row = (size_t)(image->w * image->c);
  if (png_get_rowbytes(png, reader->info) != row) png_error(png, "its rows have an unexpected length");
  reader->rows = mem_zeroed((size_t)image->h, sizeof *reader->rows);
  reader->no_memory = !reader->rows;
  if (!reader->rows) png_error(png, "");
  for (int64_t y = 0; y < image->h; y++) reader->rows[y] = image->pixels + (size_t)y * row;
  png_read_image(png, reader->rows);
  png_read_end(png, NULL);
}

/* Lay the pixels on black, in place: each becomes its share alpha / 255, rounded. */
static void drop_alpha(struct image *image) {
  if (image->c % 2) return;
  int colours = image->c - 1;
  const uint8_t *from = image->pixels;
  uint8_t *to = image->pixels;
  for (int64_t i = 0; i < image->w * image->h; i++, from += colours + 1, to += colours) {
    unsigned alpha = from[colours];
    for (int k = 0; k < colours; k++) to[k] = (uint8_t)((from[k] * alpha + 127) / 255);
  }
  image->c = colours;
}

cnn_status png_decode(const uint8_t *file, size_t size, struct image *image, char *why) {
  struct reader reader = {.file = file, .size = size, .why = why};
  if (setjmp(reader.leave) == 0) {
    reader.png =
        png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &reader, on_error, on_warning, &reader, take, give);
    if (reader.png) reader.info = png_create_info_struct(reader.png);
    if (reader.info)
      read_image(&reader);
    else
      reader.status = status_no_memory(0, "a PNG image");
  }
  png_destroy_read_struct(&reader.png, &reader.info, NULL);
  mem_free(reader.rows);
  if (reader.status == CNN_OK) {
    drop_alpha(&reader.image);
    *image = reader.image;
  } else {
    image_free(&reader.image);
  }
  return reader.status;
}
