/* Running a plan: rounds of tasks (plan.h lists them), each a walk over segments of bricks.
 *
 * Every task is known by shapes alone and writes memory of its own, so who runs it when cannot change a
 * bit of the result. */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/threads.h"
#include "net/plan.h"

struct pass {
  cnn_plan *plan;
  int64_t batch;
  bool backward;
  const struct hooks *hooks;

  /* one round of groups: these segments, forward, then backward */
  struct stretch {
    int first, past;
  } forward, back;
  bool load, scored;
  int measured, rest; /* bricks, 0: none. One to measure after forward; one whose backward_data is first */
  int64_t task_images;
  int brick; /* or of the parts of a method of one brick, or one brick in one direction */
  void (*method)(const struct step *step, struct shard shard);
  int64_t first_job; /* of a round of collect */
};

static void run_prepare(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const struct job *job = &run->plan->prepare[task];
  struct shard shard = {.part = job->part, .batch = run->batch, .thread = thread};
  run->plan->net->bricks[job->brick].class->prepare(&run->plan->steps[job->brick], shard);
}

/* Brick i as thread t sees it. */
static const struct step *step_of(const cnn_plan *plan, int thread, int i) {
  return &plan->steps[(int64_t)thread * plan->net->count + i];
}

static int64_t groups_of(const cnn_plan *plan, int64_t batch) {
  return (batch + plan->options.group - 1) / plan->options.group;
}

static void move_view(struct view *v, int64_t n) {
  if (v->slot) v->data = v->slot - n * v->image;
}

/* Of this thread's steps in a segment: let passing values of image n be the first ones at hand. */
static void move_on(cnn_plan *plan, int thread, const struct segment *segment, int64_t n) {
  for (int i = segment->first; i <= segment->last; i++) {
    struct step *step = &plan->steps[(int64_t)thread * plan->net->count + i];
    move_view(&step->y, n);
    move_view(&step->dy, n);
    for (int k = 0; k < step->inputs; k++) {
      move_view(&step->x[k], n);
      move_view(&step->dx[k], n);
    }
  }
}

/* The images of a group are dealt evenly to as few turns as a segment can take them in. */
static int64_t turns_of(const struct segment *segment, struct shard group) {
  return (group.n1 - group.n0 + segment->images - 1) / segment->images;
}

static struct shard turn_of(struct shard group, int64_t i, int64_t turns) {
  struct shard shard = group;
  int64_t images = group.n1 - group.n0;
  shard.n0 = group.n0 + images * i / turns;
  shard.n1 = group.n0 + images * (i + 1) / turns;
  return shard;
}

static void forward_segment(const struct pass *run, const struct segment *segment, struct shard group) {
  const cnn_plan *plan = run->plan;
  int last = plan->net->count - 1;
  for (int64_t turn = 0, turns = turns_of(segment, group); turn < turns; turn++) {
    struct shard shard = turn_of(group, turn, turns);
    move_on(run->plan, group.thread, segment, shard.n0);
    for (int i = segment->first; i <= segment->last; i++)
      if (!(run->backward && plan->joined && i == last))
        plan->net->bricks[i].class->forward(step_of(plan, shard.thread, i), shard);
  }
}

/* Brick i has run backward for these images. Of an output whose lowest reader it is all shares are there: add
 * them up, in the order of the bricks. */
static void add_shares(const cnn_plan *plan, int i, struct shard shard) {
  const struct planned *planned = plan->planned;
  for (int k = 0; k < plan->net->bricks[i].inputs; k++) {
    struct reader lowest = planned[plan->net->bricks[i].from[k]].lowest, r = planned[i].next[k];
    const struct view *sum = &step_of(plan, shard.thread, i)->dx[k];
    if (lowest.brick != i || lowest.input != k || !sum->data) continue;
    for (; r.brick > 0; r = planned[r.brick].next[r.input]) {
      const struct view *share = &step_of(plan, shard.thread, r.brick)->dx[r.input];
      for (int64_t n = shard.n0; n < shard.n1; n++)
        plan->kernels->add(sum->data + n * sum->image, sum->data + n * sum->image,
                           share->data + n * share->image, view_blocks(sum) * sum->plane);
    }
  }
}

