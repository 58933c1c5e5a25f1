/* What a report says in numbers. One pass over the images for what is right, wrong, dead and saturated;
 * gradients of training images; then the clock for each layer, which overwrites what stands in the plan. All
 * but the times is the same on any number of threads: what is added up here is added up in the order of the
 * images. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "show.h"

enum { GRADIENT_IMAGES = 1000 };

/* Where the slope is a twentieth of its largest: 1 - y^2 of tanh, y (1 - y), at most 1/4, of the sigmoid. */
#define SLOPE 0.05F

void measured_free(struct measured *m) {
  for (int i = 0; m->layer && i < m->layers; i++) {
    free(m->layer[i].low);
    free(m->layer[i].high);
  }
  free(m->layer);
  free(m->weight);
  cnn_plan_free(m->initial);
  mistakes_free(&m->mistakes);
  confusion_free(&m->confusion);
  study_free(&m->study);
}

/* ---- Channels ---- */

static cnn_status open_layers(struct measured *m) {
  const cnn_net *net = cnn_plan_net(m->study.plan);
  m->layers = cnn_net_layer_count(net);
  m->layer = calloc((size_t)m->layers, sizeof *m->layer);
  if (!m->layer) return CNN_E_MEMORY;
  for (int i = 0; i < m->layers; i++) {
    struct layer_seen *seen = &m->layer[i];
    cnn_status status = cnn_net_layer(net, i, &seen->layer);
    if (status != CNN_OK) return status;
    int64_t channels = seen->layer.out.c;
    seen->low = malloc((size_t)channels * sizeof *seen->low);
    seen->high = malloc((size_t)channels * sizeof *seen->high);
    if (!seen->low || !seen->high) return CNN_E_MEMORY;
    for (int64_t c = 0; c < channels; c++) seen->low[c] = INFINITY, seen->high[c] = -INFINITY;
    seen->bends = strcmp(seen->layer.kind, "tanh") == 0 || strcmp(seen->layer.kind, "sigmoid") == 0;
    seen->forward = seen->backward = NAN;
  }
  return CNN_OK;
}

static int64_t count_flat(const struct layer_seen *seen, const float *y, int64_t count) {
  bool sigmoid = strcmp(seen->layer.kind, "sigmoid") == 0;
  int64_t flat = 0;
  for (int64_t i = 0; i < count; i++) flat += (sigmoid ? 4 * y[i] * (1 - y[i]) : 1 - y[i] * y[i]) < SLOPE;
  return flat;
}

/* The outputs of a layer for `count` images. */
static void look_at(struct layer_seen *seen, const float *y, int64_t count) {
  cnn_shape s = seen->layer.out;
  int64_t plane = s.h * s.w;
  if (seen->bends) seen->flat += count_flat(seen, y, count * s.c * plane);
  for (int64_t i = 0; i < count * s.c; i++, y += plane) {
    float low = seen->low[i % s.c], high = seen->high[i % s.c];
    double sum = 0;
    int64_t zeros = 0;
    for (int64_t k = 0; k < plane; k++) {
      low = y[k] < low ? y[k] : low;
      high = y[k] > high ? y[k] : high;
      sum += (double)y[k];
      zeros += y[k] == 0;
    }
    seen->low[i % s.c] = low;
    seen->high[i % s.c] = high;
    seen->sum += sum;
    seen->zeros += zeros;
  }
  seen->values += count * s.c * plane;
}

struct pass {
  struct measured *measured;
  float *values; /* of the largest output, for a mini-batch */
};

static cnn_status look_batch(void *context, struct study *study, int64_t first, int64_t count) {
  struct pass *pass = context;
  struct measured *m = pass->measured;
  confusion_add(&m->confusion, study, count);
  for (int i = 0; i < m->layers; i++) {
    cnn_shape shape = m->layer[i].layer.out;
    shape.n = count;
    cnn_status status =
        cnn_plan_get_output(study->plan, m->layer[i].layer.name, (cnn_tensor){pass->values, shape});
    if (status != CNN_OK) return status;
    look_at(&m->layer[i], pass->values, count);
  }
  mistakes_add(&m->mistakes, study, first, count);
  return CNN_OK;
}

static bool is_constant(const struct layer_seen *seen, int64_t channel) {
  return seen->low[channel] == seen->high[channel];
}

bool channel_is_dead(const struct measured *m, int index, int64_t channel) {
  const struct layer_seen *seen = &m->layer[index];
  const cnn_layer_info *layer = &seen->layer;
  if (!is_constant(seen, channel) || layer->inputs == 0) return false;
  if (layer->parameters > 0) return true;
  return layer->inputs == 1 && layer->in.c == layer->out.c &&
         !is_constant(&m->layer[layer->from[0]], channel);
}

