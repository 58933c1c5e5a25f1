/* See input.h. */
#include "net/input.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "net/plan.h"

void input_free(struct input *input) {
  mem_free(input->mean);
  *input = (struct input){0};
}

cnn_status input_copy(const cnn_plan *plan, struct input *copy) {
  struct input input = plan->input;
  if (input.means) {
    size_t bytes = (size_t)(input.means + cnn_net_input(plan->net).c) * sizeof *input.mean;
    input.mean = mem_alloc(bytes);
    if (!input.mean) return status_no_memory(bytes, "the input's normalisation");
    memcpy(input.mean, plan->input.mean, bytes);
    input.factor = input.mean + input.means;
  }
  *copy = input;
  return CNN_OK;
}

const struct input *input_of(const cnn_plan *plan) { return &plan->input; }

cnn_shape input_image(const cnn_plan *plan) {
  cnn_shape image = cnn_net_input(plan->net);
  if (plan->input.h) image.h = plan->input.h, image.w = plan->input.w;
  return image;
}

cnn_status input_set_image(cnn_plan *plan, int64_t h, int64_t w) {
  cnn_shape in = cnn_net_input(plan->net);
  if (h < in.h || w < in.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "images of %" PRId64 "x%" PRId64 " are smaller than the network's input of %" PRId64
                    "x%" PRId64 ", which is to be cropped from them",
                    h, w, in.h, in.w);
  struct input *input = &plan->input;
  cnn_shape image = input_image(plan);
  if (h == image.h && w == image.w) return CNN_OK;
  if (input->means > image.c)
    return CNN_FAIL(CNN_E_SHAPE,
                    "the plan's mean image is %" PRId64 "x%" PRId64 ", but images are to be %" PRId64
                    "x%" PRId64 ": normalise it anew",
                    image.h, image.w, h, w);
  bool own = h == in.h && w == in.w;
  input->h = own ? 0 : h;
  input->w = own ? 0 : w;
  return CNN_OK;
}

static cnn_status check_finite(const char *what, const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(values[i]))
      return CNN_FAIL(CNN_E_ARGUMENT, "the input's %s holds %f at element %" PRId64, what, (double)values[i],
                      i);
  return CNN_OK;
}

cnn_status input_set_normal(cnn_plan *plan, const float *mean, int64_t means, const float *factor) {
  struct input *input = &plan->input;
  cnn_shape image = input_image(plan);
  float *block = NULL;
  if (means && means != image.c && means != image.c * image.h * image.w)
    return CNN_FAIL(CNN_E_SHAPE, "%" PRId64 " means for images of %" PRId64 "x%" PRId64 "x%" PRId64, means,
                    image.c, image.h, image.w);
  if (means) {
    CNN_TRY(check_finite("mean", mean, means));
    CNN_TRY(check_finite("factor", factor, image.c));
    size_t bytes = (size_t)(means + image.c) * sizeof *block;
    block = mem_alloc(bytes);
    if (!block) return status_no_memory(bytes, "the input's normalisation");
    memcpy(block, mean, (size_t)means * sizeof *mean);
    memcpy(block + means, factor, (size_t)image.c * sizeof *factor);
  }
  mem_free(input->mean);
  input->means = means;
  input->mean = block;
  input->factor = means ? block + means : NULL;
  return CNN_OK;
}

void input_normalize(const struct input *input, const struct view *v, int64_t n, int64_t y, int64_t x) {
  if (!input->means) return;
  bool by_pixel = input->means > v->shape.c;
  int64_t h_of = input->h ? input->h : v->shape.h, w_of = input->w ? input->w : v->shape.w;
  for (int64_t c = 0; c < v->shape.c; c++) {
    float factor = input->factor[c];
    for (int64_t h = 0; h < v->shape.h; h++) {
      float *row = v->data + view_offset(v, n, c, h, 0);
      const float *mean = by_pixel ? input->mean + (c * h_of + y + h) * w_of + x : input->mean + c;
      for (int64_t w = 0; w < v->shape.w; w++)
        row[w * v->pixel] = (row[w * v->pixel] - mean[by_pixel ? w : 0]) * factor;
    }
  }
}

void input_write(const cnn_plan *plan, cnn_tensor x) {
  const struct view *v = &plan->steps[0].y;
  int64_t top = (x.shape.h - v->shape.h) / 2, left = (x.shape.w - v->shape.w) / 2;
  cnn_shape image = input_image(plan); /* a smaller x is its middle */
  int64_t y = top + (image.h - x.shape.h) / 2, at = left + (image.w - x.shape.w) / 2;
  if (top == 0 && left == 0 && x.shape.h == v->shape.h && x.shape.w == v->shape.w) {
    view_write(v, 0, x.shape.n, x.data);
  } else {
    for (int64_t n = 0; n < x.shape.n; n++)
      for (int64_t c = 0; c < v->shape.c; c++)
        for (int64_t h = 0; h < v->shape.h; h++) {
          float *row = v->data + view_offset(v, n, c, h, 0);
          const float *from = cnn_tensor_at(x, n, c, top + h, left);
          for (int64_t w = 0; w < v->shape.w; w++) row[w * v->pixel] = from[w];
        }
  }
  for (int64_t n = 0; n < x.shape.n; n++) input_normalize(&plan->input, v, n, y, at);
}

cnn_shape cnn_plan_image(const cnn_plan *plan) { return input_image(plan); }
