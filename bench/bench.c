/* bench: how fast this library is on this machine, and how fast the machine lets it be.
 *
 * Rows, by name:
 *     machine/l2-read, ...             memory bandwidth; the peak of multiply-adds is always measured
 *     train/NET/BATCH                  whole training steps: a batch gathered from a data set, forward, loss,
 *                                      backward, update
 *     infer/NET/BATCH                  forward
 *     conv/LAYER/BATCH/DIRECTION       one layer alone (convolutions.def)
 *     affine/LAYER/BATCH/DIRECTION     likewise
 * Each is the median of several rounds (measure.h). A table goes to standard output, --json writes all of it.
 */
#include <cnn.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>

#include "measure.h"
#include "report.h"

struct options {
  const char *only, *json;
  int threads[8], thread_counts, rounds;
  bool quick;
  double seconds; /* of a round; 0: each kind's own */
};

/* What is measured now; the parts that its kind needs. */
struct work {
  cnn_net *net;
  cnn_plan *plan;
  cnn_dataset *data;
  cnn_trainer *trainer;
  cnn_tensor x, y;
  cnn_bench *bench;
  cnn_direction direction;
};

static void work_free(struct work *work) {
  cnn_bench_free(work->bench);
  cnn_trainer_free(work->trainer);
  cnn_dataset_free(work->data);
  cnn_plan_free(work->plan);
  cnn_net_free(work->net);
  free(work->x.data);
  free(work->y.data);
}

/* ------------------------------------------------------------------ networks */

struct network {
  const char *name, *optimizer;
  double lr;        /* where there is something to learn */
  int64_t train[2]; /* batch sizes; 0: none */
};

static const struct network networks[] = {{"simple-conv-net", "adam", 0.001, {100, 0}},
                                          {"lenet5", "sgd", 0.01, {100, 0}},
                                          {"lenet", "sgd", 0.01, {100, 0}},
                                          {"deep-conv-net", "adam", 0.001, {100, 0}},
                                          {"alexnet", "momentum", 0.01, {32, 128}},
                                          {"alexnet-torchvision", "momentum", 0.01, {32, 128}}};
static const int64_t infer_batches[] = {1, 32, 100};

enum { COUNT_NETWORKS = sizeof networks / sizeof *networks };

static bool is_builtin(const char *name) {
  const char *known;
  for (int i = 0; (known = cnn_net_builtin(i)); i++)
    if (strcmp(known, name) == 0) return true;
  return false;
}

/* MNIST, or Fashion-MNIST, where the shapes fit and one has been fetched; else random images, from which
 * nothing can be learnt: the rate is then so small that weights stay what they were. */
static cnn_status open_data(struct work *work, int64_t batch, double *lr) {
  cnn_shape in = cnn_net_input(work->net), out = cnn_net_output(work->net);
  bool digits = in.c == 1 && in.h == 28 && in.w == 28 && out.c * out.h * out.w == 10;
  if (digits && cnn_dataset_open("mnist", NULL, &work->data) == CNN_OK) return CNN_OK;
  if (digits && cnn_dataset_open("fashion-mnist", NULL, &work->data) == CNN_OK) return CNN_OK;
  int64_t batches = (int64_t)(32 << 20) / (batch * in.c * in.h * in.w) + 1;
  *lr *= 1e-6;
  in.n = batch * (batches < 600 ? batches : 600);
  return cnn_dataset_random(in, 1, (int)(out.c * out.h * out.w), 1, &work->data);
}

static cnn_status prepare_training(struct work *work, const struct network *network, int64_t batch) {
  cnn_train_options options = cnn_train_defaults();
  options.optimizer = network->optimizer;
  options.lr = network->lr;
  options.epochs = INT32_MAX;
  options.evaluate_train = options.evaluate_test = 0;
  cnn_status status = open_data(work, batch, &options.lr);
  return status == CNN_OK ? cnn_trainer_new(work->plan, work->data, &options, &work->trainer) : status;
}

