/* Plans: the memory of a drawing carved out, weights seeded, and values read and written by name. */
#include "net/plan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/rng.h"

cnn_plan_options cnn_plan_defaults(void) {
  return (cnn_plan_options){.mode = CNN_TRAIN, .batch = 100, .seed = 1, .loss = CNN_LOSS_CROSS_ENTROPY};
}

void cnn_plan_free(cnn_plan *plan) {
  if (!plan) return;
  mem_pages_free(plan->arena, plan->arena_bytes);
  input_free(&plan->input);
  mem_free(plan->order.bricks);
  mem_free(plan->planned);
  mem_free(plan->places);
  mem_free(plan->segments);
  mem_free(plan->prepare);
  mem_free(plan->collect);
  mem_free(plan);
}

/* The next `floats` floats of the arena, a whole number of cache lines. */
static float *carve(char **at, int64_t floats) {
  float *block = (float *)*at;
  *at += (floats + BLOCK - 1) / BLOCK * BLOCK * (int64_t)sizeof(float);
  return block;
}

/* Where values stand: those of image 0, and the passing ones of thread 0. */
struct memory {
  float *images, *passing;
};

/* The view of a tensor at a place. */
static struct view view_at(const cnn_plan *plan, int index, cnn_shape shape, int64_t block,
                           struct memory memory) {
  struct view view = {0};
  if (index < 0) return view;
  const struct place *place = &plan->places[index];
  view_layout(&view, shape, block);
  view.shape.n = plan->options.batch;
  view.image = place->passing ? place->image : plan->image;
  view.data = (place->passing ? memory.passing : memory.images) + place->offset;
  if (place->passing) view.slot = view.data;
  return view;
}

/* Views of brick i's tensors, and where its weights stand. */
static void carve_step(cnn_plan *plan, int i, struct memory memory, int64_t *weight_at) {
  const struct brick *brick = &plan->net->bricks[i];
  const struct planned *planned = &plan->planned[i];
  struct step *step = &plan->steps[i];
  *step = (struct step){.config = brick->config, .kernels = plan->kernels, .inputs = brick->inputs};
  step->stream = (uint32_t)i;
  step->group = plan->options.group;
  step->y = view_at(plan, planned->y, brick->out, plan_block(plan, i), memory);
  step->dy = view_at(plan, planned->dy, brick->out, BLOCK, memory);
  for (int k = 0; k < brick->inputs; k++) {
    step->x[k] = plan->steps[brick->from[k]].y;
    step->dx[k] = planned->share[k] < 0 ? plan->steps[brick->from[k]].dy
                                        : view_at(plan, planned->share[k], brick->in[k], BLOCK, memory);
  }
  if (planned->saved >= 0) step->saved = memory.images + plan->places[planned->saved].offset;
  step->image = plan->image;
  for (int w = 0; w < planned->ledger.weights; w++) {
    step->weight_at[w] = step->range;
    step->range += planned->ledger.weight[w].packed;
  }
  if (!step->range) return;
  step->weight = plan->weights + *weight_at;
  if (plan->gradients) step->gradient = plan->gradients + *weight_at;
  *weight_at += step->range;
}

/* Book again, now with memory: tables are filled. */
static void carve_tables(cnn_plan *plan, int i, char **at) {
  struct planned *planned = &plan->planned[i];
  struct step *step = &plan->steps[i];
  struct ledger again = {.training = planned->ledger.training,
                         .wants_dx = planned->ledger.wants_dx,
                         .batch = plan->options.batch,
                         .group = plan->options.group,
                         .step = step,
                         .table_memory = *at};
  net_ledger(plan->net, i, &again);
  for (int k = 0; k < step->inputs; k++) again.x[k] = step->x[k];
  again.y = step->y;
  plan->net->bricks[i].class->book(step->config, &again);
  *at += again.table_used;
}

static void move_slot(struct view *view, int64_t floats) {
  if (view->slot) view->slot = view->data += floats;
}

/* The steps of thread t: as thread 0's, but for where passing values stand. */
static void copy_steps(cnn_plan *plan, int t) {
  int bricks = plan->net->count;
  for (int i = 0; i < bricks; i++) {
    struct step *step = &plan->steps[(int64_t)t * bricks + i];
    *step = plan->steps[i];
    move_slot(&step->y, t * plan->passing);
    move_slot(&step->dy, t * plan->passing);
    for (int k = 0; k < step->inputs; k++) {
      move_slot(&step->x[k], t * plan->passing);
      move_slot(&step->dx[k], t * plan->passing);
    }
  }
}