static void count_dead(struct measured *m) {
  for (int i = 0; i < m->layers && m->study.images > 1; i++)
    for (int64_t c = 0; c < m->layer[i].layer.out.c; c++) m->layer[i].dead += channel_is_dead(m, i, c);
}

static cnn_status look_at_images(struct measured *m) {
  struct pass pass = {.measured = m};
  int64_t most = 1;
  for (int i = 0; i < m->layers; i++) {
    cnn_shape s = m->layer[i].layer.out;
    if (s.c * s.h * s.w > most) most = s.c * s.h * s.w;
  }
  pass.values = malloc((size_t)(most * m->study.batch) * sizeof *pass.values);
  if (!pass.values) return CNN_E_MEMORY;
  cnn_status status = study_run(&m->study, look_batch, &pass);
  free(pass.values);
  if (status != CNN_OK) return status;
  mistakes_sort(&m->mistakes);
  count_dead(m);
  return CNN_OK;
}

/* ---- Weights and their gradients ---- */

static void describe(struct weight_seen *seen, const float *w, const float *before) {
  int64_t count = seen->weight.count;
  double sum = 0, squares = 0, sum_before = 0, squares_before = 0, moved = 0;
  seen->least = INFINITY;
  seen->most = -INFINITY;
  for (int64_t i = 0; i < count; i++) {
    double value = (double)w[i];
    sum += value;
    squares += value * value;
    seen->least = value < seen->least ? value : seen->least;
    seen->most = value > seen->most ? value : seen->most;
    if (!before) continue;
    double old = (double)before[i];
    sum_before += old;
    squares_before += old * old;
    moved += (value - old) * (value - old);
  }
  double n = (double)count, variance = squares / n - sum / n * (sum / n),
         variance_before = squares_before / n - sum_before / n * (sum_before / n);
  seen->mean = sum / n;
  seen->deviation = sqrt(variance > 0 ? variance : 0);
  seen->before = before ? sqrt(variance_before > 0 ? variance_before : 0) : NAN;
  seen->change = squares_before > 0 ? sqrt(moved / squares_before) : NAN;
}

static cnn_status describe_weights(struct measured *m) {
  const cnn_net *net = cnn_plan_net(m->study.plan);
  m->weights = cnn_net_weight_count(net);
  m->weight = calloc((size_t)m->weights + 1, sizeof *m->weight);
  if (!m->weight) return CNN_E_MEMORY;
  cnn_status status = CNN_OK;
  for (int i = 0; i < m->weights && status == CNN_OK; i++) {
    struct weight_seen *seen = &m->weight[i];
    status = cnn_net_weight(net, i, &seen->weight);
    if (status != CNN_OK) break;
    seen->gradient = NAN;
    size_t count = (size_t)seen->weight.count;
    float *now = malloc(count * sizeof *now), *before = m->initial ? malloc(count * sizeof *before) : NULL;
    status = now && (before || !m->initial) ? CNN_OK : CNN_E_MEMORY;
    if (status == CNN_OK)
      status = cnn_plan_get_weight(m->study.plan, seen->weight.name, now, seen->weight.count);
    if (status == CNN_OK && before)
      status = cnn_plan_get_weight(m->initial, seen->weight.name, before, seen->weight.count);
    if (status == CNN_OK) describe(seen, now, before);
    free(before);
    free(now);
  }
  return status;
}

/* Adds the gradient of one mini-batch, times its images, to those before. */
static cnn_status add_gradients(struct measured *m, double *const *sums, float *values, int64_t images) {
  for (int i = 0; i < m->weights; i++) {
    const cnn_weight_info *weight = &m->weight[i].weight;
    if (!weight->trained) continue;
    cnn_status status = cnn_plan_get_gradient(m->study.plan, weight->name, values, weight->count);
    if (status != CNN_OK) return status;
    for (int64_t k = 0; k < weight->count; k++) sums[i][k] += (double)images * (double)values[k];
  }
  return CNN_OK;
}

