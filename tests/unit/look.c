/* Looking inside (src/net/look.c): outputs of layers and gradients of scores, against the plain loops of
 * every layer as inference has them, plans for inference, and differences of the score. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/memory.h"
#include "core/rng.h"
#include "net/probe.h"

static int64_t floats_of(cnn_shape s) { return s.n * s.c * s.h * s.w; }

static cnn_tensor tensor(cnn_shape shape) {
  cnn_tensor t = {calloc((size_t)floats_of(shape), sizeof(float)), shape};
  assert_non_null(t.data);
  return t;
}

static void fill(cnn_tensor t, uint32_t stream) {
  struct rng rng = rng_stream(3, RNG_GRADCHECK, stream);
  for (int64_t i = 0; i < floats_of(t.shape); i++) t.data[i] = 2 * rng_uniform(&rng, (uint64_t)i) - 1;
}

static cnn_plan *plan_for(const cnn_net *net, cnn_mode mode, int64_t batch, int threads) {
  cnn_plan *plan;
  cnn_plan_options options = {.mode = mode, .batch = batch, .seed = 5, .threads = threads};
  if (cnn_plan_new(net, &options, &plan) != CNN_OK) fail_msg("%s", cnn_why());
  return plan;
}

static cnn_tensor output_of(const cnn_plan *plan, const char *layer, cnn_shape shape) {
  cnn_tensor t = tensor(shape);
  if (cnn_plan_get_output(plan, layer, t) != CNN_OK) fail_msg("%s", cnn_why());
  return t;
}

static cnn_tensor gradient_of(const cnn_plan *plan, const char *layer, cnn_shape shape) {
  cnn_tensor t = tensor(shape);
  if (cnn_plan_get_output_gradient(plan, layer, t) != CNN_OK) fail_msg("%s", cnn_why());
  return t;
}

/* ---- Every layer, by its own examples ---- */

static void assert_close(const struct probe *p, const char *what, const float *ours, const double *naive,
                         int64_t count) {
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < count; i++) {
    difference += (ours[i] - naive[i]) * (ours[i] - naive[i]);
    norm += naive[i] * naive[i];
  }
  if (!(norm > 0 && sqrt(difference / norm) < 2e-5))
    fail_msg("%s of %s: error %g of %g", what, p->net->bricks[p->inputs].name, sqrt(difference), sqrt(norm));
}

/* States that are not those of a new plan, in the plan and as doubles. */
static void set_states(const struct probe *p, cnn_plan *plan, double *states[MAX_STATES]) {
  for (int w = 0, state = 0; w < p->net->weight_count; w++) {
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(p->net, w, &info), CNN_OK);
    if (info.trained) {
      assert_int_equal(cnn_plan_set_weight(plan, info.name, p->weight[w], info.count), CNN_OK);
      continue;
    }
    cnn_tensor values = tensor((cnn_shape){info.count, 1, 1, 1});
    states[state] = calloc((size_t)info.count, sizeof **states);
    assert_non_null(states[state]);
    for (int64_t i = 0; i < info.count; i++) states[state][i] = values.data[i] = 0.5f + (float)(i % 7) / 8;
    assert_int_equal(cnn_plan_set_weight(plan, info.name, values.data, info.count), CNN_OK);
    free(values.data);
    state++;
  }
}

static void check_layer(const struct probe *p, int threads) {
  cnn_plan *plan = plan_for(p->net, CNN_LOOK, p->in[0].n, threads);
  const struct brick *brick = &p->net->bricks[p->inputs];
  double *states[MAX_STATES] = {NULL}, *y = p->naive[PROBE_OUTPUT], *dx = p->naive[PROBE_INPUT];
  set_states(p, plan, states);
  struct naive naive = {.config = brick->config,
                        .inputs = p->inputs,
                        .in = p->in,
                        .out = p->out,
                        .y = y,
                        .dy = p->dy64,
                        .stream = (uint32_t)p->inputs};
  int64_t at = 0;
  for (int k = 0; k < p->inputs; at += floats_of(p->in[k]), k++) {
    naive.x[k] = p->x64 + at;
    naive.dx[k] = dx + at;
  }
  for (int w = 0; w < MAX_WEIGHTS; w++) naive.weight[w] = p->weight64[w];
  for (int w = 0; w < MAX_WEIGHTS; w++) naive.dweight[w] = p->naive[PROBE_WEIGHT + w];
  for (int i = 0; i < MAX_STATES; i++) naive.state[i] = states[i];
  brick->class->naive(&naive);

  probe_write(p, plan);
  exec_forward(plan, p->in[0].n, NULL);
  plan->looked = p->in[0].n;
  cnn_tensor ours = output_of(plan, brick->name, p->out);
  assert_close(p, "output", ours.data, y, p->count[PROBE_OUTPUT]);
  assert_int_equal(cnn_plan_backward(plan, brick->name, (cnn_tensor){p->dy, p->out}), CNN_OK);
  at = 0;
  for (int k = 0; k < p->inputs; at += floats_of(p->in[k]), k++) {
    cnn_tensor gradient = gradient_of(plan, p->net->bricks[k].name, p->in[k]);
    assert_close(p, "gradient", gradient.data, dx + at, floats_of(p->in[k]));
    free(gradient.data);
  }
  free(ours.data);
  for (int i = 0; i < MAX_STATES; i++) free(states[i]);
  cnn_plan_free(plan);
}

