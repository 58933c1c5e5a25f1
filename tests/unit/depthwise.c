/* Depthwise convolution has kernels of its own where channels come in blocks; a network's input, or a
 * dilation, takes the way of all other convolutions. Both give the same bits. */
#include "engine.h"

/* At the network's input, and above another layer. */
static void check(cnn_shape in, const char *words) {
  struct probe *p;
  cnn_status status = probe_new("conv", words, in, 7, 1, &p);
  if (status == CNN_E_SHAPE) return;
  ok(status);
  struct engine plain = engine_run(p, "conv", words, (struct way){.threads = 1});
  struct engine fast = engine_run(p, "conv", words, (struct way){.threads = 3, .inside = true});
  assert_int_equal(plain.plan->planned[1].ledger.x[0].block, 1);
  assert_int_equal(fast.plan->planned[2].ledger.x[0].block, BLOCK);
  int64_t blocks = (in.c + BLOCK - 1) / BLOCK, taps = p->count[PROBE_WEIGHT] / in.c;
  assert_int_equal(fast.plan->planned[2].ledger.weight[0].packed,
                   blocks * taps * BLOCK); /* it is the fast one */
  for (int part = 0; part < PROBE_PARTS; part++)
    for (int64_t i = 0; i < p->count[part]; i++)
      if (plain.part[part][i] != fast.part[part][i])
        fail_msg("%s in=%" PRId64 "x%" PRId64 "x%" PRId64 ": %s %" PRId64 ": %.9g, not %.9g", words, in.c,
                 in.h, in.w, probe_names[part], i, (double)fast.part[part][i], (double)plain.part[part][i]);
  engine_free(&plain);
  engine_free(&fast);
  probe_free(p);
}

static void same_bits(void **state) {
  (void)state;
  for (int c = 2; c <= 35; c += 11)
    for (int w = 1; w <= 13; w += 2)
      for (int kernel = 1; kernel <= 7; kernel += 1 + kernel / 3)
        for (int stride = 1; stride <= 3; stride++)
          for (int pad = 0; pad <= kernel; pad += 1 + kernel / 2) {
            char words[128];
            snprintf(
                words, sizeof words, "filters=%d groups=%d kernel=%dx%d stride=%d pad=%d round=%s bias=%s", c,
                c, 1 + kernel / 2, kernel, stride, pad, w % 4 == 1 ? "ceil" : "floor", w % 3 ? "yes" : "no");
            check((cnn_shape){1 + w % 4, c, 1 + w % 6, w}, words);
          }
}

/* Not where a channel has several filters, or taps lie apart. */
static void others_as_before(void **state) {
  (void)state;
  static const char *const words[] = {"filters=8 groups=4 kernel=3",
                                      "filters=4 groups=4 kernel=2 dilation=2"};
  for (int i = 0; i < 2; i++) {
    struct probe *p;
    ok(probe_new("conv", words[i], (cnn_shape){2, 4, 5, 5}, 7, 1, &p));
    struct engine plain = engine_run(p, "conv", words[i], (struct way){.threads = 1});
    struct engine inside = engine_run(p, "conv", words[i], (struct way){.threads = 1, .inside = true});
    for (int part = 0; part < PROBE_PARTS; part++)
      for (int64_t k = 0; k < p->count[part]; k++) assert_true(plain.part[part][k] == inside.part[part][k]);
    engine_free(&plain);
    engine_free(&inside);
    probe_free(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits), cmocka_unit_test(others_as_before)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
