/* Pictures: PNG and JPEG files as bytes, made grey and resized.
 *
 * Decoding is libpng's and libjpeg's work (png.c, jpeg.c); this side keeps them quiet, bounded and
 * leak-free. Everything after decoding is integer arithmetic, rounded once, so that a picture gives the
 * same bytes on every machine. Called by folder.c; cnn_image_read() is public. */
#ifndef CNN_DATA_IMAGES_H
#define CNN_DATA_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

/* More pixels than this are refused, in a file or asked for. */
#define IMAGE_MOST_PIXELS ((int64_t)64 << 20)

/* Rows from the top; channels of a pixel side by side. */
struct image {
  uint8_t *pixels; /* w*h*c bytes from mem_alloc() */
  int64_t w, h;
  int c; /* 1: grey, 3: red, green, blue */
};

/* Decode a PNG or JPEG file, known by its first bytes. Transparent pixels are laid on black. The
 * sentence of a failure starts with the path. */
cnn_status image_load(const char *path, struct image *image);
void image_free(struct image *image);

/* Every pixel has equal red, green and blue. */
bool image_is_grey(const struct image *image);

/* As c*h*w bytes of the wanted shape, a plane a channel. Grey is 0.299 R + 0.587 G + 0.114 B. Along an
 * axis that shrinks a pixel is the average of what it covers; along one that grows it lies between its
 * two nearest. */
cnn_status image_fit(const struct image *image, cnn_shape shape, uint8_t *planes);

/* The two decoders, of a whole file in memory. why: IMAGE_WHY bytes, for a phrase where the status is
 * CNN_E_FORMAT; for other failures the sentence is set. */
enum { IMAGE_WHY = 256 };
cnn_status png_decode(const uint8_t *file, size_t size, struct image *image, char *why);
cnn_status jpeg_decode(const uint8_t *file, size_t size, struct image *image, char *why);

/* For the decoders: memory for an image whose w, h and c are set. */
cnn_status image_reserve(struct image *image, char *why);

#endif
