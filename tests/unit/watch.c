/* Looking inside plans: outputs and gradients that are kept are those of any other plan, outputs are what the
 * layers' definitions say, and backward from any layer is the derivative of it. */
#include <math.h>

#include "plans.h"

/* Branches, batch normalisation, dropout, an order that plans change (relu before maxpool). */
static const char tangled[] =
    "input shape=2x12x12\n"
    "conv name=c1 filters=5 kernel=3 pad=1 init=he\n"
    "batchnorm name=b1\n"
    "relu name=r1\n"
    "maxpool name=p1 kernel=2 stride=2\n"
    "conv name=c2 filters=5 kernel=3 pad=1 init=he\n"
    "tanh name=t2\n"
    "add name=a1 from=t2,p1\n"
    "concat name=k1 from=a1,p1\n"
    "dropout name=d1 rate=0.4\n"
    "affine name=f1 units=20 init=he\n"
    "sigmoid name=s1\n"
    "affine name=f2 units=4 init=he\n"
    "softmax name=out\n";

static cnn_plan *keeping(const cnn_net *net, cnn_plan_options options) {
  options.keep = true;
  return plan_of(net, options);
}

static cnn_tensor output_of(const cnn_plan *plan, const char *layer, int64_t n) {
  int index;
  cnn_layer_info info;
  ok(cnn_net_find(cnn_plan_net(plan), layer, &index));
  ok(cnn_net_layer(cnn_plan_net(plan), index, &info));
  info.out.n = n;
  float *data = calloc((size_t)count_of(info.out), sizeof *data);
  assert_non_null(data);
  return (cnn_tensor){data, info.out};
}

static void same_gradients(const cnn_plan *a, const cnn_plan *b) {
  cnn_weight_info info;
  for (int w = 0; w < cnn_net_weight_count(cnn_plan_net(a)); w++) {
    ok(cnn_net_weight(cnn_plan_net(a), w, &info));
    if (!info.trained) continue;
    float *ours = calloc((size_t)info.count, sizeof *ours),
          *theirs = calloc((size_t)info.count, sizeof *theirs);
    assert_non_null(ours);
    assert_non_null(theirs);
    ok(cnn_plan_get_gradient(a, info.name, ours, info.count));
    ok(cnn_plan_get_gradient(b, info.name, theirs, info.count));
    same_bits(ours, theirs, info.count, info.name, tangled);
    free(theirs);
    free(ours);
  }
}

/* Every layer and direction: a time, or a refusal where nothing is to be done; the weights stay, so a
 * gradient taken anew is the same. */