static void layers(void **state) {
  (void)state;
  for (const struct layer_class *const *class = layer_classes; *class; class ++)
    for (const char *const *example = (*class)->examples; example && *example; example++) {
      if ((*class)->inputs == 0) continue;
      cnn_shape in[MAX_INPUTS];
      int inputs = 0;
      char *end = (char *)*example + 2;
      do {
        int64_t *dim[4] = {&in[inputs].n, &in[inputs].c, &in[inputs].h, &in[inputs].w};
        for (int i = 0; i < 4; i++) *dim[i] = strtoll(end + 1, &end, 10);
        inputs++;
      } while (*end == ',' && inputs < MAX_INPUTS);
      struct probe *p;
      if (probe_new_inputs((*class)->name, end, in, inputs, 7, 1, &p) != CNN_OK) fail_msg("%s", cnn_why());
      check_layer(p, 1);
      check_layer(p, 3);
      probe_free(p);
    }
}

/* ---- Whole networks ---- */

/* What brick `last` gives, by a network that ends there. */
static cnn_tensor cut_output(const char *name, int last, cnn_tensor x) {
  cnn_net *whole, *cut;
  char text[4096], *end;
  assert_int_equal(cnn_net_load(name, &whole), CNN_OK);
  snprintf(text, sizeof text, "%s", cnn_net_text(whole));
  end = text;
  for (int line = 0; line <= last; line++) end = strchr(end, '\n') + 1;
  *end = '\0';
  if (cnn_net_parse(text, "cut", &cut) != CNN_OK) fail_msg("%s", cnn_why());
  cnn_plan *plan = plan_for(cut, CNN_INFER, x.shape.n, 1), *full = plan_for(whole, CNN_INFER, 1, 1);
  for (int w = 0; w < cnn_net_weight_count(cut); w++) { /* the init of what is now last may be another */
    cnn_weight_info info;
    assert_int_equal(cnn_net_weight(cut, w, &info), CNN_OK);
    cnn_tensor values = tensor((cnn_shape){info.count, 1, 1, 1});
    assert_int_equal(cnn_plan_get_weight(full, info.name, values.data, info.count), CNN_OK);
    assert_int_equal(cnn_plan_set_weight(plan, info.name, values.data, info.count), CNN_OK);
    free(values.data);
  }
  cnn_shape shape = cnn_net_output(cut);
  shape.n = x.shape.n;
  cnn_tensor y = tensor(shape);
  assert_int_equal(cnn_plan_forward(plan, x, y), CNN_OK);
  cnn_plan_free(plan);
  cnn_plan_free(full);
  cnn_net_free(cut);
  cnn_net_free(whole);
  return y;
}

