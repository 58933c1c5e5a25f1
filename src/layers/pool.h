/* What layers share whose windows slide over each channel by itself (section 7.3): their keys and shapes, and
 * the window as kernels want it. */
#ifndef CNN_LAYERS_POOL_H
#define CNN_LAYERS_POOL_H

#include "layers/layer.h"

struct pool_config {
  int64_t kernel[2], stride[2], pad[2];
  int round;
  bool count_pad; /* avgpool only */
};

#define POOL_PARAMS                                                                           \
  {"kernel", PARAM_PAIR, offsetof(struct pool_config, kernel), NULL, 1,                       \
   4096,     NULL,       "height and width of the window"},                                   \
      {"stride",                                                                              \
       PARAM_PAIR,                                                                            \
       offsetof(struct pool_config, stride),                                                  \
       "0",                                                                                   \
       0,                                                                                     \
       65535,                                                                                 \
       NULL,                                                                                  \
       "distance between windows; 0: as large as the window"},                                \
      {"pad",                                                                                 \
       PARAM_PAIR,                                                                            \
       offsetof(struct pool_config, pad),                                                     \
       "0",                                                                                   \
       0,                                                                                     \
       65535,                                                                                 \
       NULL,                                                                                  \
       "rows and columns of padding on each side; less than the window"},                     \
  {                                                                                           \
    "round", PARAM_CHOICE, offsetof(struct pool_config, round), "error", 0, 0, round_choices, \
        "where the window does not fit a whole number of times: error, floor or ceil"         \
  }

cnn_status pool_shape(const void *config, const cnn_shape *in, cnn_shape *out);

/* The stride in use. */
static inline int64_t pool_stride(const struct pool_config *p, int axis) {
  return p->stride[axis] ? p->stride[axis] : p->kernel[axis];
}

void pool_reach(const void *config, struct reach *reach);

/* The window over planes of x (h x w) giving planes of y (oh x ow). */
struct window pool_window(const struct pool_config *p, const struct view *x, const struct view *y);

/* Of the global ones: c x 1 x 1, and the one window that covers planes of x. */
cnn_status whole_shape(const void *config, const cnn_shape *in, cnn_shape *out);
struct window pool_whole(const struct view *x);

#endif
