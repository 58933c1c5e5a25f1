/* What excites channels: receptive fields against single pixels that are changed, the strongest values of
 * data against a naive search, gradient ascent. */
#include <math.h>

#include "core/memory.h"
#include "plans.h"

/* ---- Receptive fields ---- */

/* Strides, padding, pools, branches, groups, dilation, holes at the edges, rests that no window covers,
 * windows that lie in padding alone. */
static const char *const nets[] = {
    "input shape=2x12x10\nconv filters=4 kernel=3x2 stride=2x1 pad=1x0 round=floor\ntanh\nconv filters=3 "
    "kernel=3 "
    "pad=1\nleaky-relu\nmaxpool kernel=2 stride=1\naffine units=3\nsoftmax\n",
    "input shape=1x12x12\nconv filters=3 kernel=5 pad=2\nsubsample kernel=2 stride=2\nsigmoid\ntable-conv "
    "connections=0,1/1,2/0-2/2 kernel=3\ntanh\navgpool kernel=2 stride=2\naffine units=2\n",
    "input shape=2x9x9\nconv name=a filters=2 kernel=1\nconv name=b from=a filters=3 kernel=3 pad=1\nconv "
    "name=c "
    "from=a filters=2 kernel=5 stride=1 pad=2\nconcat name=k from=b,a,c\nlrn size=3 alpha=1\nconv filters=7 "
    "kernel=3 pad=1 groups=7\nbatchnorm\nelu\nadd name=s from=k,elu1\nglobal-avgpool\naffine units=2\n",
    "input shape=4x10x11\nconv filters=4 kernel=2 dilation=3x4 pad=2 groups=2\nconv filters=4 kernel=1 "
    "stride=3 "
    "pad=1 round=floor\nconv filters=4 kernel=1x2 pad=2 groups=4\nmaxpool kernel=3 stride=2 pad=1 "
    "round=ceil\navgpool kernel=2 stride=2 round=floor\nflatten\nconcat from=flatten1,flatten1\naffine "
    "units=2\n",
    "input shape=1x8x8\nmaxpool kernel=3 stride=1 pad=1\nconv name=x filters=2 kernel=3 "
    "pad=1\nglobal-maxpool\n"
    "flatten\naffine units=2\n",
};

enum { TRIALS = 12, MOST_LAYERS = 16 };

/* For each value of each layer: the pixels that changed it, in some trial. */
struct touched {
  const cnn_net *net;
  int layers;
  cnn_layer_info layer[MOST_LAYERS];
  int64_t pixels, values[MOST_LAYERS]; /* of the input's plane; of a layer */
  unsigned char *map[MOST_LAYERS];     /* [values][pixels] */
  float *before[MOST_LAYERS], *now[MOST_LAYERS];
};

static void touched_make(struct touched *t, const cnn_net *net) {
  t->net = net;
  t->layers = cnn_net_layer_count(net);
  t->pixels = cnn_net_input(net).h * cnn_net_input(net).w;
  assert_in_range(t->layers, 1, MOST_LAYERS);
  for (int i = 0; i < t->layers; i++) {
    ok(cnn_net_layer(net, i, &t->layer[i]));
    t->values[i] = count_of(t->layer[i].out);
    t->map[i] = calloc((size_t)(t->values[i] * t->pixels), 1);
    t->before[i] = calloc((size_t)t->values[i], sizeof(float));
    t->now[i] = calloc((size_t)t->values[i], sizeof(float));
    assert_true(t->map[i] && t->before[i] && t->now[i]);
  }
}

static void touched_free(struct touched *t) {
  for (int i = 0; i < t->layers; i++) {
    free(t->map[i]);
    free(t->before[i]);
    free(t->now[i]);
  }
}

static void read_all(const struct touched *t, cnn_plan *plan, float *x, float *const *into) {
  free(forward(plan, x, 1));
  for (int i = 0; i < t->layers; i++)
    ok(cnn_plan_get_output(plan, t->layer[i].name, (cnn_tensor){into[i], t->layer[i].out}));
}