static void outputs(void **state) {
  (void)state;
  static const char *const names[] = {"simple-conv-net", "lenet5"};
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    cnn_net *net;
    assert_int_equal(cnn_net_load(names[k], &net), CNN_OK);
    cnn_plan *plan = plan_for(net, CNN_LOOK, 3, 2);
    cnn_shape in = cnn_net_input(net), out = cnn_net_output(net);
    in.n = out.n = 2;
    cnn_tensor x = tensor(in), y = tensor(out);
    fill(x, 1);
    assert_int_equal(cnn_plan_forward(plan, x, y), CNN_OK);
    for (int i = 1; i < cnn_net_layer_count(net); i++) {
      cnn_layer_info layer;
      assert_int_equal(cnn_net_layer(net, i, &layer), CNN_OK);
      layer.out.n = 2;
      cnn_tensor ours = output_of(plan, layer.name, layer.out), theirs = cut_output(names[k], i, x);
      if (memcmp(ours.data, theirs.data, (size_t)floats_of(layer.out) * sizeof(float)) != 0)
        fail_msg("%s, %s: not the same bits", names[k], layer.name);
      free(ours.data);
      free(theirs.data);
    }
    cnn_tensor input = output_of(plan, "input1", in);
    assert_memory_equal(input.data, x.data, (size_t)floats_of(in) * sizeof(float));
    free(input.data);
    free(x.data);
    free(y.data);
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

/* The sum of dy times the output of a layer. */
static double score(cnn_plan *plan, const char *layer, cnn_tensor x, cnn_tensor y, cnn_tensor dy) {
  double sum = 0;
  assert_int_equal(cnn_plan_forward(plan, x, y), CNN_OK);
  cnn_tensor now = output_of(plan, layer, dy.shape);
  for (int64_t i = 0; i < floats_of(dy.shape); i++) sum += (double)now.data[i] * dy.data[i];
  free(now.data);
  return sum;
}

/* Of a score at brick `top`: along the gradient the score must rise as the gradient says. */
static void check_gradient(const char *name, int top) {
  cnn_net *net;
  if (cnn_net_load(name, &net) != CNN_OK) fail_msg("%s", cnn_why());
  cnn_plan *plan = plan_for(net, CNN_LOOK, 2, 1), *threads = plan_for(net, CNN_LOOK, 2, 3);
  cnn_layer_info layer, above;
  if (top < 0) top += cnn_net_layer_count(net);
  assert_int_equal(cnn_net_layer(net, top, &layer), CNN_OK);
  cnn_shape in = cnn_net_input(net), out = cnn_net_output(net);
  in.n = out.n = layer.out.n = 2;
  cnn_tensor x = tensor(in), y = tensor(out), dy = tensor(layer.out);
  fill(x, 1);
  fill(dy, 2);
  score(plan, layer.name, x, y, dy);
  score(threads, layer.name, x, y, dy);
  for (int again = 0; again < 2; again++) /* the second must not see the first */
    assert_int_equal(cnn_plan_backward(plan, layer.name, dy), CNN_OK);
  assert_int_equal(cnn_plan_backward(threads, layer.name, dy), CNN_OK);
  cnn_tensor g = gradient_of(plan, "input1", in), same = gradient_of(threads, "input1", in);
  assert_memory_equal(g.data, same.data, (size_t)floats_of(in) * sizeof(float));
  for (int i = top + 1; i < cnn_net_layer_count(net); i++) {
    assert_int_equal(cnn_net_layer(net, i, &above), CNN_OK);
    above.out.n = 2;
    cnn_tensor none = gradient_of(plan, above.name, above.out);
    for (int64_t k = 0; k < floats_of(above.out); k++) assert_true(none.data[k] == 0);
    free(none.data);
  }
  double square = 0;
  for (int64_t i = 0; i < floats_of(in); i++) square += (double)g.data[i] * g.data[i];
  assert_true(square > 0);
  const double step = 2e-3 / sqrt(square);
  for (int64_t i = 0; i < floats_of(in); i++) x.data[i] += (float)(step * g.data[i]);
  double up = score(plan, layer.name, x, y, dy);
  for (int64_t i = 0; i < floats_of(in); i++) x.data[i] -= (float)(2 * step * g.data[i]);
  double slope = (up - score(plan, layer.name, x, y, dy)) / (2 * step);
  if (fabs(slope / square - 1) > 0.02) fail_msg("%s, %s: %g, not %g", name, layer.name, square, slope);
  free(x.data);
  free(y.data);
  free(dy.data);
  free(g.data);
  free(same.data);
  cnn_plan_free(plan);
  cnn_plan_free(threads);
  cnn_net_free(net);
}

static void gradients(void **state) {
  (void)state;
  check_gradient("simple-conv-net", -2); /* the scores below the softmax */
  check_gradient("simple-conv-net", 3);
  check_gradient("lenet5-1998", -1);
  check_gradient("deep-conv-net", -2); /* with dropout */
  check_gradient("resnet20", -2);      /* with branches and batchnorm */
  check_gradient("resnet20", 9);       /* an output that is read above it, too */
  check_gradient("mobile", -2);
}

static void mistakes(void **state) {
  (void)state;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  cnn_plan *infer = plan_for(net, CNN_INFER, 1, 1), *plan = plan_for(net, CNN_LOOK, 1, 1);
  cnn_tensor x = tensor((cnn_shape){1, 1, 28, 28}), y = tensor((cnn_shape){1, 10, 1, 1});
  assert_int_equal(cnn_plan_forward(infer, x, y), CNN_OK);
  assert_int_equal(cnn_plan_get_output(infer, "softmax1", y), CNN_E_ARGUMENT);
  assert_non_null(strstr(cnn_why(), "CNN_LOOK"));
  assert_int_equal(cnn_plan_get_output(plan, "softmax1", y), CNN_E_ARGUMENT);
  assert_non_null(strstr(cnn_why(), "cnn_plan_forward()"));
  assert_int_equal(cnn_plan_forward(plan, x, y), CNN_OK);
  assert_int_equal(cnn_plan_get_output(plan, "softmax1", y), CNN_OK);
  assert_int_equal(cnn_plan_get_output(plan, "softmax2", y), CNN_E_KEY);
  assert_int_equal(cnn_plan_get_output(plan, "conv1", y), CNN_E_SHAPE);
  assert_non_null(strstr(cnn_why(), "1x30x24x24"));
  assert_int_equal(cnn_plan_backward(plan, "conv1", y), CNN_E_SHAPE);
  assert_int_equal(cnn_plan_get_output_gradient(plan, "affine2", x), CNN_E_SHAPE);
  float bias[10] = {0};
  assert_int_equal(cnn_plan_set_weight(plan, "affine2.bias", bias, 10), CNN_OK);
  assert_int_equal(cnn_plan_backward(plan, "affine2", y), CNN_E_ARGUMENT);
  assert_int_equal(cnn_plan_gradient(plan, x, (int32_t[]){0}, bias), CNN_E_ARGUMENT);
  free(x.data);
  free(y.data);
  cnn_plan_free(plan);
  cnn_plan_free(infer);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(layers), cmocka_unit_test(outputs),
                                     cmocka_unit_test(gradients), cmocka_unit_test(mistakes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
