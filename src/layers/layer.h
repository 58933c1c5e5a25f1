/* What a layer is: the one contract behind every file of this folder.
 *
 * A layer is one file that ends in one constant struct layer_class, and one row in layers.def. From the
 * constant come parsing, saving, `cnn layers`, documentation and the automatic tests; nothing else in
 * the library knows a layer by name.
 *
 * How a plan uses it: shape() while the network is built; book() twice through the same code, first to
 * count, then to carve and to fill its tables; from then on forward() and the two backward()s, which
 * cannot fail, on as many images as the plan finds good for the caches. */
#ifndef CNN_LAYERS_LAYER_H
#define CNN_LAYERS_LAYER_H

#include <stddef.h>

#include "core/status.h"
#include "core/view.h"
#include "kernels/kernels.h"
#include "layers/connections.h"

enum { MAX_INPUTS = 8, MAX_WEIGHTS = 2, MAX_STATES = 2 };

/* ---- Parameters: the keys of a brick's line ---- */

enum param_type {
  PARAM_INTEGER, /* int64_t */
  PARAM_NUMBER,  /* double */
  PARAM_PAIR,    /* int64_t[2]: "3" or "3x2", height first */
  PARAM_FLAG,    /* bool: yes or no */
  PARAM_CHOICE,  /* int: index into choices */
  PARAM_SHAPE,   /* cnn_shape: "1x28x28", n is 1 */
  PARAM_INIT,    /* struct init */
  PARAM_TABLE,   /* struct connections */
  PARAM_NUMBERS, /* struct numbers: "30,60,80", rising */
};

/* How weights start: normal:STD; xavier: N(0, 1/fan_in) and he: N(0, 2/fan_in) (6.2 of the book); all alike.
 */
struct init {
  enum { INIT_NORMAL, INIT_XAVIER, INIT_HE, INIT_ZEROS, INIT_CONSTANT } kind;
  double number; /* the deviation of INIT_NORMAL, the value of INIT_CONSTANT */
};

enum { MOST_NUMBERS = 16 };

struct numbers {
  int count;
  double value[MOST_NUMBERS];
};

struct param {
  const char *key;
  enum param_type type;
  size_t offset;              /* into the layer's config */
  const char *standard;       /* the default, as text; NULL: the key is required */
  int64_t least, most;        /* of integers, numbers and pairs */
  const char *const *choices; /* ended by NULL */
  const char *help;
};

/* ---- Chance ---- */

/* Where a training step's random numbers come from: each is a function of this, of the layer (its `stream`),
 * of the image and of the element, and of nothing else. */
struct chance {
  uint64_t seed;
  uint64_t image; /* the batch's first: how many images the run has trained on before it */
};

/* ---- Plain loops in double: the definition, and what everything else is tested against ---- */

struct naive {
  const void *config;
  int inputs;          /* 0 means 1 */
  const cnn_shape *in; /* of each input */
  cnn_shape out;
  const double *x[MAX_INPUTS], *weight[MAX_WEIGHTS]; /* dense; weights as in model files */
  const double *state[MAX_STATES];                   /* read where chance is NULL */
  double *y;                                         /* written */
  const double *dy;                                  /* NULL: forward only */
  double *dx[MAX_INPUTS], *dweight[MAX_WEIGHTS];     /* written where dy is given */
  const struct chance *chance;                       /* as in struct shard */
  uint32_t stream;                                   /* as in struct step */
};

/* ---- The planned machine ---- */

/* What one call is about: images n0 .. n1-1, and part `part` of the work on them where it was booked in
 * parts. */
struct shard {
  int64_t n0, n1, part;
  int64_t batch; /* images of the whole call */
  int thread;
  const struct chance *chance;       /* of a training step; NULL: nothing is drawn, as in inference */
  const struct collector *collector; /* NULL: nobody waits for gradients */
};

/* Who is told of gradients of weights as soon as a part of backward_weights is done with them. */
struct collector {
  void (*take)(void *context, const float *gradient, int64_t count); /* a multiple of 16 */
  void *context;
};

/* One brick of a plan, with all its memory. */
struct step {
  const void *config;
  const struct kernel_table *kernels;
  uint32_t stream; /* this layer's random numbers are its own: its place in the net */
  int inputs;
  struct view x[MAX_INPUTS], y;
  struct view dx[MAX_INPUTS], dy; /* data is NULL where a gradient is not wanted; dx are never the same */
  float *weight, *gradient;       /* this layer's packed range, in the order booked; NULL without weights */
  int64_t weight_at[MAX_WEIGHTS]; /* where each weight starts in that range */
  int64_t range;                  /* floats in it */
  float *state[MAX_STATES];       /* dense */
  float *partial;                 /* gradient sums of one group each, partial_stride apart */
  int64_t partial_stride;
  int64_t group;  /* images of a gradient group */
  float *saved;   /* image n's at saved + n * image; not cleared */
  int64_t image;  /* floats from one image to the next, in saved */
  void *tables;   /* what book() filled */
  float *scratch; /* thread t's at scratch + t * scratch_stride */
  int64_t scratch_stride;
};