static void backward_segment(const struct pass *run, const struct segment *segment, struct shard group) {
  const cnn_plan *plan = run->plan;
  int last = plan->net->count - 1;
  for (int64_t turn = 0, turns = turns_of(segment, group); turn < turns; turn++) {
    struct shard shard = turn_of(group, turn, turns);
    move_on(run->plan, group.thread, segment, shard.n0);
    for (int i = segment->last; i >= segment->first; i--) {
      const struct step *step = step_of(plan, shard.thread, i);
      const struct layer_class *class = plan->net->bricks[i].class;
      if (!step->dy.data || (plan->joined && i == last)) continue;
      if (step->range && !plan->planned[i].ledger.weight_parts) class->backward_weights(step, shard);
      if (!plan->planned[i].ledger.wants_dx || plan->planned[i].ledger.batch_parts) continue;
      class->backward_data(step, shard);
      add_shares(plan, i, shard);
    }
  }
}

/* backward_data of the one brick that had to wait for all images. */
static void backward_rest(const struct pass *run, struct shard group) {
  for (struct shard one = group; one.n0 < group.n1; one.n0++) {
    one.n1 = one.n0 + 1;
    run->plan->net->bricks[run->rest].class->backward_data(step_of(run->plan, group.thread, run->rest), one);
    add_shares(run->plan, run->rest, one);
  }
}

static void run_group(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const cnn_plan *plan = run->plan;
  int64_t n0 = task * run->task_images, n1 = n0 + run->task_images;
  struct shard group = {
      .n0 = n0, .n1 = n1 < run->batch ? n1 : run->batch, .batch = run->batch, .thread = thread};
  if (run->backward) group.chance = &plan->chance;
  if (run->load) run->hooks->load(run->hooks->context, group.n0, group.n1, thread);
  for (int s = run->forward.first; s < run->forward.past; s++)
    forward_segment(run, &plan->segments[s], group);
  if (run->measured)
    plan->net->bricks[run->measured].class->measure(step_of(plan, thread, run->measured), group);
  if (run->scored) run->hooks->scored(run->hooks->context, group.n0, group.n1);
  if (run->rest) backward_rest(run, group);
  for (int s = run->back.past - 1; s >= run->back.first; s--)
    backward_segment(run, &plan->segments[s], group);
}

/* One part of a brick's work on all images. */
static void run_part(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  struct shard shard = {.n1 = run->batch, .part = task, .batch = run->batch, .thread = thread};
  run->method(step_of(run->plan, thread, run->brick), shard);
}

static void parts(struct pass *run, int64_t count, void (*method)(const struct step *, struct shard)) {
  run->method = method;
  threads_run(run->plan->options.threads, count, run_part, run);
}

/* Is it the lowest of several readers? */
static bool has_shares(const cnn_plan *plan, int i) {
  const struct brick *brick = &plan->net->bricks[i];
  for (int k = 0; k < brick->inputs; k++)
    if (plan->net->bricks[brick->from[k]].readers > 1 && plan->planned[brick->from[k]].lowest.brick == i)
      return true;
  return false;
}

/* After those parts: what add_shares() has to do, group by group. */
static void run_shares(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  int64_t n0 = task * run->task_images, n1 = n0 + run->task_images;
  struct shard group = {.n0 = n0, .n1 = n1 < run->batch ? n1 : run->batch, .thread = thread};
  add_shares(run->plan, run->brick, group);
}

static void run_collect(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const struct job *job = &run->plan->collect[run->first_job + task];
  const struct step *step = &run->plan->steps[job->brick];
  struct collector collector = {0};
  if (run->hooks) collector = (struct collector){run->hooks->collected, run->hooks->context};
  const struct layer_class *class = run->plan->net->bricks[job->brick].class;
  struct shard shard = {.n1 = run->batch, .part = job->part, .batch = run->batch, .thread = thread};
  if (job->kind == JOB_WEIGHTS) {
    if (collector.take) shard.collector = &collector;
    class->backward_weights(step, shard);
    return;
  }
  int64_t count = step->range - job->part < SUM_RANGE ? step->range - job->part : SUM_RANGE;
  if (job->kind == JOB_SUM)
    sum_groups(step->kernels, step->gradient + job->part, step->partial + job->part,
               groups_of(run->plan, run->batch), step->partial_stride, count);
  if (collector.take) collector.take(collector.context, step->gradient + job->part, count);
}

