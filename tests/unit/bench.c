/* One layer alone: each direction gives what the plan's own rounds give, and mistakes are told. */
#include "net/bench.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/memory.h"

static cnn_bench *bench_of(const char *layer, const char *config, cnn_shape in, bool first, int threads) {
  cnn_bench *bench;
  ok(cnn_bench_new(layer, config, in, first, threads, &bench));
  return bench;
}

static int64_t floats_of(const struct view *view) {
  return view->shape.n * view->shape.c * view->shape.h * view->shape.w;
}

static float *read_all(const struct view *view) {
  float *values = malloc((size_t)floats_of(view) * sizeof *values);
  assert_non_null(values);
  view_read(view, 0, view->shape.n, values);
  return values;
}

/* The view again holds `wanted` after it was spoilt and `direction` ran. */
static void check_view(cnn_bench *bench, cnn_direction direction, const struct view *view) {
  size_t bytes = (size_t)floats_of(view) * sizeof(float);
  float *wanted = read_all(view), *spoilt = malloc(bytes);
  double seconds = -1;
  assert_non_null(spoilt);
  for (int64_t i = 0; i < floats_of(view); i++) spoilt[i] = 7;
  view_write(view, 0, view->shape.n, spoilt);
  assert_int_equal(cnn_bench_run(bench, direction, 2, &seconds), CNN_OK);
  assert_true(seconds >= 0);
  float *got = read_all(view);
  assert_memory_equal(got, wanted, bytes);
  free(wanted);
  free(spoilt);
  free(got);
}

/* All weights' gradients, dense; lanes that stand for no unit may hold anything. */
static float *read_gradients(const cnn_bench *bench, int64_t *count) {
  cnn_weight_info info;
  float *values = malloc((size_t)bench->plan->range * sizeof *values);
  assert_non_null(values);
  *count = 0;
  for (int w = 0; w < cnn_net_weight_count(bench->net); w++, *count += info.count) {
    assert_int_equal(cnn_net_weight(bench->net, w, &info), CNN_OK);
    assert_int_equal(cnn_plan_get_gradient(bench->plan, info.name, values + *count, info.count), CNN_OK);
  }
  return values;
}

static void check_directions(const char *layer, const char *config, cnn_shape in, bool first) {
  for (int threads = 1; threads <= 3; threads++) {
    cnn_bench *bench = bench_of(layer, config, in, first, threads);
    const struct step *step = &bench->plan->steps[1];
    int64_t count;
    double seconds;
    assert_int_equal(step->x[0].block == 1, first);
    float *wanted = read_gradients(bench, &count);
    memset(bench->plan->gradients, 7, (size_t)bench->plan->range * sizeof(float));
    check_view(bench, CNN_FORWARD, &step->y);
    check_view(bench, CNN_BACKWARD_DATA, &step->dx[0]);
    assert_int_equal(cnn_bench_run(bench, CNN_BACKWARD_WEIGHTS, 1, &seconds), CNN_OK);
    float *got = read_gradients(bench, &count);
    assert_memory_equal(got, wanted, (size_t)count * sizeof *got);
    free(wanted);
    free(got);
    cnn_bench_free(bench);
  }
}

static void directions(void **state) {
  (void)state;
  check_directions("conv", "filters=19 kernel=3 pad=1", (cnn_shape){9, 3, 8, 7}, true);
  check_directions("conv", "filters=32 kernel=3 stride=2 groups=2 round=floor", (cnn_shape){5, 32, 6, 6},
                   false);
  check_directions("affine", "units=21", (cnn_shape){9, 17, 3, 3}, false);
}

static void counts(void **state) {
  (void)state;
  cnn_bench *bench = bench_of("conv", "filters=30 kernel=5", (cnn_shape){4, 1, 28, 28}, true, 1);
  assert_int_equal(cnn_bench_multiply_adds(bench), 4 * 432000);
  cnn_bench_free(bench);
  cnn_bench_free(NULL);
}

static void mistakes(void **state) {
  (void)state;
  cnn_bench *bench = NULL;
  double seconds = -1;
  cnn_shape in = {2, 4, 6, 6};
  assert_int_equal(cnn_bench_new("cnov", "", in, true, 1, &bench), CNN_E_KEY);
  assert_int_equal(cnn_bench_new("conv", "filters=3 kernel=9", in, true, 1, &bench), CNN_E_SHAPE);
  assert_int_equal(cnn_bench_new("conv", "filters=3 kernel=3", in, true, 1000, &bench), CNN_E_ARGUMENT);
  assert_null(bench);
  bench = bench_of("relu", "", in, false, 1);
  assert_int_equal(cnn_bench_run(bench, CNN_FORWARD, 0, &seconds), CNN_E_ARGUMENT);
  assert_int_equal(cnn_bench_run(bench, CNN_BACKWARD_WEIGHTS, 1, &seconds), CNN_E_ARGUMENT);
  assert_int_equal(cnn_bench_run(bench, CNN_BACKWARD_DATA, 1, &seconds), CNN_E_UNSUPPORTED);
  assert_true(seconds == -1);
  assert_int_equal(cnn_bench_run(bench, CNN_FORWARD, 1, &seconds), CNN_OK);
  cnn_bench_free(bench);
}

static void no_memory(void **state) {
  (void)state;
  for (long successes = 0;; successes++) {
    cnn_bench *bench = NULL;
    mem_fail_after(successes);
    cnn_status status = cnn_bench_new("conv", "filters=3 kernel=3", (cnn_shape){2, 1, 5, 5}, true, 1, &bench);
    mem_fail_after(-1);
    cnn_bench_free(bench);
    if (status == CNN_OK) break;
    assert_int_equal(status, CNN_E_MEMORY);
    assert_null(bench);
    assert_true(successes < 1000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(directions), cmocka_unit_test(counts),
                                     cmocka_unit_test(mistakes), cmocka_unit_test(no_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
