/* Schedules of the learning rate: the cosine of our own, where changes fall, warm-up, plateau, messages. What
 * PyTorch has is compared in torch_methods.c. */
#include "train/schedule.h"

#include <math.h>
#include <stdio.h>

#include "check.h"

static struct schedule read(const char *text, double warmup, int64_t epochs, int64_t epoch) {
  struct schedule schedule;
  ok(schedule_read(text, warmup, epochs, epoch, &schedule));
  return schedule;
}

static void half_cosine(void **state) {
  (void)state;
  const long double pi = 3.14159265358979323846264338327950288L;
  for (int i = 0; i <= 100000; i++) {
    double x = i / 100000.0, got = schedule_half_cosine(x);
    long double left = pi * (1 - (long double)x) / 2, exact = sinl(left) * sinl(left);
    /* relative to the value, also where it nearly is 0 */
    if (!(fabsl((long double)got - exact) <= 8e-16L * exact + 1e-35L))
      fail_msg("(1 + cos(pi %.5f)) / 2 is %.17g, not %.20Lg", x, got, exact);
  }
  assert_true(schedule_half_cosine(0) == 1);
  assert_true(schedule_half_cosine(1) == 0);
}

/* Never up, never outside of [0, 1], also past the end of the run. */
static void cosine_falls(void **state) {
  (void)state;
  struct schedule schedule = read("cosine", 0, 3, 1000);
  double last = 1;
  for (int64_t step = 0; step < 4000; step++) {
    double factor = schedule_factor(&schedule, step);
    assert_true(factor <= last && factor >= 0);
    last = factor;
  }
  assert_true(last == 0);
}

/* A change of epoch e is at step e * epoch, whatever e * epoch / epoch rounds to. */
static void changes_fall_on_steps(void **state) {
  (void)state;
  for (int64_t epoch = 1; epoch < 700; epoch += 13)
    for (int tenths = 1; tenths < 40; tenths++) {
      char text[64];
      int64_t wanted = (int64_t)floor((double)tenths * (double)epoch / 10 + 0.5);
      if (wanted < 1 || tenths * epoch % 10 == 5) continue; /* halfway between steps */
      snprintf(text, sizeof text, "multistep at=%g factor=0.5", tenths / 10.0);
      struct schedule schedule = read(text, 0, 5, epoch);
      assert_true(schedule_factor(&schedule, wanted - 1) == 1);
      assert_true(schedule_factor(&schedule, wanted) == 0.5);
      if ((tenths * epoch) % 10) continue;
      snprintf(text, sizeof text, "step every=%g factor=0.5", tenths / 10.0);
      schedule = read(text, 0, 5, epoch);
      for (int k = 1; k <= 20; k++) {
        assert_true(schedule_factor(&schedule, k * wanted - 1) == ldexp(1, 1 - k));
        assert_true(schedule_factor(&schedule, k * wanted) == ldexp(1, -k));
      }
    }
}

static void warm_up(void **state) {
  (void)state;
  struct schedule schedule = read("constant", 0.5, 2, 8);
  const double wanted[] = {0.25, 0.5, 0.75, 1, 1, 1};
  for (int i = 0; i < 6; i++) assert_true(schedule_factor(&schedule, i) == wanted[i]);
  schedule = read("cosine", 1, 2, 8); /* the cosine begins at the end of the warm-up */
  assert_true(schedule_factor(&schedule, 7) == 1 && schedule_factor(&schedule, 8) == 1);
  assert_true(schedule_factor(&schedule, 9) < 1);
  schedule = read("cosine", 2, 2, 8); /* nothing but warm-up */
  assert_true(schedule_factor(&schedule, 15) > 0.9 && schedule_factor(&schedule, 15) <= 1);
}

static void one_cycle_meets_its_ends(void **state) {
  (void)state;
  struct schedule schedule = read("one-cycle rise=0.4 start=0.1 end=0.01", 0, 2, 25);
  assert_true(schedule_factor(&schedule, 0) == 0.1);
  assert_true(schedule_factor(&schedule, 19) == 1);
  assert_true(fabs(schedule_factor(&schedule, 49) - 0.01) < 1e-16);
  schedule = read("one-cycle rise=1", 0, 1, 10);
  assert_true(schedule_factor(&schedule, 9) == 1);
  schedule = read("one-cycle rise=0", 0, 1, 1);
  assert_true(schedule_factor(&schedule, 0) == 1);
  schedule = read("one-cycle", 1, 1, 10);
  assert_true(schedule_factor(&schedule, 9) == 1); /* all is warm-up */
}