/* Images of a task: a group, since gradients are summed group by group. Where there are none, as few as the
 * segments take at a time, so that threads end together. */
static int64_t task_images(const struct pass *run) {
  const cnn_plan *plan = run->plan;
  if (run->back.first < run->back.past) return plan->options.group;
  int64_t images = 1;
  for (int s = run->forward.first; s < run->forward.past; s++)
    if (plan->segments[s].images > images) images = plan->segments[s].images;
  return images;
}

static void groups(struct pass *run) {
  run->task_images = task_images(run);
  int64_t tasks = (run->batch + run->task_images - 1) / run->task_images;
  threads_run(run->plan->options.threads, tasks, run_group, run);
  run->load = run->scored = false;
  run->measured = run->rest = 0;
  run->forward = run->back = (struct stretch){0};
}

/* Does segment s begin with a brick that waits for all images? */
static bool waits(const struct pass *run, int s) { return run->backward && run->plan->segments[s].gathers; }

/* Segments that go forward group by group, from s on: up to one of parts, or one that waits, unless that is
 * the first of them and has waited. */
static struct stretch stretch_up(const struct pass *run, int s, bool waited) {
  struct stretch up = {s, s};
  const cnn_plan *plan = run->plan;
  while (up.past < plan->segment_count && !plan->segments[up.past].parts &&
         (!waits(run, up.past) || (up.past == s && waited)))
    up.past++;
  return up;
}

/* Segments that go backward group by group, from s - 1 down: down to one of parts, which is not among them,
 * or one that waits, which is. */
static struct stretch stretch_down(const struct pass *run, int s) {
  struct stretch down = {s, s};
  while (down.first > 0 && !run->plan->segments[down.first - 1].parts) {
    down.first--;
    if (waits(run, down.first)) break;
  }
  return down;
}

static void forward_rounds(struct pass *run) {
  cnn_plan *plan = run->plan;
  bool waited = false;
  run->load = run->hooks && run->hooks->load;
  for (int s = 0;;) {
    struct stretch up = stretch_up(run, s, waited);
    run->forward = up;
    if (up.past == plan->segment_count) return; /* the last stretch runs with the turn */
    int brick = plan->segments[up.past].first;
    const struct layer_class *class = plan->net->bricks[brick].class;
    const struct ledger *ledger = &plan->planned[brick].ledger;
    waited = waits(run, up.past);
    if (waited) run->measured = brick;
    if (run->load || waited || up.past > s) groups(run);
    run->brick = brick;
    s = up.past + !waited;
    if (waited) {
      parts(run, ledger->batch_parts, class->settle);
    } else if (ledger->forward_parts) {
      parts(run, ledger->forward_parts, class->forward);
    } else {
      run->forward = (struct stretch){up.past, up.past + 1};
      groups(run);
    }
  }
}

/* One brick that books parts, for one direction at least. */
static void backward_parts(struct pass *run, int s) {
  const cnn_plan *plan = run->plan;
  run->brick = plan->segments[s].first;
  const struct step *step = &plan->steps[run->brick];
  const struct ledger *ledger = &plan->planned[run->brick].ledger;
  if (!ledger->data_parts || !step->dy.data || !ledger->wants_dx) {
    run->back = (struct stretch){s, s + 1};
    groups(run);
    return;
  }
  assert(!step->range || ledger->weight_parts);
  parts(run, ledger->data_parts, plan->net->bricks[run->brick].class->backward_data);
  run->task_images = plan->options.group;
  if (has_shares(plan, run->brick))
    threads_run(plan->options.threads, groups_of(plan, run->batch), run_shares, run);
}

/* `done` went backward with the turn; now all below it. */
static void backward_rounds(struct pass *run, struct stretch done) {
  cnn_plan *plan = run->plan;
  for (;;) {
    int s = done.first;
    bool waited = done.first < done.past && waits(run, s);
    if (waited) {
      int brick = run->brick = plan->segments[s].first;
      parts(run, plan->planned[brick].ledger.batch_parts, plan->net->bricks[brick].class->settle_backward);
      if (plan->planned[brick].ledger.wants_dx) run->rest = brick;
    } else if (s > 0) {
      backward_parts(run, --s);
    }
    run->back = done = stretch_down(run, s);
    if (run->rest || done.first < done.past) groups(run);
    if (s == 0) return;
  }
}