static cnn_status prepare_inference(struct work *work, int64_t batch) {
  int64_t in, out;
  uint32_t state = 1;
  work->x.shape = cnn_net_input(work->net);
  work->y.shape = cnn_net_output(work->net);
  work->x.shape.n = work->y.shape.n = batch;
  cnn_status status = cnn_shape_count(work->x.shape, &in);
  if (status == CNN_OK) status = cnn_shape_count(work->y.shape, &out);
  if (status != CNN_OK) return status;
  work->x.data = malloc((size_t)in * sizeof(float));
  work->y.data = malloc((size_t)out * sizeof(float));
  if (!work->x.data || !work->y.data) return CNN_E_MEMORY;
  for (int64_t i = 0; i < in; i++) {
    state = state * 1664525 + 1013904223;
    work->x.data[i] = (float)(state >> 8) * 0x1p-24F;
  }
  return CNN_OK;
}

static int run_network(void *context) {
  struct work *work = context;
  float loss;
  return (work->trainer ? cnn_trainer_step(work->trainer, &loss)
                        : cnn_plan_forward(work->plan, work->x, work->y)) != CNN_OK;
}

static double count_parameters(const cnn_net *net) {
  cnn_layer_info layer;
  double sum = 0;
  for (int i = 0; i < cnn_net_layer_count(net); i++)
    if (cnn_net_layer(net, i, &layer) == CNN_OK) sum += (double)layer.parameters;
  return sum;
}

static bool network_row(struct report *report, const struct options *options, const struct network *network,
                        cnn_mode mode, int64_t batch, struct row *row) {
  struct work work = {0};
  cnn_plan_options plan = cnn_plan_defaults();
  plan.mode = mode;
  plan.batch = batch;
  plan.threads = row->threads;
  cnn_status status = cnn_net_load(network->name, &work.net);
  if (status == CNN_OK) status = cnn_plan_new(work.net, &plan, &work.plan);
  if (status == CNN_OK)
    status = mode == CNN_TRAIN ? prepare_training(&work, network, batch) : prepare_inference(&work, batch);
  bool done = status == CNN_OK && measure(run_network, &work, options->rounds,
                                          options->seconds > 0 ? options->seconds : 0.5, &row->timing) == 0;
  if (done) {
    row->images = batch;
    row->flops = 2.0 * (double)(cnn_net_multiply_adds(work.net, mode) * batch);
    snprintf(row->data, sizeof row->data, "%s", work.data ? cnn_dataset_name(work.data) : "random");
    row->parameters = count_parameters(work.net);
    row->memory = resident_peak();
  }
  report_row(report, row, done ? NULL : cnn_why());
  work_free(&work);
  return done;
}

/* ------------------------------------------------------------------ layers */

struct layer {
  const char *name, *kind;
  int64_t c, h, w, filters, kernel, stride, pad, groups;
  bool first;
  int64_t batch[3];
};

static const struct layer layers[] = {
#define CONVOLUTION(name, c, h, w, filters, kernel, stride, pad, groups, first, b0, b1, b2) \
  {name, "conv", c, h, w, filters, kernel, stride, pad, groups, first, {b0, b1, b2}},
#include "convolutions.def"
#undef CONVOLUTION
    {"scn-affine1", "affine", 30, 12, 12, 100, 0, 0, 0, 0, false, {1, 32, 100}},
    {"alexnet-affine6", "affine", 256, 6, 6, 4096, 0, 0, 0, 0, false, {1, 32, 128}}};
static const char *const directions[] = {"forward", "backward-data", "backward-weights"};

enum { COUNT_LAYERS = sizeof layers / sizeof *layers, COUNT_DIRECTIONS = 3 };

static int run_layer(void *context) {
  struct work *work = context;
  double seconds;
  return cnn_bench_run(work->bench, work->direction, 1, &seconds) != CNN_OK;
}

static cnn_status prepare_layer(struct work *work, const struct layer *layer, int64_t batch, int threads) {
  char config[128];
  if (strcmp(layer->kind, "conv") == 0)
    snprintf(config, sizeof config, "filters=%d kernel=%d stride=%d pad=%d groups=%d", (int)layer->filters,
             (int)layer->kernel, (int)layer->stride, (int)layer->pad, (int)layer->groups);
  else
    snprintf(config, sizeof config, "units=%d", (int)layer->filters);
  cnn_shape in = {batch, layer->c, layer->h, layer->w};
  return cnn_bench_new(layer->kind, config, in, layer->first, threads, &work->bench);
}

