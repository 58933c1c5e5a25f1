/* See batch.h. */
#include "train/batch.h"

#include <inttypes.h>
#include <string.h>

static int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }

/* One image of the network's input, dense, then what augmentation works in. */
static int64_t dense_bytes(const cnn_plan *plan) {
  cnn_shape in = cnn_net_input(plan->net);
  return round_up(in.c * in.h * in.w * (int64_t)sizeof(float));
}

static int64_t thread_bytes(const struct batch *batch) {
  const cnn_plan *plan = batch->loss.plan;
  int64_t bytes = dense_bytes(plan);
  if (batch->augment) bytes += augment_scratch(batch->augment, input_image(plan), cnn_net_input(plan->net));
  return bytes;
}

static int64_t list_bytes(int64_t images) {
  int64_t each = (int64_t)(sizeof(double) + sizeof(int32_t) + sizeof(uint8_t));
  return round_up(images * each);
}

int64_t batch_bytes(const struct batch *batch, int64_t images) {
  return list_bytes(images) + batch->loss.plan->options.threads * thread_bytes(batch);
}

void batch_place(struct batch *batch, int64_t images, char *memory) {
  batch->loss.each = (double *)memory;
  batch->labels = (int32_t *)(memory + images * (int64_t)sizeof(double));
  batch->loss.labels = batch->labels;
  batch->loss.correct = (uint8_t *)(batch->labels + images);
  batch->scratch = memory + list_bytes(images);
  batch->scratch_bytes = thread_bytes(batch);
}

cnn_status batch_open(struct batch *batch) {
  const cnn_plan_options *options = &batch->loss.plan->options;
  for (int i = 0; i < 256; i++) batch->value[i] = dataset_value((uint8_t)i);
  if (!dataset_streams(batch->data)) return CNN_OK;
  return reader_new(batch->data, options->batch, options->threads, &batch->reader);
}

void batch_close(struct batch *batch) {
  reader_free(batch->reader);
  batch->reader = NULL;
}

static int64_t image_of(const struct batch *batch, int64_t n) {
  return batch->index ? batch->index[batch->first + n] : batch->first + n;
}

cnn_status batch_take(struct batch *batch, const int32_t *index, int64_t first, int64_t count, int64_t past) {
  batch->index = index;
  batch->first = first;
  batch->loss.batch = count;
  for (int64_t n = 0; n < count; n++)
    batch->labels[n] = dataset_label(batch->data, batch->split, image_of(batch, n));
  if (!batch->reader) return CNN_OK;
  int64_t next = first + count, room = batch->loss.plan->options.batch, left = past - next;
  CNN_TRY(reader_take(batch->reader, (struct request){batch->split, index, first, count}));
  reader_ahead(batch->reader, (struct request){batch->split, index, next, left < room ? left : room});
  return CNN_OK;
}

static const uint8_t *pixels_of(const struct batch *batch, int64_t n) {
  if (batch->reader) return reader_pixels(batch->reader, n);
  return dataset_pixels(batch->data, batch->split, image_of(batch, n));
}

/* Images of a batch lie anywhere in the data set, which no cache holds: ask for the first bytes of one that
 * is wanted soon. */
static void ask_for(const struct batch *batch, int64_t n) {
  enum { BYTES = 4096, LINE = 64 };
  int64_t bytes = dataset_image_bytes(batch->data);
  const uint8_t *pixels = pixels_of(batch, n);
  for (int64_t i = 0; i < bytes && i < BYTES; i += LINE) __builtin_prefetch(pixels + i);
}

/* An image that fits as it is. */
static void load_plain(const struct batch *batch, int64_t n) {
  const struct view *x = &batch->loss.plan->steps[0].y;
  const uint8_t *byte = pixels_of(batch, n);
  for (int64_t c = 0; c < x->shape.c; c++)
    for (int64_t h = 0; h < x->shape.h; h++) {
      float *row = x->data + view_offset(x, n, c, h, 0);
      for (int64_t w = 0; w < x->shape.w; w++) row[w * x->pixel] = batch->value[*byte++];
    }
}

