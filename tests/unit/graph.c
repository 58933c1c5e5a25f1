/* Networks that branch and join: how they are written, and random ones against the layers' plain loops in
 * double: outputs, all gradients, the same bits from any number of threads and every instruction set, and
 * memory that is never read before it is written. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "core/memory.h"
#include "core/text.h"
#include "instruction_sets.h"
#include "net/probe.h"
#include "random.h"

/* ---- as text ---- */

static void text_there_and_back(void **state) {
  (void)state;
  static const char text[] =
      "input shape=3x8x8\n"
      "conv name=stem filters=8 kernel=3 pad=1\n"
      "relu\n"
      "conv filters=8 kernel=3 pad=1\n"
      "add from=relu1,conv2\n"
      "conv name=side from=stem filters=4 kernel=1\n"
      "concat from=side,add1,side\n"
      "affine units=3\n";
  cnn_net *net, *again;
  cnn_layer_info info;
  ok(cnn_net_parse(text, "t", &net));
  assert_string_equal(cnn_net_text(net), text);
  ok(cnn_net_parse(cnn_net_text(net), "t", &again));
  assert_string_equal(cnn_net_text(again), text);
  cnn_net_free(again);
  ok(cnn_net_layer(net, 6, &info));
  assert_int_equal(info.inputs, 3);
  assert_int_equal(info.from[0], 5);
  assert_int_equal(info.from[1], 4);
  assert_int_equal(info.from[2], 5);
  assert_int_equal(info.out.c, 16);
  ok(cnn_net_layer(net, 0, &info));
  assert_int_equal(info.inputs, 0);
  cnn_net_free(net);
  ok(cnn_net_parse("input shape=1x2x2\nrelu from=input1\naffine units=1 from=relu1", "t", &net));
  assert_string_equal(cnn_net_text(net), "input shape=1x2x2\nrelu\naffine units=1\n"); /* as it is without */
  cnn_net_free(net);
}

static void mistakes(void **state) {
  (void)state;
#define INPUT "input shape=4x6x6\nrelu name=a\n"
  static const struct {
    const char *text;
    cnn_status status;
    const char *why;
  } cases[] = {
      {INPUT "add from=a,bb", CNN_E_KEY,
       "t:3: add: from=: no brick above is named 'bb'; a brick takes its inputs from those above it"},
      {INPUT "add from=a,imput1", CNN_E_KEY,
       "t:3: add: from=: no brick above is named 'imput1'; did you mean 'input1'?"},
      {INPUT "add from=a,later\nrelu name=later", CNN_E_KEY,
       "t:3: add: from=: no brick above is named 'later'; a brick takes its inputs from those above it"},
      {INPUT "add name=itself from=a,itself", CNN_E_KEY,
       "t:3: add: from=: no brick above is named 'itself'; a brick takes its inputs from those above it"},
      {INPUT "add", CNN_E_ARGUMENT,
       "t:3: add: it takes 2 to 8 inputs, not 1; name them in from=, as in from=a,b"},
      {INPUT "add from=a", CNN_E_ARGUMENT,
       "t:3: add: it takes 2 to 8 inputs, not 1; name them in from=, as in from=a,b"},
      {INPUT "add from=a,a,a,a,a,a,a,a,a", CNN_E_ARGUMENT,
       "t:3: add: it takes 2 to 8 inputs, not 9; name them in from=, as in from=a,b"},
      {INPUT "relu from=a,input1", CNN_E_ARGUMENT, "t:3: relu: it takes 1 input, not 2; name them in from="},
      {INPUT "add from=a,,a", CNN_E_ARGUMENT, "t:3: add: from=: a name is empty; write from=a,b"},
      {INPUT "add from=a,a,", CNN_E_ARGUMENT, "t:3: add: from=: a name is empty; write from=a,b"},
      {INPUT "add from=", CNN_E_ARGUMENT, "t:3: add: 'from=' is not of the form key=value, without blanks"},
      {INPUT "add from=a,a from=a,a", CNN_E_KEY, "t:3: add: key 'from' is given twice"},
      {INPUT "add from=a,0123456789012345678901234567890123456789012345678901234567890123", CNN_E_ARGUMENT,
       "t:3: add: from=01234567890123456789... is longer than 63 characters"},
      {"input shape=4x6x6 from=a\nrelu", CNN_E_KEY,
       "t:1: input: a network begins here, so from= has no meaning"},
      {INPUT "conv filters=5 kernel=1\nadd from=a,conv1", CNN_E_SHAPE,
       "t:4: add: input 2 is 5x6x6, but the first is 4x6x6; all must be alike"},
      {INPUT "maxpool kernel=3\nconcat from=a,a,maxpool1", CNN_E_SHAPE,
       "t:4: concat: input 3 is 4x2x2, but the first is 4x6x6; heights and widths must be alike"},
      {INPUT "relu name=b\n\nrelu from=a", CNN_E_ARGUMENT,
       "t:3: nothing takes the output of 'b'; name it in a later from=, or take it out"},
      {INPUT "add from=a,a\nrelu from=input1", CNN_E_ARGUMENT,
       "t:3: nothing takes the output of 'add1'; name it in a later from=, or take it out"},
  };
#undef INPUT
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cnn_net *net = NULL;
    cnn_status status = cnn_net_parse(cases[i].text, "t", &net);
    if (status != cases[i].status || strcmp(cnn_why(), cases[i].why) != 0)
      fail_msg("'%s': %s, %s", cases[i].text, cnn_status_name(status), cnn_why());
    assert_null(net);
  }
}

