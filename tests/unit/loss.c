/* The losses, src/train/loss.c: value and gradient against the formulas in double, and against central
 * differences through whole networks. */
#include "training.h"

#include <math.h>

static const char *const loss_nets[] = {
    "input shape=1x3x4\naffine units=7 init=normal:0.8\n",
    "input shape=1x3x4\naffine units=7 init=normal:0.8\nsoftmax\n",
};

/* Loss and gradient of one affine layer, written out in double. */
static double by_hand(const float *x, const int32_t *label, int images, const float *w, const float *b,
                      bool softmax, cnn_loss kind, double *dw, double *db) {
  enum { IN = 12, OUT = 7 };
  double loss = 0;
  memset(dw, 0, OUT * IN * sizeof *dw);
  memset(db, 0, OUT * sizeof *db);
  for (int n = 0; n < images; n++) {
    double s[OUT], p[OUT], sum = 0, ds[OUT], dot = 0;
    for (int c = 0; c < OUT; c++) {
      s[c] = (double)b[c];
      for (int k = 0; k < IN; k++) s[c] += (double)w[c * IN + k] * (double)x[n * IN + k];
    }
    for (int c = 0; c < OUT; c++) sum += exp(s[c]);
    for (int c = 0; c < OUT; c++) p[c] = exp(s[c]) / sum;
    for (int c = 0; c < OUT; c++) {
      double t = c == label[n], y = softmax ? p[c] : s[c];
      if (kind == CNN_LOSS_CROSS_ENTROPY) {
        loss -= t * log(p[c]);
        ds[c] = p[c] - t;
      } else {
        loss += 0.5 * (y - t) * (y - t);
        ds[c] = y - t;
        dot += (y - t) * p[c];
      }
    }
    for (int c = 0; c < OUT; c++) {
      if (kind == CNN_LOSS_MEAN_SQUARED_ERROR && softmax) ds[c] = p[c] * (ds[c] - dot);
      db[c] += ds[c] / images;
      for (int k = 0; k < IN; k++) dw[c * IN + k] += ds[c] * (double)x[n * IN + k] / images;
    }
  }
  return loss / images;
}

static double apart(const float *a, const double *b, int64_t count) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < count; i++) {
    error += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return sqrt(error / norm);
}

static void random_batch(float *x, int64_t count, int32_t *label, int images, int classes) {
  uint64_t random = 11;
  for (int64_t i = 0; i < count; i++) x[i] = (float)(next_random(&random) % 2000) / 1000 - 1;
  for (int n = 0; n < images; n++) label[n] = (int32_t)(next_random(&random) % (uint32_t)classes);
}

static void loss_by_hand(void **state) {
  (void)state;
  enum { N = 6 };
  float x[N * 12], w[84], b[7], dw[84], db[7], loss;
  double hand_dw[84], hand_db[7];
  int32_t label[N];
  random_batch(x, N * 12, label, N, 7);
  for (int softmax = 0; softmax < 2; softmax++)
    for (int kind = 0; kind < 2; kind++) {
      cnn_net *net = parse(loss_nets[softmax]);
      cnn_plan_options options = plan_options();
      options.loss = (cnn_loss)kind;
      cnn_plan *plan = plan_of(net, options);
      for (int i = 0; i < 7; i++) b[i] = (float)i / 5 - 0.5F;
      ok(cnn_plan_set_weight(plan, "affine1.bias", b, 7));
      ok(cnn_plan_get_weight(plan, "affine1.weight", w, 84));
      ok(cnn_plan_gradient(plan, (cnn_tensor){x, {N, 1, 3, 4}}, label, &loss));
      ok(cnn_plan_get_gradient(plan, "affine1.weight", dw, 84));
      ok(cnn_plan_get_gradient(plan, "affine1.bias", db, 7));
      double hand = by_hand(x, label, N, w, b, softmax, (cnn_loss)kind, hand_dw, hand_db);
      double errors[] = {fabs((double)loss - hand) / hand, apart(dw, hand_dw, 84), apart(db, hand_db, 7)};
      for (int i = 0; i < 3; i++)
        if (!(errors[i] < 1e-6))
          fail_msg("%s softmax, loss %d: %s is off by %g", softmax ? "with" : "without", kind,
                   i == 0   ? "the loss"
                   : i == 1 ? "dw"
                            : "db",
                   errors[i]);
      cnn_plan_free(plan);
      cnn_net_free(net);
    }
}

/* The gradient of every weight of a smooth network against central differences of the loss. The loss is a
 * float32: a step of 2^-6 makes its rounding and the curve's third derivative about equally small. */
static void central_differences(void **state) {
  (void)state;
  enum { N = 5, MOST = 64 };
  static const char *const nets[] = {
      "input shape=2x5x5\nconv filters=3 kernel=2 init=xavier\ntanh\navgpool kernel=2 stride=2\n"
      "affine units=4 init=xavier\n",
      "input shape=2x5x5\nconv filters=3 kernel=2 init=xavier\nsigmoid\navgpool kernel=2 stride=2\n"
      "affine units=4 init=xavier\nsoftmax\n"};
  const float h = 0x1p-6F;
  float x[N * 50];
  int32_t label[N];
  random_batch(x, N * 50, label, N, 4);
  cnn_tensor images = {x, {N, 2, 5, 5}};
  for (int k = 0; k < 4; k++) {
    cnn_net *net = parse(nets[k / 2]);
    cnn_plan_options options = plan_options();
    options.loss = (cnn_loss)(k % 2);
    cnn_plan *plan = plan_of(net, options);
    for (int i = 0; i < cnn_net_weight_count(net); i++) {
      cnn_weight_info weight;
      float w[MOST], gradient[MOST], loss, more, less;
      double numerical[MOST];
      ok(cnn_net_weight(net, i, &weight));
      assert_true(weight.count <= MOST);
      ok(cnn_plan_get_weight(plan, weight.name, w, weight.count));
      ok(cnn_plan_gradient(plan, images, label, &loss));
      ok(cnn_plan_get_gradient(plan, weight.name, gradient, weight.count));
      for (int64_t e = 0; e < weight.count; e++) {
        float here = w[e];
        w[e] = here + h;
        ok(cnn_plan_set_weight(plan, weight.name, w, weight.count));
        ok(cnn_plan_gradient(plan, images, label, &more));
        double up = (double)w[e];
        w[e] = here - h;
        ok(cnn_plan_set_weight(plan, weight.name, w, weight.count));
        ok(cnn_plan_gradient(plan, images, label, &less));
        numerical[e] = ((double)more - (double)less) / (up - (double)w[e]);
        w[e] = here;
      }
      ok(cnn_plan_set_weight(plan, weight.name, w, weight.count));
      double error = apart(gradient, numerical, weight.count);
      if (!(error < 5e-4)) fail_msg("net %d, loss %d: d%s is off by %g", k / 2, k % 2, weight.name, error);
    }
    cnn_plan_free(plan);
    cnn_net_free(net);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loss_by_hand),
      cmocka_unit_test(central_differences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
