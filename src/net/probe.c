/* See probe.h. */
#include "net/probe.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"

const char *const probe_names[PROBE_PARTS] = {"output", "input", "weight", "bias"};

void probe_free(struct probe *p) {
  if (!p) return;
  for (int i = 0; i < PROBE_PARTS; i++) {
    mem_free(p->engine[i]);
    mem_free(p->naive[i]);
  }
  for (int i = 0; i < MAX_WEIGHTS; i++) {
    mem_free(p->weight[i]);
    mem_free(p->weight64[i]);
  }
  mem_free(p->x);
  mem_free(p->x64);
  mem_free(p->dy);
  mem_free(p->dy64);
  cnn_plan_free(p->plan);
  cnn_net_free(p->net);
  mem_free(p);
}

/* `count` random floats in (-1, 1), and the same as doubles. */
static cnn_status fill(float **values, double **wide, int64_t count, uint64_t seed, uint32_t stream) {
  struct rng rng = rng_stream(seed, RNG_GRADCHECK, stream);
  *values = mem_alloc((size_t)count * sizeof **values);
  *wide = mem_alloc((size_t)count * sizeof **wide);
  if (!*values || !*wide) return status_no_memory((size_t)count * sizeof **wide, "a probe's values");
  for (int64_t i = 0; i < count; i++) {
    (*values)[i] = 2 * rng_uniform(&rng, (uint64_t)i) - 1;
    (*wide)[i] = (*values)[i];
  }
  return CNN_OK;
}

static int64_t floats_of(cnn_shape shape) { return shape.n * shape.c * shape.h * shape.w; }

cnn_status probe_net(cnn_net *net, const char *layer, const char *words, const cnn_shape *in, int inputs) {
  struct text keys = {0};
  net->several_inputs = true;
  for (int k = 0; k < inputs; k++) {
    char shape[96];
    snprintf(shape, sizeof shape, "shape=%" PRId64 "x%" PRId64 "x%" PRId64, in[k].c, in[k].h, in[k].w);
    CNN_TRY(cnn_net_add(net, "input", shape));
  }
  for (int k = 0; inputs > 1 && k < inputs; k++) text_add(&keys, "%sinput%d", k ? "," : "from=", k + 1);
  text_add(&keys, " %s", words);
  cnn_status status =
      keys.failed ? status_no_memory(strlen(words), "a layer's keys") : cnn_net_add(net, layer, keys.data);
  text_free(&keys);
  return status;
}

static cnn_status set_up(struct probe *p, const char *layer, const char *words, uint64_t seed, int threads) {
  CNN_TRY(probe_net(p->net, layer, words, p->in, p->inputs));
  cnn_plan_options options = {.mode = CNN_TRAIN,
                              .batch = p->in[0].n,
                              .seed = seed,
                              .threads = threads,
                              .loss = CNN_LOSS_MEAN_SQUARED_ERROR}; /* which is joined with no layer */
  CNN_TRY(plan_new(p->net, &options, true, &p->plan));
  p->out = cnn_net_output(p->net);
  p->out.n = p->in[0].n;
  p->count[PROBE_OUTPUT] = floats_of(p->out);
  for (int k = 0; k < p->inputs; k++) p->count[PROBE_INPUT] += floats_of(p->in[k]);
  CNN_TRY(fill(&p->x, &p->x64, p->count[PROBE_INPUT], seed, 0));
  CNN_TRY(fill(&p->dy, &p->dy64, p->count[PROBE_OUTPUT], seed, 1));
  for (int w = 0; w < cnn_net_weight_count(p->net); w++) {
    cnn_weight_info info;
    CNN_TRY(cnn_net_weight(p->net, w, &info));
    if (!info.trained) break; /* states come last, and play no part in training */
    p->count[PROBE_WEIGHT + w] = info.count;
    CNN_TRY(fill(&p->weight[w], &p->weight64[w], info.count, seed, 2 + (uint32_t)w));
    CNN_TRY(cnn_plan_set_weight(p->plan, info.name, p->weight[w], info.count));
  }
  for (int i = 0; i < PROBE_PARTS; i++) {
    p->engine[i] = mem_zeroed((size_t)p->count[i], sizeof(float));
    p->naive[i] = mem_zeroed((size_t)p->count[i], sizeof(double));
    if (!p->engine[i] || !p->naive[i])
      return status_no_memory((size_t)p->count[i] * sizeof(double), "a probe's results");
  }
  return CNN_OK;
}