static void carve_all(cnn_plan *plan) {
  char *at = plan->arena;
  int64_t groups = (plan->options.batch + plan->options.group - 1) / plan->options.group, scratch = 0,
          weight_at = 0;
  bool training = plan->options.mode == CNN_TRAIN;
  plan->steps = (struct step *)carve(&at, plan_steps_floats(plan));
  plan->weights = carve(&at, plan->range);
  if (training) plan->gradients = carve(&at, plan->range);
  char *partials = at;
  for (int i = 0; i < plan->net->count; i++) {
    const struct ledger *ledger = &plan->planned[i].ledger;
    carve(&at, groups * planned_partial(&plan->planned[i]));
    if (ledger->scratch > scratch) scratch = (ledger->scratch + 15) / 16 * 16;
  }
  char *tables = at;
  for (int i = 0; i < plan->net->count; i++) at += plan->planned[i].ledger.table_used;
  float *scratch_at = carve(&at, scratch * plan->options.threads);
  struct memory memory = {.passing = carve(&at, plan->passing * plan->options.threads)};
  memory.images = (float *)at;
  for (int i = 0; i < plan->net->count; i++) {
    struct step *step = &plan->steps[i];
    carve_step(plan, i, memory, &weight_at);
    step->scratch = scratch_at;
    step->scratch_stride = scratch;
    step->partial_stride = planned_partial(&plan->planned[i]);
    if (step->partial_stride) step->partial = carve(&partials, groups * step->partial_stride);
  }
  for (int i = 0; i < plan->net->count; i++) carve_tables(plan, i, &tables);
  for (int t = 1; t < plan->options.threads; t++) copy_steps(plan, t);
}

/* Where element i of a weight, counted as in model files, or of its gradient stands. */
static float *element(const cnn_plan *plan, const struct net_weight *weight, bool gradient, int64_t i) {
  const struct step *step = &plan->steps[weight->brick];
  if (weight->state) return &step->state[weight->index][i];
  int64_t at = plan->net->bricks[weight->brick].class->place(step, weight->index, i);
  return gradient ? &step->gradient[at] : &step->weight[at];
}

/* Element k of weight w is draw k of stream w: the same whatever the layout. */
static void seed_weight(cnn_plan *plan, int w) {
  const struct net_weight *weight = &plan->net->weights[w];
  const struct weight_booking *booking = &weight->booking;
  struct rng rng = rng_stream(plan->options.seed, RNG_WEIGHTS, (uint32_t)w);
  double deviation = 0;
  int64_t count = 1;
  for (int i = 0; i < booking->dims; i++) count *= booking->dim[i];
  switch (booking->init.kind) {
    case INIT_NORMAL: deviation = booking->init.number; break;
    case INIT_XAVIER: deviation = sqrt(1.0 / (double)booking->fan_in); break;
    case INIT_HE: deviation = sqrt(2.0 / (double)booking->fan_in); break;
    case INIT_ZEROS: return;
    case INIT_CONSTANT:
      for (int64_t k = 0; k < count; k++) *element(plan, weight, false, k) = (float)booking->init.number;
      return;
  }
  for (int64_t k = 0; k < count; k++)
    *element(plan, weight, false, k) = (float)deviation * rng_normal(&rng, (uint64_t)k);
}

cnn_status plan_new(const cnn_net *net, const cnn_plan_options *options, bool input_gradient,
                    cnn_plan **out) {
  cnn_plan *plan = mem_zeroed(1, sizeof *plan);
  if (!plan) return status_no_memory(sizeof *plan, "a plan");
  plan->source = net;
  plan->options = options ? *options : cnn_plan_defaults();
  plan->chance.seed = plan->options.seed;
  plan->stale = true;
  plan->input_gradient = input_gradient || plan->options.keep;
  cnn_status status = kernels_pick(&plan->kernels);
  if (status == CNN_OK) status = plan_draw(plan);
  if (status == CNN_OK) {
    plan->arena_bytes = (size_t)plan->memory.total;
    plan->arena = mem_pages(plan->arena_bytes);
    if (!plan->arena)
      status = status_no_memory(plan->arena_bytes, "the plan's memory; make the batch smaller");
  }
  if (status == CNN_OK) {
    carve_all(plan);
    for (int w = 0; w < net->weight_count; w++) seed_weight(plan, w);
    *out = plan;
  } else {
    cnn_plan_free(plan);
  }
  return status;
}

