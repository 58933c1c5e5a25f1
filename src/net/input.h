/* From pixels in [0, 1] to a network's input: the same in training, evaluation and prediction, and part of a
 * model. Nothing of it is set in a new plan; then values go in as they are.
 *
 *     image  --(middle)-->  window of the input's size  --(value - mean) * factor-->  input
 *
 * A trainer sets it (train/normalize.c, train/trainer.c), model files carry it (io/model.c). */
#ifndef CNN_NET_INPUT_H
#define CNN_NET_INPUT_H

#include "cnn.h"
#include "core/view.h"

struct input {
  int64_t h, w;         /* of images; 0: the network's own input */
  int64_t means;        /* 0: not normalised; c: a mean for each channel; c*h*w: for each pixel of an image */
  float *mean, *factor; /* [means], [c]; one block, owned */
};

void input_free(struct input *input);
cnn_status input_copy(const cnn_plan *plan, struct input *copy); /* of what a plan does now; to be freed */
const struct input *input_of(const cnn_plan *plan);

/* Of one image that the plan takes: its network's input, or what that is cropped from. */
cnn_shape input_image(const cnn_plan *plan);

/* Take images of h x w from now on; means of channels stay. CNN_E_SHAPE where the network's input is larger,
 * or there is a mean image of another size. */
cnn_status input_set_image(cnn_plan *plan, int64_t h, int64_t w);

/* Copies. means: 0 (mean and factor are not read), c, or c*h*w of input_image(). CNN_E_ARGUMENT where a value
 * is not finite. */
cnn_status input_set_normal(cnn_plan *plan, const float *mean, int64_t means, const float *factor);

/* Of view v, image n, whose upper left pixel is (y, x) of its image: values to normalised values, in place.
 */
void input_normalize(const struct input *input, const struct view *v, int64_t n, int64_t y, int64_t x);

/* x.n images, of input_image() or of the network's own size, into the plan's input. */
void input_write(const cnn_plan *plan, cnn_tensor x);

#endif
