/* Depthwise convolution: what conv does where each channel is a group of its own with one filter, channels
 * come in blocks and dilation is 1. 16 channels at a time, where products would be of one column. The same
 * bits as theirs.
 *
 * Weights: [channel/16][fh][fw][16]. window: of planes of x (h x w) to planes of y (oh x ow). */
#ifndef CNN_LAYERS_DEPTHWISE_H
#define CNN_LAYERS_DEPTHWISE_H

#include "layers/layer.h"

/* bias: in blocks of 16; NULL: none. */
void depthwise_forward(const struct step *s, struct shard shard, const struct window *window,
                       const float *bias);
void depthwise_backward_data(const struct step *s, struct shard shard, const struct window *window);

/* Adds the gradient of image n's weights to dw. */
void depthwise_backward_weights(const struct step *s, int64_t n, const struct window *window, float *dw);

#endif
