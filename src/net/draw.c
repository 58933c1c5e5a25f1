/* The drawing of a plan: what each brick books, which values live how long, and how much memory that is. */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "net/plan.h"

enum {
  LARGEST_IMAGE = INT32_MAX / 64 /* floats: offsets into a few dozen images fit 32 bits */
};

static int64_t round_up(int64_t n) { return (n + BLOCK - 1) / BLOCK * BLOCK; }

/* Chain the readers of each output, lowest first. */
static void link_readers(cnn_plan *plan) {
  for (int i = plan->net->count - 1; i > 0; i--)
    for (int k = plan->net->bricks[i].inputs - 1; k >= 0; k--) {
      struct reader *lowest = &plan->planned[plan->net->bricks[i].from[k]].lowest;
      plan->planned[i].next[k] = *lowest;
      *lowest = (struct reader){i, k};
    }
}

/* Book every brick once, counting. Gradients are wanted of outputs above the lowest weights, and where the
 * loss writes one. */
static void book_all(cnn_plan *plan) {
  const cnn_net *net = plan->net;
  for (int i = 0; i < net->count; i++) {
    const struct brick *brick = &net->bricks[i];
    struct planned *planned = &plan->planned[i];
    struct ledger *ledger = &planned->ledger;
    *ledger = (struct ledger){.training = plan->options.mode == CNN_TRAIN,
                              .batch = plan->options.batch,
                              .group = plan->options.group};
    net_ledger(net, i, ledger);
    bool below = false;
    for (int k = 0; k < brick->inputs; k++) below = below || plan->planned[brick->from[k]].wants_gradient;
    ledger->wants_dx = below;
    brick->class->book(brick->config, ledger);
    bool scores = i == net->count - 1 - plan->joined || i == net->count - 1;
    planned->wants_gradient =
        ledger->training && (below || ledger->weights > 0 || plan->input_gradient || scores);
  }
}

/* May brick i write its output over its first input? Not over the network's input, not where another reads
 * that too, and not where the brick below needs it for its own backward. */
static bool in_place(const cnn_plan *plan, int i) {
  const struct brick *brick = &plan->net->bricks[i];
  if (plan->options.keep || !plan->planned[i].ledger.in_place || net_is_input(plan->net, brick->from[0]) ||
      plan->net->bricks[brick->from[0]].readers > 1)
    return false;
  bool training = plan->options.mode == CNN_TRAIN, last = i == plan->net->count - 1;
  if (last && plan->joined) return false; /* the loss reads the scores */
  return !(training && plan->planned[brick->from[0]].ledger.keeps_y);
}

static int new_place(cnn_plan *plan, int64_t from, int64_t to) {
  plan->places[plan->place_count] = (struct place){.from = from, .to = to};
  return plan->place_count++;
}

static void live(struct place *place, int64_t moment) {
  if (moment < place->from) place->from = moment;
  if (moment > place->to) place->to = moment;
}

/* Until when backward of brick i needs what it keeps: weights that are summed over the batch at the end
 * need it to the end. */
static int64_t backward_moment(const cnn_plan *plan, int i) {
  int64_t bricks = plan->net->count;
  return plan->planned[i].ledger.weight_parts ? 2 * bricks + 1 : 2 * bricks - i;
}

static void live_outputs(cnn_plan *plan) {
  const cnn_net *net = plan->net;
  bool training = plan->options.mode == CNN_TRAIN;
  for (int i = 0; i < net->count; i++) {
    const struct brick *brick = &net->bricks[i];
    struct planned *planned = &plan->planned[i];
    planned->y = in_place(plan, i) ? plan->planned[brick->from[0]].y : new_place(plan, i, i);
    live(&plan->places[planned->y], brick->inputs ? i : -1);
    for (int k = 0; k < brick->inputs; k++) {
      struct place *x = &plan->places[plan->planned[brick->from[k]].y];
      live(x, i);
      if (training && planned->ledger.keeps_x) live(x, backward_moment(plan, i));
    }
    if (training && planned->ledger.keeps_y) live(&plan->places[planned->y], backward_moment(plan, i));
    planned->saved = planned->ledger.saved ? new_place(plan, i, backward_moment(plan, i)) : -1;
    if (planned->saved >= 0) plan->places[planned->saved].floats = planned->ledger.saved;
  }
  live(&plan->places[plan->planned[net->count - 1].y], 2 * net->count + 1);
  if (plan->joined)
    live(&plan->places[plan->planned[net->count - 2].y], net->count);        /* the loss reads the scores */
  if (training) live(&plan->places[plan->planned[0].y], 2 * net->count + 1); /* exec_find_not_finite() */
}

