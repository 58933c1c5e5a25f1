/* See update.h. */
#include "train/update.h"

#include <math.h>
#include <string.h>

#include "core/threads.h"

void *carver_take(struct carver *carver, size_t count, size_t size) {
  void *piece = carver->at ? carver->at + carver->used : NULL;
  carver->used += (count * size + 63) / 64 * 64;
  return piece;
}

void updater_init(struct updater *u, cnn_plan *plan, const struct optimizer *optimizer,
                  const cnn_train_options *options) {
  *u = (struct updater){.plan = plan, .optimizer = optimizer, .options = options};
  u->power1 = u->power2 = u->average_power = 1;
}

void updater_carve(struct updater *u, struct carver *carver) {
  size_t range = (size_t)u->plan->range;
  u->zones = carver_take(carver, (size_t)u->plan->net->weight_count, sizeof *u->zones);
  for (int i = 0; i < u->optimizer->moments; i++)
    u->moment[i] = carver_take(carver, range, sizeof *u->moment[i]);
  if (u->options->ema > 0)
    u->average = carver_take(carver, range + (size_t)updater_states(u->plan), sizeof *u->average);
  if (!updater_waits(u)) return;
  u->real = carver_take(carver, range / BLOCK, sizeof *u->real);
  u->squares = carver_take(carver, (range + SUM_RANGE - 1) / SUM_RANGE, sizeof *u->squares);
}

int64_t updater_states(const cnn_plan *plan) {
  int64_t floats = 0;
  for (int i = 0; i < plan->net->count; i++)
    for (int k = 0; k < plan->planned[i].ledger.states; k++)
      floats += plan->planned[i].ledger.state[k].packed;
  return floats;
}

void updater_each_state(const cnn_plan *plan, float *kept, float rate,
                        void (*run)(const cnn_plan *plan, float *state, float *kept, int64_t count,
                                    float rate)) {
  for (int i = 0; i < plan->net->count; i++)
    for (int k = 0; k < plan->planned[i].ledger.states; k++) {
      int64_t count = plan->planned[i].ledger.state[k].packed;
      run(plan, plan->steps[i].state[k], kept, count, rate);
      kept += count;
    }
}

static const char *weight_name(const cnn_net *net, int brick, int index) {
  for (int w = 0; w < net->weight_count; w++)
    if (net->weights[w].brick == brick && net->weights[w].index == index && !net->weights[w].state)
      return net->weights[w].name;
  return "";
}

/* Weights in the order of the plan's range, which is that of its bricks. What has one dimension, biases and
 * the scales of batchnorm, decays only where it is asked to. */
void updater_fill(struct updater *u) {
  const cnn_plan *plan = u->plan;
  for (int i = 0; i < plan->net->count; i++) {
    const struct brick *brick = &plan->net->bricks[i];
    const struct step *step = &plan->steps[i];
    const struct ledger *ledger = &plan->planned[i].ledger;
    for (int w = 0; w < ledger->weights; w++) {
      bool bias = strcmp(ledger->weight[w].suffix, "bias") == 0;
      struct zone *zone = &u->zones[u->zone_count++];
      zone->name = weight_name(plan->net, i, w);
      zone->from = step->weight - plan->weights + step->weight_at[w];
      zone->to = zone->from + ledger->weight[w].packed;
      zone->lr = brick->learning.lr * (bias ? brick->learning.bias_lr : 1);
      if (ledger->weight[w].dims > 1 || u->options->decay_biases)
        zone->decay = brick->learning.decay * u->options->weight_decay;
      if (!u->real) continue;
      int64_t count = 1, first = step->weight - plan->weights;
      for (int d = 0; d < ledger->weight[w].dims; d++) count *= ledger->weight[w].dim[d];
      for (int64_t k = 0; k < count; k++) {
        int64_t at = first + brick->class->place(step, w, k);
        u->real[at / BLOCK] |= (uint16_t)(1U << at % BLOCK);
      }
    }
  }
}

void updater_begin(struct updater *u) {
  u->power1 *= u->options->beta1;
  u->power2 *= u->options->beta2;
  u->average_power *= u->options->ema;
  u->average_rate = (float)((1 - u->options->ema) / (1 - u->average_power));
}

bool updater_waits(const struct updater *u) { return u->options->clip_norm > 0; }

