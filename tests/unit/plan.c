/* Plans: memory that is counted and shared, weights by name, and what is refused. Their values are in
 * plain_loops.c. */
#include <math.h>
#include <stdio.h>

#include "core/memory.h"
#include "plans.h"

/* ---- weights ---- */

static void weights_there_and_back(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=6x7x7\nconv filters=9 kernel=3x2 groups=3\nconv filters=37 kernel=1\nflatten\naffine "
      "units=3",
      "input shape=1x9x9\nconv filters=19 kernel=3 pad=1\nmaxpool kernel=3\naffine units=18\nrelu\naffine "
      "units=33 "
      "bias=no\nsoftmax",
      "input shape=32x3x3\nconv filters=32 kernel=3 groups=2\nconv filters=64 kernel=1 groups=32\naffine "
      "units=1",
      "input shape=5x3x4\naffine units=17\naffine units=16"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
    for (int mode = 0; mode < 2; mode++) {
      cnn_net *net = parse(texts[t]);
      cnn_plan *plan = plan_of(net, mode ? training(2) : inference(2));
      int64_t count, again;
      free(all(plan, cnn_plan_get_weight, &count));
      float *in = malloc((size_t)count * sizeof *in);
      for (int64_t i = 0; i < count; i++) in[i] = (float)(i + 1); /* each one its own */
      set_all(plan, in);
      float *out = all(plan, cnn_plan_get_weight, &again);
      same_bits(out, in, count, "weights", texts[t]);
      float one[1] = {0};
      assert_int_equal(cnn_plan_get_weight(plan, "nothing", one, 1), CNN_E_KEY);
      assert_int_equal(cnn_plan_set_weight(plan, "nothing", one, 1), CNN_E_KEY);
      cnn_weight_info info;
      assert_int_equal(cnn_net_weight(net, 0, &info), CNN_OK);
      assert_int_equal(cnn_plan_get_weight(plan, info.name, in, info.count - 1), CNN_E_SHAPE);
      assert_int_equal(cnn_plan_set_weight(plan, info.name, in, info.count + 1), CNN_E_SHAPE);
      free(out);
      out = all(plan, cnn_plan_get_weight, &again);
      for (int64_t i = 0; i < count; i++) assert_true(out[i] == (float)(i + 1));
      free(in);
      free(out);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

static void weights_of_every_example(void **state) {
  (void)state;
  for (const struct layer_class *const *class = layer_classes; *class; class ++)
    for (const char *const *example = (*class)->examples; example && *example; example++) {
      if ((*class)->inputs > 1) break; /* none has weights */
      char text[512];                  /* "in=2x3x8x8 filters=4 ..." is two images of 3x8x8 */
      const char *shape = strchr(*example, 'x') + 1;
      int length = (int)strcspn(shape, " ");
      snprintf(text, sizeof text, "input shape=%.*s\n%s%s\n", length, shape, (*class)->name, shape + length);
      cnn_net *net = parse(text);
      cnn_plan *plan = plan_of(net, training(2));
      int64_t count, again;
      free(all(plan, cnn_plan_get_weight, &count));
      float *set = values(5, count + 1);
      set_all(plan, set);
      float *got = all(plan, cnn_plan_get_weight, &again);
      same_bits(got, set, count, "weights", text);
      free(set);
      free(got);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

/* ---- seeds ---- */

static const char *const seeded =
    "input shape=4x10x10\n"
    "conv filters=40 kernel=5 groups=2 init=xavier\n"
    "affine units=50 init=he\n"
    "affine units=400 init=normal:0.5\n"
    "affine units=10 init=zeros\n";

static void same_seed_same_weights(void **state) {
  (void)state;
  cnn_net *net = parse(seeded);
  cnn_plan_options options = training(4);
  cnn_plan *plan = plan_of(net, options);
  options.threads = 3;
  options.group = 2;
  cnn_plan *other = plan_of(net, options);
  same_all(plan, other, cnn_plan_get_weight, "weights", seeded);
  cnn_plan_free(other);
  other = plan_of(net, inference(9));
  same_all(plan, other, cnn_plan_get_weight, "weights", seeded);
  cnn_plan_free(other);
  options.seed = 4;
  other = plan_of(net, options);
  int64_t count;
  float *a = all(plan, cnn_plan_get_weight, &count), *b = all(other, cnn_plan_get_weight, &count);
  int64_t same = 0, not_zero = 0;
  for (int64_t i = 0; i < count; i++) same += a[i] == b[i] && a[i] != 0, not_zero += a[i] != 0;
  assert_true(not_zero > count * 2 / 3 && same < count / 1000);
  free(a);
  free(b);
  cnn_plan_free(other);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void check_statistics(const cnn_plan *plan, const char *name, int64_t count, double deviation) {
  float *x = malloc((size_t)count * sizeof *x);
  assert_non_null(x);
  assert_int_equal(cnn_plan_get_weight(plan, name, x, count), CNN_OK);
  double sum = 0, squares = 0, n = (double)count;
  for (int64_t i = 0; i < count; i++) sum += (double)x[i], squares += (double)x[i] * (double)x[i];
  double mean = sum / n, spread = sqrt(squares / n - mean * mean);
  if (deviation == 0)
    assert_true(squares == 0);
  else { /* four standard errors of mean and deviation */
    if (!(fabs(mean) < 4 * deviation / sqrt(n))) fail_msg("%s: mean %g", name, mean);
    if (!(fabs(spread - deviation) < 4 * deviation / sqrt(2 * n))) fail_msg("%s: deviation %g", name, spread);
  }
  free(x);
}

static void weights_begin_as_asked(void **state) {
  (void)state;
  cnn_net *net = parse(seeded);
  cnn_plan *plan = plan_of(net, training(1));
  check_statistics(plan, "conv1.weight", 40 * 2 * 25, sqrt(1.0 / 50)); /* a filter sees 2 channels of 5x5 */
  check_statistics(plan, "conv1.bias", 40, 0);
  check_statistics(plan, "affine1.weight", 50 * 1440, sqrt(2.0 / 1440));
  check_statistics(plan, "affine2.weight", 400 * 50, 0.5);
  check_statistics(plan, "affine3.weight", 10 * 400, 0);
  cnn_plan_free(plan);
  cnn_net_free(net);
  net = parse("input shape=30x1x1\naffine units=30 init=normal:1\naffine units=30 init=normal:1");
  plan = plan_of(net, training(1));
  float first[900], second[900];
  double dot = 0; /* weights alike in all but their place are not alike in value */
  assert_int_equal(cnn_plan_get_weight(plan, "affine1.weight", first, 900), CNN_OK);
  assert_int_equal(cnn_plan_get_weight(plan, "affine2.weight", second, 900), CNN_OK);
  for (int i = 0; i < 900; i++) dot += (double)first[i] * (double)second[i];
  assert_true(fabs(dot) < 4 * 30);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- other batches, other plans ---- */

/* A gradient over fewer images than the plan has room for is that of a plan of their number, where the
 * groups are the same. */
static void smaller_batches(void **state) {
  (void)state;
  static const char *const text =
      "input shape=3x6x6\nconv filters=18 kernel=3 pad=1\nrelu\nmaxpool kernel=2\naffine units=5\nsoftmax\n";
  cnn_net *net = parse(text);
  struct random random = random_from(6);
  int32_t labels[11];
  random_labels(&random, labels, 11, 5);
  float *x = values(5, 11 * 108);
  cnn_plan_options options = training(11);
  options.group = 3;
  cnn_plan *plan = plan_of(net, options);
  for (int64_t n = 11; n >= 1; n--) {
    options.batch = n;
    options.group = n < 3 ? n : 3;
    cnn_plan *own = plan_of(net, options);
    float a = gradient(plan, x, labels, n), b = gradient(own, x, labels, n);
    same_bits(&a, &b, 1, "loss", text);
    same_all(plan, own, cnn_plan_get_gradient, "gradient", text);
    cnn_plan_free(own);
  }
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* Many steps on changing batches and weights: what an earlier step left in memory is not seen. */
static void leftovers_do_not_matter(void **state) {
  (void)state;
  static const char *const texts[] = {("input shape=2x7x7\n"
                                       "conv filters=17 kernel=5 pad=2\nrelu\n"
                                       "conv filters=6 kernel=5 pad=2\ntanh\n"
                                       "conv filters=16 kernel=3 pad=2 dilation=2\n"
                                       "conv filters=4 kernel=3 stride=2 pad=2 round=floor\n"
                                       "affine units=5\nsoftmax"),
                                      ("input shape=1x8x8\n"
                                       "conv filters=3 kernel=3 pad=2\n"
                                       "maxpool kernel=3 stride=2 pad=1 round=ceil\nrelu\n"
                                       "conv filters=33 kernel=3x1 pad=2x0 groups=3\n"
                                       "avgpool kernel=2 pad=1 round=ceil\n"
                                       "conv filters=2 kernel=5 pad=2\n"
                                       "flatten\naffine units=5"),
                                      ("input shape=20x5x6\nsoftmax\n"
                                       "conv filters=5 kernel=3 pad=2 groups=5\nsigmoid\n"
                                       "conv filters=5 kernel=3 pad=2 groups=5 bias=no\n"
                                       "affine units=5\nrelu")};
  enum { BATCH = 6, STEPS = 25 };
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    cnn_net *net = parse(texts[t]);
    const int64_t size = count_of(cnn_net_input(net));
    struct random random = random_from(8);
    cnn_plan_options options = training(BATCH);
    options.threads = 2;
    cnn_plan *plan = plan_of(net, options);
    for (int step = 0; step < STEPS; step++) {
      int32_t labels[BATCH];
      int64_t n = draw(&random, 1, BATCH), count;
      random_labels(&random, labels, BATCH, 5);
      float *x = values(100 + (uint32_t)step, BATCH * size);
      for (int64_t i = 0; i < BATCH * size; i++) x[i] *= (float)draw(&random, 1, 50);
      (void)gradient(plan, x, labels, n);
      if (step % 4 == 0) free(forward(plan, x, BATCH));
      float *w = all(plan, cnn_plan_get_weight, &count), *g = all(plan, cnn_plan_get_gradient, &count);
      for (int64_t i = 0; i < count; i++) {
        assert_true(isfinite(g[i]));
        w[i] -= 0.01F * fmaxf(-1, fminf(1, g[i]));
      }
      set_all(plan, w);
      cnn_plan *fresh = plan_of(net, options);
      set_all(fresh, w);
      float *y = forward(plan, x, BATCH), *z = forward(fresh, x, BATCH);
      same_bits(y, z, BATCH * 5, "forward", texts[t]);
      float a = gradient(plan, x, labels, n), b = gradient(fresh, x, labels, n);
      same_bits(&a, &b, 1, "loss", texts[t]);
      same_all(plan, fresh, cnn_plan_get_gradient, "gradient", texts[t]);
      cnn_plan_free(fresh);
      free(w);
      free(g);
      free(x);
      free(y);
      free(z);
    }
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

static void two_plans_at_once(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  enum { BATCH = 4 };
  float *x = values(1, BATCH * 784), *x2 = values(2, BATCH * 784);
  const int32_t labels[BATCH] = {1, 2, 3, 9};
  cnn_plan *a = plan_of(net, training(BATCH)), *b = plan_of(net, inference(BATCH)),
           *c = plan_of(net, training(BATCH));
  float *alone = forward(b, x2, BATCH);
  float first = gradient(a, x, labels, BATCH);
  float *between = forward(b, x2, BATCH);
  (void)gradient(c, x2, labels, BATCH);
  float second = gradient(a, x, labels, BATCH);
  same_bits(&first, &second, 1, "loss", "simple-conv-net");
  same_bits(alone, between, BATCH * 10, "forward", "simple-conv-net");
  (void)gradient(c, x, labels, BATCH);
  same_all(a, c, cnn_plan_get_gradient, "gradient", "simple-conv-net");
  int64_t count; /* weights set in one are not set in another */
  float *w = all(a, cnn_plan_get_weight, &count);
  for (int64_t i = 0; i < count; i++) w[i] *= 2;
  set_all(a, w);
  free(between);
  between = forward(b, x2, BATCH);
  same_bits(alone, between, BATCH * 10, "forward", "simple-conv-net");
  copy_weights(b, a); /* and are where they are: what was derived from the old ones is made anew */
  float *y = forward(a, x2, BATCH), *z = forward(b, x2, BATCH);
  same_bits(y, z, BATCH * 10, "forward", "simple-conv-net");
  assert_memory_not_equal(y, alone, BATCH * 10 * sizeof *y);
  (void)gradient(a, x, labels, BATCH);
  copy_weights(c, a);
  (void)gradient(c, x, labels, BATCH);
  same_all(a, c, cnn_plan_get_gradient, "gradient", "simple-conv-net");
  free(w);
  free(y);
  free(z);
  free(x);
  free(x2);
  free(alone);
  free(between);
  cnn_plan_free(c);
  cnn_plan_free(b);
  cnn_plan_free(a);
  cnn_net_free(net);
}

/* The images stay in the plan until the next ones come: the search for a NaN's origin starts from them. */
static void input_is_kept(void **state) {
  (void)state;
  static const char *const texts[] = {
      "input shape=3x6x6\nrelu\nconv filters=20 kernel=3\nmaxpool kernel=2\ntanh\nconv filters=50 "
      "kernel=1\naffine units=4\nsoftmax",
      "input shape=3x6x6\nmaxpool kernel=1\nconv filters=9 kernel=3 pad=1\nrelu\navgpool kernel=3\naffine "
      "units=4"};
  for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
    cnn_net *net = parse(texts[t]);
    cnn_plan *plan = plan_of(net, training(2));
    float *x = values(7, 216), back[216];
    const int32_t labels[2] = {3, 1};
    (void)gradient(plan, x, labels, 2);
    view_read(&plan->steps[0].y, 0, 2, back);
    same_bits(back, x, 216, "input", texts[t]);
    assert_int_equal(exec_find_not_finite(plan, 2), CNN_E_NUMERIC);
    assert_string_equal(cnn_why(),
                        "the loss is not finite though every layer's output is; try a smaller learning rate");
    free(x);
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

/* ---- what is refused ---- */

static void wrong_options(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x4x4\naffine units=2");
  const cnn_plan_options good = training(3);
  cnn_plan_options wrong[10];
  int count = 0;
#define WRONG(field, value) wrong[count] = good, wrong[count++].field = (value)
  WRONG(batch, 0);
  WRONG(batch, -1);
  WRONG(batch, INT64_MAX);
  WRONG(threads, -1);
  WRONG(threads, 100000);
  WRONG(group, -1);
  WRONG(mode, (cnn_mode)7);
  WRONG(loss, (cnn_loss)7);
#undef WRONG
  for (int i = 0; i < count; i++) {
    cnn_plan *plan = (cnn_plan *)&wrong;
    cnn_memory memory = {.total = -7};
    assert_int_equal(cnn_plan_new(net, &wrong[i], &plan), CNN_E_ARGUMENT);
    assert_ptr_equal(plan, &wrong);
    assert_int_equal(cnn_plan_memory(net, &wrong[i], NULL, &memory), CNN_E_ARGUMENT);
    assert_int_equal(memory.total, -7);
  }
  cnn_memory memory;
  assert_int_equal(cnn_plan_memory(net, &good, "adma", &memory), CNN_E_KEY);
  cnn_plan_free(NULL);
  cnn_net_free(net);
}

static void settings_are_filled_in(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x4x4\naffine units=2");
  cnn_plan *plan;
  assert_int_equal(cnn_plan_new(net, NULL, &plan), CNN_OK);
  cnn_plan_options o = cnn_plan_settings(plan), d = cnn_plan_defaults();
  assert_true(o.mode == CNN_TRAIN && o.batch == 100 && o.seed == 1 && o.loss == CNN_LOSS_CROSS_ENTROPY);
  assert_true(d.mode == CNN_TRAIN && d.batch == 100 && d.seed == 1 && d.loss == CNN_LOSS_CROSS_ENTROPY);
  assert_true(o.threads >= 1 && o.group >= 1 && o.group <= 100);
  assert_ptr_equal(cnn_plan_net(plan), net);
  cnn_plan_free(plan);
  cnn_plan_options few = training(3);
  few.group = 50;
  plan = plan_of(net, few);
  assert_int_equal(cnn_plan_settings(plan).group, 3);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void wrong_calls(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=2x3x4\naffine units=5");
  cnn_plan *plan = plan_of(net, inference(3));
  float x[4 * 24] = {0}, y[20];
  memset(y, 0xff, sizeof y);
  const cnn_shape wrong_x[] = {{0, 2, 3, 4}, {4, 2, 3, 4},  {-1, 2, 3, 4},       {1, 3, 3, 4},
                               {1, 2, 4, 3}, {1, 1, 1, 24}, {INT64_MAX, 2, 3, 4}};
  for (size_t i = 0; i < sizeof wrong_x / sizeof *wrong_x; i++)
    assert_int_equal(
        cnn_plan_forward(plan, (cnn_tensor){x, wrong_x[i]}, (cnn_tensor){y, {wrong_x[i].n, 5, 1, 1}}),
        CNN_E_SHAPE);
  const cnn_shape wrong_y[] = {{2, 5, 1, 1}, {1, 4, 1, 1}, {1, 1, 5, 1}, {1, 5, 1, 2}};
  for (size_t i = 0; i < sizeof wrong_y / sizeof *wrong_y; i++)
    assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {1, 2, 3, 4}}, (cnn_tensor){y, wrong_y[i]}),
                     CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "an output of 1x5x1x2; it must be 1x5x1x1");
  assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {4, 2, 3, 4}}, (cnn_tensor){y, {4, 5, 1, 1}}),
                   CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "4 images in a plan for 1 to 3");
  assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {1, 2, 4, 3}}, (cnn_tensor){y, {1, 5, 1, 1}}),
                   CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "images of 2x4x3; the network takes 2x3x4");
  for (int i = 0; i < 20; i++) assert_true(isnan(y[i]));
  float loss = -7;
  const int32_t labels[4] = {0, 5, 0, 0};
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {1, 2, 3, 4}}, labels, &loss), CNN_E_ARGUMENT);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bias", y, 5), CNN_E_ARGUMENT);
  cnn_plan_free(plan);
  plan = plan_of(net, training(3));
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {2, 2, 3, 4}}, labels, &loss), CNN_E_DATA);
  assert_int_equal(cnn_plan_gradient(plan, (cnn_tensor){x, {4, 2, 3, 4}}, labels, &loss), CNN_E_SHAPE);
  assert_true(loss == -7);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bais", y, 5), CNN_E_KEY);
  assert_int_equal(cnn_plan_get_gradient(plan, "affine1.bias", y, 6), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "weight 'affine1.bias' has 5 values, not 6");
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void too_large(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=3x800x800\nconv filters=16 kernel=3 pad=1\naffine units=2");
  cnn_plan *plan = NULL;
  cnn_plan_options options = inference(1 << 24);
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_MEMORY); /* a thousand terabytes */
  assert_null(plan);
  assert_non_null(strstr(cnn_why(), "make the batch smaller"));
  options = training(1000);
  options.group = 1000;
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_ARGUMENT); /* offsets of a group are 32 bits */
  assert_non_null(strstr(cnn_why(), "group is 1000"));
  cnn_net_free(net);
  net = parse("input shape=1x8000x8000\nrelu\naffine units=2"); /* 64 million pixels in blocks of 16 */
  options = inference(1);
  assert_int_equal(cnn_plan_new(net, &options, &plan), CNN_E_SHAPE);
  assert_non_null(strstr(cnn_why(), "at most 2^25 are supported"));
  assert_null(plan);
  cnn_net_free(net);
}