/* Places for what all readers but the lowest give, until that one has run. */
static void live_shares(cnn_plan *plan, struct reader lowest) {
  int64_t end = 2 * plan->net->count;
  for (struct reader r = plan->planned[lowest.brick].next[lowest.input]; r.brick > 0;
       r = plan->planned[r.brick].next[r.input])
    plan->planned[r.brick].share[r.input] = new_place(plan, end - r.brick, end - lowest.brick);
}

/* From the top down: the gradient of a brick's output stands where its reader's gradient stood, where
 * that one works in place and is the only one. */
static void live_gradients(cnn_plan *plan) {
  const cnn_net *net = plan->net;
  for (int i = net->count - 1; i >= 0; i--) {
    struct planned *planned = &plan->planned[i];
    planned->dy = -1;
    for (int k = 0; k < MAX_INPUTS; k++) planned->share[k] = -1;
    if (!planned->wants_gradient) continue;
    struct reader lowest = planned->lowest;
    const struct planned *above = &plan->planned[lowest.brick];
    bool top = i == net->count - 1, scores = top || (i == net->count - 2 && plan->joined);
    int64_t given = top ? net->count : 2 * net->count - lowest.brick;
    if (!plan->options.keep && !top && net->bricks[i].readers == 1 && lowest.input == 0 &&
        above->ledger.in_place && above->dy >= 0)
      planned->dy = above->dy;
    else
      planned->dy = new_place(plan, given, net->count);
    live(&plan->places[planned->dy], backward_moment(plan, i));
    live(&plan->places[planned->dy], scores ? net->count : given);
    if (!top) live_shares(plan, lowest);
  }
}

/* Values that are to be read afterwards share no memory with others. */
static void live_for_good(cnn_plan *plan) {
  for (int i = 0; i < plan->place_count; i++) {
    live(&plan->places[i], -1);
    live(&plan->places[i], 2 * plan->net->count + 1);
  }
}

static cnn_status check_image(int64_t floats) {
  if (floats <= LARGEST_IMAGE) return CNN_OK;
  return CNN_FAIL(CNN_E_SHAPE,
                  "one image takes %" PRId64 " values inside the network; at most 2^25 are supported",
                  floats);
}

static cnn_status size_place(cnn_plan *plan, int index, cnn_shape shape, int64_t block) {
  struct view view;
  if (index < 0) return CNN_OK;
  int64_t floats = view_layout(&view, shape, block);
  CNN_TRY(check_image(floats));
  plan->places[index].floats = floats;
  return CNN_OK;
}

/* The sizes of places that hold tensors. */
static cnn_status size_places(cnn_plan *plan) {
  for (int i = 0; i < plan->net->count; i++) {
    const struct brick *brick = &plan->net->bricks[i];
    const struct planned *planned = &plan->planned[i];
    CNN_TRY(check_image(planned->ledger.saved));
    CNN_TRY(size_place(plan, planned->y, brick->out, plan_block(plan, i)));
    CNN_TRY(size_place(plan, planned->dy, brick->out, BLOCK));
    for (int k = 0; k < brick->inputs; k++) CNN_TRY(size_place(plan, planned->share[k], brick->in[k], BLOCK));
  }
  return CNN_OK;
}

/* Cut the bricks into segments: each that shares its work out in parts, or likes whole groups, alone; the
 * others together, few images at a time, so that what they hand on stays in the cache. One that likes more
 * images at a time, or waits for all images, begins a new segment. */
static void cut_segments(cnn_plan *plan) {
  bool join = false; /* with the segment below */
  for (int i = 0; i < plan->net->count; i++) {
    if (net_is_input(plan->net, i)) continue;
    const struct ledger *ledger = &plan->planned[i].ledger;
    bool parts = ledger->forward_parts || ledger->data_parts, alone = parts || ledger->whole_batch;
    bool gathers = ledger->batch_parts > 0;
    if (join && !alone && !gathers && !ledger->images) {
      plan->segments[plan->segment_count - 1].last = i;
    } else {
      int64_t images = alone ? plan->options.group : ledger->images ? ledger->images : 1;
      plan->segments[plan->segment_count++] = (struct segment){i, i, images, parts, gathers};
    }
    join = !alone;
  }
}