/* All wanted directions of a layer: the values of one plan serve them all. */
static bool layer_rows(struct report *report, const struct options *options, const struct layer *layer,
                       int64_t batch, int threads) {
  struct work work = {0};
  bool done = true;
  for (int d = 0; d < COUNT_DIRECTIONS; d++) {
    struct row row = {.threads = threads, .images = batch, .data = "random", .memory = NAN};
    snprintf(row.name, sizeof row.name, "%s/%s/%d/%s", layer->kind, layer->name, (int)batch, directions[d]);
    if (!report_wants(report, row.name)) continue;
    if (!work.bench && prepare_layer(&work, layer, batch, threads) != CNN_OK) {
      report_row(report, &row, cnn_why());
      done = false;
      break;
    }
    work.direction = (cnn_direction)d;
    bool ok = measure(run_layer, &work, options->rounds, options->seconds > 0 ? options->seconds : 0.1,
                      &row.timing) == 0;
    row.flops = 2.0 * (double)cnn_bench_multiply_adds(work.bench);
    report_row(report, &row, ok ? NULL : cnn_why());
    done = done && ok;
  }
  work_free(&work);
  return done;
}

/* ------------------------------------------------------------------ the machine */

struct level {
  const char *name;
  size_t bytes; /* a thread */
  bool copy;
};

static const struct level levels[] = {
    {"l2-read", (size_t)256 << 10, false},   {"l2-copy", (size_t)128 << 10, true},
    {"l3-read", (size_t)4 << 20, false},     {"l3-copy", (size_t)2 << 20, true},
    {"dram-read", (size_t)256 << 20, false}, {"dram-copy", (size_t)256 << 20, true}};

enum { COUNT_LEVELS = sizeof levels / sizeof *levels, MOST_THREADS = 256 };

struct share {
  const struct memory *memory;
  char *from, *to;
  int found;
  pthread_t thread;
};

struct memory {
  const struct level *level;
  int threads;
  int64_t passes;
  struct share share[MOST_THREADS];
};

static void copy(uint64_t *restrict to, const uint64_t *restrict from, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = from[i] ^ 1;
}

/* Reading is left to the C library's memchr(), which looks in vain and goes as fast as the machine can. Not
 * so copying to its memcpy(): on some processors that is slow for some distances. */
static void *run_share(void *argument) {
  struct share *share = argument;
  const struct level *level = share->memory->level;
  for (int64_t pass = 0; pass < share->memory->passes; pass++) {
    if (!level->copy)
      share->found += memchr(share->from, 2, level->bytes) != NULL;
    else
      copy((uint64_t *)share->to, (const uint64_t *)share->from, level->bytes / 8);
    __asm__ volatile("" ::: "memory");
  }
  return NULL;
}

/* The passes take milliseconds, so that starting threads does not show. */
static int run_memory(void *context) {
  struct memory *memory = context;
  int started = 1;
  while (started < memory->threads &&
         pthread_create(&memory->share[started].thread, NULL, run_share, &memory->share[started]) == 0)
    started++;
  run_share(&memory->share[0]);
  for (int t = 1; t < started; t++) pthread_join(memory->share[t].thread, NULL);
  return started < memory->threads || memory->share[0].found;
}

static bool memory_row(struct report *report, const struct options *options, const struct level *level,
                       struct row *row) {
  struct memory memory = {.level = level, .threads = row->threads};
  size_t all = level->bytes * (size_t)row->threads, apart = 2112; /* from and to: in no page at one place */
  char *from = aligned_alloc(4096, all), *to = level->copy ? aligned_alloc(4096, all + 4096) : NULL;
  bool done = from && (to || !level->copy);
  memory.passes = (int64_t)(((size_t)256 << 20) / level->bytes) + 1;
  row->bytes = (double)all * (double)memory.passes * (level->copy ? 2 : 1);
  for (int t = 0; done && t < row->threads; t++) {
    struct share *share = &memory.share[t];
    *share = (struct share){.memory = &memory, .from = from + (size_t)t * level->bytes};
    memset(share->from, 1, level->bytes);
    if (level->copy) memset(share->to = to + apart + (size_t)t * level->bytes, 1, level->bytes);
  }
  done = done && measure(run_memory, &memory, options->rounds, options->seconds > 0 ? options->seconds : 0.1,
                         &row->timing) == 0;
  report_row(report, row, done ? NULL : "out of memory");
  free(from);
  free(to);
  return done;
}

/* ------------------------------------------------------------------ all of it */

static bool machine_rows(struct report *report, const struct options *options, int threads) {
  bool done = true;
  for (int i = 0; i < COUNT_LEVELS; i++) {
    struct row row = {.threads = threads, .data = "", .memory = NAN};
    snprintf(row.name, sizeof row.name, "machine/%s", levels[i].name);
    if (report_wants(report, row.name)) done = memory_row(report, options, &levels[i], &row) && done;
  }
  return done;
}