/* Eight names of 63 letters are no mistake. */
static void long_names(void **state) {
  (void)state;
  cnn_net *net = cnn_net_new();
  struct text from = {0};
  char words[128];
  ok(cnn_net_add(net, "input", "shape=1x2x2"));
  for (int i = 0; i < MAX_INPUTS; i++) {
    snprintf(words, sizeof words,
             "from=input1 name=%d23456789012345678901234567890123456789012345678901234567890123", i);
    ok(cnn_net_add(net, "relu", words));
    text_add(&from, "%s%s", i ? "," : "from=", words + 17);
  }
  ok(cnn_net_add(net, "concat", from.data));
  ok(cnn_net_check(net));
  assert_int_equal(cnn_net_output(net).c, MAX_INPUTS);
  text_free(&from);
  cnn_net_free(net);
}

/* Gradients below two branches count twice as multiply-adds no more than below one. */
static void work_of_branches(void **state) {
  (void)state;
  cnn_net *net;
  ok(
      cnn_net_parse("input shape=8x4x4\nrelu\nconv from=input1 filters=8 kernel=1\nadd from=relu1,conv1\n"
                    "conv filters=8 kernel=1\nconv filters=8 kernel=1 from=relu1\nadd from=conv2,conv3\n",
                    "t", &net));
  assert_int_equal(cnn_net_multiply_adds(net, CNN_INFER), 3 * 1024);
  assert_int_equal(cnn_net_multiply_adds(net, CNN_TRAIN), (2 + 3 + 2) * 1024);
  cnn_net_free(net);
}

/* ---- random networks ---- */

enum { MOST = 32 };

static struct brick *last_brick(const cnn_net *net) { return &net->bricks[net->count - 1]; }

