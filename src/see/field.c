/* Receptive fields: which pixels of a network's input count for one value of a layer's output. Worked out
 * from what layers say of themselves (reach() and sees() of layers/layer.h), brick by brick downwards, and
 * for each channel by itself, as branches that were joined may have looked at different places. Twice:
 *
 *   as boxes   as if planes went on beyond their edges, so that all values of a channel have fields of one
 * size; as masks   element by element, so that nothing is counted that falls on padding, between the taps of
 * a dilated filter, or beyond the last whole window of a layer in between. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "net/net.h"
#include "see/see.h"

/* Rows [0] and columns [1], from .. to-1; all 0: nothing. */
struct box {
  int64_t from[2], to[2];
};

static bool is_empty(struct box box) { return box.to[0] <= box.from[0]; }

static void add_box(struct box *to, struct box box) {
  if (is_empty(*to)) *to = box;
  for (int i = 0; i < 2 && !is_empty(box); i++) {
    if (box.from[i] < to->from[i]) to->from[i] = box.from[i];
    if (box.to[i] > to->to[i]) to->to[i] = box.to[i];
  }
}

static struct reach reach_of(const struct brick *brick) {
  struct reach reach = {.count = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}};
  if (brick->class->reach) brick->class->reach(brick->config, &reach);
  return reach;
}

/* Is output channel f computed from channel c of input k? In a flattening one the plane says it. */
static bool sees(const struct brick *brick, int k, int64_t f, int64_t c) {
  if (brick->class->sees) return brick->class->sees(brick->config, brick->in, k, f, c);
  return f == c;
}

/* Where each brick's channels begin in an array that has `each` entries for a channel's element, or one for a
 * channel where planes is false; start[last + 1] is the end of all. */
static int64_t *starts(const cnn_net *net, int last, bool planes) {
  int64_t *start = mem_alloc((size_t)(last + 2) * sizeof *start);
  if (!start) return NULL;
  start[0] = 0;
  for (int i = 0; i <= last; i++) {
    cnn_shape s = net->bricks[i].out;
    start[i + 1] = start[i] + (planes ? s.c * s.h * s.w : s.c);
  }
  return start;
}

/* ---- Boxes ---- */

/* From the boxes of a brick's output to those of input k. */
static void spread_boxes(const struct brick *brick, int k, const struct box *out, struct box *in) {
  struct reach reach = reach_of(brick);
  cnn_shape s = brick->in[k];
  for (int64_t i = 0; reach.kind == REACH_FLAT && i < brick->out.c; i++) {
    int64_t h = i / s.w % s.h, w = i % s.w;
    if (!is_empty(out[i])) add_box(&in[i / (s.h * s.w)], (struct box){{h, w}, {h + 1, w + 1}});
  }
  for (int64_t c = 0; reach.kind == REACH_WINDOW && c < s.c; c++) {
    struct box box = {{0}, {0}};
    for (int64_t f = 0; f < brick->out.c; f++)
      if (!is_empty(out[f]) && sees(brick, k, f, c)) add_box(&box, out[f]);
    if (is_empty(box)) continue;
    for (int i = 0; i < 2; i++) {
      box.from[i] = box.from[i] * reach.stride[i] - reach.pad[i];
      box.to[i] =
          (box.to[i] - 1) * reach.stride[i] - reach.pad[i] + (reach.count[i] - 1) * reach.dilation[i] + 1;
    }
    add_box(&in[c], box);
  }
}

static cnn_status find_whole(const cnn_net *net, int last, int64_t c, struct box at, struct box *field) {
  int64_t *start = starts(net, last, false), count = start ? start[last + 1] : 0;
  struct box *boxes = start ? mem_zeroed((size_t)count, sizeof *boxes) : NULL;
  cnn_shape image = cnn_net_input(net);
  bool everything = false;
  if (!boxes) {
    mem_free(start);
    return status_no_memory((size_t)count * sizeof *boxes, "a receptive field");
  }
  boxes[start[last] + c] = at;
  for (int i = last; i > 0; i--) {
    const struct brick *brick = &net->bricks[i];
    bool counts = false;
    for (int64_t f = start[i]; f < start[i + 1]; f++) counts |= !is_empty(boxes[f]);
    everything |= counts && reach_of(brick).kind == REACH_PLANE;
    for (int k = 0; counts && k < brick->inputs; k++)
      spread_boxes(brick, k, boxes + start[i], boxes + start[brick->from[k]]);
  }
  *field = (struct box){{0, 0}, {image.h, image.w}};
  if (!everything) *field = (struct box){{0}, {0}};
  for (int64_t f = 0; !everything && f < start[1]; f++) add_box(field, boxes[f]);
  mem_free(boxes);
  mem_free(start);
  return CNN_OK;
}

/* ---- Masks ---- */