cnn_status cnn_plan_new(const cnn_net *net, const cnn_plan_options *options, cnn_plan **out) {
  return plan_new(net, options, false, out);
}

cnn_status plan_memory(const cnn_net *net, const cnn_plan_options *options, cnn_memory *memory) {
  cnn_plan *plan = mem_zeroed(1, sizeof *plan);
  if (!plan) return status_no_memory(sizeof *plan, "a plan");
  plan->source = net;
  plan->options = options ? *options : cnn_plan_defaults();
  plan->input_gradient = plan->options.keep;
  cnn_status status = plan_draw(plan);
  if (status == CNN_OK) *memory = plan->memory;
  cnn_plan_free(plan);
  return status;
}

const cnn_net *cnn_plan_net(const cnn_plan *plan) { return plan->source; }
cnn_plan_options cnn_plan_settings(const cnn_plan *plan) { return plan->options; }

/* The weight by name, where `count` is its size. */
static cnn_status find(const cnn_plan *plan, const char *name, int64_t count,
                       const struct net_weight **weight) {
  int index;
  cnn_weight_info info;
  CNN_TRY(net_find_weight(plan->net, name, &index));
  CNN_TRY(cnn_net_weight(plan->net, index, &info));
  if (info.count != count)
    return CNN_FAIL(CNN_E_SHAPE, "weight '%s' has %" PRId64 " values, not %" PRId64, name, info.count, count);
  *weight = &plan->net->weights[index];
  return CNN_OK;
}

static cnn_status read_range(const cnn_plan *plan, const char *name, bool gradient, float *values,
                             int64_t count) {
  const struct net_weight *weight;
  CNN_TRY(find(plan, name, count, &weight));
  if (gradient && weight->state)
    return CNN_FAIL(CNN_E_ARGUMENT, "'%s' is not trained, so it has no gradient", name);
  for (int64_t i = 0; i < count; i++) values[i] = *element(plan, weight, gradient, i);
  return CNN_OK;
}

cnn_status cnn_plan_get_weight(const cnn_plan *plan, const char *name, float *values, int64_t count) {
  return read_range(plan, name, false, values, count);
}

cnn_status cnn_plan_get_gradient(const cnn_plan *plan, const char *name, float *values, int64_t count) {
  if (!plan->gradients)
    return CNN_FAIL(CNN_E_ARGUMENT, "an inference plan has no gradients; make it with CNN_TRAIN");
  return read_range(plan, name, true, values, count);
}

cnn_status cnn_plan_set_weight(cnn_plan *plan, const char *name, const float *values, int64_t count) {
  const struct net_weight *weight;
  CNN_TRY(find(plan, name, count, &weight));
  for (int64_t i = 0; i < count; i++) *element(plan, weight, false, i) = values[i];
  plan->stale = true;
  plan->held = 0;
  return CNN_OK;
}

cnn_status plan_check_weights(const cnn_plan *plan) {
  for (int w = 0; w < plan->net->weight_count; w++) {
    const struct net_weight *weight = &plan->net->weights[w];
    cnn_weight_info info;
    CNN_TRY(cnn_net_weight(plan->net, w, &info));
    for (int64_t i = 0; i < info.count; i++) {
      float value = *element(plan, weight, false, i);
      if (!isfinite(value))
        return CNN_FAIL(CNN_E_NUMERIC,
                        "weight '%s' became %f (element %" PRId64 "); try a smaller learning rate", info.name,
                        (double)value, i);
    }
  }
  return CNN_OK;
}

const struct view *plan_scores(const cnn_plan *plan) {
  const struct step *last = &plan->steps[plan->net->count - 1];
  return plan->joined ? &last->x[0] : &last->y;
}

const struct view *plan_scores_gradient(const cnn_plan *plan) {
  const struct step *last = &plan->steps[plan->net->count - 1];
  return plan->joined ? &last->dx[0] : &last->dy;
}