static void add(cnn_net *net, const char *layer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add(cnn_net *net, const char *layer, const char *format, ...) {
  char words[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  if (cnn_net_add(net, layer, words) != CNN_OK) fail_msg("%s %s: %s", layer, words, cnn_why());
}

/* A brick on brick `from`, of any kind that takes one input. */
static void add_one(cnn_net *net, struct random *r, int from) {
  const struct brick *below = &net->bricks[from];
  const char *name = below->name;
  bool small = below->out.h < 3 || below->out.w < 3;
  switch (draw(r, 0, small ? 9 : 11)) { /* few values would make a batch's variance small */
    case 0:
    case 1: add(net, "conv", "from=%s kernel=3 pad=1 filters=%d init=he", name, (int)draw(r, 1, 20)); break;
    case 2: add(net, "conv", "from=%s kernel=1 filters=%d init=he", name, (int)draw(r, 1, 2) * 16); break;
    case 3: add(net, "relu", "from=%s", name); break;
    case 4:
      add(net, "relu", "from=%s", name); /* the two may change places */
      add(net, "maxpool", "kernel=%d round=floor", small ? 1 : 2);
      break;
    case 5: add(net, "avgpool", "from=%s kernel=3 pad=1 stride=1", name); break;
    case 6: add(net, "dropout", "from=%s rate=0.2", name); break;
    case 7: add(net, "tanh", "from=%s", name); break;
    case 8: add(net, "lrn", "from=%s alpha=0.5", name); break;
    case 10:
    case 11: add(net, "batchnorm", "from=%s", name); break;
    default: add(net, "affine", "from=%s units=%d init=xavier", name, (int)draw(r, 1, 4) * 37); break;
  }
}

/* add or concat of brick `from` and others that go with it, itself too. */
static void join(cnn_net *net, struct random *r, int from) {
  bool sum = draw(r, 0, 1);
  const cnn_shape *a = &net->bricks[from].out;
  struct text names = {0};
  int inputs = 1, most = (int)draw(r, 2, 4);
  text_add(&names, "from=%s", net->bricks[from].name);
  for (int tries = 0; inputs < most && tries < 12; tries++) {
    const struct brick *other = &net->bricks[draw(r, 0, net->count - 1)];
    if (other->out.h != a->h || other->out.w != a->w || (sum && other->out.c != a->c)) continue;
    text_add(&names, ",%s", other->name);
    inputs++;
  }
  if (inputs == 1) text_add(&names, ",%s", net->bricks[from].name);
  add(net, sum ? "add" : "concat", "%s", names.data);
  text_free(&names);
}

/* What nothing takes yet is joined, so many at a time, and scored. */
static void finish(cnn_net *net, struct random *r, bool softmax) {
  for (int left = net_unread(net); left >= 0; left = net_unread(net)) {
    struct text names = {0};
    int inputs = 0, bricks = net->count;
    for (int i = 0; i < bricks && inputs < MAX_INPUTS; i++) {
      if (net->bricks[i].readers) continue;
      add(net, "affine", "from=%s units=20 init=xavier", net->bricks[i].name);
      text_add(&names, "%s%s", inputs++ ? "," : "from=", last_brick(net)->name);
    }
    add(net, draw(r, 0, 1) ? "add" : "concat", "%s", names.data);
    text_free(&names);
  }
  add(net, "affine", "units=5 init=xavier");
  if (softmax) add(net, "softmax", "%s", "");
}

static cnn_net *random_net(struct random *r) {
  cnn_net *net = cnn_net_new();
  assert_non_null(net);
  add(net, "input", "shape=%dx%dx%d", (int)draw(r, 1, 18), (int)draw(r, 4, 8), (int)draw(r, 4, 8));
  for (int i = (int)draw(r, 2, 10); i > 0; i--) {
    int64_t from = draw(r, 0, net->count - 1), again = draw(r, 0, net->count - 1);
    if (again > from) from = again; /* rather a late one */
    if (draw(r, 0, 2))
      add_one(net, r, (int)from);
    else
      join(net, r, (int)from);
  }
  finish(net, r, draw(r, 0, 1));
  ok(cnn_net_check(net));
  return net;
}

/* ---- the plain loops, brick after brick ---- */

struct oracle {
  const cnn_net *net;
  int64_t batch;
  const struct chance *chance; /* NULL: inference */
  double *y[MOST], *dy[MOST], *weight[MOST][MAX_WEIGHTS], *gradient[MOST][MAX_WEIGHTS],
      *state[MOST][MAX_STATES];
  double loss;
};

static int64_t floats_of(cnn_shape shape) { return shape.c * shape.h * shape.w; }

static double *doubles(int64_t count) {
  double *x = calloc((size_t)count, sizeof *x);
  assert_non_null(x);
  return x;
}

static void oracle_free(struct oracle *o) {
  for (int i = 0; i < MOST; i++) {
    free(o->y[i]);
    free(o->dy[i]);
    for (int w = 0; w < MAX_WEIGHTS; w++) {
      free(o->weight[i][w]);
      free(o->gradient[i][w]);
    }
    for (int s = 0; s < MAX_STATES; s++) free(o->state[i][s]);
  }
}

/* Memory, the images and the plan's weights. */
static void oracle_begin(struct oracle *o, const cnn_plan *plan, const float *x) {
  assert_true(o->net->count <= MOST);
  for (int i = 0; i < o->net->count; i++) {
    int64_t count = o->batch * floats_of(o->net->bricks[i].out);
    double *y = o->y[i] = doubles(count);
    o->dy[i] = doubles(count);
    for (int64_t k = 0; i == 0 && k < count; k++) y[k] = (double)x[k];
  }
  for (int w = 0; w < o->net->weight_count; w++) {
    const struct net_weight *weight = &o->net->weights[w];
    cnn_weight_info info;
    ok(cnn_net_weight(o->net, w, &info));
    float *values = malloc((size_t)info.count * sizeof *values);
    assert_non_null(values);
    ok(cnn_plan_get_weight(plan, info.name, values, info.count));
    double *wide = doubles(info.count);
    if (weight->state) {
      o->state[weight->brick][weight->index] = wide;
    } else {
      o->weight[weight->brick][weight->index] = wide;
      o->gradient[weight->brick][weight->index] = doubles(info.count);
    }
    for (int64_t i = 0; i < info.count; i++) wide[i] = (double)values[i];
    free(values);
  }
}

static void oracle_brick(struct oracle *o, int i, bool backward) {
  const struct brick *brick = &o->net->bricks[i];
  const int inputs = brick->inputs;
  cnn_shape in[MAX_INPUTS];
  double *dx[MAX_INPUTS] = {0};
  struct naive naive = {.config = brick->config,
                        .inputs = inputs,
                        .in = in,
                        .out = brick->out,
                        .y = o->y[i],
                        .dy = backward ? o->dy[i] : NULL,
                        .chance = o->chance,
                        .stream = (uint32_t)i};
  naive.out.n = o->batch;
  for (int k = 0; k < inputs; k++) {
    in[k] = brick->in[k];
    in[k].n = o->batch;
    naive.x[k] = o->y[brick->from[k]];
    naive.dx[k] = dx[k] = doubles(o->batch * floats_of(in[k]));
  }
  for (int w = 0; w < MAX_WEIGHTS; w++) {
    naive.weight[w] = o->weight[i][w];
    naive.dweight[w] = o->gradient[i][w];
  }
  for (int s = 0; s < MAX_STATES; s++) naive.state[s] = o->state[i][s];
  brick->class->naive(&naive);
  for (int k = 0; k < inputs; k++) {
    for (int64_t j = 0; j < o->batch * floats_of(in[k]); j++) o->dy[brick->from[k]][j] += dx[k][j];
    free(dx[k]);
  }
}

/* Cross-entropy, whether the net ends in a softmax or in scores; the mean over the batch. */
static void oracle_loss(struct oracle *o, const int32_t *labels) {
  int last = o->net->count - 1;
  if (o->net->bricks[last].class == &layer_softmax) last--;
  int64_t classes = o->net->bricks[last].out.c;
  for (int64_t n = 0; n < o->batch; n++) {
    const double *score = o->y[last] + n * classes;
    double sum = 0;
    for (int64_t c = 0; c < classes; c++) sum += exp(score[c]);
    for (int64_t c = 0; c < classes; c++)
      o->dy[last][n * classes + c] = (exp(score[c]) / sum - (c == labels[n])) / (double)o->batch;
    o->loss += (log(sum) - score[labels[n]]) / (double)o->batch;
  }
  for (int i = last; i > 0; i--) oracle_brick(o, i, true);
}

static void compare(const float *got, const double *expected, int64_t count, const char *what, cnn_net *net) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < count; i++) {
    double d = (double)got[i] - expected[i];
    error += d * d;
    norm += expected[i] * expected[i];
  }
  if (!(sqrt(error) <= 2e-5 * sqrt(norm) + 1e-7))
    fail_msg("%s: off by %g of %g, in\n%s", what, sqrt(error), sqrt(norm), cnn_net_text(net));
}