/* The window at (top, left), moved and mirrored as `look` says. */
static void cut(const struct look *look, const uint8_t *pixels, cnn_shape image, cnn_tensor dense,
                int64_t top, int64_t left) {
  cnn_shape in = dense.shape;
  for (int64_t c = 0; c < in.c; c++)
    for (int64_t h = 0; h < in.h; h++) {
      float *row = cnn_tensor_at(dense, 0, c, h, 0);
      int64_t y = top + h - look->dy;
      for (int64_t w = 0; w < in.w; w++) {
        int64_t x = left + (look->flip ? in.w - 1 - w : w) - look->dx;
        bool inside = y >= 0 && y < image.h && x >= 0 && x < image.w;
        row[w] = inside ? dataset_value(pixels[(c * image.h + y) * image.w + x]) : 0;
      }
    }
}

/* By way of a dense image: cropped, augmented, normalised. */
static void load_dense(const struct batch *batch, int64_t n, char *scratch) {
  const cnn_plan *plan = batch->loss.plan;
  const struct view *v = &plan->steps[0].y;
  cnn_shape image = input_image(plan);
  cnn_tensor dense = {(float *)(void *)scratch, cnn_net_input(plan->net)};
  struct ticket ticket = {plan->chance.seed, plan->chance.image + (uint64_t)n};
  int64_t top = (image.h - dense.shape.h) / 2 + batch->look.down,
          left = (image.w - dense.shape.w) / 2 + batch->look.right;
  dense.shape.n = 1;
  if (batch->augment)
    augment_image(batch->augment, pixels_of(batch, n), image, ticket, dense, scratch + dense_bytes(plan),
                  &top, &left);
  else
    cut(&batch->look, pixels_of(batch, n), image, dense, top, left);
  struct view view = {.data = dense.data};
  view_layout(&view, dense.shape, 1);
  input_normalize(&plan->input, &view, 0, top, left);
  if (batch->augment) augment_erase(batch->augment, ticket, dense);
  view_write(v, n, n + 1, dense.data);
}

static bool is_plain(const struct batch *batch) {
  const struct input *input = &batch->loss.plan->input;
  const struct look *look = &batch->look;
  return !batch->augment && !input->means && !input->h && !look->flip && !look->dy && !look->dx;
}

void batch_load(void *context, int64_t n0, int64_t n1, int thread) {
  const struct batch *batch = context;
  char *scratch = batch->scratch + thread * batch->scratch_bytes;
  bool plain = is_plain(batch);
  for (int64_t n = n0; n < n1; n++) {
    if (n + 1 < batch->loss.batch) ask_for(batch, n + 1);
    if (plain)
      load_plain(batch, n);
    else
      load_dense(batch, n, scratch);
  }
}

cnn_status batch_check(const cnn_plan *plan, const cnn_dataset *data) {
  cnn_shape image = cnn_dataset_image(data), in = input_image(plan), net = cnn_net_input(plan->net);
  bool cut = in.h != net.h || in.w != net.w;
  if (image.c != in.c || image.h != in.h || image.w != in.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "the images of '%s' are %" PRId64 "x%" PRId64 "x%" PRId64 "; the network takes %" PRId64
                    "x%" PRId64 "x%" PRId64 "%s",
                    cnn_dataset_name(data), image.c, image.h, image.w, in.c, in.h, in.w,
                    cut ? ", to cut its input out of: see `augment`" : ": change its input's shape");
  CNN_TRY(loss_check(plan->net));
  int64_t outputs = cnn_net_output(plan->net).c;
  if (cnn_dataset_classes(data) > outputs)
    return CNN_FAIL(CNN_E_DATA,
                    "label %d of '%s' is out of range: the network has %" PRId64
                    " outputs; give its last affine units=%d",
                    cnn_dataset_classes(data) - 1, cnn_dataset_name(data), outputs,
                    cnn_dataset_classes(data));
  return CNN_OK;
}
