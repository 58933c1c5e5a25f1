/* A plan: the machine built from a net for one batch size, and the order in which it runs.
 *
 * Memory. One allocation holds, in this order,
 *
 *     steps | weights | gradients | partial sums | tables | scratch and passing values of each thread | image
 * 0 | image 1 | ...
 *
 * The memory of ONE image is what layout.c draws: every output, gradient and saved value of one image
 * has a place in it, and two whose lifetimes do not meet may share one. Image n stands n * image floats
 * further on. So images never touch each other's memory, and any thread may take any image at any stage.
 * Values that come and go while one thread runs one segment on the images at hand are passing: they stand in
 * the thread's own memory instead, which stays in its cache. Each thread has steps of its own that point
 * there, and they are moved on with the images at hand (exec.c).
 *
 * Order (exec.c). A step is rounds of tasks, each shared out among the threads:
 *   - prepare: what layers derive from weights, in parts;
 *   - forward: groups of images through segments; a brick that books parts makes a round of its own, and one
 *     that needs something of all images (batchnorm) ends a round, in which it measured them;
 *   - turn: the last segments forward, the loss, the first backward, group by group;
 *   - backward: as forward;
 *   - collect: weight gradients in parts over the batch; sums of the groups' partial sums; and of what is
 *     final the optimiser's step, on the same thread (train/trainer.c). */
#ifndef CNN_NET_PLAN_H
#define CNN_NET_PLAN_H

#include "net/input.h"
#include "net/net.h"

/* A place in an image's memory: `floats` long, in use from one moment to another (both inclusive).
 * Moments: brick i runs forward at i and backward at 2 * bricks - i; the loss is between. */
struct place {
  int64_t floats, offset, from, to;
  bool passing;  /* floats are those of all images at hand */
  int64_t image; /* of passing ones: floats from one image to the next */
  int next;      /* of those with an offset, the next one up, or -1: layout.c's own */
};

/* One input of one brick; brick 0: none. */
struct reader {
  int brick, input;
};

/* What is known of one brick.
 *
 * Where several inputs read one output, each gives a share of its gradient. That of the lowest reader, which
 * is the last to run backward, stands where the gradient is to be; the others have places of their own and
 * are added to it then, in ascending order (exec.c). */
struct planned {
  struct ledger ledger;
  int y, dy, saved;               /* places; -1: none. Bricks that work in place share one */
  int share[MAX_INPUTS];          /* places of gradients of inputs, but for those of lowest readers: -1 */
  bool wants_gradient;            /* of its output */
  struct reader lowest;           /* of those that read its output; */
  struct reader next[MAX_INPUTS]; /* the one after each of this brick's own inputs */
};

/* Floats of a brick's packed weights, and of one group's partial sums of their gradient: 0 where it has
 * no weights, is not trained, or sums over the whole batch. */
static inline int64_t planned_range(const struct planned *planned) {
  int64_t range = 0;
  for (int w = 0; w < planned->ledger.weights; w++) range += planned->ledger.weight[w].packed;
  return range;
}
static inline int64_t planned_partial(const struct planned *planned) {
  const struct ledger *ledger = &planned->ledger;
  int64_t range = planned_range(planned);
  if (!range || !ledger->training || ledger->weight_parts) return 0;
  return range + (ledger->partial_extra + BLOCK - 1) / BLOCK * BLOCK;
}

/* Consecutive bricks that run together on few images at a time, so that these stay in the cache. */
struct segment {
  int first, last; /* bricks, inclusive */
  int64_t images;  /* at a time */
  bool parts;      /* one brick that shares its work out in parts, over all images */
  bool gathers;    /* while training, its first brick needs something of all images (ledger.batch_parts) */
};

/* One task of round 1 or 3. */
struct job {
  int brick;
  enum { JOB_PREPARE, JOB_WEIGHTS, JOB_SUM, JOB_GIVE } kind; /* GIVE: the gradient is there */
  int64_t part; /* JOB_SUM, JOB_GIVE: the first float of its range */
};

struct cnn_plan {
  const cnn_net *source; /* the net as it was given */
  cnn_net order;         /* its bricks in the order they run; the rest is the source's */
  const cnn_net *net;    /* &order */
  cnn_plan_options options;
  const struct kernel_table *kernels;
  struct planned *planned;
  struct step *steps; /* [threads][bricks]; the first thread's serve where none is meant */
  struct place *places;
  int place_count;
  struct segment *segments;
  int segment_count;
  struct job *prepare, *collect;
  int64_t prepare_count, collect_count;
  bool joined;         /* the last softmax and the loss are one */
  bool input_gradient; /* wanted too; set before plan_draw(), by probes of single layers */
  bool stale;          /* weights changed since the last prepare round */
  int64_t held;        /* images of the last cnn_plan_forward(), where their outputs still stand; else 0 */
  int64_t outputs,
      output_gradients; /* of so many images they are there to be read, where the plan keeps them */
  struct chance
      chance; /* of the next exec_gradient(): the trainer sets it; else the plan's seed and image 0 */

