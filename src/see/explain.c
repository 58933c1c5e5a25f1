/* Why a network says what it says: maps over an image that tell how much each place counts for the score of a
 * class. Three ways, which answer different questions:
 *
 *   saliency   where would a small change of a pixel change the score? The gradient's size, its largest over
 *              channels (Simonyan, Vedaldi and Zisserman 2013, section 3.1)
 *   Grad-CAM   which places of a layer's maps speak for the class? ReLU of the sum over channels k of a[k]
 * A[k], a[k] being the mean gradient over channel k (Selvaraju et al. 2017, equations 1 and 2) occlusion  how
 * much does the probability fall when a square is covered? (Zeiler and Fergus 2014, 4.2) A pixel gets the
 * mean over the squares that cover it. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "net/net.h"
#include "see/see.h"

/* The brick that gives the scores: the last one, or the one below a last softmax. */
static int scores_of(const cnn_net *net) {
  int last = net->count - 1;
  return net->bricks[last].class == &layer_softmax ? net->bricks[last].from[0] : last;
}

static cnn_status check_class(const cnn_plan *plan, cnn_tensor x, int64_t class) {
  cnn_shape out = cnn_net_output(cnn_plan_net(plan));
  if (x.shape.n != 1) return CNN_FAIL(CNN_E_SHAPE, "%" PRId64 " images; give one", x.shape.n);
  if (out.h == 1 && out.w == 1 && class >= 0 && class < out.c) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT,
                  "class %" PRId64 " of a network whose output is %" PRId64 "x%" PRId64 "x%" PRId64, class,
                  out.c, out.h, out.w);
}

/* `count` floats. */
static cnn_status take(int64_t count, float **memory) {
  size_t bytes = (size_t)count * sizeof **memory;
  *memory = mem_zeroed((size_t)count, sizeof **memory);
  return *memory ? CNN_OK : status_no_memory(bytes, "a map");
}

/* Forward, then backward from the score of a class. */
static cnn_status gradient(cnn_plan *plan, cnn_tensor x, int64_t class) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_tensor y = {.shape = cnn_net_output(net)};
  CNN_TRY(check_class(plan, x, class));
  CNN_TRY(take(y.shape.c, &y.data));
  cnn_status status = cnn_plan_forward(plan, x, y);
  for (int64_t c = 0; c < y.shape.c; c++) y.data[c] = c == class;
  if (status == CNN_OK) status = cnn_plan_backward(plan, net->bricks[scores_of(net)].name, y);
  mem_free(y.data);
  return status;
}

static cnn_status check_map(cnn_tensor map, cnn_shape of) {
  if (map.shape.n == 1 && map.shape.c == 1 && map.shape.h == of.h && map.shape.w == of.w) return CNN_OK;
  return CNN_FAIL(CNN_E_SHAPE,
                  "a map of %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "; it must be 1x1x%" PRId64
                  "x%" PRId64,
                  map.shape.n, map.shape.c, map.shape.h, map.shape.w, of.h, of.w);
}

cnn_status cnn_saliency(cnn_plan *plan, cnn_tensor x, int64_t class, cnn_tensor map) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_tensor dx = {.shape = cnn_net_input(net)};
  int64_t pixels = dx.shape.h * dx.shape.w;
  CNN_TRY(check_map(map, dx.shape));
  CNN_TRY(gradient(plan, x, class));
  CNN_TRY(take(dx.shape.c * pixels, &dx.data));
  cnn_status status = cnn_plan_get_output_gradient(plan, net->bricks[0].name, dx);
  for (int64_t i = 0; status == CNN_OK && i < pixels; i++) {
    map.data[i] = 0;
    for (int64_t c = 0; c < dx.shape.c; c++) {
      float size = dx.data[c * pixels + i] < 0 ? -dx.data[c * pixels + i] : dx.data[c * pixels + i];
      if (!(size <= map.data[i])) map.data[i] = size;
    }
  }
  mem_free(dx.data);
  return status;
}

/* map = ReLU(sum of a[k] A[k]) */
static void weigh(cnn_tensor activation, cnn_tensor slope, cnn_tensor map) {
  int64_t pixels = map.shape.h * map.shape.w;
  memset(map.data, 0, (size_t)pixels * sizeof *map.data);
  for (int64_t k = 0; k < activation.shape.c; k++) {
    double mean = 0;
    for (int64_t i = 0; i < pixels; i++) mean += (double)slope.data[k * pixels + i];
    mean /= (double)pixels;
    for (int64_t i = 0; i < pixels; i++) map.data[i] += (float)mean * activation.data[k * pixels + i];
  }
  for (int64_t i = 0; i < pixels; i++)
    if (map.data[i] < 0) map.data[i] = 0;
}

