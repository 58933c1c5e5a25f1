/* cnn bench: images a second of a network, the floating-point operations that makes, and their share of
 * this machine's peak of fused multiply-adds, measured before and after in the same run. Inference runs
 * cnn_plan_forward() on random images; --train runs whole steps of a trainer on a data set of random
 * bytes. */
#include <stdlib.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "source.h"

enum { MOST_ROUNDS = 1000 };

struct bench {
  const char *name;
  bool train, json;
  int64_t batch, threads, rounds;
  double seconds;
  const char *optimizer;

  struct source source;
  cnn_plan *plan;
  cnn_tensor x, y;      /* inference */
  cnn_dataset *data;    /* training */
  cnn_trainer *trainer; /* training */

  double speed[MOST_ROUNDS]; /* images a second of each round, sorted at the end */
  double peak, flops;        /* 1e9 operations a second; operations an image */
};

/* A generator of its own (xorshift64*): the values only have to be unlike. */
static uint64_t next_random(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545f4914f6cdd1dULL;
}

/* Random images of the net's shape, whole mini-batches of them. */
static cnn_status open_random_data(struct bench *bench) {
  cnn_shape in = cnn_net_input(bench->source.net), out = cnn_net_output(bench->source.net);
  int64_t batches = (int64_t)(16 << 20) / (bench->batch * in.c * in.h * in.w);
  batches = batches < 1 ? 1 : batches > 16 ? 16 : batches;
  in.n = bench->batch * batches;
  return cnn_dataset_random(in, 1, (int)(out.c * out.h * out.w), 1, &bench->data);
}

static int open_random_input(struct bench *bench) {
  uint64_t state = 88172645463325252ULL;
  int64_t in, out;
  bench->x.shape = cnn_net_input(bench->source.net);
  bench->y.shape = cnn_net_output(bench->source.net);
  bench->x.shape.n = bench->y.shape.n = bench->batch;
  if (cnn_shape_count(bench->x.shape, &in) != CNN_OK || cnn_shape_count(bench->y.shape, &out) != CNN_OK)
    return fail();
  bench->x.data = malloc((size_t)in * sizeof(float));
  bench->y.data = malloc((size_t)out * sizeof(float));
  if (!bench->x.data || !bench->y.data)
    return fail_with("out of memory for a batch of %lld", (long long)bench->batch);
  for (int64_t i = 0; i < in; i++) bench->x.data[i] = (float)(next_random(&state) >> 40) * 0x1p-24f;
  return EXIT_SUCCESS;
}

static int prepare(struct bench *bench) {
  if (source_load(bench->name, &bench->source) != CNN_OK) return fail();
  cnn_plan_options options = cnn_plan_defaults();
  options.mode = bench->train ? CNN_TRAIN : CNN_INFER;
  options.batch = bench->batch;
  options.threads = (int)bench->threads;
  if (cnn_plan_new(bench->source.net, &options, &bench->plan) != CNN_OK) return fail();
  bench->threads = cnn_plan_settings(bench->plan).threads;
  if (!bench->train) return open_random_input(bench);
  if (open_random_data(bench) != CNN_OK) return fail();
  cnn_train_options train = cnn_train_defaults();
  train.optimizer = bench->optimizer;
  train.lr = 0;
  train.epochs = INT32_MAX;
  train.evaluate_train = train.evaluate_test = 0;
  return cnn_trainer_new(bench->plan, bench->data, &train, &bench->trainer) == CNN_OK ? EXIT_SUCCESS : fail();
}

static cnn_status one_batch(struct bench *bench) {
  float loss;
  return bench->train ? cnn_trainer_step(bench->trainer, &loss)
                      : cnn_plan_forward(bench->plan, bench->x, bench->y);
}