  struct input input; /* what happens to pixels on their way in */
  cnn_memory memory;
  void *arena;
  size_t arena_bytes;
  float *weights, *gradients; /* all layers', contiguous */
  int64_t range;              /* floats in each */
  int64_t image;              /* floats from one image to the next */
  int64_t passing;            /* floats of each thread's passing values */
};

/* As cnn_plan_new(), with the gradient of the input. */
cnn_status plan_new(const cnn_net *net, const cnn_plan_options *options, bool input_gradient, cnn_plan **out);

/* Shapes, lifetimes, sizes; no memory but the plan's own arrays. Fills plan->memory. */
cnn_status plan_draw(cnn_plan *plan);

/* What a plan would take, without taking it. */
cnn_status plan_memory(const cnn_net *net, const cnn_plan_options *options, cnn_memory *memory);

/* How brick i's output stands: in channel blocks, but for an input that is read as it comes. */
static inline int64_t plan_block(const cnn_plan *plan, int i) {
  struct reader r = plan->planned[i].lowest;
  return net_is_input(plan->net, i) ? plan->planned[r.brick].ledger.x[r.input].block : BLOCK;
}

/* Floats that the steps of all threads take. */
static inline int64_t plan_steps_floats(const cnn_plan *plan) {
  int64_t bytes = (int64_t)sizeof(struct step) * plan->net->count * plan->options.threads;
  return (bytes + 63) / 64 * 64 / (int64_t)sizeof(float);
}

/* Give every place that is passing, or every one that is not, its offset; returns the floats of them all. */
int64_t layout_places(struct place *places, int count, bool passing);

enum { SUM_RANGE = 8192 /* floats of a JOB_SUM task */ };

/* What runs between the bricks, group by group, on the thread that has the group's images at hand. */
struct hooks {
  void (*load)(void *context, int64_t n0, int64_t n1, int thread); /* fill the input's view; NULL: it is
                                                            filled; thread: for scratch memory */
  void (*scored)(void *context, int64_t n0, int64_t n1); /* after forward; before backward it sets the
                                                            gradient of the loss; may be NULL */
  bool (*ready)(void *context); /* after backward, before gradients of weights are collected; false: do not
                                   collect them; may be NULL */
  /* Gradients that are final, `count` of them; NULL: nobody waits for them */
  void (*collected)(void *context, const float *gradient, int64_t count);
  void *context;
};

/* Forward over images 0 .. batch-1, as inference has it: nothing is drawn. */
void exec_forward(cnn_plan *plan, int64_t batch, const struct hooks *hooks);
/* Forward and backward, drawing from plan->chance; a last softmax that is joined with the loss is left to the
 * loss. */
void exec_gradient(cnn_plan *plan, int64_t batch, const struct hooks *hooks);

/* After exec_gradient(), where the step is taken: what layers keep beside weights follows it. */
void exec_follow(cnn_plan *plan, int64_t batch);

/* The gradient at the outputs of all bricks below `brick`, as inference has it, from that at its own; those
 * of bricks above it must be 0. For plans that keep all outputs, after exec_forward() for `batch` images. */
void exec_backward_from(cnn_plan *plan, int64_t batch, int brick);

/* One brick in one direction, over all images of the plan, in the rounds and tasks of the above. */
void exec_layer(cnn_plan *plan, int brick, cnn_direction direction);

/* CNN_E_SHAPE where x is not 1 .. batch images of the network's input, or of input_image(). */
cnn_status plan_check_input(const cnn_plan *plan, cnn_tensor x);

/* Where the loss reads scores and writes their gradient: around a joined softmax, or the last brick. */
const struct view *plan_scores(const cnn_plan *plan);
const struct view *plan_scores_gradient(const cnn_plan *plan);

/* CNN_E_NUMERIC, naming it, where a weight is not finite; CNN_OK otherwise. */
cnn_status plan_check_weights(const cnn_plan *plan);

/* Run the forward of the last exec_gradient() again, brick by brick, and say which one first gave a value
 * that is not finite. */
cnn_status exec_find_not_finite(cnn_plan *plan, int64_t batch);

#endif