cnn_status cnn_grad_cam(cnn_plan *plan, cnn_tensor x, int64_t class, const char *layer, cnn_tensor map) {
  int brick;
  int64_t count;
  const cnn_net *net = cnn_plan_net(plan);
  CNN_TRY(cnn_net_find(net, layer, &brick));
  cnn_tensor y = {.shape = net->bricks[brick].out}, dy = y;
  CNN_TRY(check_map(map, y.shape));
  CNN_TRY(gradient(plan, x, class));
  CNN_TRY(cnn_shape_count(y.shape, &count));
  CNN_TRY(take(2 * count, &y.data));
  dy.data = y.data + count;
  cnn_status status = cnn_plan_get_output(plan, layer, y);
  if (status == CNN_OK) status = cnn_plan_get_output_gradient(plan, layer, dy);
  if (status == CNN_OK) weigh(y, dy, map);
  mem_free(y.data);
  return status;
}

/* ---- Occlusion ---- */

struct cover {
  cnn_plan *plan;
  cnn_tensor x;
  int64_t class, size, stride, rows, columns; /* of squares */
  float fill;
  float *images, *outputs, *covered; /* [batch], [batch], how many squares cover a pixel */
};

/* Squares 0 .. rows * columns - 1, the last ones at the edge. */
static int64_t corner(int64_t index, int64_t stride, int64_t length, int64_t size) {
  int64_t at = index * stride;
  return at + size > length ? length - size : at;
}

static void cover_image(const struct cover *o, int64_t square, float *to) {
  cnn_shape s = o->x.shape;
  int64_t top = corner(square / o->columns, o->stride, s.h, o->size),
          left = corner(square % o->columns, o->stride, s.w, o->size);
  memcpy(to, o->x.data, (size_t)(s.c * s.h * s.w) * sizeof *to);
  for (int64_t c = 0; c < s.c; c++)
    for (int64_t h = top; h < top + o->size; h++)
      for (int64_t w = left; w < left + o->size; w++) to[(c * s.h + h) * s.w + w] = o->fill;
}

static void add_fall(const struct cover *o, int64_t square, float fall, cnn_tensor map) {
  cnn_shape s = o->x.shape;
  int64_t top = corner(square / o->columns, o->stride, s.h, o->size),
          left = corner(square % o->columns, o->stride, s.w, o->size);
  for (int64_t h = top; h < top + o->size; h++)
    for (int64_t w = left; w < left + o->size; w++) {
      map.data[h * s.w + w] += fall;
      o->covered[h * s.w + w] += 1;
    }
}

static cnn_status cover_all(const struct cover *o, cnn_tensor map) {
  cnn_shape in = o->x.shape, out = cnn_net_output(cnn_plan_net(o->plan));
  int64_t batch = cnn_plan_settings(o->plan).batch, image = in.c * in.h * in.w;
  CNN_TRY(cnn_plan_forward(o->plan, o->x, (cnn_tensor){o->outputs, out}));
  float whole = o->outputs[o->class];
  for (int64_t first = 0, squares = o->rows * o->columns; first < squares; first += batch) {
    in.n = out.n = squares - first < batch ? squares - first : batch;
    for (int64_t n = 0; n < in.n; n++) cover_image(o, first + n, o->images + n * image);
    CNN_TRY(cnn_plan_forward(o->plan, (cnn_tensor){o->images, in}, (cnn_tensor){o->outputs, out}));
    for (int64_t n = 0; n < in.n; n++) add_fall(o, first + n, whole - o->outputs[n * out.c + o->class], map);
  }
  for (int64_t i = 0; i < in.h * in.w; i++)
    if (o->covered[i] > 0) map.data[i] /= o->covered[i]; /* a stride beyond the size leaves pixels out */
  return CNN_OK;
}

cnn_status cnn_occlusion(cnn_plan *plan, cnn_tensor x, int64_t class, int64_t size, int64_t stride,
                         float fill, cnn_tensor map) {
  cnn_shape s = x.shape;
  struct cover o = {.plan = plan, .x = x, .class = class, .size = size, .stride = stride, .fill = fill};
  CNN_TRY(check_class(plan, x, class));
  CNN_TRY(check_map(map, s));
  if (size < 1 || size > s.h || size > s.w || stride < 1)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "squares of %" PRId64 " pixels, %" PRId64 " apart, over an image of %" PRId64 "x%" PRId64,
                    size, stride, s.h, s.w);
  o.rows = (s.h - size + stride - 1) / stride + 1;
  o.columns = (s.w - size + stride - 1) / stride + 1;
  int64_t batch = cnn_plan_settings(plan).batch, pixels = s.h * s.w,
          outputs = cnn_net_output(cnn_plan_net(plan)).c;
  CNN_TRY(take(batch * (s.c * pixels + outputs) + pixels, &o.images));
  o.outputs = o.images + batch * s.c * pixels;
  o.covered = o.outputs + batch * outputs;
  memset(map.data, 0, (size_t)pixels * sizeof *map.data);
  cnn_status status = cover_all(&o, map);
  mem_free(o.images);
  return status;
}