/* What a layer asks for. The views are set before book(), but for data and image: those only in the second
 * pass, when step is not NULL. */
struct ledger {
  const void *config;
  int inputs;
  struct view x[MAX_INPUTS], y;
  bool training, wants_dx; /* wants_dx: of one input at least */
  int64_t batch, group;
  struct step *step; /* NULL while counting */

  struct weight_booking {
    const char *suffix; /* "weight", "bias" */
    int dims;
    int64_t dim[4]; /* as in model files */
    int64_t packed; /* floats in the plan, a multiple of 16 */
    struct init init;
    int64_t fan_in;
  } weight[MAX_WEIGHTS], state[MAX_STATES]; /* states: kept in model files, not trained */
  int weights, states;

  bool in_place;         /* y may stand where x[0] stood, and dx[0] where dy did */
  bool keeps_x, keeps_y; /* backward reads them */
  bool whole_batch;      /* runs best on a whole group of images, and alone */
  int64_t images;        /* else: on so many at a time; 0 means 1, for values that stay in the cache */
  int64_t forward_parts, data_parts; /* 0: forward runs image by image or group by group; else in so many
                                        parts over all images of the call; likewise backward_data */
  int64_t saved;                     /* floats an image from forward to backward, a multiple of 16 */
  int64_t scratch;                   /* floats a thread */
  int64_t partial_extra;             /* floats more in each group's partial sums */
  int64_t weight_parts;  /* 0: backward_weights runs group by group into partial; else in so many parts
                            over the whole batch, straight into gradient */
  int64_t batch_parts;   /* 0: images do not depend on each other; else, while training, settle() and
                            settle_backward() run in so many parts; weight_parts, forward_parts and data_parts
                            are 0 then, and y is not in place */
  int64_t prepare_parts; /* prepare() runs in so many parts after weights have changed */
  int64_t multiply_adds; /* of forward, an image */
  size_t table_bytes, table_used;
  char *table_memory;
};

/* Tables that stay for the life of the plan: NULL while counting. The first one is step->tables. */
void *ledger_table(struct ledger *ledger, size_t bytes);
void ledger_weight(struct ledger *ledger, const char *suffix, int dims, const int64_t *dim, int64_t packed,
                   struct init init, int64_t fan_in);
/* `count` floats, followed by zeros up to a whole block; after the first table. */
void ledger_state(struct ledger *ledger, const char *suffix, int64_t count, struct init init);

/* From which elements of an input the element (oh, ow) of an output channel is computed, in each channel that
 * it is computed from; element (h, w) is [0], [1]. */
struct reach {
  enum {
    REACH_WINDOW, /* out * stride - pad + i * dilation, i = 0 .. count-1, as far as they are in the plane */
    REACH_PLANE,  /* all */
    REACH_FLAT,   /* output channel i is element i of the input, in the order c, h, w */
  } kind;
  int64_t count[2], stride[2], pad[2], dilation[2];
};

struct layer_class {
  const char *name, *summary;
  size_t config_size;
  const struct param *params; /* ended by a NULL key */
  int inputs;                 /* how many it takes, at least */
  int most_inputs;            /* at most; 0: as many as that */
  bool any_block;             /* reads the network's input as n, c, h, w; else it gets channel blocks */
  bool is_max;                /* each output is one of its inputs, the largest of some */
  bool before_max; /* max(f(a), f(b)) == f(max(a, b)), gradients included: a plan may run it after */

  /* The output for these inputs, ended by one of no images; the sentence on failure begins with the keys,
   * as in "kernel 3 ...". */
  cnn_status (*shape)(const void *config, const cnn_shape *in, cnn_shape *out);
  void (*book)(const void *config, struct ledger *ledger);

  /* What outputs are computed from, in inference. NULL: from the element at the same place; */
  void (*reach)(const void *config, struct reach *reach);
  /* whether output channel f is from channel c of input k. NULL: from the same channel. */
  bool (*sees)(const void *config, const cnn_shape *in, int k, int64_t f, int64_t c);

  /* Where element i of a dense weight stands in its packed range. NULL without weights. */
  int64_t (*place)(const struct step *step, int weight, int64_t i);

  void (*naive)(const struct naive *naive);
  void (*prepare)(const struct step *step, struct shard shard); /* what to derive from the weights */
  void (*forward)(const struct step *step, struct shard shard);
  void (*backward_data)(const struct step *step, struct shard shard);    /* dx from dy, overwritten */
  void (*backward_weights)(const struct step *step, struct shard shard); /* see weight_parts */

