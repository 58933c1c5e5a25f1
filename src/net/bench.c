/* One layer on random values, run in one direction at a time: what programs of bench/ measure layers with;
 * and a layer of a plan, on the values that stand there, for reports.
 *
 * It is a plan of two bricks, an input and the layer, whose rounds run in part (exec_layer()). A layer that
 * is not the first of a network gets its input in channel blocks; so a copy of its class stands here that
 * does not claim to read n, c, h, w. */
#include "net/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/threads.h"

void cnn_bench_free(cnn_bench *bench) {
  if (!bench) return;
  cnn_plan_free(bench->plan);
  cnn_net_free(bench->net);
  mem_free(bench);
}

/* N(0, 1) into every image of a view. */
static cnn_status fill(const struct view *view, uint32_t stream) {
  struct rng rng = rng_stream(1, RNG_GRADCHECK, stream);
  int64_t count = view->shape.c * view->shape.h * view->shape.w;
  float *image = mem_alloc((size_t)count * sizeof *image);
  if (!image) return status_no_memory((size_t)count * sizeof *image, "one image");
  for (int64_t i = 0; i < count; i++) image[i] = rng_normal(&rng, (uint64_t)i);
  for (int64_t n = 0; n < view->shape.n; n++) view_write(view, n, n + 1, image);
  mem_free(image);
  return CNN_OK;
}

static cnn_status set_up(cnn_bench *bench, const char *layer, const char *config, cnn_shape in, bool first,
                         int threads) {
  char shape[96];
  snprintf(shape, sizeof shape, "shape=%" PRId64 "x%" PRId64 "x%" PRId64, in.c, in.h, in.w);
  CNN_TRY(cnn_net_add(bench->net, "input", shape));
  CNN_TRY(cnn_net_add(bench->net, layer, config));
  bench->class = *bench->net->bricks[1].class;
  if (!first) bench->class.any_block = false;
  bench->net->bricks[1].class = &bench->class;
  cnn_plan_options options = {.mode = CNN_TRAIN,
                              .batch = in.n,
                              .seed = 1,
                              .threads = threads,
                              .loss = CNN_LOSS_MEAN_SQUARED_ERROR}; /* which is joined with no layer */
  CNN_TRY(plan_new(bench->net, &options, true, &bench->plan));
  const struct step *step = &bench->plan->steps[1];
  for (int w = 0; w < bench->net->weight_count && !bench->net->weights[w].state; w++) {
    const struct weight_booking *booking = &bench->net->weights[w].booking;
    struct rng rng = rng_stream(1, RNG_GRADCHECK, 202 + (uint32_t)w);
    int64_t count = 1;
    for (int i = 0; i < booking->dims; i++) count *= booking->dim[i];
    for (int64_t k = 0; k < count; k++)
      step->weight[bench->class.place(step, bench->net->weights[w].index, k)] = rng_normal(&rng, (uint64_t)k);
  }
  CNN_TRY(fill(&step->x[0], 200));
  CNN_TRY(fill(&step->dy, 201));
  exec_gradient(bench->plan, in.n, NULL); /* prepares, and sets what backward needs of forward */
  return CNN_OK;
}

cnn_status cnn_bench_new(const char *layer, const char *config, cnn_shape in, bool first, int threads,
                         cnn_bench **bench) {
  cnn_bench *b = mem_zeroed(1, sizeof *b);
  if (!b) return status_no_memory(sizeof *b, "a bench");
  b->net = cnn_net_new();
  cnn_status status =
      b->net ? set_up(b, layer, config, in, first, threads) : status_no_memory(sizeof *b, "a network");
  if (status == CNN_OK)
    *bench = b;
  else
    cnn_bench_free(b);
  return status;
}

int64_t cnn_bench_multiply_adds(const cnn_bench *bench) {
  return bench->net->bricks[1].multiply_adds * bench->plan->options.batch;
}

/* The brick, where it has something to do in that direction. */
static cnn_status timed_brick(const cnn_plan *plan, const char *layer, cnn_direction direction, int *brick) {
  if (!plan->options.keep || plan->options.mode != CNN_TRAIN)
    return CNN_FAIL(CNN_E_ARGUMENT, "layers are timed in a training plan made with `keep`");
  if (plan->stale)
    return CNN_FAIL(CNN_E_ARGUMENT, "the weights have changed: call cnn_plan_gradient() before timing");
  CNN_TRY(cnn_net_find(plan->net, layer, brick));
  const struct step *step = &plan->steps[*brick];
  bool joined = plan->joined && *brick == plan->net->count - 1;
  if (net_is_input(plan->net, *brick) || (direction != CNN_FORWARD && joined) ||
      (direction == CNN_BACKWARD_WEIGHTS && !step->range) ||
      (direction == CNN_BACKWARD_DATA && (!step->dy.data || !plan->planned[*brick].ledger.wants_dx)))
    return CNN_FAIL(CNN_E_UNSUPPORTED, "'%s' has nothing to do in that direction", layer);
  return CNN_OK;
}

cnn_status cnn_plan_time(cnn_plan *plan, const char *layer, cnn_direction direction, int64_t runs,
                         double *seconds) {
  int brick;
  if (runs < 1) return CNN_FAIL(CNN_E_ARGUMENT, "runs is %" PRId64 "; it must be at least 1", runs);
  CNN_TRY(timed_brick(plan, layer, direction, &brick));
  mem_freeze();
  double start = threads_seconds();
  for (int64_t i = 0; i < runs; i++) exec_layer(plan, brick, direction);
  *seconds = (threads_seconds() - start) / (double)runs;
  mem_thaw();
  plan->held = 0;
  return CNN_OK;
}

cnn_status cnn_bench_run(cnn_bench *bench, cnn_direction direction, int64_t runs, double *seconds) {
  const char *layer = bench->class.name;
  if (runs < 1) return CNN_FAIL(CNN_E_ARGUMENT, "runs is %" PRId64 "; it must be at least 1", runs);
  if (direction == CNN_BACKWARD_WEIGHTS && !bench->net->weight_count)
    return CNN_FAIL(CNN_E_ARGUMENT, "%s has no weights, so no gradient of them", layer);
  if (direction == CNN_BACKWARD_DATA && bench->plan->planned[1].ledger.in_place)
    return CNN_FAIL(CNN_E_UNSUPPORTED, "%s writes its gradient over the one it reads: it runs once only",
                    layer);
  mem_freeze();
  double start = threads_seconds();
  for (int64_t i = 0; i < runs; i++) exec_layer(bench->plan, 1, direction);
  *seconds = (threads_seconds() - start) / (double)runs;
  mem_thaw();
  return CNN_OK;
}