/* ---- the engine ---- */

struct result {
  float *y, *dx, *gradients, loss; /* of inference; of the input; of all weights */
  int64_t gradient_count;
};

static void result_free(struct result *r) {
  free(r->y);
  free(r->dx);
  free(r->gradients);
}

/* All that is planned for values holds NaN: what is read before it is written shows. */
static void poison(const cnn_plan *plan) {
  const cnn_memory *m = &plan->memory;
  float *values = (float *)((char *)plan->arena + m->weights + m->gradients + m->scratch);
  for (int64_t i = 0; i < m->activations / (int64_t)sizeof *values; i++) values[i] = NAN;
}

static cnn_plan *new_plan(const cnn_net *net, cnn_plan_options options) {
  cnn_plan *plan;
  ok(plan_new(net, &options, options.mode == CNN_TRAIN, &plan));
  poison(plan);
  return plan;
}

/* In (-1, 1), and fine: sums of few must not be alike, or rounding decides which is the maximum. */
static float element(struct random *r) { return (float)draw(r, -0x7fffff, 0x7fffff) / 0x800000; }

static struct result run(const cnn_net *net, cnn_plan_options options, int64_t batch, float *x,
                         const int32_t *labels) {
  struct result r = {0};
  cnn_shape in = cnn_net_input(net), out = cnn_net_output(net);
  in.n = out.n = batch;
  options.mode = CNN_INFER;
  cnn_plan *plan = new_plan(net, options);
  r.y = malloc((size_t)(batch * floats_of(out)) * sizeof *r.y);
  assert_non_null(r.y);
  ok(cnn_plan_forward(plan, (cnn_tensor){x, in}, (cnn_tensor){r.y, out}));
  cnn_plan_free(plan);

  options.mode = CNN_TRAIN;
  plan = new_plan(net, options);
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, in}, labels, &r.loss));
  r.dx = malloc((size_t)(batch * floats_of(in)) * sizeof *r.dx);
  assert_non_null(r.dx);
  view_read(&plan->steps[0].dy, 0, batch, r.dx);
  r.gradients = malloc((size_t)plan->range * sizeof *r.gradients); /* packed they are no fewer */
  assert_non_null(r.gradients);
  for (int w = 0; w < net->weight_count; w++) {
    cnn_weight_info info;
    ok(cnn_net_weight(net, w, &info));
    if (!info.trained) continue;
    ok(cnn_plan_get_gradient(plan, info.name, r.gradients + r.gradient_count, info.count));
    r.gradient_count += info.count;
  }
  const char *end = (const char *)plan->arena + plan->arena_bytes, *c = end - 4096;
  for (; c < end; c++)
    if (*c) fail_msg("memory past what was planned is written");
  cnn_plan_free(plan);
  return r;
}

