/* The safetensors format (github.com/huggingface/safetensors): tensors by name in one file that is
 * data alone. Called by model.c.
 *
 *   8 bytes         N, the length of the header, little-endian
 *   N bytes         JSON: {"__metadata__": {"key": "text"},
 *                          "name": {"dtype": "F32", "shape": [30, 1, 5, 5], "data_offsets": [0, 3000]}}
 *                   padded with spaces
 *   to the end      the tensors' bytes, little-endian, without holes or overlap */
#ifndef CNN_IO_SAFETENSORS_H
#define CNN_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum { SAFETENSORS_DIMS = 8 };

struct safetensor {
  const char *name;
  const char *type; /* "F32", "BF16", ... as the format calls it */
  int dims;
  int64_t dim[SAFETENSORS_DIMS];
  int64_t count;       /* the product of dim */
  int64_t begin, end;  /* in bytes, in the data after the header */
  const float *values; /* NULL where type is not F32, or begin is not a multiple of 4 */
};

struct safetensors;

/* Read a whole file, with everything checked: the length and the text of the header, types, shapes,
 * sizes, and that the tensors tile the data to the end of the file. Failures name the file. */
cnn_status safetensors_read(const char *path, struct safetensors **file);
void safetensors_free(struct safetensors *file);

/* Tensors are in byte order of their names. */
int safetensors_count(const struct safetensors *file);
const struct safetensor *safetensors_get(const struct safetensors *file, int index);
const struct safetensor *safetensors_find(const struct safetensors *file, const char *name); /* or NULL */
const char *safetensors_metadata(const struct safetensors *file, const char *key);           /* or NULL */

struct safetensors_note {
  const char *key, *value;
};

/* Write tensors of type F32 as file_replace() does; of each, name, dims and dim are read. fill writes
 * the values of one tensor, in the order of the array. The bytes of the file depend on nothing but
 * what is passed. Text is UTF-8. */
typedef cnn_status safetensors_fill(void *context, const struct safetensor *tensor, int64_t count,
                                    float *values);
cnn_status safetensors_write(const char *path, const struct safetensors_note *notes, int note_count,
                             const struct safetensor *tensors, int tensor_count, safetensors_fill *fill,
                             void *context);

/* "[30,1,5,5]". */
struct safetensors_shape {
  char text[24 * SAFETENSORS_DIMS];
};
struct safetensors_shape safetensors_shape(int dims, const int64_t *dim);

#endif
