/* Which elements a window covers, and which windows cover an element, along one axis (struct window of
 * kernels.h). */
#ifndef CNN_KERNELS_WINDOW_H
#define CNN_KERNELS_WINDOW_H

#include <stdint.h>

struct range {
  int64_t from, to;
};

/* The elements [from, to) of the filter that lie inside the image, for the window at output i. */
static inline struct range inside(int64_t i, int64_t filter, int64_t stride, int64_t pad, int64_t size) {
  int64_t first = i * stride - pad, from = first < 0 ? -first : 0;
  int64_t to = first + filter > size ? size - first : filter;
  return (struct range){from, to};
}

/* The windows [from, to) that cover input i. */
static inline struct range covering(int64_t i, int64_t filter, int64_t stride, int64_t pad, int64_t outputs) {
  int64_t last = (i + pad) / stride, reach = i + pad - filter + 1;
  int64_t from = reach <= 0 ? 0 : (reach + stride - 1) / stride;
  return (struct range){from, last + 1 > outputs ? outputs : last + 1};
}

#endif