static void check_oracle(cnn_net *net, cnn_plan_options options, int64_t batch, float *x,
                         const int32_t *labels) {
  struct result r = run(net, options, batch, x, labels);
  cnn_plan *plan = new_plan(net, options);
  cnn_shape in = cnn_net_input(net);
  in.n = batch;
  float loss;
  ok(cnn_plan_gradient(plan, (cnn_tensor){x, in}, labels, &loss));
  for (int training = 0; training < 2; training++) {
    struct oracle o = {.net = net, .batch = batch, .chance = training ? &plan->chance : NULL};
    oracle_begin(&o, plan, x);
    for (int i = 1; i < net->count; i++) oracle_brick(&o, i, false);
    int last = net->count - 1;
    if (!training) compare(r.y, o.y[last], batch * floats_of(net->bricks[last].out), "output", net);
    if (training) {
      oracle_loss(&o, labels);
      compare(&loss, &o.loss, 1, "loss", net);
      compare(r.dx, o.dy[0], batch * floats_of(in), "gradient of the input", net);
      for (int w = 0; w < net->weight_count; w++) {
        cnn_weight_info info;
        ok(cnn_net_weight(net, w, &info));
        if (!info.trained) continue;
        float *values = malloc((size_t)info.count * sizeof *values);
        assert_non_null(values);
        ok(cnn_plan_get_gradient(plan, info.name, values, info.count));
        compare(values, o.gradient[net->weights[w].brick][net->weights[w].index], info.count, info.name, net);
        free(values);
      }
    }
    oracle_free(&o);
  }
  result_free(&r);
  cnn_plan_free(plan);
}

static void same(const struct result *a, const struct result *b, int64_t outputs, int64_t inputs,
                 const char *what, cnn_net *net) {
  if (memcmp(a->y, b->y, (size_t)outputs * sizeof *a->y) != 0 ||
      memcmp(a->dx, b->dx, (size_t)inputs * sizeof *a->dx) != 0 || a->loss != b->loss ||
      memcmp(a->gradients, b->gradients, (size_t)a->gradient_count * sizeof *a->gradients) != 0)
    fail_msg("other bits with %s, of\n%s", what, cnn_net_text(net));
}

