/* For the tests of src/data: PNG and JPEG files written by libpng and libjpeg. */
#ifndef CNN_TESTS_DATA_PICTURES_H
#define CNN_TESTS_DATA_PICTURES_H

#include "data_scratch.h"

#include <jpeglib.h>
#include <png.h>

/* rows: as libpng stores them, row_bytes apart. type: PNG_COLOR_TYPE_... */
struct png_kind {
  int type, bits, interlace;
  png_colorp palette;
  int colours;
  png_bytep transparent; /* alpha of palette colours */
  int transparents;
};

static inline void write_png_kind(const char *path, unsigned w, unsigned h, const struct png_kind *kind,
                                  const uint8_t *rows, size_t row_bytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
  png_infop info = png_create_info_struct(png);
  assert_non_null(info);
  png_init_io(png, file);
  png_set_IHDR(png, info, w, h, kind->bits, kind->type, kind->interlace, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (kind->palette) png_set_PLTE(png, info, kind->palette, kind->colours);
  if (kind->transparent) png_set_tRNS(png, info, kind->transparent, kind->transparents, NULL);
  png_write_info(png, info);
  int passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < passes; pass++)
    for (unsigned y = 0; y < h; y++) png_write_row(png, rows + y * row_bytes);
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  assert_int_equal(fclose(file), 0);
}

/* 8 bits; c: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha. */
static inline void write_png(const char *path, unsigned w, unsigned h, unsigned c, const uint8_t *pixels) {
  static const int types[] = {0, PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                              PNG_COLOR_TYPE_RGB_ALPHA};
  struct png_kind kind = {.type = types[c], .bits = 8};
  write_png_kind(path, w, h, &kind, pixels, (size_t)w * c);
}

/* c: 1 grey, 3 colour, 4 CMYK, stored as given and, as libjpeg does for CMYK, with Adobe's marker. */
static inline void write_jpeg(const char *path, unsigned w, unsigned h, unsigned c, bool progressive,
                              const uint8_t *pixels) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  struct jpeg_compress_struct jpeg;
  struct jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = w;
  jpeg.image_height = h;
  jpeg.input_components = (int)c;
  jpeg.in_color_space = c == 1 ? JCS_GRAYSCALE : c == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 100, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < h) {
    JSAMPROW row = (JSAMPROW)(uintptr_t)(pixels + (size_t)jpeg.next_scanline * w * c);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  assert_int_equal(fclose(file), 0);
}

/* A file of w x h pixels that are all of one colour. */
static inline void write_plain_png(const char *path, unsigned w, unsigned h, unsigned c,
                                   const uint8_t *colour) {
  uint8_t *pixels = malloc((size_t)w * h * c);
  assert_non_null(pixels);
  for (size_t i = 0; i < (size_t)w * h * c; i++) pixels[i] = colour[i % c];
  write_png(path, w, h, c, pixels);
  free(pixels);
}

#endif