static void set_gradient(void *context, int64_t n0, int64_t n1) {
  struct probe *p = context;
  view_write(plan_scores_gradient(p->plan), n0, n1, p->dy + n0 * p->out.c * p->out.h * p->out.w);
}

void probe_write(const struct probe *p, const cnn_plan *plan) {
  const float *x = p->x;
  for (int k = 0; k < p->inputs; x += floats_of(p->in[k]), k++)
    view_write(&plan->steps[k].y, 0, p->in[k].n, x);
}

void probe_read(const struct probe *p, const cnn_plan *plan, int layer, float *dx) {
  for (int k = 0; k < p->inputs; dx += floats_of(p->in[k]), k++)
    view_read(&plan->steps[layer].dx[k], 0, p->in[k].n, dx);
}

static cnn_status run_engine(struct probe *p) {
  probe_write(p, p->plan);
  exec_gradient(p->plan, p->in[0].n, &(struct hooks){.scored = set_gradient, .context = p});
  view_read(&p->plan->steps[p->inputs].y, 0, p->out.n, p->engine[PROBE_OUTPUT]);
  probe_read(p, p->plan, p->inputs, p->engine[PROBE_INPUT]);
  for (int w = 0; w < MAX_WEIGHTS && p->weight[w]; w++)
    CNN_TRY(cnn_plan_get_gradient(p->plan, p->net->weights[w].name, p->engine[PROBE_WEIGHT + w],
                                  p->count[PROBE_WEIGHT + w]));
  return CNN_OK;
}

void probe_naive(const struct probe *p, double *y, bool backward) {
  const struct brick *brick = &p->net->bricks[p->inputs];
  struct naive naive = {.config = brick->config,
                        .inputs = p->inputs,
                        .in = p->in,
                        .out = p->out,
                        .y = y,
                        .chance = &p->plan->chance,
                        .stream = (uint32_t)p->inputs};
  int64_t at = 0;
  for (int k = 0; k < p->inputs; at += floats_of(p->in[k]), k++) {
    naive.x[k] = p->x64 + at;
    if (backward) naive.dx[k] = p->naive[PROBE_INPUT] + at;
  }
  for (int w = 0; w < MAX_WEIGHTS; w++) {
    naive.weight[w] = p->weight64[w];
    if (backward) naive.dweight[w] = p->naive[PROBE_WEIGHT + w];
  }
  if (backward) naive.dy = p->dy64;
  brick->class->naive(&naive);
}

cnn_status probe_new_inputs(const char *layer, const char *words, const cnn_shape *in, int inputs,
                            uint64_t seed, int threads, struct probe **probe) {
  struct probe *p = mem_zeroed(1, sizeof *p);
  if (!p) return status_no_memory(sizeof *p, "a probe");
  p->inputs = inputs;
  memcpy(p->in, in, (size_t)inputs * sizeof *in);
  p->net = cnn_net_new();
  cnn_status status =
      p->net ? set_up(p, layer, words, seed, threads) : status_no_memory(sizeof *p, "a network");
  if (status == CNN_OK) status = run_engine(p);
  if (status == CNN_OK) {
    probe_naive(p, p->naive[PROBE_OUTPUT], true);
    *probe = p;
  } else {
    probe_free(p);
  }
  return status;
}

cnn_status probe_new(const char *layer, const char *words, cnn_shape in, uint64_t seed, int threads,
                     struct probe **probe) {
  return probe_new_inputs(layer, words, &in, 1, seed, threads, probe);
}

/* NaN where both are zero everywhere, which proves nothing; infinite where something is not a number. */
static double relative(double difference, double norm) {
  if (difference == 0 && norm == 0) return NAN;
  return norm > 0 && !isnan(difference) ? sqrt(difference / norm) : INFINITY;
}