static void check_bits(cnn_net *net, cnn_plan_options options, int64_t batch, float *x,
                       const int32_t *labels) {
  const struct kernel_table *best;
  cnn_shape out = cnn_net_output(net);
  int64_t outputs = batch * floats_of(out), inputs = batch * floats_of(cnn_net_input(net));
  ok(kernels_pick(&best));
  struct result first = run(net, options, batch, x, labels);
  for (int s = 0; s < SETS; s++) {
    if (!kernels_find(instruction_sets[s])) continue;
    kernels_use(kernels_find(instruction_sets[s]));
    struct result other = run(net, options, batch, x, labels);
    kernels_use(best);
    same(&first, &other, outputs, inputs, instruction_sets[s], net);
    result_free(&other);
  }
  static const int threads[] = {2, 3, 7};
  for (int t = 0; t < 3; t++) {
    options.threads = threads[t];
    struct result other = run(net, options, batch, x, labels);
    same(&first, &other, outputs, inputs, "several threads", net);
    result_free(&other);
  }
  options.threads = 1; /* each image alone, in inference */
  options.mode = CNN_INFER;
  options.batch = options.group = 1;
  cnn_plan *plan = new_plan(net, options);
  for (int64_t n = 0; n < batch; n++) {
    float y[64];
    assert_true(floats_of(out) <= 64);
    ok(cnn_plan_forward(plan, (cnn_tensor){x + n * inputs / batch, cnn_net_input(net)},
                        (cnn_tensor){y, out}));
    assert_memory_equal(y, first.y + n * outputs / batch, (size_t)floats_of(out) * sizeof *y);
  }
  cnn_plan_free(plan);
  result_free(&first);
}

static void random_nets(void **state) {
  (void)state;
  int joined = 0, swapped = 0, shared = 0, waiting = 0;
  for (uint32_t seed = 1; seed <= 80; seed++) {
    struct random r = random_from(seed);
    cnn_net *net = random_net(&r);
    int64_t batch = draw(&r, 1, 9), inputs = batch * floats_of(cnn_net_input(net));
    cnn_plan_options options = {.mode = CNN_TRAIN,
                                .batch = batch + draw(&r, 0, 2),
                                .seed = seed,
                                .threads = 1,
                                .group = draw(&r, 0, 3)};
    float *x = malloc((size_t)inputs * sizeof *x);
    int32_t labels[16];
    assert_non_null(x);
    for (int64_t i = 0; i < inputs; i++) x[i] = element(&r);
    for (int64_t n = 0; n < batch; n++) labels[n] = (int32_t)draw(&r, 0, 4);
    check_oracle(net, options, batch, x, labels);
    check_bits(net, options, batch, x, labels);
    cnn_plan *plan = new_plan(net, options);
    joined += plan->joined;
    for (int i = 0; i < net->count; i++) {
      waiting += plan->planned[i].ledger.batch_parts > 0;
      swapped += plan->net->bricks[i].class != net->bricks[i].class;
      for (int k = 0; k < net->bricks[i].inputs; k++) shared += plan->planned[i].share[k] >= 0;
    }
    cnn_plan_free(plan);
    cnn_net_free(net);
    free(x);
  }
  assert_true(joined > 20 && joined < 60 && swapped > 10 && waiting > 30 &&
              shared > 100); /* each kind is met often */
}

/* ---- single cases ---- */

static void gradient_of_one(void *plan, int64_t n0, int64_t n1) {
  float one = 1;
  view_write(plan_scores_gradient(plan), n0, n1, &one);
}

/* What the gradient of the input is, where three bricks with these weights read it. */
static float sum_of_three(const float *weights) {
  static const char text[] =
      "input shape=1x1x1\naffine units=1 bias=no\naffine units=1 bias=no from=input1\n"
      "affine units=1 bias=no from=input1\nadd from=affine3,affine1,affine2\n";
  static const char *const names[] = {"affine1.weight", "affine2.weight", "affine3.weight"};
  cnn_net *net;
  cnn_plan *plan;
  ok(cnn_net_parse(text, "t", &net));
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = 1, .threads = 1};
  ok(plan_new(net, &options, true, &plan));
  for (int i = 0; i < 3; i++) ok(cnn_plan_set_weight(plan, names[i], &weights[i], 1));
  float one = 1, dx;
  view_write(&plan->steps[0].y, 0, 1, &one);
  exec_gradient(plan, 1, &(struct hooks){.scored = gradient_of_one, .context = plan});
  view_read(&plan->steps[0].dy, 0, 1, &dx);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return dx;
}

/* Shares of a gradient are added in the order of the bricks that give them. */
static void order_of_sums(void **state) {
  (void)state;
  assert_true(sum_of_three((const float[]){1, 1e8F, -1e8F}) == 0);
  assert_true(sum_of_three((const float[]){1e8F, -1e8F, 1}) == 1);
}