static void plateau(void **state) {
  (void)state;
  struct schedule schedule = read("plateau factor=0.5 patience=1 threshold=0.1 least=0.2", 0, 9, 1);
  struct plateau p = {.factor = 1};
  const double measures[] = {1, 0.95, 0.5, 0.49, 0.48, 0.47, NAN, 0, 0.1, 0.1, 0.1};
  const double factors[] = {1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2};
  for (int i = 0; i < 11; i++) {
    schedule_measured(&schedule, &p, measures[i]);
    if (p.factor != factors[i])
      fail_msg("after measure %d the factor is %g, not %g", i, p.factor, factors[i]);
  }
  p = (struct plateau){.factor = 1}; /* the first number is better than none */
  for (int i = 0; i < 9; i++) schedule_measured(&schedule, &p, i ? 1.0 / i : (double)NAN);
  assert_true(p.factor == 1);
  schedule = read("constant", 0, 9, 1);
  p = (struct plateau){.factor = 1};
  for (int i = 0; i < 20; i++) schedule_measured(&schedule, &p, 1);
  assert_true(p.factor == 1);
}

static void text(void **state) {
  (void)state;
  static const char *const pairs[][2] = {
      {"constant", "constant"},
      {"  cosine  end=0.5 ", "cosine end=0.5"},
      {"multistep factor=0.2 at=1,2.5,30", "multistep at=1,2.5,30 factor=0.2"},
      {"one-cycle", "one-cycle rise=0.3 start=0.04 end=4e-06 shape=cosine"}};
  for (int i = 0; i < 4; i++) {
    struct schedule schedule = read(pairs[i][0], 0, 1, 1);
    struct text out = {0};
    schedule_write(&schedule, &out);
    assert_string_equal(out.data, pairs[i][1]);
    text_free(&out);
  }
  for (int i = 0; i < cnn_schedule_count(); i++) {
    cnn_schedule_info info = cnn_schedule_get(i);
    for (int k = 0; k < info.params; k++) assert_non_null(cnn_schedule_param(i, k).key);
    assert_null(cnn_schedule_param(i, info.params).key);
  }
  assert_null(cnn_schedule_get(cnn_schedule_count()).name);
}

static void messages(void **state) {
  (void)state;
  struct schedule s;
  assert_fails(CNN_E_KEY, schedule_read("cosin", 0, 1, 1, &s), "did you mean 'cosine'?");
  assert_fails(CNN_E_KEY, schedule_read("zzzzzz", 0, 1, 1, &s), "there are constant, step, multistep");
  assert_fails(CNN_E_KEY, schedule_read("", 0, 1, 1, &s), "unknown schedule ''");
  assert_fails(CNN_E_ARGUMENT, schedule_read(NULL, 0, 1, 1, &s), "schedule is NULL");
  assert_fails(CNN_E_KEY, schedule_read("step", 0, 1, 1, &s), "schedule step: key 'every' is missing");
  assert_fails(CNN_E_KEY, schedule_read("step evry=1", 0, 1, 1, &s), "did you mean 'every'?");
  assert_fails(CNN_E_KEY, schedule_read("constant end=1", 0, 1, 1, &s), "constant knows none");
  assert_fails(CNN_E_ARGUMENT, schedule_read("step every=0", 0, 1, 1, &s), "more than 0");
  assert_fails(CNN_E_ARGUMENT, schedule_read("step every=1 factor=2", 0, 1, 1, &s), "out of range");
  assert_fails(CNN_E_ARGUMENT, schedule_read("multistep at=3,2", 0, 1, 1, &s), "does not rise");
  assert_fails(CNN_E_ARGUMENT, schedule_read("multistep at=3,,4", 0, 1, 1, &s), "a number wanted");
  assert_fails(CNN_E_ARGUMENT,
               schedule_read("multistep at=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 0, 1, 1, &s),
               "at most 16 numbers");
  assert_fails(CNN_E_ARGUMENT, schedule_read("one-cycle shape=round", 0, 1, 1, &s),
               "it takes cosine, linear");
  assert_fails(CNN_E_ARGUMENT, schedule_read("cosine", 2, 1, 1, &s), "warmup is 2 epochs");
  assert_fails(CNN_E_ARGUMENT, schedule_read("cosine", (double)NAN, 1, 1, &s), "warmup");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(half_cosine),
      cmocka_unit_test(cosine_falls),
      cmocka_unit_test(changes_fall_on_steps),
      cmocka_unit_test(warm_up),
      cmocka_unit_test(one_cycle_meets_its_ends),
      cmocka_unit_test(plateau),
      cmocka_unit_test(text),
      cmocka_unit_test(messages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