static void rounds(struct pass *run) {
  cnn_plan *plan = run->plan;
  int threads = plan->options.threads;
  plan->held = 0;
  mem_freeze();
  if (plan->stale) threads_run(threads, plan->prepare_count, run_prepare, run);
  plan->stale = false;
  forward_rounds(run);
  run->scored = run->hooks && run->hooks->scored;
  struct stretch turn = stretch_down(run, plan->segment_count);
  if (run->backward) run->back = turn;
  groups(run);
  if (run->backward) {
    backward_rounds(run, turn);
    if (!run->hooks || !run->hooks->ready || run->hooks->ready(run->hooks->context))
      threads_run(threads, plan->collect_count, run_collect, run);
  }
  plan->outputs = run->batch;
  plan->output_gradients = run->backward ? run->batch : 0;
  mem_thaw();
}

void exec_forward(cnn_plan *plan, int64_t batch, const struct hooks *hooks) {
  rounds(&(struct pass){.plan = plan, .batch = batch, .hooks = hooks});
}

void exec_gradient(cnn_plan *plan, int64_t batch, const struct hooks *hooks) {
  rounds(&(struct pass){.plan = plan, .batch = batch, .hooks = hooks, .backward = true});
}

void exec_follow(cnn_plan *plan, int64_t batch) {
  for (int i = 0; i < plan->net->count; i++) {
    const struct layer_class *class = plan->net->bricks[i].class;
    if (class->follow) class->follow(&plan->steps[i], (struct shard){.n1 = batch, .batch = batch});
  }
}

void exec_backward_from(cnn_plan *plan, int64_t batch, int brick) {
  for (int i = brick; i > 0; i--) {
    const struct ledger *ledger = &plan->planned[i].ledger;
    struct shard all = {.n1 = batch, .batch = batch};
    if (net_is_input(plan->net, i)) continue;
    if (ledger->data_parts) {
      for (; all.part < ledger->data_parts; all.part++)
        plan->net->bricks[i].class->backward_data(&plan->steps[i], all);
      add_shares(plan, i, all);
      continue;
    }
    for (struct shard one = all; one.n0 < batch; one.n0++) {
      one.n1 = one.n0 + 1;
      plan->net->bricks[i].class->backward_data(&plan->steps[i], one);
      add_shares(plan, i, one);
    }
  }
}

static void run_layer_group(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const cnn_plan *plan = run->plan;
  const struct segment *segment = plan->segments;
  while (segment->last < run->brick) segment++;
  int64_t n0 = task * plan->options.group, n1 = n0 + plan->options.group;
  struct shard group = {.n0 = n0,
                        .n1 = n1 < run->batch ? n1 : run->batch,
                        .batch = run->batch,
                        .thread = thread,
                        .chance = &plan->chance};
  for (int64_t turn = 0, turns = turns_of(segment, group); turn < turns; turn++) {
    struct shard shard = turn_of(group, turn, turns);
    move_on(run->plan, thread, segment, shard.n0);
    run->method(step_of(plan, thread, run->brick), shard);
  }
}

void exec_layer(cnn_plan *plan, int brick, cnn_direction direction) {
  struct pass run = {.plan = plan, .batch = plan->options.batch, .brick = brick};
  const struct layer_class *class = plan->net->bricks[brick].class;
  const struct ledger *ledger = &plan->planned[brick].ledger;
  int threads = plan->options.threads;
  bool weights = direction == CNN_BACKWARD_WEIGHTS;
  if (direction == CNN_FORWARD && ledger->batch_parts) {
    run.measured = brick;
    groups(&run);
    parts(&run, ledger->batch_parts, class->settle);
  }
  run.method = weights ? class->backward_weights : class->backward_data;
  if (direction == CNN_FORWARD) run.method = class->forward;
  if (direction == CNN_FORWARD && ledger->forward_parts)
    parts(&run, ledger->forward_parts, class->forward);
  else if (direction == CNN_BACKWARD_DATA && ledger->data_parts)
    parts(&run, ledger->data_parts, class->backward_data);
  else if (!weights || !ledger->weight_parts)
    threads_run(threads, groups_of(plan, run.batch), run_layer_group, &run);
  int64_t jobs = 0;
  for (int64_t i = plan->collect_count - 1; i >= 0; i--)
    if (plan->collect[i].brick == brick) run.first_job = i, jobs++;
  if (weights && ledger->batch_parts) parts(&run, ledger->batch_parts, class->settle_backward);
  if (weights) threads_run(threads, jobs, run_collect, &run);
}