static bool network_rows(struct report *report, const struct options *options, cnn_mode mode, int threads) {
  bool done = true;
  for (int i = 0; i < COUNT_NETWORKS; i++)
    for (int b = 0; b < (mode == CNN_TRAIN ? 2 : 3); b++) {
      struct row row = {.threads = threads, .data = "", .memory = NAN};
      int64_t batch = mode == CNN_TRAIN ? networks[i].train[b] : infer_batches[b];
      if (!batch || (options->quick && batch > 100)) continue;
      snprintf(row.name, sizeof row.name, "%s/%s/%d", mode == CNN_TRAIN ? "train" : "infer", networks[i].name,
               (int)batch);
      if (!report_wants(report, row.name)) continue;
      reset_resident_peak();
      if (is_builtin(networks[i].name))
        done = network_row(report, options, &networks[i], mode, batch, &row) && done;
      else
        report_skip(report, &row, "this library has no such network");
    }
  return done;
}

static bool run_all(struct report *report, const struct options *options) {
  bool done = true;
  for (int t = 0; t < options->thread_counts; t++) {
    int threads = options->threads[t];
    report_peak(report, threads);
    done = machine_rows(report, options, threads) && done;
    done = network_rows(report, options, CNN_TRAIN, threads) && done;
    done = network_rows(report, options, CNN_INFER, threads) && done;
    for (int i = 0; i < COUNT_LAYERS; i++)
      for (int b = 0; b < 3; b++)
        if (layers[i].batch[b] && !(options->quick && layers[i].batch[b] > 32))
          done = layer_rows(report, options, &layers[i], layers[i].batch[b], threads) && done;
    report_peak(report, threads);
  }
  return done;
}

static int usage(FILE *file) {
  fprintf(
      file,
      "usage: bench [--only PATTERN] [--threads 1,2] [--repeats N] [--seconds S] [--quick] [--json FILE]\n"
      "  PATTERN is looked for anywhere in a row's name, as a shell's: 'train/', 'conv/alexnet*/32';\n"
      "  '=NAME' is that row alone. --quick: short rounds, no large batches.\n");
  return 2;
}

static bool read_threads(const char *text, struct options *options) {
  char *end = NULL;
  options->thread_counts = 0;
  for (; options->thread_counts < 8; text = end + 1) {
    long threads = strtol(text, &end, 10);
    if (end == text || threads < 1 || threads > MOST_THREADS) return false;
    options->threads[options->thread_counts++] = (int)threads;
    if (*end != ',') return *end == 0;
  }
  return false;
}

int main(int argc, char **argv) {
  static const struct option table[] = {
      {"only", required_argument, NULL, 'o'},    {"threads", required_argument, NULL, 't'},
      {"repeats", required_argument, NULL, 'r'}, {"seconds", required_argument, NULL, 's'},
      {"quick", no_argument, NULL, 'q'},         {"json", required_argument, NULL, 'j'},
      {"help", no_argument, NULL, 'h'},          {0}};
  struct options options = {.threads = {1, 2}, .thread_counts = 2, .rounds = 5};
  for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
    bool ok = c != '?';
    if (c == 'o') options.only = optarg;
    if (c == 't') ok = read_threads(optarg, &options);
    if (c == 'r') ok = (options.rounds = (int)strtol(optarg, NULL, 10)) >= 1 && options.rounds <= MOST_ROUNDS;
    if (c == 's') ok = (options.seconds = strtod(optarg, NULL)) > 0;
    if (c == 'q') options.quick = true;
    if (c == 'j') options.json = optarg;
    if (c == 'h') return usage(stdout), EXIT_SUCCESS;
    if (!ok) return usage(stderr);
  }
  if (optind < argc) return usage(stderr);
  if (options.quick) {
    options.rounds = 3;
    options.seconds = 0.05;
  }
  struct report report = {.only = options.only};
  report_begin(&report);
  bool done = run_all(&report, &options);
  if (done && report.count == 0) {
    fprintf(stderr, "bench: no row's name has '%s'\n", options.only);
    done = false;
  }
  done = report_end(&report, options.json) && done;
  return done ? EXIT_SUCCESS : EXIT_FAILURE;
}