static void every_allocation(void **state) {
  (void)state;
  cnn_net *net = parse(
      "input shape=2x8x8\nconv filters=3 kernel=3 pad=1\nrelu\nmaxpool kernel=2\naffine units=4\nsoftmax");
  const cnn_plan_options options = training(3);
  for (int what = 0; what < 2; what++) {
    long successes = 0;
    for (;; successes++) {
      cnn_plan *plan = NULL;
      cnn_memory memory;
      mem_fail_after(successes);
      cnn_status status =
          what ? cnn_plan_new(net, &options, &plan) : cnn_plan_memory(net, &options, "adam", &memory);
      mem_fail_after(-1);
      cnn_plan_free(plan);
      if (status == CNN_OK) break;
      assert_int_equal(status, CNN_E_MEMORY);
      assert_null(plan);
    }
    assert_in_range(successes, 3, 100);
  }
  cnn_net_free(net);
}

static void nothing_is_allocated_while_running(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  cnn_plan *plan = plan_of(net, inference(2));
  float *x = values(1, 2 * 784), y[20];
  long before = mem_count();
  assert_int_equal(cnn_plan_forward(plan, images(plan, x, 2), (cnn_tensor){y, {2, 10, 1, 1}}), CNN_OK);
  assert_int_equal(cnn_plan_forward(plan, images(plan, x, 1), (cnn_tensor){y, {1, 10, 1, 1}}), CNN_OK);
  assert_int_equal(mem_count(), before);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void optimizers_are_counted(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  cnn_memory plain, adam, sgd;
  assert_int_equal(cnn_plan_memory(net, NULL, NULL, &plain), CNN_OK);
  assert_int_equal(cnn_plan_memory(net, NULL, "sgd", &sgd), CNN_OK);
  assert_int_equal(cnn_plan_memory(net, NULL, "adam", &adam), CNN_OK);
  assert_true(plain.weights >= 433890 * 4 && plain.weights < 500000 * 4);
  assert_int_equal(plain.gradients, plain.weights);
  assert_int_equal(sgd.total, plain.total);
  assert_int_equal(adam.optimizer, 2 * plain.weights);
  assert_int_equal(adam.total, plain.total + adam.optimizer);
  cnn_plan_options options = inference(100);
  assert_int_equal(cnn_plan_memory(net, &options, "adam", &adam), CNN_OK);
  assert_int_equal(adam.optimizer, 0);
  assert_int_equal(adam.gradients, 0);
  assert_true(adam.total < plain.total);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_there_and_back),
      cmocka_unit_test(weights_of_every_example),
      cmocka_unit_test(same_seed_same_weights),
      cmocka_unit_test(weights_begin_as_asked),
      cmocka_unit_test(smaller_batches),
      cmocka_unit_test(leftovers_do_not_matter),
      cmocka_unit_test(two_plans_at_once),
      cmocka_unit_test(input_is_kept),
      cmocka_unit_test(wrong_options),
      cmocka_unit_test(settings_are_filled_in),
      cmocka_unit_test(wrong_calls),
      cmocka_unit_test(too_large),
      cmocka_unit_test(every_allocation),
      cmocka_unit_test(nothing_is_allocated_while_running),
      cmocka_unit_test(optimizers_are_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
