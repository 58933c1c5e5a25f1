/* Whole networks, trained on random images: the same weights, bit for bit, from any number of threads and
 * every kernel table; no allocation after the first step; no more memory than was planned.
 *
 * A few steps of the smaller ones, unless CNN_TEST_LONG is set: then hundreds, and AlexNet (.ci/run).
 * `test-workloads peak NET BATCH` measures memory in a process that does nothing else. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory.h"
#include "instruction_sets.h"
#include "malloc_count.h"
#include "plans.h"
#include "training_run.h"

static bool is_long(void) {
  const char *value = getenv("CNN_TEST_LONG");
  return value && *value && strcmp(value, "0") != 0;
}

static const struct workload {
  const char *net;
  int batch, steps, scalar_steps;                /* 0 steps: not tested */
  int long_batch, long_steps, long_scalar_steps; /* likewise, of CNN_TEST_LONG */
} workloads[] = {
    {"simple-conv-net", 100, 10, 1, 100, 300, 20},
    {"mlp5", 100, 3, 1, 100, 20, 3},
    {"lenet5", 20, 3, 1, 100, 50, 3},
    {"lenet", 20, 2, 1, 100, 30, 3},
    {"deep-conv-net", 7, 2, 1, 100, 20, 1},
    {"resnet20", 5, 2, 1, 50, 10, 1},
    {"alexnet", 0, 0, 0, 16, 2, 0},
};
enum { WORKLOADS = sizeof workloads / sizeof *workloads };

static int batch_of(const struct workload *w) { return is_long() ? w->long_batch : w->batch; }

/* ---- one training ---- */

static cnn_status begin(struct training_run *t, const char *net, int batch, int threads) {
  *t = (struct training_run){0};
  cnn_status status = cnn_net_load(net, &t->net);
  if (status != CNN_OK) return status;
  cnn_shape images = cnn_net_input(t->net);
  images.n = 5 * batch / 2; /* an epoch is two steps and half a one */
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = batch;
  options.threads = threads;
  cnn_train_options train = cnn_train_defaults();
  train.epochs = 1000;
  train.evaluate_train = train.evaluate_test = 0;
  status = cnn_dataset_random(images, 1, 10, 1, &t->data);
  if (status == CNN_OK) status = cnn_plan_new(t->net, &options, &t->plan);
  if (status == CNN_OK) status = cnn_trainer_new(t->plan, t->data, &train, &t->trainer);
  return status;
}

/* ---- the same bits ---- */

/* After `steps` steps: all weights, one after the other; free() them. */
static float *trained(const struct workload *w, int steps, int threads, const char *set, int64_t *count) {
  const struct kernel_table *best;
  struct training_run t;
  ok(kernels_pick(&best));
  if (set) kernels_use(kernels_find(set));
  ok(begin(&t, w->net, batch_of(w), threads));
  kernels_use(best);
  for (int i = 0; i < steps; i++) ok(cnn_trainer_step(t.trainer, NULL));
  float *values = all(t.plan, cnn_plan_get_weight, count);
  run_free(&t);
  return values;
}

static void compare(const struct workload *w, const float *expected, int steps, int threads,
                    const char *set) {
  int64_t count;
  float *values = trained(w, steps, threads, set, &count);
  for (int64_t i = 0; i < count; i++) {
    if (to_bits(values[i]) != to_bits(expected[i]))
      fail_msg("%s, %d steps, %d threads, %s: weight %" PRId64 " is %.9g, not %.9g", w->net, steps, threads,
               set ? set : "best", i, (double)values[i], (double)expected[i]);
  }
  free(values);
}

static void bits(void **state) {
  (void)state;
  static const int threads[] = {2, 3, 7};
  const struct kernel_table *best;
  ok(kernels_pick(&best));
  for (const struct workload *w = workloads; w < workloads + WORKLOADS; w++) {
    int steps = is_long() ? w->long_steps : w->steps,
        scalar = is_long() ? w->long_scalar_steps : w->scalar_steps;
    int64_t count;
    if (!steps) continue;
    float *first = trained(w, steps, 1, NULL, &count);
    for (int i = 0; i < 3; i++) compare(w, first, steps, threads[i], NULL);
    for (int s = 0; s < SETS; s++) {
      if (strcmp(instruction_sets[s], "scalar") == 0) continue;
      const struct kernel_table *table = kernels_find(instruction_sets[s]);
      if (table && table != best)
        compare(w, first, steps, 2, instruction_sets[s]);
      else if (!table && w == workloads)
        print_message("skip   %s: not on this machine\n", instruction_sets[s]);
    }
    free(first);
    if (!scalar) continue;
    first = trained(w, scalar, 2, NULL, &count);
    compare(w, first, scalar, 2, "scalar");
    free(first);
  }
}

/* ---- predictions ---- */

