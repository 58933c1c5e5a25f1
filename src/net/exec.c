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
  int64_t task_images;
  int brick; /* or of the parts of one brick, or one brick in one direction */
  cnn_direction direction;
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
      if (step->dx[0].data) class->backward_data(step, shard);
    }
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
  if (run->scored) run->hooks->scored(run->hooks->context, group.n0, group.n1);
  for (int s = run->back.past - 1; s >= run->back.first; s--)
    backward_segment(run, &plan->segments[s], group);
}

static void run_forward_part(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  struct shard shard = {.n1 = run->batch, .part = task, .batch = run->batch, .thread = thread};
  run->plan->net->bricks[run->brick].class->forward(step_of(run->plan, thread, run->brick), shard);
}

static void run_data_part(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  struct shard shard = {.n1 = run->batch, .part = task, .batch = run->batch, .thread = thread};
  run->plan->net->bricks[run->brick].class->backward_data(step_of(run->plan, thread, run->brick), shard);
}

static void run_collect(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const struct job *job = &run->plan->collect[run->first_job + task];
  const struct step *step = &run->plan->steps[job->brick];
  struct collector collector = {0};
  if (run->hooks) collector = (struct collector){run->hooks->collected, run->hooks->context};
  if (job->kind == JOB_WEIGHTS) {
    struct shard shard = {.n1 = run->batch, .part = job->part, .batch = run->batch, .thread = thread};
    if (collector.take) shard.collector = &collector;
    run->plan->net->bricks[job->brick].class->backward_weights(step, shard);
    return;
  }
  int64_t count = step->range - job->part < SUM_RANGE ? step->range - job->part : SUM_RANGE;
  int64_t groups = (run->batch + step->group - 1) / step->group;
  sum_groups(step->kernels, step->gradient + job->part, step->partial + job->part, groups,
             step->partial_stride, count);
  if (collector.take) collector.take(collector.context, step->gradient + job->part, count);
}

/* Images of a task: a group, since gradients are summed group by group. Where there are none, a quarter of
 * it, so that threads end together; but as many as any of the segments takes at a time. */
static int64_t task_images(const struct pass *run) {
  const cnn_plan *plan = run->plan;
  int64_t images = plan->options.group;
  if (run->back.first < run->back.past) return images;
  images = (images + 3) / 4;
  for (int s = run->forward.first; s < run->forward.past; s++)
    if (plan->segments[s].images > images) images = plan->segments[s].images;
  return images;
}

static void groups(struct pass *run) {
  run->task_images = task_images(run);
  int64_t tasks = (run->batch + run->task_images - 1) / run->task_images;
  threads_run(run->plan->options.threads, tasks, run_group, run);
  run->load = run->scored = false;
  run->forward = run->back = (struct stretch){0};
}

/* Segments that go group by group, from s on upwards, or downwards: past the last of them. */
static int end_of_stretch(const cnn_plan *plan, int s, int step) {
  while (s >= 0 && s < plan->segment_count && !plan->segments[s].parts) s += step;
  return s;
}

static void forward_rounds(struct pass *run) {
  cnn_plan *plan = run->plan;
  run->load = run->hooks && run->hooks->load;
  for (int s = 0;; s++) {
    int end = end_of_stretch(plan, s, 1);
    run->forward = (struct stretch){s, end};
    if (end == plan->segment_count) return; /* the last stretch runs with the turn */
    if (run->load || end > s) groups(run);
    s = end;
    run->brick = plan->segments[s].first;
    const struct ledger *ledger = &plan->planned[run->brick].ledger;
    if (ledger->forward_parts) {
      threads_run(plan->options.threads, ledger->forward_parts, run_forward_part, run);
    } else {
      run->forward = (struct stretch){s, s + 1};
      groups(run);
    }
  }
}