/* A maximum may go before the ReLU below it only where nobody else reads that. */
static void maximum_of_a_shared_relu(void **state) {
  (void)state;
  static const char head[] = "input shape=1x4x4\nconv filters=2 kernel=1\nrelu\n";
  static const char *const tails[] = {
      "maxpool kernel=2\naffine units=2\n",
      "maxpool kernel=2\nmaxpool kernel=2 from=relu1\nadd from=maxpool1,maxpool2",
      "maxpool kernel=2 from=conv1\nmaxpool kernel=2 from=relu1\nadd from=maxpool1,maxpool2"};
  for (int i = 0; i < 3; i++) {
    char text[256];
    cnn_net *net;
    snprintf(text, sizeof text, "%s%s", head, tails[i]);
    ok(cnn_net_parse(text, "t", &net));
    cnn_plan_options options = {.mode = CNN_TRAIN, .batch = 1, .threads = 1};
    cnn_plan *plan = new_plan(net, options);
    assert_int_equal(plan->net->bricks[2].class->is_max, i == 0);
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

/* Many affine weights: backward of the lowest reader is a round of parts, and shares are added after it. */
static void shares_after_parts(void **state) {
  (void)state;
  cnn_net *net;
  ok(
      cnn_net_parse("input shape=3x9x9\nconv filters=8 kernel=3 pad=1\ntanh\n"
                    "affine units=70 init=xavier\ntanh\naffine from=tanh1 units=70 init=xavier\n"
                    "add from=tanh2,affine2\naffine units=5",
                    "t", &net));
  int64_t inputs = 5 * floats_of(cnn_net_input(net));
  struct random r = random_from(5);
  float *x = malloc((size_t)inputs * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < inputs; i++) x[i] = element(&r);
  const int32_t labels[] = {0, 1, 2, 3, 4};
  cnn_plan_options options = {.mode = CNN_TRAIN, .batch = 5, .seed = 2, .threads = 1, .group = 2};
  cnn_plan *plan = new_plan(net, options);
  assert_true(plan->planned[3].ledger.data_parts > 0);
  cnn_plan_free(plan);
  check_oracle(net, options, 5, x, labels);
  check_bits(net, options, 5, x, labels);
  free(x);
  cnn_net_free(net);
}

/* Channels of every count: blocks that are copied whole, and that are split. Nothing is computed, so nothing
 * may differ. */
static void channels_side_by_side(void **state) {
  (void)state;
  static const int others[] = {1, 5, 15, 16, 17, 33};
  for (int first = 1; first <= 34; first++)
    for (int k = 0; k < 6; k++) {
      struct probe *p;
      const cnn_shape in[] = {{2, first, 2, 3}, {2, others[k], 2, 3}, {2, 1 + k, 2, 3}};
      ok(probe_new_inputs("concat", "", in, 3, 7, 1, &p));
      for (int part = 0; part < PROBE_PARTS; part++)
        for (int64_t i = 0; i < p->count[part]; i++)
          if ((double)p->engine[part][i] != p->naive[part][i])
            fail_msg("%d, %d and %d channels: %s %" PRId64 " differs", first, others[k], 1 + k,
                     probe_names[part], i);
      probe_free(p);
    }
}

static void every_allocation(void **state) {
  (void)state;
  static const char text[] =
      "input shape=2x4x4\nconv filters=2 kernel=1\nadd from=conv1,input1\naffine units=2";
  cnn_net *net = NULL;
  long successes = 0;
  for (;; successes++) {
    mem_fail_after(successes);
    cnn_status status = cnn_net_parse(text, "t", &net);
    mem_fail_after(-1);
    if (status == CNN_OK) break;
    assert_int_equal(status, CNN_E_MEMORY);
  }
  assert_true(successes > 10);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_there_and_back),
      cmocka_unit_test(mistakes),
      cmocka_unit_test(long_names),
      cmocka_unit_test(work_of_branches),
      cmocka_unit_test(random_nets),
      cmocka_unit_test(order_of_sums),
      cmocka_unit_test(maximum_of_a_shared_relu),
      cmocka_unit_test(shares_after_parts),
      cmocka_unit_test(channels_side_by_side),
      cmocka_unit_test(every_allocation),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