/* An image gives the same bits alone and among others, from a plan for one and from one for training many. */
static void predictions(void **state) {
  (void)state;
  enum { N = 34 };
  for (const struct workload *w = workloads; w < workloads + WORKLOADS; w++) {
    cnn_net *net;
    cnn_plan *one, *many;
    cnn_plan_options options = {.mode = CNN_INFER, .batch = 1, .seed = 1, .threads = 1};
    if (!w->batch) continue;
    ok(cnn_net_load(w->net, &net));
    ok(cnn_plan_new(net, &options, &one));
    options = (cnn_plan_options){.mode = CNN_TRAIN, .batch = N, .seed = 1, .threads = 3};
    ok(cnn_plan_new(net, &options, &many));
    cnn_shape in = cnn_net_input(net), out = cnn_net_output(net);
    int64_t pixels = in.c * in.h * in.w, classes = out.c;
    float *x = malloc((size_t)(N * pixels) * sizeof *x), *y = malloc((size_t)(N * classes) * sizeof *y),
          *alone = malloc((size_t)classes * sizeof *alone);
    assert_true(x && y && alone);
    uint32_t random = 1;
    for (int64_t i = 0; i < N * pixels; i++)
      x[i] = (float)((random = random * 1664525U + 1013904223U) >> 24) / 255;
    in.n = out.n = N;
    ok(cnn_plan_forward(many, (cnn_tensor){x, in}, (cnn_tensor){y, out}));
    in.n = out.n = 1;
    for (int i = 0; i < N; i++) {
      ok(cnn_plan_forward(one, (cnn_tensor){x + i * pixels, in}, (cnn_tensor){alone, out}));
      if (memcmp(alone, y + i * classes, (size_t)classes * sizeof *y) != 0)
        fail_msg("%s: image %d gives other bits alone", w->net, i);
    }
    free(alone);
    free(y);
    free(x);
    cnn_plan_free(many);
    cnn_plan_free(one);
    cnn_net_free(net);
  }
}

/* ---- memory ---- */

static void no_allocation(void **state) {
  (void)state;
  for (const struct workload *w = workloads; w < workloads + WORKLOADS; w++)
    for (int threads = 1; batch_of(w) && threads <= 3; threads += 2) {
      struct training_run t;
      ok(begin(&t, w->net, w->batch ? w->batch : 2, threads));
      ok(cnn_trainer_step(t.trainer, NULL));
      long allocations = mem_count(), all = malloc_count();
      for (int i = 0; i < 4; i++) ok(cnn_trainer_step(t.trainer, NULL));
      allocations = mem_count() - allocations;
      all = malloc_count() - all;
      if (allocations || all)
        fail_msg("%s, %d threads: %ld allocations by the library, %ld in the process", w->net, threads,
                 allocations, all);
      run_free(&t);
    }
}

/* A line of /proc/self/status, in bytes. */
static double status_bytes(const char *name) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  double kilobytes = -1;
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, name, strlen(name)) == 0) kilobytes = strtod(line + strlen(name), NULL);
  if (file) fclose(file);
  return 1024 * kilobytes;
}

/* Exit statuses of such a process. */
enum { AS_PLANNED, NOT_AS_PLANNED, SKIPPED = 77 };

/* Four steps of training: what they took beyond the program, whose code is read from its file as it is
 * needed, and the data, within 10 % of the plan. */
static int peak(const char *name, int batch) {
  struct training_run t;
  cnn_memory planned;
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = batch;
  options.threads = 2;
  double before = status_bytes("RssAnon:");
  if (before < 0 || status_bytes("VmHWM:") < 0) return SKIPPED;
  cnn_status status = begin(&t, name, batch, options.threads);
  if (status == CNN_OK) status = cnn_plan_memory(t.net, &options, "adam", &planned);
  for (int i = 0; i < 4 && status == CNN_OK; i++) status = cnn_trainer_step(t.trainer, NULL);
  if (status != CNN_OK) return fprintf(stderr, "%s\n", cnn_why()), NOT_AS_PLANNED;
  cnn_shape image = cnn_dataset_image(t.data);
  double data = (double)cnn_dataset_count(t.data, CNN_SPLIT_TRAIN) * (double)(image.c * image.h * image.w);
  double took = status_bytes("VmHWM:") - status_bytes("RssFile:") - before - data,
         plan = (double)planned.total;
  printf("%-16s batch %3d: %8.2f MB planned, %8.2f MB taken\n", name, batch, plan / 1e6, took / 1e6);
  run_free(&t);
  return took > 0.9 * plan && took < 1.1 * plan ? AS_PLANNED : NOT_AS_PLANNED;
}

static void peak_memory(void **state) {
  (void)state;
#ifndef COUNTS_MALLOC
  skip(); /* a sanitizer's own memory would be counted */
#endif
  for (const struct workload *w = workloads; w < workloads + WORKLOADS; w++) {
    char batch[16], *arguments[] = {(char *)"test-workloads", (char *)"peak", (char *)w->net, batch, NULL};
    snprintf(batch, sizeof batch, "%d", w->batch ? 100 : 4);
    if (!batch_of(w)) continue;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      execv("/proc/self/exe", arguments);
      _exit(SKIPPED); /* an emulator may know of no such file */
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) skip();
    assert_int_equal(WEXITSTATUS(status), AS_PLANNED);
  }
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "peak") == 0) return peak(argv[2], (int)strtol(argv[3], NULL, 10));
  const struct CMUnitTest tests[] = {cmocka_unit_test(bits), cmocka_unit_test(predictions),
                                     cmocka_unit_test(no_allocation), cmocka_unit_test(peak_memory)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