/* Other weights and another image; then each value of each pixel becomes far larger, or smaller. */
static void try_pixels(struct touched *t, uint32_t trial) {
  cnn_plan_options options = inference(1);
  options.seed = trial;
  options.keep = true;
  cnn_plan *plan = plan_of(t->net, options);
  int64_t inputs = cnn_net_input(t->net).c * t->pixels;
  float *x = values(trial, inputs);
  read_all(t, plan, x, t->before);
  for (int64_t p = 0; p < inputs; p++) {
    float kept = x[p];
    x[p] = trial % 2 ? 4 : -4;
    read_all(t, plan, x, t->now);
    x[p] = kept;
    for (int i = 0; i < t->layers; i++)
      for (int64_t v = 0; v < t->values[i]; v++)
        t->map[i][v * t->pixels + p % t->pixels] |= to_bits(t->now[i][v]) != to_bits(t->before[i][v]);
  }
  free(x);
  cnn_plan_free(plan);
}

static cnn_rectangle around(const unsigned char *map, cnn_shape s) {
  int64_t top = s.h, left = s.w, bottom = -1, right = -1;
  for (int64_t i = 0; i < s.h * s.w; i++) {
    if (!map[i]) continue;
    top = i / s.w < top ? i / s.w : top;
    bottom = i / s.w > bottom ? i / s.w : bottom;
    left = i % s.w < left ? i % s.w : left;
    right = i % s.w > right ? i % s.w : right;
  }
  return bottom < 0 ? (cnn_rectangle){0} : (cnn_rectangle){top, left, bottom - top + 1, right - left + 1};
}

static bool alike(cnn_rectangle a, cnn_rectangle b) {
  return a.top == b.top && a.left == b.left && a.h == b.h && a.w == b.w;
}

static bool holds(cnn_rectangle a, cnn_rectangle b) {
  return b.h == 0 ||
         (a.top <= b.top && a.left <= b.left && a.top + a.h >= b.top + b.h && a.left + a.w >= b.left + b.w);
}

#define RECTANGLE "%" PRId64 "x%" PRId64 " at (%" PRId64 ", %" PRId64 ")"
#define SIDES(r)  (r).h, (r).w, (r).top, (r).left

/* All values of all layers of all nets. */
static void fields_are_what_pixels_change(void **state) {
  (void)state;
  for (size_t n = 0; n < sizeof nets / sizeof *nets; n++) {
    cnn_net *net = parse(nets[n]);
    struct touched t = {0};
    touched_make(&t, net);
    for (uint32_t trial = 1; trial <= TRIALS; trial++) try_pixels(&t, trial);
    for (int i = 0; i < t.layers; i++) {
      cnn_shape s = t.layer[i].out;
      cnn_rectangle whole, seen, first = {0};
      for (int64_t v = 0; v < t.values[i]; v++) {
        int64_t c = v / (s.h * s.w), h = v / s.w % s.h, w = v % s.w;
        ok(cnn_receptive_field(net, t.layer[i].name, c, h, w, &whole, &seen));
        cnn_rectangle want = around(t.map[i] + v * t.pixels, cnn_net_input(net));
        if (!alike(seen, want))
          fail_msg("(%d, %d, %d) of %s sees " RECTANGLE ", but pixels that change it are " RECTANGLE
                   ", of\n%s",
                   (int)c, (int)h, (int)w, t.layer[i].name, SIDES(seen), SIDES(want), nets[n]);
        if (v % (s.h * s.w) == 0) first = whole;
        if (!holds(whole, seen) || whole.h != first.h || whole.w != first.w)
          fail_msg("(%d, %d, %d) of %s: " RECTANGLE " of which it sees " RECTANGLE, (int)c, (int)h, (int)w,
                   t.layer[i].name, SIDES(whole), SIDES(seen));
      }
    }
    touched_free(&t);
    cnn_net_free(net);
  }
}

