/* Gradient ascent on pixels: an image made by the network itself, of what one of its channels looks for
 * (Figure 7-26). A step, for each image, with s falling from 1 to 0 over all steps:
 *
 *     x += s rate g / max |g|            g: the gradient of the channel's middle value at the pixels
 *     x  = rest + (1 - s decay) (x - rest)
 *     x  = (1 - s blur) x + s blur (1 2 1 / 2 4 2 / 1 2 1) / 16 * x
 *
 * then cut off at 0 and 1. As all three fall together, what they settle between stays the same while steps
 * become finer. Where a value does not depend on any pixel (a ReLU that is 0) the image starts again from
 * other noise. Everything outside the plan is done by one thread, in one order. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/status.h"
#include "net/input.h"
#include "net/net.h"
#include "see/see.h"

static const float calm = 0.2F, wild = 1; /* widths of the noise around rest that images begin with */

struct ascent {
  cnn_plan *plan;
  const char *layer;
  const int64_t *channel;
  const cnn_ascent_options *options;
  cnn_tensor x;          /* images */
  cnn_tensor y, map, dx; /* output of the net, of the layer, gradient at the input; x.shape.n images each */
  float *copy;           /* of one channel of an image */
};

cnn_ascent_options cnn_ascent_defaults(void) {
  return (cnn_ascent_options){.steps = 256, .rate = 2, .decay = 0.05, .blur = 0.9, .rest = -1, .seed = 1};
}

static cnn_status check(const cnn_plan *plan, const cnn_ascent_options *o, cnn_tensor x) {
  cnn_shape in = cnn_net_input(cnn_plan_net(plan));
  if (x.shape.n < 1 || x.shape.c != in.c || x.shape.h != in.h || x.shape.w != in.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "images of %" PRId64 "x%" PRId64 "x%" PRId64 "; the network's input is %" PRId64
                    "x%" PRId64 "x%" PRId64,
                    x.shape.c, x.shape.h, x.shape.w, in.c, in.h, in.w);
  bool good = o->steps >= 0 && o->rate > 0 && isfinite(o->rate) && o->decay >= 0 && o->decay <= 1 &&
              o->blur >= 0 && o->blur <= 1 && o->rest <= 1;
  if (good) return CNN_OK;
  return CNN_FAIL(
      CNN_E_ARGUMENT,
      "ascent of %" PRId64
      " steps, rate %g, decay %g, blur %g, rest %g; the rate must be above 0, decay and blur from 0 to "
      "1, rest at most 1",
      o->steps, o->rate, o->decay, o->blur, o->rest);
}

/* What pixels decay to. */
static float rest_of(const struct ascent *a) {
  if (a->options->rest >= 0) return (float)a->options->rest;
  return a->x.shape.c == 1 ? 0 : 0.5F;
}

static float cut_off(float value) { return value < 0 ? 0 : value > 1 ? 1 : value; }

/* Noise around rest; round: how often this image has begun. */
static void begin(const struct ascent *a, int64_t n, float width, int64_t round) {
  int64_t count = a->dx.shape.c * a->dx.shape.h * a->dx.shape.w;
  struct rng rng = rng_stream(a->options->seed, RNG_ASCENT, (uint32_t)a->channel[n]);
  float *x = a->x.data + n * count, rest = rest_of(a);
  for (int64_t i = 0; i < count; i++)
    x[i] = cut_off(rest + width * (rng_uniform(&rng, (uint64_t)(round * count + i)) - 0.5F));
}

/* plane = (1 - share) plane + share (1 2 1 / 2 4 2 / 1 2 1) / 16 * plane; beyond the edge as at the edge. */
static void blur(float *plane, int64_t h, int64_t w, float share, float *copy) {
  memcpy(copy, plane, (size_t)(h * w) * sizeof *copy);
  for (int64_t y = 0; y < h; y++) {
    const float *row = copy + y * w, *above = y ? row - w : row, *below = y < h - 1 ? row + w : row;
    for (int64_t x = 0; x < w; x++) {
      int64_t left = x ? x - 1 : x, right = x < w - 1 ? x + 1 : x;
      float corners = above[left] + above[right] + below[left] + below[right],
            sides = above[x] + below[x] + row[left] + row[right];
      float mean = (corners + 2 * sides + 4 * row[x]) / 16;
      plane[y * w + x] += share * (mean - row[x]);
    }
  }
}