/* The first stretch backward runs with the turn. */
static void backward_rounds(struct pass *run) {
  cnn_plan *plan = run->plan;
  for (int s = end_of_stretch(plan, plan->segment_count - 1, -1); s >= 0;) {
    run->brick = plan->segments[s].first;
    const struct step *step = &plan->steps[run->brick];
    const struct ledger *ledger = &plan->planned[run->brick].ledger;
    if (ledger->data_parts && step->dy.data && step->dx[0].data) {
      assert(!step->range || ledger->weight_parts);
      threads_run(plan->options.threads, ledger->data_parts, run_data_part, run);
    } else {
      run->back = (struct stretch){s, s + 1};
      groups(run);
    }
    int end = end_of_stretch(plan, s - 1, -1);
    run->back = (struct stretch){end + 1, s};
    if (end + 1 < s) groups(run);
    s = end;
  }
}

static void rounds(struct pass *run) {
  cnn_plan *plan = run->plan;
  int threads = plan->options.threads;
  mem_freeze();
  if (plan->stale) threads_run(threads, plan->prepare_count, run_prepare, run);
  plan->stale = false;
  forward_rounds(run);
  run->scored = run->hooks && run->hooks->scored;
  if (run->backward)
    run->back = (struct stretch){end_of_stretch(plan, plan->segment_count - 1, -1) + 1, plan->segment_count};
  groups(run);
  if (run->backward) {
    backward_rounds(run);
    if (!run->hooks || !run->hooks->ready || run->hooks->ready(run->hooks->context))
      threads_run(threads, plan->collect_count, run_collect, run);
  }
  mem_thaw();
}

void exec_forward(cnn_plan *plan, int64_t batch, const struct hooks *hooks) {
  rounds(&(struct pass){.plan = plan, .batch = batch, .hooks = hooks});
}

void exec_gradient(cnn_plan *plan, int64_t batch, const struct hooks *hooks) {
  rounds(&(struct pass){.plan = plan, .batch = batch, .hooks = hooks, .backward = true});
}

static void run_layer_group(void *context, int64_t task, int thread) {
  const struct pass *run = context;
  const cnn_plan *plan = run->plan;
  const struct layer_class *class = plan->net->bricks[run->brick].class;
  const struct step *step = step_of(plan, thread, run->brick);
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
    if (run->direction == CNN_FORWARD) class->forward(step, shard);
    if (run->direction == CNN_BACKWARD_DATA) class->backward_data(step, shard);
    if (run->direction == CNN_BACKWARD_WEIGHTS) class->backward_weights(step, shard);
  }
}

void exec_layer(cnn_plan *plan, int brick, cnn_direction direction) {
  struct pass run = {.plan = plan, .batch = plan->options.batch, .brick = brick, .direction = direction};
  const struct ledger *ledger = &plan->planned[brick].ledger;
  int threads = plan->options.threads;
  int64_t groups = (run.batch + plan->options.group - 1) / plan->options.group;
  bool weights = direction == CNN_BACKWARD_WEIGHTS;
  if (direction == CNN_FORWARD && ledger->forward_parts)
    threads_run(threads, ledger->forward_parts, run_forward_part, &run);
  else if (direction == CNN_BACKWARD_DATA && ledger->data_parts)
    threads_run(threads, ledger->data_parts, run_data_part, &run);
  else if (!weights || !ledger->weight_parts)
    threads_run(threads, groups, run_layer_group, &run);
  int64_t jobs = 0;
  for (int64_t i = plan->collect_count - 1; i >= 0; i--)
    if (plan->collect[i].brick == brick) run.first_job = i, jobs++;
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

cnn_status exec_find_not_finite(cnn_plan *plan, int64_t batch) {
  CNN_TRY(plan_check_weights(plan));
  for (int64_t n = 0; n < batch; n++) {
    if (!image_finite(&plan->steps[0].y, n))
      return CNN_FAIL(CNN_E_NUMERIC, "image %" PRId64 " of the batch holds a value that is not finite", n);
    for (int i = 1; i < plan->net->count; i++) {
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
  }
  return CNN_FAIL(CNN_E_NUMERIC,
                  "the loss is not finite though every layer's output is; try a smaller learning rate");
}
