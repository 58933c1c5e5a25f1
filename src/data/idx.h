/* IDX files, the format of MNIST: a magic number, the dimensions, the bytes.
 *
 *     0 0 type rank | dimension (4 bytes, most significant first) x rank | elements
 *
 * Plain or gzip. Type is 8, bytes; images have rank 3 (n, h, w) or 4 (n, c, h, w), labels rank 1.
 * Everything is checked before memory is taken. Called by dataset.c. */
#ifndef CNN_DATA_IDX_H
#define CNN_DATA_IDX_H

#include <stdint.h>

#include "core/status.h"

/* CNN_OK where a file begins as one of images and, if it is plain, is as long as that asks for. */
cnn_status idx_check_images(const char *path);

/* pixels: n*c*h*w bytes from mem_pages(), which the caller frees. Outputs are set on success only. */
cnn_status idx_read_images(const char *path, uint8_t **pixels, cnn_shape *shape);

/* labels: count numbers of 0 to 255 from mem_alloc(). */
cnn_status idx_read_labels(const char *path, int32_t **labels, int64_t *count);

#endif