/* By hand: 3x3 windows 2 apart with padding 1, then 3x3: 3 + 2 * 2 = 7 pixels, 2 apart, from -1 - 2 on. */
static void fields_by_hand(void **state) {
  (void)state;
  cnn_rectangle whole, seen;
  cnn_net *net = parse(
      "input shape=1x13x13\nconv filters=2 kernel=3 stride=2 pad=1\nconv filters=2 kernel=3 pad=1\nrelu\n"
      "affine units=2\nsoftmax");
  ok(cnn_receptive_field(net, "relu1", 1, 0, 2, &whole, &seen));
  assert_true(alike(whole, (cnn_rectangle){-3, 1, 7, 7}));
  assert_true(alike(seen, (cnn_rectangle){0, 1, 4, 7}));
  ok(cnn_receptive_field(net, "softmax1", 0, 0, 0, &whole, NULL));
  assert_true(alike(whole, (cnn_rectangle){0, 0, 13, 13}));
  ok(cnn_receptive_field(net, "input1", 0, 3, 4, &whole, &seen));
  assert_true(alike(whole, (cnn_rectangle){3, 4, 1, 1}) && alike(seen, whole));
  assert_fails(CNN_E_KEY, cnn_receptive_field(net, "relu2", 0, 0, 0, &whole, &seen), "did you mean 'relu1'");
  assert_fails(CNN_E_ARGUMENT, cnn_receptive_field(net, "relu1", 2, 0, 0, &whole, &seen),
               "value (2, 0, 0) of 'relu1', whose output is 2x7x7");
  for (long k = 0; k < 4; k++) {
    mem_fail_after(k);
    assert_fails(CNN_E_MEMORY, cnn_receptive_field(net, "relu1", 0, 0, 0, &whole, &seen),
                 "a receptive field");
  }
  mem_fail_after(-1);
  cnn_net_free(net);
  ok(cnn_net_load("deep-conv-net", &net));
  ok(cnn_receptive_field(net, "conv6", 0, 0, 0, &whole, &seen));
  assert_true(alike(whole, (cnn_rectangle){-16, -16, 32, 32}));
  assert_true(alike(seen, (cnn_rectangle){0, 0, 16, 16}));
  cnn_net_free(net);
}

/* ---- The strongest values of data ---- */

static const char small[] =
    "input shape=2x6x5\nconv name=c filters=5 kernel=3 pad=1\nrelu name=r\nmaxpool name=p kernel=2 "
    "stride=1\nconv "
    "name=d filters=3 kernel=3\naffine name=f units=4\nsoftmax\n";

enum { IMAGES = 23, IMAGE = 2 * 6 * 5, LIST = 6 };

static cnn_plan *keeping(const cnn_net *net, cnn_mode mode, int64_t batch, int threads) {
  cnn_plan_options options = mode == CNN_TRAIN ? training(batch) : inference(batch);
  options.keep = true;
  options.threads = threads;
  return plan_of(net, options);
}

/* The image with the strongest value of channel c among those not yet taken, the first of equal ones. */
static cnn_excitation naive(const float *y, cnn_shape s, int64_t c, bool *taken) {
  cnn_excitation best = {.image = -1};
  for (int64_t n = 0; n < IMAGES; n++)
    for (int64_t i = 0; !taken[n] && i < s.h * s.w; i++) {
      float value = y[(n * s.c + c) * s.h * s.w + i];
      if (best.image < 0 || value > best.response) best = (cnn_excitation){n, i / s.w, i % s.w, value};
    }
  taken[best.image] = true;
  return best;
}

static void strongest_are_those_of_a_search(void **state) {
  (void)state;
  static const char *const layers[] = {"c", "r", "p", "d", "f"}; /* relu: many are 0, and so equal */
  cnn_net *net = parse(small);
  cnn_plan *whole = keeping(net, CNN_INFER, IMAGES, 1), *few = keeping(net, CNN_INFER, 5, 2);
  float *x = values(7, IMAGES * IMAGE);
  for (int64_t i = 3 * IMAGE; i < 4 * IMAGE; i++) x[i + 9 * IMAGE] = x[i]; /* image 12 is image 3 */
  for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
    int index;
    cnn_layer_info info;
    ok(cnn_net_find(net, layers[k], &index));
    ok(cnn_net_layer(net, index, &info));
    info.out.n = IMAGES;
    float *y = calloc((size_t)count_of(info.out), sizeof *y);
    cnn_excitation *best = calloc((size_t)(info.out.c * LIST), sizeof *best);
    assert_true(y && best);
    free(forward(whole, x, IMAGES));
    ok(cnn_plan_get_output(whole, layers[k], (cnn_tensor){y, info.out}));
    for (int64_t i = 0; i < info.out.c * LIST; i++) best[i].image = -1;
    for (int64_t first = 0; first < IMAGES; first += 5) {
      cnn_tensor batch = images(few, x + first * IMAGE, IMAGES - first < 5 ? IMAGES - first : 5);
      ok(cnn_strongest(few, layers[k], batch, first, LIST, best));
    }
    for (int64_t c = 0; c < info.out.c; c++) {
      bool taken[IMAGES] = {false};
      for (int64_t i = 0; i < LIST; i++) {
        cnn_excitation want = naive(y, info.out, c, taken), got = best[c * LIST + i];
        if (got.image != want.image || got.h != want.h || got.w != want.w ||
            to_bits(got.response) != to_bits(want.response))
          fail_msg("%s, channel %d: number %d is image %d at (%d, %d) with %g, not %d at (%d, %d) with %g",
                   layers[k], (int)c, (int)i, (int)got.image, (int)got.h, (int)got.w, (double)got.response,
                   (int)want.image, (int)want.h, (int)want.w, (double)want.response);
      }
    }
    free(best);
    free(y);
  }
  free(x);
  cnn_plan_free(few);
  cnn_plan_free(whole);
  cnn_net_free(net);
}