/* Of the mean loss over the first images of the training split, or of what there is. */
static cnn_status sum_gradients(struct measured *m, double *const *sums, float *values) {
  struct study *s = &m->study;
  m->gradient_split = cnn_dataset_count(s->data, CNN_SPLIT_TRAIN) ? CNN_SPLIT_TRAIN : s->split;
  int64_t there = cnn_dataset_count(s->data, m->gradient_split);
  m->gradient_images = there < GRADIENT_IMAGES ? there : GRADIENT_IMAGES;
  cnn_shape image = cnn_model_image(s->model);
  cnn_status status = CNN_OK;
  for (int64_t first = 0, count; status == CNN_OK && first < m->gradient_images; first += count) {
    float loss;
    count = m->gradient_images - first < s->batch ? m->gradient_images - first : s->batch;
    for (int64_t n = 0; status == CNN_OK && n < count; n++)
      status = cnn_dataset_read(s->data, m->gradient_split, first + n, s->x + n * s->pixels, &s->labels[n]);
    image.n = count;
    if (status == CNN_OK) status = cnn_plan_gradient(s->plan, (cnn_tensor){s->x, image}, s->labels, &loss);
    if (status == CNN_OK) status = add_gradients(m, sums, values, count);
  }
  return status;
}

static cnn_status measure_gradients(struct measured *m) {
  double **sums = calloc((size_t)m->weights + 1, sizeof *sums);
  int64_t most = 1;
  cnn_status status = sums ? CNN_OK : CNN_E_MEMORY;
  for (int i = 0; status == CNN_OK && i < m->weights; i++) {
    int64_t count = m->weight[i].weight.count;
    sums[i] = calloc((size_t)count, sizeof **sums);
    if (!sums[i]) status = CNN_E_MEMORY;
    most = count > most ? count : most;
  }
  float *values = malloc((size_t)most * sizeof *values);
  if (status == CNN_OK) status = values ? sum_gradients(m, sums, values) : CNN_E_MEMORY;
  for (int i = 0; status == CNN_OK && i < m->weights; i++) {
    double squares = 0, n = (double)m->weight[i].weight.count, images = (double)m->gradient_images;
    for (int64_t k = 0; k < m->weight[i].weight.count; k++) squares += sums[i][k] * sums[i][k];
    if (m->weight[i].weight.trained) m->weight[i].gradient = sqrt(squares / n) / images;
  }
  free(values);
  for (int i = 0; sums && i < m->weights; i++) free(sums[i]);
  free(sums);
  return status;
}

/* ---- Time ---- */

/* The least of a few rounds of some milliseconds, for an image; NaN where there is nothing to do. */
static cnn_status clock_layer(struct measured *m, const char *layer, cnn_direction direction,
                              double *seconds) {
  enum { ROUNDS = 3 };
  static const double ROUND = 0.004; /* seconds */
  double once, least = INFINITY;
  cnn_status status = cnn_plan_time(m->study.plan, layer, direction, 1, &once);
  *seconds = NAN;
  if (status == CNN_E_UNSUPPORTED) return CNN_OK;
  int64_t runs = once > ROUND ? 1 : once > 1e-6 ? (int64_t)(ROUND / once) + 1 : 1000;
  for (int round = 0; status == CNN_OK && round < ROUNDS; round++) {
    double took;
    status = cnn_plan_time(m->study.plan, layer, direction, runs, &took);
    if (status == CNN_OK && took < least) least = took;
    if (once > 0.3) break;
  }
  *seconds = least / (double)m->study.batch;
  return status;
}

/* Training takes no gradient below the lowest weights. */
static cnn_status clock_layers(struct measured *m) {
  cnn_status status = CNN_OK;
  bool above = false;
  for (int i = 0; i < m->layers && status == CNN_OK; i++) {
    struct layer_seen *seen = &m->layer[i];
    double data = NAN, weights = NAN;
    status = clock_layer(m, seen->layer.name, CNN_FORWARD, &seen->forward);
    if (status == CNN_OK && above) status = clock_layer(m, seen->layer.name, CNN_BACKWARD_DATA, &data);
    if (status == CNN_OK) status = clock_layer(m, seen->layer.name, CNN_BACKWARD_WEIGHTS, &weights);
    above = above || seen->layer.parameters > 0;
    seen->backward = isnan(data) ? weights : isnan(weights) ? data : data + weights;
  }
  return status;
}

cnn_status measure(const struct study_options *options, struct measured *m) {
  struct study *s = &m->study;
  cnn_status status = study_open(options, s);
  if (status == CNN_OK) status = open_layers(m);
  if (status == CNN_OK) status = confusion_new(s->classes, &m->confusion);
  if (status == CNN_OK) status = mistakes_new(s, &m->mistakes);
  if (status == CNN_OK && initial_plan(s->model, &m->initial) == CNN_E_MEMORY) status = CNN_E_MEMORY;
  if (status == CNN_OK) status = describe_weights(m);
  if (status == CNN_OK) status = cnn_evaluate(s->plan, s->data, s->split, s->images, &m->evaluation);
  if (status == CNN_OK) status = look_at_images(m);
  if (status == CNN_OK) status = measure_gradients(m);
  return status == CNN_OK ? clock_layers(m) : status;
}