static void times_of_layers(void **state) {
  (void)state;
  static const int32_t labels[4] = {0, 3, 1, 2};
  cnn_net *net = parse(tangled);
  cnn_plan *plan = keeping(net, training(4)), *plain = plan_of(net, training(4));
  float *x = values(1, 4 * 2 * 12 * 12), loss;
  double seconds;
  assert_fails(CNN_E_ARGUMENT, cnn_plan_time(plan, "c1", CNN_FORWARD, 1, &seconds), "cnn_plan_gradient()");
  ok(cnn_plan_gradient(plain, images(plain, x, 4), labels, &loss));
  ok(cnn_plan_gradient(plan, images(plan, x, 4), labels, &loss));
  for (int i = 0; i < cnn_net_layer_count(net); i++) {
    cnn_layer_info layer;
    ok(cnn_net_layer(net, i, &layer));
    bool first = i == 0, last = strcmp(layer.name, "out") == 0;
    for (int d = CNN_FORWARD; d <= CNN_BACKWARD_WEIGHTS; d++) {
      seconds = -1;
      cnn_status status = cnn_plan_time(plan, layer.name, (cnn_direction)d, 2, &seconds);
      bool idle =
          first || (d == CNN_BACKWARD_WEIGHTS && layer.parameters == 0) || (d == CNN_BACKWARD_DATA && last);
      assert_int_equal(status, idle ? CNN_E_UNSUPPORTED : CNN_OK);
      assert_true(idle ? seconds == -1 : seconds > 0);
    }
  }
  ok(cnn_plan_gradient(plan, images(plan, x, 4), labels, &loss));
  same_gradients(plan, plain);
  assert_fails(CNN_E_ARGUMENT, cnn_plan_time(plan, "c1", CNN_FORWARD, 0, &seconds), "at least 1");
  assert_fails(CNN_E_KEY, cnn_plan_time(plan, "c9", CNN_FORWARD, 1, &seconds), "did you mean");
  assert_fails(CNN_E_ARGUMENT, cnn_plan_time(plain, "c1", CNN_FORWARD, 1, &seconds), "made with `keep`");
  free(x);
  cnn_plan_free(plain);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void same_results(void **state) {
  (void)state;
  enum { IMAGES = 6 };
  static const int32_t labels[IMAGES] = {0, 3, 1, 2, 2, 0};
  cnn_net *net = parse(tangled);
  float *x = values(1, IMAGES * 2 * 12 * 12);
  for (int threads = 1; threads <= 3; threads += 2)
    for (int mode = 0; mode < 2; mode++) {
      cnn_plan_options options = mode ? training(IMAGES) : inference(IMAGES);
      options.threads = threads;
      cnn_plan *plain = plan_of(net, options), *kept = keeping(net, options);
      cnn_tensor y = output_of(kept, "out", IMAGES), z = output_of(kept, "out", IMAGES);
      ok(cnn_plan_forward(plain, images(plain, x, IMAGES), y));
      ok(cnn_plan_forward(kept, images(kept, x, IMAGES), z));
      same_bits(y.data, z.data, count_of(y.shape), "output", tangled);
      ok(cnn_plan_get_output(kept, "out", z));
      same_bits(y.data, z.data, count_of(y.shape), "kept output", tangled);
      float loss, again;
      if (mode) {
        ok(cnn_plan_gradient(plain, images(plain, x, IMAGES), labels, &loss));
        ok(cnn_plan_gradient(kept, images(kept, x, IMAGES), labels, &again));
        same_bits(&loss, &again, 1, "loss", tangled);
        same_gradients(plain, kept);
      }
      check_memory(net, kept, tangled);
      free(y.data);
      free(z.data);
      cnn_plan_free(plain);
      cnn_plan_free(kept);
    }
  free(x);
  cnn_net_free(net);
}

/* The response of a filter is the sum of products that equation (7.1) and Figure 7-9 describe; relu, maxpool
 * and dropout (which does nothing here) follow from it. */
static void outputs_are_defined(void **state) {
  (void)state;
  cnn_net *net = parse(
      "input shape=2x7x8\nconv name=c filters=3 kernel=3x2 init=he\nrelu name=r\nmaxpool name=p kernel=2 "
      "stride=1\n"
      "dropout name=d\naffine units=2\nsoftmax\n");
  cnn_plan *plan = keeping(net, inference(2));
  float *x = values(2, 2 * 2 * 7 * 8), weight[3 * 2 * 3 * 2], bias[3] = {0.5F, -0.25F, 0}, scores[4];
  ok(cnn_plan_set_weight(plan, "c.bias", bias, 3));
  ok(cnn_plan_get_weight(plan, "c.weight", weight, 36));
  ok(cnn_plan_forward(plan, images(plan, x, 2), (cnn_tensor){scores, {2, 2, 1, 1}}));
  cnn_tensor in = images(plan, x, 2), c = output_of(plan, "c", 2), r = output_of(plan, "r", 2),
             p = output_of(plan, "p", 2), d = output_of(plan, "d", 2), first = output_of(plan, "input1", 2);
  ok(cnn_plan_get_output(plan, "c", c));
  ok(cnn_plan_get_output(plan, "r", r));
  ok(cnn_plan_get_output(plan, "p", p));
  ok(cnn_plan_get_output(plan, "d", d));
  ok(cnn_plan_get_output(plan, "input1", first));
  same_bits(first.data, x, count_of(first.shape), "input", "");
  same_bits(d.data, p.data, count_of(d.shape), "dropout", "");
  for (int64_t n = 0; n < 2; n++)
    for (int64_t f = 0; f < 3; f++)
      for (int64_t h = 0; h < 5; h++)
        for (int64_t w = 0; w < 7; w++) {
          double sum = (double)bias[f];
          for (int64_t k = 0; k < 2 * 3 * 2; k++)
            sum +=
                (double)weight[f * 12 + k] * (double)*cnn_tensor_at(in, n, k / 6, h + k / 2 % 3, w + k % 2);
          float got = *cnn_tensor_at(c, n, f, h, w);
          if (!(fabs((double)got - sum) < 1e-6)) fail_msg("response %g, not %g", (double)got, sum);
          assert_true(*cnn_tensor_at(r, n, f, h, w) == (got > 0 ? got : 0));
        }
  for (int64_t i = 0; i < 2 * 3; i++)
    for (int64_t h = 0; h < 4; h++)
      for (int64_t w = 0; w < 6; w++) {
        float most = 0;
        for (int64_t k = 0; k < 4; k++) {
          float value = *cnn_tensor_at(r, i / 3, i % 3, h + k / 2, w + k % 2);
          if (value > most) most = value;
        }
        assert_true(*cnn_tensor_at(p, i / 3, i % 3, h, w) == most);
      }
  free(first.data);
  free(d.data);
  free(p.data);
  free(r.data);
  free(c.data);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* sum of g * output of layer, at x + step * direction */
static double along(cnn_plan *plan, const char *layer, const float *x, const float *direction, double step,
                    const float *g) {
  float moved[2 * 2 * 12 * 12], scores[2 * 4];
  for (int i = 0; i < 2 * 2 * 12 * 12; i++) moved[i] = (float)((double)x[i] + step * (double)direction[i]);
  ok(cnn_plan_forward(plan, images(plan, moved, 2), (cnn_tensor){scores, {2, 4, 1, 1}}));
  cnn_tensor y = output_of(plan, layer, 2);
  ok(cnn_plan_get_output(plan, layer, y));
  double sum = 0;
  for (int64_t i = 0; i < count_of(y.shape); i++) sum += (double)y.data[i] * (double)g[i];
  free(y.data);
  return sum;
}

/* Backward from each layer, against differences. batchnorm has other running values than a new plan's. */
static void backward_is_the_derivative(void **state) {
  (void)state;
  static const char *const layers[] = {"out", "f2", "f1", "d1", "k1", "a1",
                                       "t2",  "c2", "p1", "r1", "b1", "c1"};
  cnn_net *net = parse(tangled);
  cnn_plan *plan = keeping(net, training(2));
  float *x = values(3, 2 * 2 * 12 * 12), *direction = values(4, 2 * 2 * 12 * 12);
  float mean[] = {0.3F, -0.2F, 0.1F, 0.4F, 0}, variance[] = {0.5F, 2, 1.5F, 0.25F, 3};
  ok(cnn_plan_set_weight(plan, "b1.running_mean", mean, 5));
  ok(cnn_plan_set_weight(plan, "b1.running_var", variance, 5));
  for (size_t k = 0; k < sizeof layers / sizeof *layers; k++) {
    cnn_tensor dy = output_of(plan, layers[k], 2), dx = output_of(plan, "input1", 2);
    float *g = values(5 + (uint32_t)k, count_of(dy.shape));
    memcpy(dy.data, g, (size_t)count_of(dy.shape) * sizeof *g);
    along(plan, layers[k], x, direction, 0, g);
    ok(cnn_plan_backward(plan, layers[k], dy));
    ok(cnn_plan_get_output_gradient(plan, "input1", dx));
    double slope = 0, step = 1e-3;
    for (int64_t i = 0; i < count_of(dx.shape); i++) slope += (double)dx.data[i] * (double)direction[i];
    double difference =
        (along(plan, layers[k], x, direction, step, g) - along(plan, layers[k], x, direction, -step, g)) /
        (2 * step);
    if (!(fabs(difference - slope) < 0.02 * fabs(slope) + 1e-4) || fabs(slope) < 1e-3)
      fail_msg("%s: backward gives a slope of %g, differences %g", layers[k], slope, difference);
    free(g);
    free(dx.data);
    free(dy.data);
  }
  free(direction);
  free(x);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

static void refusals(void **state) {
  (void)state;
  cnn_net *net = parse(tangled);
  cnn_plan *plain = plan_of(net, training(2)), *kept = keeping(net, training(2)),
           *seeing = keeping(net, inference(2));
  cnn_tensor t = output_of(kept, "f2", 2);
  assert_fails(CNN_E_ARGUMENT, cnn_plan_get_output(plain, "f2", t), "make it with `keep`");
  assert_fails(CNN_E_ARGUMENT, cnn_plan_get_output(kept, "f2", t), "outputs of 0 are there");
  assert_fails(CNN_E_KEY, cnn_plan_get_output(kept, "f3", t), "did you mean 'f");
  assert_fails(CNN_E_SHAPE, cnn_plan_get_output(kept, "f1", t), "which is 20x1x1");
  assert_fails(CNN_E_ARGUMENT, cnn_plan_get_output_gradient(seeing, "f2", t), "CNN_TRAIN");
  assert_fails(CNN_E_ARGUMENT, cnn_plan_backward(kept, "f2", t), "call cnn_plan_forward() before");
  free(t.data);
  cnn_plan_free(seeing);
  cnn_plan_free(kept);
  cnn_plan_free(plain);
  cnn_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_results),
      cmocka_unit_test(times_of_layers),
      cmocka_unit_test(outputs_are_defined),
      cmocka_unit_test(backward_is_the_derivative),
      cmocka_unit_test(refusals),
  };
  return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