/* The part of a zone that lies in from .. from + count - 1. */
static void step_zone(const struct updater *u, const struct zone *zone, int64_t from, int64_t count) {
  const cnn_train_options *o = u->options;
  double lr = u->lr * zone->lr, scale = 1;
  if (updater_waits(u) && u->norm > o->clip_norm) scale = o->clip_norm / u->norm;
  struct update step = {.weight = u->plan->weights + from,
                        .gradient = u->plan->gradients + from,
                        .lr = (float)lr,
                        .momentum = (float)o->momentum,
                        .beta1 = (float)o->beta1,
                        .beta2 = (float)o->beta2,
                        .decay = (float)o->decay,
                        .epsilon = (float)o->epsilon,
                        .rest1 = (float)(1 - o->beta1),
                        .rest2 = (float)(1 - o->beta2),
                        .rest = (float)(1 - o->decay),
                        .correction1 = (float)(1 / (1 - u->power1)),
                        .correction2 = (float)(1 / (1 - u->power2)),
                        .scale = (float)scale,
                        .limit = (float)o->clip_value};
  if (u->optimizer->decoupled)
    step.shrink = (float)(lr * zone->decay);
  else
    step.l2 = (float)zone->decay;
  step.treated = scale != 1 || step.limit > 0 || step.l2 > 0;
  for (int i = 0; i < u->optimizer->moments; i++) step.moment[i] = u->moment[i] + from;
  u->optimizer->step(u->plan->kernels)(&step, count);
}

/* The first zone that ends after `at`. */
static const struct zone *zone_at(const struct updater *u, int64_t at) {
  int low = 0, high = u->zone_count - 1;
  while (low < high) {
    int middle = (low + high) / 2;
    if (u->zones[middle].to > at)
      high = middle;
    else
      low = middle + 1;
  }
  return &u->zones[low];
}

void updater_take(void *context, const float *gradient, int64_t count) {
  const struct updater *u = context;
  int64_t from = gradient - u->plan->gradients, end = from + count;
  const struct zone *zone = zone_at(u, from);
  for (int64_t at = from; at < end; at = zone->to, zone++) {
    int64_t past = zone->to < end ? zone->to : end;
    if (zone->lr > 0) step_zone(u, zone, at, past - at);
  }
  if (u->average)
    u->plan->kernels->average(u->average + from, u->plan->weights + from, u->average_rate, count);
}

static void average_state(const cnn_plan *plan, float *state, float *kept, int64_t count, float rate) {
  plan->kernels->average(kept, state, rate, count);
}

void updater_end(struct updater *u) {
  if (u->average) updater_each_state(u->plan, u->average + u->plan->range, u->average_rate, average_state);
}

/* ---- Clipping by the norm ---- */

static int64_t ranges(const struct updater *u) { return (u->plan->range + SUM_RANGE - 1) / SUM_RANGE; }

static int64_t range_end(const struct updater *u, int64_t from) {
  return from + SUM_RANGE < u->plan->range ? from + SUM_RANGE : u->plan->range;
}

/* Of one range; weights that do not learn have no part in it. */
static void sum_squares(void *context, int64_t task, int thread) {
  const struct updater *u = context;
  int64_t from = task * SUM_RANGE, end = range_end(u, from);
  const struct zone *zone = zone_at(u, from);
  double sum = 0;
  (void)thread;
  for (int64_t at = from; at < end; at = zone->to, zone++) {
    int64_t past = zone->to < end ? zone->to : end;
    if (zone->lr > 0)
      sum += u->plan->kernels->sum_squares(u->plan->gradients + at, u->real + at / BLOCK, past - at);
  }
  u->squares[task] = sum;
}

static void step_range(void *context, int64_t task, int thread) {
  const struct updater *u = context;
  int64_t from = task * SUM_RANGE;
  (void)thread;
  updater_take(context, u->plan->gradients + from, range_end(u, from) - from);
}

static cnn_status not_finite(const struct updater *u) {
  for (int i = 0; i < u->zone_count; i++) {
    const struct zone *zone = &u->zones[i];
    const float *gradient = u->plan->gradients + zone->from;
    if (zone->lr > 0 && !isfinite(u->plan->kernels->sum_squares(gradient, u->real + zone->from / BLOCK,
                                                                zone->to - zone->from)))
      return CNN_FAIL(CNN_E_NUMERIC, "the gradient of '%s' is not finite; try a smaller learning rate",
                      zone->name);
  }
  return CNN_OK;
}

cnn_status updater_finish(struct updater *u) {
  double sum = 0;
  threads_run(u->plan->options.threads, ranges(u), sum_squares, u);
  for (int64_t i = 0; i < ranges(u); i++) sum += u->squares[i];
  if (!isfinite(sum)) return not_finite(u);
  u->norm = sqrt(sum);
  updater_begin(u);
  threads_run(u->plan->options.threads, ranges(u), step_range, u);
  return CNN_OK;
}