/* A place is passing where its whole life lies within one segment's forward, or its backward, unless many
 * threads run that segment's parts. Backward of a brick that gathers comes in two rounds, after that of the
 * bricks above it. */
static void find_passing(cnn_plan *plan) {
  int64_t end = 2 * plan->net->count;
  for (int s = 0; s < plan->segment_count; s++) {
    const struct segment *segment = &plan->segments[s];
    for (int i = 0; !segment->parts && i < plan->place_count; i++) {
      struct place *place = &plan->places[i];
      bool forward = place->from >= segment->first && place->to <= segment->last;
      bool backward =
          place->from >= end - segment->last && place->to <= end - segment->first - segment->gathers;
      if (place->passing || !(forward || backward)) continue;
      place->passing = true;
      place->image = place->floats;
      place->floats *= segment->images;
    }
  }
}

/* Rounds 1 and 3: pass 0 counts, pass 1 writes. */
static cnn_status list_jobs(cnn_plan *plan) {
  for (int pass = 0; pass < 2; pass++) {
    plan->prepare_count = plan->collect_count = 0;
    for (int i = 0; i < plan->net->count; i++) {
      const struct ledger *ledger = &plan->planned[i].ledger;
      int64_t range = planned_range(&plan->planned[i]);
      for (int64_t p = 0; p < ledger->prepare_parts; p++, plan->prepare_count++)
        if (pass) plan->prepare[plan->prepare_count] = (struct job){i, JOB_PREPARE, p};
      if (!ledger->training || !ledger->weights) continue;
      for (int64_t p = 0; p < ledger->weight_parts; p++, plan->collect_count++)
        if (pass) plan->collect[plan->collect_count] = (struct job){i, JOB_WEIGHTS, p};
      for (int64_t p = 0; !ledger->weight_parts && p < range; p += SUM_RANGE, plan->collect_count++)
        if (pass)
          plan->collect[plan->collect_count] = (struct job){i, ledger->batch_parts ? JOB_GIVE : JOB_SUM, p};
    }
    if (pass) break;
    plan->prepare = mem_zeroed((size_t)plan->prepare_count, sizeof *plan->prepare);
    plan->collect = mem_zeroed((size_t)plan->collect_count, sizeof *plan->collect);
    if (!plan->prepare || !plan->collect) return status_no_memory(sizeof *plan->prepare, "a plan's jobs");
  }
  return CNN_OK;
}

/* *sum += count * each; false where that is more than can be addressed. */
static bool grow(int64_t *sum, int64_t count, int64_t each) {
  int64_t product;
  return !__builtin_mul_overflow(count, each, &product) && !__builtin_add_overflow(*sum, product, sum) &&
         *sum < INT64_MAX / 2;
}

/* Add up what everything takes, in bytes. */
static cnn_status count_memory(cnn_plan *plan) {
  const int64_t bytes = sizeof(float), batch = plan->options.batch, group = plan->options.group;
  const int64_t groups = (batch + group - 1) / group;
  int64_t scratch = 0, total = 4096;
  cnn_memory *m = &plan->memory;
  bool fits = true;
  CNN_TRY(check_image(plan->image));
  if (plan->options.mode == CNN_TRAIN && group * plan->image > INT32_MAX)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "group is %" PRId64 ", of images that take %" PRId64
                    " values each inside the network; make it at most %" PRId64,
                    group, plan->image, INT32_MAX / plan->image);
  for (int i = 0; i < plan->net->count; i++) {
    const struct ledger *ledger = &plan->planned[i].ledger;
    plan->range += planned_range(&plan->planned[i]);
    fits = fits && grow(&m->scratch, groups, planned_partial(&plan->planned[i]) * bytes);
    if (ledger->scratch > scratch) scratch = round_up(ledger->scratch);
    fits = fits && grow(&m->scratch, 1, (int64_t)ledger->table_used);
  }
  fits = fits && grow(&m->scratch, plan->options.threads * bytes, scratch);
  fits = fits && grow(&m->scratch, 1, plan_steps_floats(plan) * bytes);
  fits = fits && grow(&m->activations, plan->options.threads * bytes, plan->passing);
  fits = fits && grow(&m->activations, batch * bytes, plan->image);
  m->weights = plan->range * bytes;
  m->gradients = plan->options.mode == CNN_TRAIN ? m->weights : 0;
  fits = fits && grow(&total, 1, m->weights + m->gradients) && grow(&total, 1, m->scratch) &&
         grow(&total, 1, m->activations);
  if (!fits)
    return CNN_FAIL(CNN_E_SHAPE, "a batch of %" PRId64 " images takes more memory than can be addressed",
                    batch);
  m->total = total;
  return CNN_OK;
}