/* One bright pixel each, and a filter that finds it; fewer images than the list is long. */
static void strongest_by_hand(void **state) {
  (void)state;
  cnn_net *net = parse("input shape=1x3x3\nconv name=c filters=2 kernel=1 bias=no\naffine units=1");
  cnn_plan *plan = keeping(net, CNN_INFER, 3, 1);
  float x[27] = {0}, two[2] = {2, -1};
  cnn_excitation best[8];
  for (int i = 0; i < 8; i++) best[i].image = -1;
  x[0 * 9 + 5] = 1, x[1 * 9 + 6] = 3, x[2 * 9 + 1] = NAN, x[2 * 9 + 7] = 2;
  ok(cnn_plan_set_weight(plan, "c.weight", two, 2));
  ok(cnn_strongest(plan, "c", images(plan, x, 3), 40, 4, best));
  assert_true(best[0].image == 41 && best[0].h == 2 && best[0].w == 0 && best[0].response == 6);
  assert_true(best[1].image == 42 && best[1].h == 2 && best[1].w == 1 && best[1].response == 4);
  assert_true(best[2].image == 40 && best[2].h == 1 && best[2].w == 2 && best[2].response == 2);
  assert_true(best[3].image == -1);
  assert_true(best[4].image == 40 && best[4].h == 0 && best[4].w == 0 && best[4].response == 0);
  assert_fails(CNN_E_ARGUMENT, cnn_strongest(plan, "c", images(plan, x, 3), 0, 0, best), "give 1 or more");
  assert_fails(CNN_E_SHAPE, cnn_strongest(plan, "c", images(plan, x, 4), 0, 4, best), "");
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* ---- Gradient ascent ---- */

static void ascent_raises_the_response(void **state) {
  (void)state;
  static const char *const layers[] = {"c", "p", "d", "f"};
  static const int64_t channel[3] = {0, 2, 1};
  static const int threads[] = {1, 2, 3, 7};
  cnn_net *net = parse(small);
  for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
    float first[3 * IMAGE], begun[3], reached[3];
    for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
      float x[3 * IMAGE], alone[IMAGE], response[3];
      cnn_plan *plan = keeping(net, CNN_TRAIN, 4, threads[t]);
      cnn_ascent_options none = cnn_ascent_defaults();
      none.steps = 0;
      ok(cnn_ascend(plan, layers[k], channel, &none, images(plan, x, 3), begun));
      ok(cnn_ascend(plan, layers[k], channel, NULL, images(plan, x, 3), response));
      if (t == 0) memcpy(first, x, sizeof x), memcpy(reached, response, sizeof response);
      same_bits(first, x, 3 * IMAGE, "image", small);
      same_bits(reached, response, 3, "response", small);
      for (int64_t i = 0; i < 3 * IMAGE; i++) assert_true(x[i] >= 0 && x[i] <= 1);
      for (int i = 0; i < 3; i++)
        if (!(response[i] > begun[i] + 0.2F))
          fail_msg("%s: from %g to %g", layers[k], (double)begun[i], (double)response[i]);
      ok(cnn_ascend(plan, layers[k], channel + 1, NULL, images(plan, alone, 1), NULL));
      same_bits(x + IMAGE, alone, IMAGE, "image alone", small);
      cnn_plan_free(plan);
    }
  }
  cnn_net_free(net);
}

