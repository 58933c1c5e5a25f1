/* The list of layers, what they book, and the loops that elementwise layers share. */
#include "layers/layer.h"

#include <assert.h>
#include <string.h>

#include "core/text.h"

#define LAYER(name) extern const struct layer_class layer_##name;
#include "layers/layers.def"
#undef LAYER

const struct layer_class *const layer_classes[] = {
#define LAYER(name) &layer_##name,
#include "layers/layers.def"
#undef LAYER
    NULL};

enum { CLASSES = sizeof layer_classes / sizeof *layer_classes - 1 };

cnn_status layer_find(const char *name, const struct layer_class **found) {
  const char *names[CLASSES + 1] = {0};
  for (int i = 0; i < CLASSES; i++) {
    names[i] = layer_classes[i]->name;
    if (strcmp(name, names[i]) == 0) {
      *found = layer_classes[i];
      return CNN_OK;
    }
  }
  const char *nearest = text_nearest(name, names);
  return nearest ? CNN_FAIL(CNN_E_KEY, "unknown layer '%.40s'; did you mean '%s'?", name, nearest)
                 : CNN_FAIL(CNN_E_KEY, "unknown layer '%.40s'; `cnn layers` lists them", name);
}

void *ledger_table(struct ledger *ledger, size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  void *table = ledger->table_memory ? ledger->table_memory + ledger->table_used : NULL;
  if (ledger->step && ledger->table_used == 0) ledger->step->tables = table;
  ledger->table_used += bytes;
  return table;
}

void ledger_weight(struct ledger *ledger, const char *suffix, int dims, const int64_t *dim, int64_t packed,
                   struct init init, int64_t fan_in) {
  assert(ledger->weights < MAX_WEIGHTS && dims <= 4 && packed % BLOCK == 0);
  struct weight_booking *w = &ledger->weight[ledger->weights++];
  *w = (struct weight_booking){
      .suffix = suffix, .dims = dims, .packed = packed, .init = init, .fan_in = fan_in};
  memcpy(w->dim, dim, (size_t)dims * sizeof *dim);
}

void ledger_state(struct ledger *ledger, const char *suffix, int64_t count, struct init init) {
  assert(ledger->states < MAX_STATES && ledger->table_used > 0);
  int64_t packed = (count + BLOCK - 1) / BLOCK * BLOCK;
  float *values = ledger_table(ledger, (size_t)packed * sizeof *values);
  if (ledger->step) ledger->step->state[ledger->states] = values;
  ledger->state[ledger->states++] = (struct weight_booking){
      .suffix = suffix, .dims = 1, .dim = {count}, .packed = packed, .init = init, .fan_in = count};
}

cnn_status same_shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)config;
  *out = in[0];
  return CNN_OK;
}

void book_in_place(const void *config, struct ledger *ledger) {
  (void)config;
  ledger->in_place = true;
  ledger->keeps_y = true;
}

void reach_plane(const void *config, struct reach *reach) {
  (void)config;
  reach->kind = REACH_PLANE;
}

bool sees_all(const void *config, const cnn_shape *in, int k, int64_t f, int64_t c) {
  (void)config, (void)in, (void)k, (void)f, (void)c;
  return true;
}

void sum_groups(const struct kernel_table *kernels, float *to, float *sums, int64_t groups, int64_t stride,
                int64_t count) {
  int64_t step = 1;
  for (; 2 * step < groups; step *= 2)
    for (int64_t g = 0; g + step < groups; g += 2 * step)
      kernels->add(sums + g * stride, sums + g * stride, sums + (g + step) * stride, count);
  if (groups > 1)
    kernels->add(to, sums, sums + step * stride, count);
  else
    memcpy(to, sums, (size_t)count * sizeof *to);
}

void add_to_biases(const struct step *s, int64_t n, bool last, float *sum, float *lanes) {
  const struct view *dy = &s->dy;
  for (int64_t b = 0; b < view_blocks(dy); b++, sum += BLOCK, lanes += BLOCK * BLOCK) {
    s->kernels->sum_positions(lanes, dy->data + n * dy->image + b * dy->plane, BLOCK,
                              dy->shape.h * dy->shape.w);
    if (last) s->kernels->sum_lanes(sum, lanes);
  }
}

void copy_floats(float *to, const float *from, int64_t count) {
  memcpy(to, from, (size_t)count * sizeof *to);
}

static float *image(const struct view *v, int64_t n) { return v->data + n * v->image; }

void each_image(const struct view *y, const struct view *x, struct shard shard,
                void (*run)(float *y, const float *x, int64_t count)) {
  for (int64_t n = shard.n0; n < shard.n1; n++) run(image(y, n), image(x, n), view_blocks(y) * y->plane);
}

void each_element(const struct view *y, const struct view *x, struct shard shard,
                  void (*run)(float *y, const float *x, int64_t count)) {
  enum { HALF = BLOCK / 2, PIXELS = 64 };
  int64_t last = view_blocks(y) - 1, whole = (last + (view_width(y, last) > HALF)) * y->plane;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    if (whole) run(image(y, n), image(x, n), whole);
    for (int64_t i = whole; i < (last + 1) * y->plane; i += PIXELS * BLOCK) {
      float half[PIXELS * HALF];
      int64_t left = (last + 1) * y->plane - i, pixels = left < PIXELS * BLOCK ? left / BLOCK : PIXELS;
      const float *from = image(x, n) + i;
      float *to = image(y, n) + i;
      memset(half + pixels / 2 * BLOCK, 0,
             pixels % 2 * BLOCK * sizeof *half); /* an odd pixel is half a block */
      for (int64_t k = 0; k < pixels; k++) memcpy(half + k * HALF, from + k * BLOCK, HALF * sizeof *half);
      run(half, half, (pixels + 1) / 2 * BLOCK);
      for (int64_t k = 0; k < pixels; k++) memcpy(to + k * BLOCK, half + k * HALF, HALF * sizeof *half);
    }
  }
}

void each_image_backward(const struct view *dx, const struct view *dy, const struct view *y,
                         struct shard shard,
                         void (*run)(float *dx, const float *dy, const float *y, int64_t count)) {
  for (int64_t n = shard.n0; n < shard.n1; n++)
    run(image(dx, n), image(dy, n), image(y, n), view_blocks(y) * y->plane);
}

/* ---- What the program prints about layers ---- */

int cnn_layer_class_count(void) { return CLASSES; }

cnn_layer_class_info cnn_layer_class_get(int index) {
  if (index < 0 || index >= CLASSES) return (cnn_layer_class_info){0};
  const struct layer_class *class = layer_classes[index];
  int params = 0;
  while (class->params && class->params[params].key) params++;
  for (const struct param *p = learning_params; class->place && p->key; p++) params++;
  return (cnn_layer_class_info){class->name,     class->summary, params,
                                class->examples, class->inputs,  layer_most_inputs(class)};
}

cnn_status cnn_layer_class_find(const char *name, int *index) {
  const struct layer_class *class;
  CNN_TRY(layer_find(name, &class));
  for (int i = 0; i < CLASSES; i++)
    if (layer_classes[i] == class) *index = i;
  return CNN_OK;
}

cnn_param_info cnn_layer_param(int index, int param) {
  if (index < 0 || index >= CLASSES || param < 0 || param >= cnn_layer_class_get(index).params)
    return (cnn_param_info){0};
  const struct param *p = layer_classes[index]->params;
  for (; p && p->key && param > 0; p++) param--;
  if (!p || !p->key) p = &learning_params[param];
  return (cnn_param_info){p->key, params_type(p), p->standard, p->help};
}
