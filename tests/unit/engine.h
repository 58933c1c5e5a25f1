/* For tests of single layers: what a probe has, run again in another way, beside the plain loops. */
#ifndef TESTS_UNIT_ENGINE_H
#define TESTS_UNIT_ENGINE_H

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "instruction_sets.h"
#include "net/probe.h"

struct way {
  const struct kernel_table *table; /* NULL: the best there is */
  int threads;
  int64_t group; /* images of a gradient group; 0: the plan's own choice */
  bool infer;    /* forward only, in a plan for inference */
  bool inside;   /* not at the network's input but above a pooling of single elements: in channel blocks */
};

struct engine {
  cnn_net *net;
  cnn_plan *plan;
  float *part[PROBE_PARTS];
};

static inline void engine_free(struct engine *e) {
  for (int i = 0; i < PROBE_PARTS; i++) free(e->part[i]);
  cnn_plan_free(e->plan);
  cnn_net_free(e->net);
}

struct engine_hook {
  const struct engine *engine;
  const struct probe *probe;
};

/* Lanes past the last channel may hold anything: here NaN, and no answer may change. */
static inline void engine_spoil(const struct view *v, int64_t n0, int64_t n1) {
  for (int64_t n = n0; v->block == BLOCK && n < n1; n++)
    for (int64_t c = v->shape.c; c % BLOCK; c++)
      for (int64_t i = 0; i < v->shape.h * v->shape.w; i++)
        v->data[view_offset(v, n, c, i / v->shape.w, i % v->shape.w)] = NAN;
}

static inline void engine_scored(void *context, int64_t n0, int64_t n1) {
  const struct engine_hook *hook = context;
  const cnn_shape *out = &hook->probe->out;
  const struct view *dy = plan_scores_gradient(hook->engine->plan);
  view_write(dy, n0, n1, hook->probe->dy + n0 * out->c * out->h * out->w);
  engine_spoil(dy, n0, n1);
}

/* One forward and backward of the probe's layer, on the probe's values; without backward only the output is
 * set. */
static inline struct engine engine_run(const struct probe *p, const char *layer, const char *words,
                                       struct way way) {
  struct engine e = {.net = cnn_net_new()};
  const struct kernel_table *best;
  assert_non_null(e.net);
  ok(kernels_pick(&best));
  if (way.inside) {
    ok(probe_net(e.net, "maxpool", "kernel=1", p->in, 1));
    ok(cnn_net_add(e.net, layer, words));
  } else {
    ok(probe_net(e.net, layer, words, p->in, p->inputs));
  }
  cnn_plan_options options = {.mode = way.infer ? CNN_INFER : CNN_TRAIN,
                              .batch = p->out.n,
                              .seed = p->plan->options.seed,
                              .threads = way.threads,
                              .group = way.group,
                              .loss = CNN_LOSS_MEAN_SQUARED_ERROR};
  kernels_use(way.table ? way.table : best);
  ok(plan_new(e.net, &options, !way.infer, &e.plan));
  kernels_use(best);
  for (int w = 0; w < cnn_net_weight_count(e.net); w++)
    ok(cnn_plan_set_weight(e.plan, e.net->weights[w].name, p->weight[w], p->count[PROBE_WEIGHT + w]));
  const struct step *last = &e.plan->steps[e.net->count - 1];
  probe_write(p, e.plan);
  for (int k = 0; k < p->inputs; k++) engine_spoil(&e.plan->steps[k].y, 0, p->out.n);
  if (way.infer)
    exec_forward(e.plan, p->out.n, NULL);
  else
    exec_gradient(e.plan, p->out.n,
                  &(struct hooks){.scored = engine_scored, .context = &(struct engine_hook){&e, p}});
  for (int i = 0; i < PROBE_PARTS; i++) {
    e.part[i] = malloc((size_t)p->count[i] * sizeof(float) + 1);
    assert_non_null(e.part[i]);
  }
  view_read(&last->y, 0, p->out.n, e.part[PROBE_OUTPUT]);
  if (way.infer) return e;
  probe_read(p, e.plan, p->inputs, e.part[PROBE_INPUT]);
  for (int w = 0; w < cnn_net_weight_count(e.net); w++)
    ok(cnn_plan_get_gradient(e.plan, e.net->weights[w].name, e.part[PROBE_WEIGHT + w],
                             p->count[PROBE_WEIGHT + w]));
  return e;
}

#endif
