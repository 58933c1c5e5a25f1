/* For tests of plans: nets and plans at hand, all weights or gradients at once, and what is the same. */
#ifndef TESTS_UNIT_PLANS_H
#define TESTS_UNIT_PLANS_H

#include <inttypes.h>
#include <stdlib.h>

#include "check.h"
#include "float_bits.h"
#include "net/plan.h"
#include "random.h"

static inline cnn_net *parse(const char *text) {
  cnn_net *net;
  ok(cnn_net_parse(text, "t", &net));
  return net;
}

static inline cnn_plan *plan_of(const cnn_net *net, cnn_plan_options options) {
  cnn_plan *plan;
  ok(cnn_plan_new(net, &options, &plan));
  return plan;
}

static inline cnn_plan_options training(int64_t batch) {
  return (cnn_plan_options){.mode = CNN_TRAIN, .batch = batch, .seed = 3, .threads = 1};
}

static inline cnn_plan_options inference(int64_t batch) {
  return (cnn_plan_options){.mode = CNN_INFER, .batch = batch, .seed = 3, .threads = 1};
}

static inline int64_t count_of(cnn_shape shape) { return shape.n * shape.c * shape.h * shape.w; }

/* `count` random floats in (-1, 1); free() them. */
static inline float *values(uint32_t seed, int64_t count) {
  struct rng rng = rng_stream(seed, RNG_GRADCHECK, 5);
  float *x = malloc((size_t)count * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < count; i++) x[i] = 2 * rng_uniform(&rng, (uint64_t)i) - 1;
  return x;
}

static inline void random_labels(struct random *random, int32_t *labels, int64_t count, int64_t classes) {
  for (int64_t i = 0; i < count; i++) labels[i] = (int32_t)draw(random, 0, classes - 1);
}

static inline cnn_tensor images(const cnn_plan *plan, float *x, int64_t n) {
  cnn_shape shape = cnn_net_input(cnn_plan_net(plan));
  shape.n = n;
  return (cnn_tensor){x, shape};
}

/* The output for n images; free() it. */
static inline float *forward(cnn_plan *plan, float *x, int64_t n) {
  cnn_shape shape = cnn_net_output(cnn_plan_net(plan));
  shape.n = n;
  float *y = malloc((size_t)count_of(shape) * sizeof *y);
  assert_non_null(y);
  ok(cnn_plan_forward(plan, images(plan, x, n), (cnn_tensor){y, shape}));
  return y;
}

static inline float gradient(cnn_plan *plan, float *x, const int32_t *labels, int64_t n) {
  float loss = 0;
  ok(cnn_plan_gradient(plan, images(plan, x, n), labels, &loss));
  return loss;
}

typedef cnn_status getter(const cnn_plan *plan, const char *name, float *values, int64_t count);

/* All weights, or all gradients, one after the other; free() them. */
static inline float *all(const cnn_plan *plan, getter *get, int64_t *total) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_weight_info info;
  *total = 0;
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    *total += info.count;
  }
  float *into = malloc((size_t)(*total + 1) * sizeof *into), *at = into;
  assert_non_null(into);
  for (int w = 0; w < cnn_net_weight_count(net); w++, at += info.count) {
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    assert_int_equal(get(plan, info.name, at, info.count), CNN_OK);
  }
  return into;
}

static inline void set_all(cnn_plan *plan, const float *from) {
  const cnn_net *net = cnn_plan_net(plan);
  for (int w = 0; w < cnn_net_weight_count(net); w++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(net, w, &info), CNN_OK);
    assert_int_equal(cnn_plan_set_weight(plan, info.name, from, info.count), CNN_OK);
    from += info.count;
  }
}

static inline void copy_weights(cnn_plan *to, const cnn_plan *from) {
  int64_t count;
  float *weights = all(from, cnn_plan_get_weight, &count);
  set_all(to, weights);
  free(weights);
}

/* All of one weight, by name. */
static inline void fill_weight(cnn_plan *plan, const char *name, float value) {
  cnn_weight_info info;
  for (int w = 0; w < cnn_net_weight_count(cnn_plan_net(plan)); w++) {
    ok(cnn_net_weight(cnn_plan_net(plan), w, &info));
    if (strcmp(info.name, name) != 0) continue;
    float *all_alike = malloc((size_t)info.count * sizeof *all_alike);
    assert_non_null(all_alike);
    for (int64_t i = 0; i < info.count; i++) all_alike[i] = value;
    ok(cnn_plan_set_weight(plan, name, all_alike, info.count));
    free(all_alike);
    return;
  }
  fail_msg("no weight '%s'", name);
}

static inline void same_bits(const float *a, const float *b, int64_t count, const char *what,
                             const char *net) {
  for (int64_t i = 0; i < count; i++)
    if (to_bits(a[i]) != to_bits(b[i]))
      fail_msg("%s: element %" PRId64 " of %" PRId64 " is %.9g and %.9g, of\n%s", what, i, count,
               (double)a[i], (double)b[i], net);
}

static inline void same_all(const cnn_plan *a, const cnn_plan *b, getter *get, const char *what,
                            const char *net) {
  int64_t count, again;
  float *x = all(a, get, &count), *y = all(b, get, &again);
  assert_int_equal(count, again);
  same_bits(x, y, count, what, net);
  free(x);
  free(y);
}

/* The end of the arena, beyond all that was counted, is never written. */
static inline void check_memory(const cnn_net *net, const cnn_plan *plan, const char *text) {
  cnn_memory memory;
  cnn_plan_options options = cnn_plan_settings(plan);
  assert_int_equal(cnn_plan_memory(net, &options, NULL, &memory), CNN_OK);
  assert_int_equal(memory.total, plan->arena_bytes);
  assert_int_equal(memory.optimizer, 0);
  int64_t counted = memory.weights + memory.gradients + memory.activations + memory.scratch;
  assert_in_range(memory.total - counted, 1, 1 << 20);
  for (const char *c = (const char *)plan->arena + counted; c < (const char *)plan->arena + plan->arena_bytes;
       c++)
    if (*c) fail_msg("memory past what was planned is written, by\n%s", text);
}

#endif
