/* `cnn data show`: training images beside what augmentation makes of them, in one PNG file. */
#ifndef CLI_SHEET_H
#define CLI_SHEET_H

#include "cnn.h"

struct sheet {
  const char *source, *augment, *out;
  int64_t rows, columns, zoom, seed; /* zoom 0: by size */
  cnn_shape input;                   /* of a network; all 0: the images' own */
};

cnn_status sheet_write(const struct sheet *sheet);

#endif