/* One step of image n with strength s; false where no pixel matters. */
static bool climb(const struct ascent *a, int64_t n, float s) {
  const cnn_ascent_options *o = a->options;
  const struct input *input = input_of(a->plan);
  int64_t plane = a->dx.shape.h * a->dx.shape.w, count = a->dx.shape.c * plane;
  float *x = a->x.data + n * count, *g = a->dx.data + n * count, most = 0;
  for (int64_t i = 0; i < count; i++) {
    if (input->means) g[i] *= input->factor[i / plane]; /* of pixels, not of what they are normalised to */
    float size = g[i] < 0 ? -g[i] : g[i];
    if (size > most) most = size;
  }
  if (!(most > 0) || !isfinite(most)) return false;
  float rate = s * (float)o->rate / most, kept = 1 - s * (float)o->decay, rest = rest_of(a);
  for (int64_t i = 0; i < count; i++) x[i] = rest + kept * (x[i] + rate * g[i] - rest);
  for (int64_t c = 0; o->blur > 0 && c < a->dx.shape.c; c++)
    blur(x + c * plane, a->dx.shape.h, a->dx.shape.w, s * (float)o->blur, a->copy);
  for (int64_t i = 0; i < count; i++) x[i] = cut_off(x[i]);
  return true;
}

/* Where the value in the middle of image n's channel stands in a->map. */
static int64_t target(const struct ascent *a, int64_t n) {
  cnn_shape s = a->map.shape;
  return ((n * s.c + a->channel[n]) * s.h + s.h / 2) * s.w + s.w / 2;
}

/* For each image the gradient of its value. */
static cnn_status slopes(const struct ascent *a) {
  const cnn_net *net = cnn_plan_net(a->plan);
  int64_t n = a->map.shape.n, count = n * a->map.shape.c * a->map.shape.h * a->map.shape.w;
  CNN_TRY(cnn_plan_forward(a->plan, a->x, a->y));
  memset(a->map.data, 0, (size_t)count * sizeof *a->map.data);
  for (int64_t i = 0; i < n; i++) a->map.data[target(a, i)] = 1;
  CNN_TRY(cnn_plan_backward(a->plan, a->layer, a->map));
  return cnn_plan_get_output_gradient(a->plan, net->bricks[0].name, a->dx);
}

static cnn_status ascend(const struct ascent *a, float *response) {
  int64_t steps = a->options->steps, n = a->x.shape.n;
  for (int64_t i = 0; i < n; i++) begin(a, i, calm, 0);
  for (int64_t step = 0; step < steps; step++) {
    CNN_TRY(slopes(a));
    for (int64_t i = 0; i < n; i++)
      if (!climb(a, i, (float)(steps - step) / (float)steps)) begin(a, i, wild, step + 1);
  }
  if (!response) return CNN_OK;
  CNN_TRY(cnn_plan_forward(a->plan, a->x, a->y));
  CNN_TRY(cnn_plan_get_output(a->plan, a->layer, a->map));
  for (int64_t i = 0; i < n; i++) response[i] = a->map.data[target(a, i)];
  return CNN_OK;
}

cnn_status cnn_ascend(cnn_plan *plan, const char *layer, const int64_t *channel,
                      const cnn_ascent_options *options, cnn_tensor x, float *response) {
  const cnn_ascent_options standard = cnn_ascent_defaults();
  const cnn_net *net = cnn_plan_net(plan);
  struct ascent a = {plan, layer, channel, options ? options : &standard, x, {0}, {0}, {0}, NULL};
  int64_t outputs, maps, pixels, plane = x.shape.h * x.shape.w;
  int brick;
  CNN_TRY(check(plan, a.options, x));
  CNN_TRY(cnn_net_find(net, layer, &brick));
  a.y.shape = cnn_net_output(net), a.map.shape = net->bricks[brick].out, a.dx.shape = x.shape;
  for (int64_t i = 0; i < x.shape.n; i++)
    if (channel[i] < 0 || channel[i] >= a.map.shape.c)
      return CNN_FAIL(CNN_E_ARGUMENT, "channel %" PRId64 " of '%s', which has %" PRId64 ": 0 to %" PRId64,
                      channel[i], layer, a.map.shape.c, a.map.shape.c - 1);
  a.y.shape.n = a.map.shape.n = x.shape.n;
  CNN_TRY(cnn_shape_count(a.y.shape, &outputs));
  CNN_TRY(cnn_shape_count(a.map.shape, &maps));
  CNN_TRY(cnn_shape_count(x.shape, &pixels));
  size_t bytes = (size_t)(outputs + maps + pixels + plane) * sizeof(float);
  a.y.data = mem_alloc(bytes);
  if (!a.y.data) return status_no_memory(bytes, "gradient ascent");
  a.map.data = a.y.data + outputs;
  a.dx.data = a.map.data + maps;
  a.copy = a.dx.data + pixels;
  cnn_status status = ascend(&a, response);
  mem_free(a.y.data);
  return status;
}
