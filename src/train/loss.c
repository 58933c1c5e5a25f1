/* See loss.h. */
#include "train/loss.h"

#include <inttypes.h>

cnn_status loss_check(const cnn_net *net) {
  cnn_shape out = cnn_net_output(net);
  if (out.h == 1 && out.w == 1) return CNN_OK;
  return CNN_FAIL(CNN_E_SHAPE,
                  "the network's output is %" PRId64 "x%" PRId64 "x%" PRId64
                  ", not one score for each class; end it with affine",
                  out.c, out.h, out.w);
}

cnn_status loss_check_labels(const cnn_net *net, const int32_t *labels, int64_t count) {
  int64_t classes = cnn_net_output(net).c;
  for (int64_t i = 0; i < count; i++)
    if (labels[i] < 0 || labels[i] >= classes)
      return CNN_FAIL(CNN_E_DATA,
                      "label %" PRId32 " of image %" PRId64 " is out of range: the network has %" PRId64
                      " outputs",
                      labels[i], i, classes);
  return CNN_OK;
}

/* Scores of one image: class c in block c / 16, blocks `plane` apart. */
static inline int64_t at(int64_t c, int64_t plane) { return c / BLOCK * plane + c % BLOCK; }

/* The first NaN, else the first largest. */
static int64_t largest(const float *score, int64_t plane, int64_t classes) {
  int64_t best = 0;
  for (int64_t c = 1; c < classes; c++) {
    float value = score[at(c, plane)], most = score[at(best, plane)];
    if (most == most && (value > most || value != value)) best = c;
  }
  return best;
}

static float log_of(const struct kernel_table *kernels, float value) {
  float in[BLOCK], out[BLOCK];
  for (int i = 0; i < BLOCK; i++) in[i] = value;
  kernels->log(out, in, BLOCK);
  return out[0];
}

/* Spread the target: its part of one image's loss, and of the gradient. */
static double smooth(double smoothing, const float *x, int64_t x_plane, int64_t top, int64_t label,
                     int64_t classes, float *dx, int64_t dx_plane) {
  double each = smoothing / (double)classes, below = 0; /* how far scores are below the largest, in all */
  for (int64_t c = 0; c < classes; c++) {
    below += (double)x[at(top, x_plane)] - (double)x[at(c, x_plane)];
    dx[at(c, dx_plane)] -= (float)each;
  }
  dx[at(label, dx_plane)] += (float)smoothing;
  return each * below - smoothing * (double)(x[at(top, x_plane)] - x[at(label, x_plane)]);
}

/* Lanes past the last class are 0, so that they stay out of every product. */
static void clear_lanes(float *gradient, int64_t plane, int64_t classes) {
  for (int64_t c = classes; c % BLOCK; c++) gradient[at(c, plane)] = 0;
}

void loss_gradient(void *context, int64_t n0, int64_t n1) {
  const struct loss *loss = context;
  const struct kernel_table *kernels = loss->plan->kernels;
  const struct view *scores = plan_scores(loss->plan), *gradients = plan_scores_gradient(loss->plan);
  int64_t classes = scores->shape.c;
  float scale = 1 / (float)loss->batch;
  for (int64_t n = n0; n < n1; n++) {
    const float *x = scores->data + n * scores->image;
    float *dx = gradients->data + n * gradients->image;
    int64_t label = loss->labels[n], top = largest(x, scores->plane, classes), s = scores->plane,
            g = gradients->plane;
    loss->correct[n] = top == label;
    if (loss->plan->options.loss == CNN_LOSS_CROSS_ENTROPY) {
      kernels->softmax(dx, g, x, s, classes);
      /* p[top] is at least 1 / classes: a logarithm without loss, whatever the label's own p is */
      loss->each[n] = (double)(x[at(top, s)] - x[at(label, s)]) - (double)log_of(kernels, dx[at(top, g)]);
      dx[at(label, g)] -= 1;
      if (loss->smoothing > 0) loss->each[n] += smooth(loss->smoothing, x, s, top, label, classes, dx, g);
    } else {
      double sum = 0;
      for (int64_t c = 0; c < classes; c++) {
        float difference = x[at(c, s)] - (c == label ? 1.0F : 0.0F);
        dx[at(c, g)] = difference;
        sum += 0.5 * (double)difference * (double)difference;
      }
      loss->each[n] = sum;
    }
    for (int64_t c = 0; c < classes; c++) dx[at(c, g)] *= scale;
    clear_lanes(dx, g, classes);
  }
}

void loss_probabilities(const struct loss *loss, int64_t n0, int64_t n1) {
  const cnn_plan *plan = loss->plan;
  const struct view *y = &plan->steps[plan->net->count - 1].y;
  bool softmax = plan->net->bricks[plan->net->count - 1].class == &layer_softmax;
  if (softmax || plan->options.loss != CNN_LOSS_CROSS_ENTROPY) return;
  for (int64_t n = n0; n < n1; n++) {
    float *score = y->data + n * y->image;
    plan->kernels->softmax(score, y->plane, score, y->plane, y->shape.c);
  }
}

void loss_judge(const struct loss *loss, int64_t n0, int64_t n1) {
  const cnn_plan *plan = loss->plan;
  const struct view *y = &plan->steps[plan->net->count - 1].y;
  int64_t classes = y->shape.c, s = y->plane;
  for (int64_t n = n0; n < n1; n++) {
    const float *score = y->data + n * y->image;
    int64_t label = loss->labels[n];
    loss->correct[n] = largest(score, s, classes) == label;
    if (plan->options.loss == CNN_LOSS_CROSS_ENTROPY) {
      float p = score[at(label, s)];
      loss->each[n] = -(double)log_of(plan->kernels, p < 0x1p-126F ? 0x1p-126F : p);
    } else {
      double sum = 0;
      for (int64_t c = 0; c < classes; c++) {
        double difference = (double)score[at(c, s)] - (c == label);
        sum += 0.5 * difference * difference;
      }
      loss->each[n] = sum;
    }
  }
}

double loss_sum(const struct loss *loss) {
  double lane[BLOCK] = {0};
  for (int64_t n = 0; n < loss->batch; n++) lane[n % BLOCK] += loss->each[n];
  for (int half = BLOCK / 2; half >= 1; half /= 2)
    for (int i = 0; i < half; i++) lane[i] += lane[i + half];
  return lane[0];
}

int64_t loss_correct(const struct loss *loss) {
  int64_t correct = 0;
  for (int64_t n = 0; n < loss->batch; n++) correct += loss->correct[n];
  return correct;
}