  /* Of layers with batch_parts, in training steps; images n0 .. n1-1, or part `part` over all images: */
  void (*measure)(const struct step *step, struct shard shard); /* x of these images is there */
  void (*settle)(const struct step *step, struct shard shard);  /* all are measured; forward comes next */
  void (*settle_backward)(const struct step *step,
                          struct shard shard); /* backward_weights has seen all; makes the gradients, and
                                                  backward_data comes next */
  void (*follow)(const struct step *step, struct shard shard); /* the step is done: states change, or NULL */

  /* "in=2x3x8x8 filters=4 kernel=3 pad=1", ended by NULL; several inputs: "in=2x3x8x8,2x4x8x8" */
  const char *const *examples;
};

/* The most inputs that it takes. */
static inline int layer_most_inputs(const struct layer_class *class) {
  return class->most_inputs ? class->most_inputs : class->inputs;
}

/* Every layer, in the order of layers.def, ended by NULL. */
extern const struct layer_class *const layer_classes[];

/* The one layer that others must know: joined with the loss where a net ends in it. */
extern const struct layer_class layer_softmax;

/* CNN_E_KEY names the nearest known one. */
cnn_status layer_find(const char *name, const struct layer_class **found);

/* ---- Configurations as text (params.c) ---- */

/* Defaults first, then the words "key=value ..." of text. A word whose key is in `common` (ended by
 * NULL) is left to the caller. */
cnn_status params_parse(const struct layer_class *class, const char *text, const char *const *common,
                        void *config);

struct text;
/* The keys that differ from their defaults, each with a space before it. */
void params_print(const struct layer_class *class, const void *config, struct text *out);

/* The same for any table (ended by a NULL key). owner: who has it, in messages; NULL: a word whose key is not
 * in the table is left to the caller. all: with those that are as by default. */
cnn_status params_read(const struct param *params, const char *owner, const char *text,
                       const char *const *common, void *config);
void params_write(const struct param *params, const void *config, bool all, struct text *out);

/* How fast a brick's weights learn, beside those of others: keys of every layer with weights (learning.c). */
struct learning {
  double lr, bias_lr; /* factors of the learning rate: of all its weights, and once more of its biases */
  double decay;       /* factor of the weight decay */
};

extern const struct param learning_params[];

/* "integer", "pair", "yes or no", ... for help. */
const char *params_type(const struct param *param);

/* ---- Helpers that several layers share (window.c, layer.c) ---- */

/* shape() and book() of layers whose output has the input's shape, may stand in its place, and is what
 * their backward reads. */
cnn_status same_shape(const void *config, const cnn_shape *in, cnn_shape *out);
void book_in_place(const void *config, struct ledger *ledger);

/* reach() and sees() of those that take whole planes, and all channels. */
void reach_plane(const void *config, struct reach *reach);
bool sees_all(const void *config, const cnn_shape *in, int k, int64_t f, int64_t c);

/* Equation (7.1) on both axes, with the layer's words in the sentence. */
cnn_status window_shape(const int64_t kernel[2], const int64_t stride[2], const int64_t pad[2],
                        const int64_t dilation[2], int round, cnn_shape in, int64_t *oh, int64_t *ow);

extern const char *const round_choices[];

/* to[0 .. count-1] = the sum of those at sums and `stride` apart, one for each group, by a binary tree:
 * neighbours first. The one order in which gradients of groups of images are ever added. sums are used up. */
void sum_groups(const struct kernel_table *kernels, float *to, float *sums, int64_t groups, int64_t stride,
                int64_t count);

/* For backward_weights: adds dy of image n to the gradient of the biases of its group, position i to lane i
 * mod 16, whatever the image; after the group's last image lanes are joined. lanes: 16 x 16 floats for each
 * block of channels, sum: 16. */
void add_to_biases(const struct step *step, int64_t n, bool last, float *sum, float *lanes);

void copy_floats(float *to, const float *from, int64_t count);

/* Calls run(y, x, count) for every image n0 .. n1-1, on whole channel blocks. */
void each_image(const struct view *y, const struct view *x, struct shard shard,
                void (*run)(float *y, const float *x, int64_t count));
/* Likewise, for what takes long: a last block that is at most half full is packed first. */
void each_element(const struct view *y, const struct view *x, struct shard shard,
                  void (*run)(float *y, const float *x, int64_t count));
/* Likewise run(dx, dy, y, count). */
void each_image_backward(const struct view *dx, const struct view *dy, const struct view *y,
                         struct shard shard,
                         void (*run)(float *dx, const float *dy, const float *y, int64_t count));

#endif