double probe_engine_error(const struct probe *p, enum probe_part part) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < p->count[part]; i++) {
    double d = (double)p->engine[part][i] - p->naive[part][i];
    difference += d * d;
    norm += p->naive[part][i] * p->naive[part][i];
  }
  return relative(difference, norm);
}

/* sum of y * dy with one input moved by h */
static double moved(struct probe *p, double *value, double h, double *y) {
  double was = *value, sum = 0;
  *value = was + h;
  probe_naive(p, y, false);
  *value = was;
  for (int64_t i = 0; i < p->count[PROBE_OUTPUT]; i++) sum += y[i] * p->dy64[i];
  return sum;
}

double probe_oracle_error(struct probe *p, enum probe_part part, int samples) {
  double *values = part == PROBE_INPUT ? p->x64 : p->weight64[part - PROBE_WEIGHT];
  double *y = mem_alloc((size_t)p->count[PROBE_OUTPUT] * sizeof *y);
  if (!y) return INFINITY;
  struct rng rng = rng_stream(p->plan->options.seed, RNG_GRADCHECK, 100 + part);
  double difference = 0, norm = 0;
  bool all = p->count[part] <= samples;
  for (int s = 0; s < (all ? (int)p->count[part] : samples); s++) {
    uint64_t i = all ? (uint64_t)s : rng_below(&rng, (uint64_t)s, (uint64_t)p->count[part]);
    for (int64_t k = 0; !all && s % 2 && k < p->count[part] && p->naive[part][i] == 0; k++)
      i = (i + 1) % (uint64_t)p->count[part]; /* zeros prove little: every other sample has a gradient */
    const double h = 1e-5; /* kinks (relu, maxpool) are as rare as values within h of them */
    double numeric = (moved(p, &values[i], h, y) - moved(p, &values[i], -h, y)) / (2 * h);
    double d = numeric - p->naive[part][i];
    difference += d * d;
    norm += p->naive[part][i] * p->naive[part][i];
  }
  mem_free(y);
  return relative(difference, norm);
}

cnn_status cnn_gradcheck(const cnn_net *net, uint64_t seed,
                         void (*row)(void *context, const cnn_gradcheck_row *), void *context) {
  const double oracle_limit = 1e-6,
               engine_limit = 3e-5; /* double and float rounding of long sums, with room */
  const int samples = 20;
  bool all_ok = true;
  CNN_TRY(cnn_net_check(net));
  for (int i = 1; i < net->count; i++) {
    const struct brick *brick = &net->bricks[i];
    struct text words = {0};
    struct probe *probe;
    cnn_shape in[MAX_INPUTS];
    for (int k = 0; k < brick->inputs; k++) in[k] = brick->in[k], in[k].n = brick->class->settle ? 9 : 2;
    params_print(brick->class, brick->config, &words);
    cnn_status status = words.failed ? status_no_memory(64, "a layer's keys")
                                     : probe_new_inputs(brick->class->name, words.data ? words.data : "", in,
                                                        brick->inputs, seed, 0, &probe);
    text_free(&words);
    CNN_TRY(status);
    for (int part = 0; part < PROBE_PARTS; part++) {
      if (!probe->count[part]) continue;
      cnn_gradcheck_row r = {.layer = brick->name, .what = probe_names[part], .count = probe->count[part]};
      r.engine = probe_engine_error(probe, part);
      if (part != PROBE_OUTPUT) r.oracle = probe_oracle_error(probe, part, samples);
      if (isnan(r.engine)) r.engine = 0; /* behind a dead ReLU, say, a gradient of zeros is right */
      if (isnan(r.oracle)) r.oracle = 0;
      r.ok = r.oracle < oracle_limit && r.engine < engine_limit;
      all_ok = all_ok && r.ok;
      if (row) row(context, &r);
    }
    probe_free(probe);
  }
  return all_ok ? CNN_OK
                : CNN_FAIL(CNN_E_NUMERIC,
                           "a gradient differs from what it should be; the rows that are not ok say which");
}