static cnn_status check_options(cnn_plan_options *o) {
  if (o->batch < 1 || o->batch > 1 << 24)
    return CNN_FAIL(CNN_E_ARGUMENT, "batch is %" PRId64 "; it must be 1 to %d", o->batch, 1 << 24);
  if (o->threads < 0 || o->threads > 256)
    return CNN_FAIL(CNN_E_ARGUMENT, "threads is %d; it must be 0 to 256", o->threads);
  if (o->group < 0) return CNN_FAIL(CNN_E_ARGUMENT, "group is %" PRId64 "; it must be at least 0", o->group);
  if (o->mode != CNN_INFER && o->mode != CNN_TRAIN)
    return CNN_FAIL(CNN_E_ARGUMENT, "unknown mode %d", (int)o->mode);
  if (o->loss != CNN_LOSS_CROSS_ENTROPY && o->loss != CNN_LOSS_MEAN_SQUARED_ERROR)
    return CNN_FAIL(CNN_E_ARGUMENT, "unknown loss %d", (int)o->loss);
  if (o->threads == 0) o->threads = cnn_processors();
  if (o->group == 0) { /* four groups where there are images for them, none above 32 images */
    o->group = (o->batch + 3) / 4;
    if (o->group > 32) o->group = 32;
  }
  if (o->group > o->batch) o->group = o->batch;
  return CNN_OK;
}

/* A copy of the net's bricks in the order they are to run: a maximum is taken before what may as well run
 * after it (ReLU and max-pooling: the same values and gradients from a quarter of the work). The two change
 * places, names and all; weights keep theirs. Not where outputs are to be read. */
static cnn_status order_bricks(cnn_plan *plan) {
  const cnn_net *source = plan->source;
  struct brick *bricks = mem_alloc((size_t)source->count * sizeof *bricks);
  if (!bricks) return status_no_memory((size_t)source->count * sizeof *bricks, "a plan");
  memcpy(bricks, source->bricks, (size_t)source->count * sizeof *bricks);
  for (int i = 2; i < source->count && !plan->options.keep; i++) {
    struct brick *before = &bricks[i - 1], *max = &bricks[i], swap = *before;
    if (!before->class->before_max || !max->class->is_max || before->readers != 1 || max->from[0] != i - 1)
      continue;
    *before = *max;
    *max = swap;
    max->readers =
        before->readers; /* outside all is as it was: who read the maximum reads what is now here */
    before->readers = 1;
    before->from[0] = swap.from[0];
    max->from[0] = i - 1;
    max->in[0] = max->out = before->out;
  }
  plan->order = *source;
  plan->order.bricks = bricks;
  plan->net = &plan->order;
  return CNN_OK;
}

cnn_status plan_draw(cnn_plan *plan) {
  CNN_TRY(cnn_net_check(plan->source));
  CNN_TRY(check_options(&plan->options));
  CNN_TRY(order_bricks(plan));
  const cnn_net *net = plan->net;
  size_t bricks = (size_t)net->count, places = 3 * bricks;
  plan->planned = mem_zeroed(bricks, sizeof *plan->planned);
  for (int i = 0; i < net->count; i++) places += (size_t)net->bricks[i].inputs;
  plan->places = mem_zeroed(places, sizeof *plan->places);
  plan->segments = mem_zeroed(bricks, sizeof *plan->segments);
  if (!plan->planned || !plan->places || !plan->segments)
    return status_no_memory(bricks * sizeof *plan->planned, "a plan");
  const struct brick *last = &net->bricks[net->count - 1];
  plan->joined = plan->options.mode == CNN_TRAIN && plan->options.loss == CNN_LOSS_CROSS_ENTROPY &&
                 last->class == &layer_softmax;
  link_readers(plan);
  book_all(plan);
  live_outputs(plan);
  live_gradients(plan);
  if (plan->options.keep) live_for_good(plan);
  CNN_TRY(size_places(plan));
  cut_segments(plan);
  find_passing(plan);
  plan->image = layout_places(plan->places, plan->place_count, false);
  plan->passing = layout_places(plan->places, plan->place_count, true);
  CNN_TRY(list_jobs(plan));
  return count_memory(plan);
}