/* y = x0 - x1, and x1 is turned round on its way in: both are to become white. */
static void ascent_knows_what_happens_to_pixels(void **state) {
  (void)state;
  static const float mean[] = {0.25F, 0.5F}, factor[] = {2, -3}, weight[] = {1, -1};
  static const int64_t channel = 0;
  cnn_net *net = parse("input shape=2x1x1\naffine units=1");
  cnn_plan *plan = keeping(net, CNN_TRAIN, 1, 1);
  float x[2], response;
  ok(input_set_normal(plan, mean, 2, factor));
  ok(cnn_plan_set_weight(plan, "affine1.weight", weight, 2));
  ok(cnn_ascend(plan, "affine1", &channel, NULL, images(plan, x, 1), &response));
  assert_true(x[0] > 0.9F && x[1] > 0.9F);
  assert_true(fabsf(response - ((x[0] - 0.25F) * 2 + (x[1] - 0.5F) * 3)) < 1e-5F);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* A ReLU that the first noise does not reach begins again; one that nothing reaches does no harm. */
static void ascent_begins_again(void **state) {
  (void)state;
  static const float high = -0.3F, beyond = -2, weight = 1;
  static const int64_t channel = 0;
  cnn_net *net = parse("input shape=1x3x3\nconv filters=1 kernel=1\nrelu\naffine units=1");
  cnn_plan *plan = keeping(net, CNN_TRAIN, 1, 1);
  float x[9], response;
  ok(cnn_plan_set_weight(plan, "conv1.weight", &weight, 1));
  ok(cnn_plan_set_weight(plan, "conv1.bias", &high, 1));
  ok(cnn_ascend(plan, "relu1", &channel, NULL, images(plan, x, 1), &response));
  assert_true(response > 0.5F);
  ok(cnn_plan_set_weight(plan, "conv1.bias", &beyond, 1));
  ok(cnn_ascend(plan, "relu1", &channel, NULL, images(plan, x, 1), &response));
  assert_true(response == 0);
  for (int i = 0; i < 9; i++) assert_true(x[i] >= 0 && x[i] <= 1);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void ascent_refuses(void **state) {
  (void)state;
  static const int64_t channel = 3;
  float x[IMAGE];
  cnn_net *net = parse(small);
  cnn_plan *plan = keeping(net, CNN_TRAIN, 1, 1), *seeing = keeping(net, CNN_INFER, 1, 1),
           *plain = plan_of(net, training(1));
  cnn_ascent_options options = cnn_ascent_defaults();
  cnn_tensor image = images(plan, x, 1);
  assert_fails(CNN_E_ARGUMENT, cnn_ascend(plan, "d", &channel, NULL, image, NULL),
               "channel 3 of 'd', which has 3: 0 to 2");
  assert_fails(CNN_E_ARGUMENT, cnn_ascend(seeing, "f", &channel, NULL, image, NULL), "CNN_TRAIN");
  assert_fails(CNN_E_ARGUMENT, cnn_ascend(plain, "f", &channel, NULL, image, NULL), "`keep`");
  assert_fails(CNN_E_KEY, cnn_ascend(plan, "g", &channel, NULL, image, NULL),
               "no layer is named 'g'; `cnn summary` lists them");
  assert_fails(CNN_E_SHAPE, cnn_ascend(plan, "f", &channel, NULL, (cnn_tensor){x, {1, 1, 6, 5}}, NULL),
               "the network's input is 2x6x5");
  options.rate = 0;
  assert_fails(CNN_E_ARGUMENT, cnn_ascend(plan, "f", &channel, &options, image, NULL), "rate 0");
  options = cnn_ascent_defaults();
  options.blur = 1.5;
  assert_fails(CNN_E_ARGUMENT, cnn_ascend(plan, "f", &channel, &options, image, NULL), "blur 1.5");
  cnn_plan_free(plain);
  cnn_plan_free(seeing);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_are_what_pixels_change),
      cmocka_unit_test(fields_by_hand),
      cmocka_unit_test(strongest_are_those_of_a_search),
      cmocka_unit_test(strongest_by_hand),
      cmocka_unit_test(ascent_raises_the_response),
      cmocka_unit_test(ascent_knows_what_happens_to_pixels),
      cmocka_unit_test(ascent_begins_again),
      cmocka_unit_test(ascent_refuses),
  };
  return cmocka_run_group_tests_name("excite", tests, NULL, NULL);
}