/* Batches for at least `seconds`; images a second. */
static cnn_status one_round(struct bench *bench, double seconds, double *speed) {
  int64_t batches = 0;
  double start = now_seconds(), elapsed;
  do {
    cnn_status status = one_batch(bench);
    if (status != CNN_OK) return status;
    batches++;
    elapsed = now_seconds() - start;
  } while (elapsed < seconds);
  *speed = (double)(batches * bench->batch) / elapsed;
  return CNN_OK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static cnn_status measure(struct bench *bench) {
  double after = 0, warm_up;
  bench->flops = 2.0 * (double)cnn_net_multiply_adds(bench->source.net, bench->train ? CNN_TRAIN : CNN_INFER);
  cnn_status status = cnn_fma_peak((int)bench->threads, &bench->peak);
  if (status == CNN_OK) status = one_round(bench, bench->seconds / 2, &warm_up);
  for (int64_t i = 0; i < bench->rounds && status == CNN_OK; i++)
    status = one_round(bench, bench->seconds, &bench->speed[i]);
  if (status == CNN_OK) status = cnn_fma_peak((int)bench->threads, &after);
  if (after > bench->peak) bench->peak = after;
  qsort(bench->speed, (size_t)bench->rounds, sizeof *bench->speed, ascending);
  return status;
}

static void print_result(const struct bench *bench) {
  const char *isa = "?", *mode = bench->train ? "training" : "inference";
  const double *speed = bench->speed;
  int64_t n = bench->rounds;
  double median = n % 2 ? speed[n / 2] : 0.5 * (speed[n / 2 - 1] + speed[n / 2]);
  double rate = median * bench->flops * 1e-9, share = bench->peak > 0 ? rate / bench->peak : 0;
  if (cnn_isa(&isa) != CNN_OK) isa = "?";
  if (!bench->json) {
    printf("%s  %s  batch %lld  threads %lld  %s\n", bench->name, mode, (long long)bench->batch,
           (long long)bench->threads, isa);
    printf("%.0f images/s  [%.0f .. %.0f] in %lld rounds of %g s\n", median, speed[0], speed[n - 1],
           (long long)n, bench->seconds);
    printf("%.1f GFLOP/s  %.1f %% of %.1f, the peak of fused multiply-adds\n", rate, 100 * share,
           bench->peak);
    return;
  }
  struct json out = {stdout, false};
  json_open(&out, NULL, '{');
  json_string(&out, "network", bench->name);
  json_string(&out, "mode", mode);
  json_integer(&out, "batch", bench->batch);
  json_integer(&out, "threads", bench->threads);
  json_string(&out, "isa", isa);
  json_number(&out, "images_per_second", median);
  json_number(&out, "images_per_second_min", speed[0]);
  json_number(&out, "images_per_second_max", speed[n - 1]);
  json_integer(&out, "rounds", n);
  json_number(&out, "flops_per_image", bench->flops);
  json_number(&out, "gflops", rate);
  json_number(&out, "fma_peak_gflops", bench->peak);
  json_number(&out, "share_of_peak", share);
  json_close(&out, '}');
  putchar('\n');
}

static void bench_free(struct bench *bench) {
  free(bench->x.data);
  free(bench->y.data);
  cnn_trainer_free(bench->trainer);
  cnn_dataset_free(bench->data);
  cnn_plan_free(bench->plan);
  source_free(&bench->source);
}

int cmd_bench(int argc, char **argv) {
  static struct bench bench = {.batch = 100, .rounds = 5, .seconds = 1};
  bench.optimizer = cnn_train_defaults().optimizer;
  const struct option_row rows[] = {
      ROW_WHOLE("batch", "N", &bench.batch, 1, LARGEST_BATCH, NULL, "images in a batch"),
      ROW_THREADS(&bench.threads),
      ROW_SWITCH("train", &bench.train, "measure whole training steps, not inference"),
      ROW_CHOICE("optimizer", "NAME", &bench.optimizer, optimizer_names(), "optimiser of --train"),
      ROW_WHOLE("repeat", "R", &bench.rounds, 1, MOST_ROUNDS, NULL, "rounds to take the median of"),
      ROW_NUMBER("seconds", "S", &bench.seconds, 0.001, 3600, NULL, "length of a round, in seconds"),
      ROW_JSON(&bench.json),
      ROW_END};
  struct command_line line = {
      .words = "NET|MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about =
          "Measure images a second, median [least .. most] over rounds, floating-point operations a second, "
          "and their share of this machine's peak, measured in the same run.",
      .after = "Example:\n  cnn bench simple-conv-net --batch 100 --threads 2 --train\n"};
  command_line_parse(&line, argc, argv);
  bench.name = line.word[0];

  int result = prepare(&bench);
  if (result == EXIT_SUCCESS) {
    if (measure(&bench) == CNN_OK)
      print_result(&bench);
    else
      result = fail();
  }
  bench_free(&bench);
  return result;
}