static void merge(unsigned char *to, const unsigned char *from, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] |= from[i];
}

/* Marks what the marked elements of a plane (oh x ow) are computed from in one of h x w. */
static void mark_windows(const struct reach *reach, cnn_shape out, const unsigned char *from, cnn_shape in,
                         unsigned char *to) {
  for (int64_t o = 0; o < out.h * out.w; o++) {
    if (!from[o]) continue;
    int64_t top = o / out.w * reach->stride[0] - reach->pad[0],
            left = o % out.w * reach->stride[1] - reach->pad[1];
    for (int64_t y = 0; y < reach->count[0]; y++)
      for (int64_t x = 0; x < reach->count[1]; x++) {
        int64_t h = top + y * reach->dilation[0], w = left + x * reach->dilation[1];
        if (h >= 0 && h < in.h && w >= 0 && w < in.w) to[h * in.w + w] = 1;
      }
  }
}

/* From the masks of a brick's output to those of input k; plane: memory for one of the output. */
static void spread_masks(const struct brick *brick, int k, const unsigned char *out, unsigned char *in,
                         unsigned char *plane) {
  struct reach reach = reach_of(brick);
  cnn_shape s = brick->in[k], o = brick->out;
  int64_t places = o.h * o.w;
  if (reach.kind == REACH_FLAT) {
    merge(in, out, o.c);
    return;
  }
  for (int64_t c = 0; c < s.c; c++) {
    unsigned char *to = in + c * s.h * s.w;
    memset(plane, 0, (size_t)places);
    for (int64_t f = 0; f < o.c; f++)
      if (sees(brick, k, f, c)) merge(plane, out + f * places, places);
    if (reach.kind == REACH_WINDOW)
      mark_windows(&reach, o, plane, s, to);
    else if (memchr(plane, 1, (size_t)places))
      memset(to, 1, (size_t)(s.h * s.w));
  }
}

static struct box around(const unsigned char *mask, cnn_shape s) {
  struct box box = {{0}, {0}};
  for (int64_t i = 0; i < s.c * s.h * s.w; i++) {
    int64_t h = i / s.w % s.h, w = i % s.w;
    if (mask[i]) add_box(&box, (struct box){{h, w}, {h + 1, w + 1}});
  }
  return box;
}

static cnn_status find_seen(const cnn_net *net, int last, int64_t c, int64_t h, int64_t w,
                            struct box *field) {
  int64_t *start = starts(net, last, true), most = 1;
  for (int i = 0; i <= last; i++)
    if (net->bricks[i].out.h * net->bricks[i].out.w > most)
      most = net->bricks[i].out.h * net->bricks[i].out.w;
  int64_t count = start ? start[last + 1] : 0;
  unsigned char *masks = start ? mem_zeroed((size_t)(count + most), 1) : NULL;
  if (!masks) {
    mem_free(start);
    return status_no_memory((size_t)(count + most), "a receptive field");
  }
  cnn_shape s = net->bricks[last].out;
  masks[start[last] + (c * s.h + h) * s.w + w] = 1;
  for (int i = last; i > 0; i--) {
    const struct brick *brick = &net->bricks[i];
    if (!memchr(masks + start[i], 1, (size_t)(start[i + 1] - start[i]))) continue;
    for (int k = 0; k < brick->inputs; k++)
      spread_masks(brick, k, masks + start[i], masks + start[brick->from[k]], masks + count);
  }
  *field = around(masks, cnn_net_input(net));
  mem_free(masks);
  mem_free(start);
  return CNN_OK;
}

static cnn_rectangle rectangle(struct box box) {
  return (cnn_rectangle){box.from[0], box.from[1], box.to[0] - box.from[0], box.to[1] - box.from[1]};
}

cnn_status cnn_receptive_field(const cnn_net *net, const char *layer, int64_t c, int64_t h, int64_t w,
                               cnn_rectangle *whole, cnn_rectangle *seen) {
  int last;
  struct box of_whole = {{0}, {0}}, of_seen = {{0}, {0}};
  CNN_TRY(cnn_net_find(net, layer, &last));
  cnn_shape s = net->bricks[last].out;
  if (c < 0 || c >= s.c || h < 0 || h >= s.h || w < 0 || w >= s.w)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "value (%" PRId64 ", %" PRId64 ", %" PRId64 ") of '%s', whose output is %" PRId64
                    "x%" PRId64 "x%" PRId64 "; counting begins at 0",
                    c, h, w, layer, s.c, s.h, s.w);
  if (whole) CNN_TRY(find_whole(net, last, c, (struct box){{h, w}, {h + 1, w + 1}}, &of_whole));
  if (seen) CNN_TRY(find_seen(net, last, c, h, w, &of_seen));
  if (whole) *whole = rectangle(of_whole);
  if (seen) *seen = rectangle(of_seen);
  return CNN_OK;
}