cnn_status plan_check_input(const cnn_plan *plan, cnn_tensor x) {
  cnn_shape in = cnn_net_input(plan->net), image = input_image(plan);
  bool whole = x.shape.h == image.h && x.shape.w == image.w;
  if (x.shape.n < 1 || x.shape.n > plan->options.batch)
    return CNN_FAIL(CNN_E_SHAPE, "%" PRId64 " images in a plan for 1 to %" PRId64, x.shape.n,
                    plan->options.batch);
  if (x.shape.c != in.c || !(whole || (x.shape.h == in.h && x.shape.w == in.w)))
    return CNN_FAIL(CNN_E_SHAPE,
                    "images of %" PRId64 "x%" PRId64 "x%" PRId64 "; the network takes %" PRId64 "x%" PRId64
                    "x%" PRId64,
                    x.shape.c, x.shape.h, x.shape.w, in.c, in.h, in.w);
  return CNN_OK;
}

cnn_status cnn_plan_forward(cnn_plan *plan, cnn_tensor x, cnn_tensor y) {
  cnn_shape out = cnn_net_output(plan->net);
  CNN_TRY(plan_check_input(plan, x));
  if (y.shape.n != x.shape.n || y.shape.c != out.c || y.shape.h != out.h || y.shape.w != out.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "an output of %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 "; it must be %" PRId64
                    "x%" PRId64 "x%" PRId64 "x%" PRId64,
                    y.shape.n, y.shape.c, y.shape.h, y.shape.w, x.shape.n, out.c, out.h, out.w);
  input_write(plan, x);
  exec_forward(plan, x.shape.n, NULL);
  plan->held = x.shape.n;
  view_read(&plan->steps[plan->net->count - 1].y, 0, x.shape.n, y.data);
  return CNN_OK;
}

static bool image_finite(const struct view *v, int64_t n) {
  for (int64_t c = 0; c < v->shape.c; c++)
    for (int64_t h = 0; h < v->shape.h; h++)
      for (int64_t w = 0; w < v->shape.w; w++)
        if (!isfinite(v->data[view_offset(v, n, c, h, w)])) return false;
  return true;
}

/* CNN_E_NUMERIC where bricks first .. past - 1 give image n a value that is not finite. */
static cnn_status check_image(cnn_plan *plan, int first, int past, int64_t n, int64_t batch) {
  if (first == 1 && !image_finite(&plan->steps[0].y, n))
    return CNN_FAIL(CNN_E_NUMERIC, "image %" PRId64 " of the batch holds a value that is not finite", n);
  for (int i = first; i < past; i++) {
    struct shard shard = {.n0 = n, .n1 = n + 1, .batch = batch, .chance = &plan->chance};
    move_on(plan, 0, &(struct segment){.first = i, .last = i}, n);
    do plan->net->bricks[i].class->forward(&plan->steps[i], shard);
    while (++shard.part < plan->planned[i].ledger.forward_parts);
    if (!image_finite(&plan->steps[i].y, n))
      return CNN_FAIL(CNN_E_NUMERIC,
                      "the output of '%s' is not finite, first in image group %" PRId64 " (image %" PRId64
                      " of the batch); try a smaller learning rate",
                      plan->net->bricks[i].name, n / plan->options.group, n);
  }
  return CNN_OK;
}

cnn_status exec_find_not_finite(cnn_plan *plan, int64_t batch) {
  CNN_TRY(plan_check_weights(plan));
  for (int first = 1, past; first < plan->net->count;
       first = past) { /* up to one that waits for all images */
    for (past = first + 1; past < plan->net->count && !plan->planned[past].ledger.batch_parts;) past++;
    for (int64_t n = 0; n < batch; n++) CNN_TRY(check_image(plan, first, past, n, batch));
  }
  return CNN_FAIL(CNN_E_NUMERIC,
                  "the loss is not finite though every layer's output is; try a smaller learning rate");
}
