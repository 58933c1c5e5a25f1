/* cnn train: a network, a data set and settings in; a model file out. All that can fail without training
 * is tried before the first step: the network, the place for the model, the log, the data, the memory. A
 * run is never lost: SIGINT, SIGTERM and SIGHUP end it after the step and save; a failure on the way saves
 * what is finished; where the model cannot be saved in its place, it goes to the folder for temporary files.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "replacement.h"
#include "source.h"

enum { PATH_SIZE = 4096, WIDTH = 79 };

struct train {
  /* options */
  const char *name, *source, *loss, *evaluate_train, *measure, *config;
  int64_t batch, group, threads, seed, memory;
  double momentum;
  const char *out; /* NULL: not saved */
  const char *log;
  bool no_save, print_config, plot;
  cnn_train_options options;
  const struct command_line *line;
  const char *called; /* "cnn train" */
  char **command;     /* the whole command line, for the log */
  int words;
  /* made from them */
  char free_name[PATH_SIZE];
  cnn_net *net;
  cnn_dataset *data;
  cnn_plan *plan;
  cnn_trainer *trainer;
  struct progress progress;
};

/* The trainer that a signal stops. */
static cnn_trainer *volatile running;
static volatile sig_atomic_t asked_to_stop;

static void on_signal(int number) {
  if (asked_to_stop && number == SIGINT) _exit(EXIT_FAILURE);
  asked_to_stop = 1;
  if (running) cnn_trainer_stop(running);
}

static void catch_signals(cnn_trainer *trainer) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, old;
  sigemptyset(&action.sa_mask);
  running = trainer;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
}

static void release_signals(void) {
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  if (signal(SIGHUP, SIG_DFL) == SIG_IGN) signal(SIGHUP, SIG_IGN);
  running = NULL;
}

static bool has_momentum(const cnn_train_options *options) {
  return strcmp(options->optimizer, "momentum") == 0 || strcmp(options->optimizer, "nesterov") == 0;
}

/* NET's base name with .safetensors in the current folder; -2, -3, ... where that is taken, so that a
 * model is replaced only where --out names it. */
static int choose_out(struct train *train) {
  char base[256];
  struct stat status;
  source_base_name(train->name, base, sizeof base);
  snprintf(train->free_name, PATH_SIZE, "%s.safetensors", base);
  for (int number = 2; lstat(train->free_name, &status) == 0; number++) {
    if (number > 99999)
      return fail_with("no free name for the model after '%s'; give --out FILE", train->free_name);
    snprintf(train->free_name, PATH_SIZE, "%s-%d.safetensors", base, number);
  }
  train->out = train->free_name;
  return EXIT_SUCCESS;
}

/* Opens the log without cutting off what it holds: that waits until training begins. */
static int open_log(struct train *train) {
  if (!train->log) return EXIT_SUCCESS;
  int file = open(train->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  train->progress.log = file < 0 ? NULL : fdopen(file, "w");
  train->progress.log_path = train->log;
  if (train->progress.log) return EXIT_SUCCESS;
  int error = errno;
  if (file >= 0) close(file);
  return fail_with("--log: '%s' cannot be written: %s", train->log, strerror(error));
}

/* What was given, in its normal form. What was left to the optimiser or to the batch stays so: a file that
 * repeats the run then goes together with another optimiser or batch. */
static void normalize(struct train *train) {
  static char evaluated[32];
  cnn_train_options *options = &train->options;
  double lr = options->lr, weight_decay = options->weight_decay;
  *options = cnn_trainer_options(train->trainer);
  options->lr = lr;
  options->weight_decay = weight_decay;
  snprintf(evaluated, sizeof evaluated, "%lld", (long long)options->evaluate_train);
  train->evaluate_train = options->evaluate_train < 0    ? "all"
                          : options->evaluate_train == 0 ? "none"
                                                         : evaluated;
}

/* The file that repeats the run, for --config; where the results go is left out. */
static bool write_config(const struct train *train, FILE *file) {
  static const char *const without[] = {"threads", "memory", "out",          "plot", "no-save",
                                        "log",     "config", "print-config", NULL};
  fprintf(file, "# cnn %s: `cnn train --config FILE` repeats this run.\nnetwork = %s\n", cnn_version(),
          train->name);
  return !strpbrk(train->name, "\r\n") && config_write(file, train->line->rows, without);
}

/* Everything up to the first step. */
static int prepare(struct train *train) {
  if (cnn_net_load(train->name, &train->net) != CNN_OK || cnn_net_check(train->net) != CNN_OK) return fail();
  if (!train->no_save && !train->print_config) {
    if (!train->out && choose_out(train) != EXIT_SUCCESS) return EXIT_FAILURE;
    if (replacement_try(train->out) != EXIT_SUCCESS) return EXIT_FAILURE;
  }
  if (!train->print_config && open_log(train) != EXIT_SUCCESS) return EXIT_FAILURE;

  cnn_dataset_options data = cnn_dataset_defaults();
  if (cnn_augment_image(train->options.augment, cnn_net_input(train->net), &data.image) != CNN_OK)
    return option_fail(train->called, train->line);
  data.memory = train->memory;
  if (cnn_dataset_open(train->source, &data, &train->data) != CNN_OK) return fail();

  cnn_plan_options plan = cnn_plan_defaults();
  plan.mode = CNN_TRAIN;
  plan.batch = train->batch;
  plan.seed = (uint64_t)train->seed;
  plan.threads = (int)train->threads;
  plan.group = train->group;
  plan.loss = strcmp(train->loss, "mse") == 0 ? CNN_LOSS_MEAN_SQUARED_ERROR : CNN_LOSS_CROSS_ENTROPY;
  if (cnn_plan_new(train->net, &plan, &train->plan) != CNN_OK) return option_fail(train->called, train->line);

  train->options.seed = (uint64_t)train->seed;
  train->options.on_progress = progress_report;
  train->options.context = &train->progress;
  if (cnn_trainer_new(train->plan, train->data, &train->options, &train->trainer) != CNN_OK)
    return option_fail(train->called, train->line);
  normalize(train);
  if (train->plot && !progress_plot(&train->progress, train->options.epochs))
    return fail_with("out of memory for --plot");
  return EXIT_SUCCESS;
}

static int64_t parameters(const cnn_net *net) {
  int64_t sum = 0;
  cnn_layer_info layer;
  for (int i = 0; i < cnn_net_layer_count(net); i++)
    if (cnn_net_layer(net, i, &layer) == CNN_OK) sum += layer.parameters;
  return sum;
}

/* The settings for people: the JSON object without its punctuation, `epochs 20, batch 100, ...`, in lines
 * of WIDTH characters under `title`. */
static void print_settings(const char *title, const char *settings) {
  int margin = printf("%-10s", title), column = margin;
  const char *s = settings;
  while (*s) {
    char item[256];
    size_t length = 0;
    bool quoted = false; /* within a string everything stays */
    for (; *s && (quoted || *s != ','); s++) {
      if (*s == '"') quoted = !quoted;
      bool is_gap = !quoted && (*s == ':' || *s == ' ' || *s == '\n');
      if (is_gap && length > 0 && item[length - 1] == ' ') continue;
      if (length + 1 < sizeof item && !strchr("{}[]\"", *s)) item[length++] = is_gap ? ' ' : *s;
    }
    if (*s) s++;
    while (length > 0 && item[length - 1] == ' ') length--;
    item[length] = '\0';
    const char *text = item + (item[0] == ' ');
    if (column > margin) column += printf(",");
    if (column > margin && column + (int)strlen(text) + 2 > WIDTH)
      column = printf("\n%*s", margin, "") - 1;
    else if (column > margin)
      column += printf(" ");
    column += printf("%s", text);
  }
  putchar('\n');
}

static void print_start(const struct train *train) {
  char image[TEXT_SIZE], plan_size[TEXT_SIZE], data_size[TEXT_SIZE];
  const char *isa = "?";
  cnn_plan_options plan = cnn_plan_settings(train->plan);
  cnn_memory memory = cnn_trainer_memory(train->trainer);
  int64_t held = cnn_trainer_images(train->trainer, CNN_SPLIT_VALIDATION);
  if (cnn_isa(&isa) != CNN_OK) isa = "?";
  printf("network   %s: %d layers, %lld parameters\n", train->name, cnn_net_layer_count(train->net),
         (long long)parameters(train->net));
  printf("data      %s: %lld training and %lld test images of %s in %d classes\n",
         cnn_dataset_name(train->data), (long long)cnn_dataset_count(train->data, CNN_SPLIT_TRAIN),
         (long long)cnn_dataset_count(train->data, CNN_SPLIT_TEST),
         shape_text(cnn_dataset_image(train->data), image), cnn_dataset_classes(train->data));
  if (train->options.limit > 0)
    printf("limit     the first %lld images of each\n", (long long)train->options.limit);
  if (held > 0) printf("held back %lld of the training images, to validate on\n", (long long)held);
  print_settings("settings", cnn_trainer_settings(train->trainer));
  printf("memory    %s planned, %s of data%s\n", size_text(memory.total, plan_size),
         size_text(cnn_dataset_bytes(train->data), data_size),
         cnn_dataset_streams(train->data) ? ", whose images stream from disk" : "");
  printf("machine   %s, %d thread%s\n", isa, plan.threads, plan.threads == 1 ? "" : "s");
  printf("model     %s\n", train->out ? train->out : "not saved");
  fflush(stdout);
}

/* As text, what --print-config prints. */
static void log_config(const struct train *train, struct json *out) {
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  if (!file) return;
  bool whole = write_config(train, file);
  if (fclose(file) == 0 && whole) json_string(out, "config", text);
  free(text);
}

/* The log's first line: all that is needed to do the run again. */
static void log_start(struct train *train) {
  struct progress *progress = &train->progress;
  if (!progress->log) return;
  (void)!ftruncate(fileno(progress->log), 0); /* fails, rightly, on what is not a regular file */
  struct json out = {progress->log, false};
  json_open(&out, NULL, '{');
  json_string(&out, "version", cnn_version());
  json_open(&out, "command", '[');
  json_string(&out, NULL, "cnn");
  json_string(&out, NULL, "train");
  for (int i = 1; i < train->words; i++) json_string(&out, NULL, train->command[i]);
  json_close(&out, ']');
  json_string(&out, "network", train->name);
  json_integer(&out, "parameters", parameters(train->net));
  json_integer(&out, "multiply_adds", cnn_net_multiply_adds(train->net, CNN_TRAIN)); /* of an image */
  json_string(&out, "data", cnn_dataset_name(train->data));
  json_raw(&out, "settings", cnn_trainer_settings(train->trainer));
  json_integer(&out, "threads", cnn_plan_settings(train->plan).threads);
  json_string(&out, "model", train->out);
  log_config(train, &out);
  json_close(&out, '}');
  fputc('\n', progress->log);
  progress_check_log(progress);
}

/* Saves the model in its place or, where that fails, in the folder for temporary files. */
static int save(struct train *train) {
  static char elsewhere[PATH_SIZE];
  if (!train->out) return EXIT_SUCCESS;
  int classes = cnn_dataset_classes(train->data);
  const char **names = calloc((size_t)classes + 1, sizeof *names);
  for (int i = 0; names && i < classes; i++) names[i] = cnn_dataset_class(train->data, i);
  cnn_model_info info = {
      .settings = cnn_trainer_settings(train->trainer), .classes = names, .class_count = names ? classes : 0};
  int result = EXIT_SUCCESS;
  if (cnn_model_save(train->out, train->plan, &info) != CNN_OK) {
    const char *folder = getenv("TMPDIR");
    result = fail();
    snprintf(elsewhere, sizeof elsewhere, "%s/cnn-%ld.safetensors", folder && *folder ? folder : "/tmp",
             (long)getpid());
    train->out = cnn_model_save(elsewhere, train->plan, &info) == CNN_OK ? elsewhere : NULL;
    if (train->out)
      fail_with("the model was saved to '%s' instead", train->out);
    else
      fail();
  }
  free(names);
  return result;
}

static void print_saved(const struct train *train) {
  char text[TEXT_SIZE];
  struct stat status;
  if (train->out && stat(train->out, &status) == 0)
    printf("model     %s (%lld bytes, %s)\n", train->out, (long long)status.st_size,
           size_text(status.st_size, text));
}

/* Which weights are kept, where they are not simply those of the last step. */
static void print_kept(const struct train *train) {
  cnn_best best = cnn_trainer_best(train->trainer);
  const char *measure = train->options.measure == CNN_MEASURE_LOSS ? "loss" : "error";
  if (train->options.ema > 0) printf("average   of the weights over the steps, ema %g\n", train->options.ema);
  if (best.epoch == 0) return;
  printf("best      epoch %lld, by validation %s: accuracy %.2f %%, loss %.4f", (long long)best.epoch,
         measure, 100 * best.accuracy, best.loss);
  if (best.stopped) printf("; stopped after %lld without a better one", (long long)train->options.patience);
  putchar('\n');
}

/* Accuracy at the end, on each split that has images. */
static int print_accuracy(const struct train *train) {
  static const struct {
    cnn_split split;
    const char *title;
  } splits[] = {
      {CNN_SPLIT_TEST, "test "}, {CNN_SPLIT_VALIDATION, "validation "}, {CNN_SPLIT_TRAIN, "training "}};
  for (int i = 0; i < 3; i++) {
    cnn_evaluation evaluation;
    if (cnn_trainer_images(train->trainer, splits[i].split) == 0) continue;
    if (splits[i].split == CNN_SPLIT_TRAIN && train->options.evaluate_train == 0) continue;
    if (cnn_trainer_evaluate(train->trainer, splits[i].split, 0, &evaluation) != CNN_OK) return fail();
    print_evaluation(splits[i].title, &evaluation);
  }
  return EXIT_SUCCESS;
}

/* After a failure: the best epoch's weights, or those of the steps so far if these are sound. */
static int save_finished(struct train *train, cnn_status status) {
  cnn_best best = cnn_trainer_best(train->trainer);
  int result = fail();
  const cnn_progress *last = &train->progress.last;
  if (best.epoch == 0 && (status == CNN_E_NUMERIC || last->total_step == 0)) return result;
  save(train);
  print_kept(train);
  if (train->out && best.epoch > 0)
    fail_with("the model of epoch %lld is in '%s'", (long long)best.epoch, train->out);
  else if (train->out)
    fail_with("the model after epoch %lld, step %lld is in '%s'", (long long)last->epoch,
              (long long)last->step, train->out);
  return result;
}

static int run(struct train *train) {
  double start = now_seconds();
  struct progress *progress = &train->progress;
  print_start(train);
  log_start(train);
  signal(SIGPIPE, SIG_IGN); /* `cnn train | head` must not lose the run */
  signal(SIGXFSZ, SIG_IGN); /* nor `ulimit -f`: the write fails instead, and says so */
  catch_signals(train->trainer);
  cnn_status status = cnn_trainer_run(train->trainer);
  progress_end(progress);
  if (status != CNN_OK && status != CNN_E_STOPPED) {
    int failed = save_finished(train, status);
    release_signals();
    return failed;
  }
  int result = save(train);
  release_signals();
  print_kept(train);
  if (status == CNN_E_STOPPED) {
    fail_with("stopped on request in epoch %lld after step %lld%s%s%s", (long long)progress->last.epoch,
              (long long)progress->last.step, train->out ? "; the model is in '" : "",
              train->out ? train->out : "", train->out ? "'" : "");
    return EXIT_FAILURE;
  }
  if (print_accuracy(train) != EXIT_SUCCESS) result = EXIT_FAILURE;
  print_saved(train);
  printf("time      %.1f s\n", now_seconds() - start);
  return progress->log_failed ? EXIT_FAILURE : result;
}

static void train_free(struct train *train) {
  if (train->progress.log) fclose(train->progress.log);
  cnn_trainer_free(train->trainer);
  cnn_plan_free(train->plan);
  cnn_dataset_free(train->data);
  cnn_net_free(train->net);
}

/* Of two options that do not go together the one on the command line wins over one of a file. */
static void settle(struct train *train, const struct command_line *line) {
  cnn_train_options *options = &train->options;
  enum option_place out = option_place(line, "out"), no_save = option_place(line, "no-save"),
                    norm = option_place(line, "clip-norm"), value = option_place(line, "clip-value");
  if (!has_momentum(options) && option_place(line, "momentum") < option_place(line, "optimizer"))
    train->momentum = NAN;
  if (train->out && train->no_save && out < no_save) train->out = NULL;
  if (train->out && train->no_save && no_save < out) train->no_save = false;
  if (options->clip_norm > 0 && options->clip_value > 0 && norm < value) options->clip_norm = 0;
  if (options->clip_norm > 0 && options->clip_value > 0 && value < norm) options->clip_value = 0;
}

/* What the table of options cannot check. */
static void check_options(struct train *train, const char *command) {
  cnn_train_options *options = &train->options;
  if (!isnan(train->momentum) && !has_momentum(options))
    usage_error(command, "--momentum is for momentum and nesterov; --optimizer is %s", options->optimizer);
  if (!isnan(train->momentum)) options->momentum = train->momentum;
  options->measure = strcmp(train->measure, "loss") == 0 ? CNN_MEASURE_LOSS : CNN_MEASURE_ERROR;
  if (train->no_save && train->out) usage_error(command, "--out and --no-save exclude each other");
  bool measured = options->patience > 0 || strncmp(options->schedule, "plateau", 7) == 0;
  if (option_place(train->line, "measure") == OPTION_ON_LINE && !measured)
    usage_error(command, "--measure is for --patience and for --schedule plateau");
  const char *images = train->evaluate_train;
  if (!images) return;
  char *end;
  errno = 0;
  long long count = strtoll(images, &end, 10);
  if (strcmp(images, "all") == 0)
    options->evaluate_train = -1;
  else if (strcmp(images, "none") == 0)
    options->evaluate_train = 0;
  else if (*images >= '0' && *images <= '9' && *end == '\0' && errno == 0 && count > 0)
    options->evaluate_train = count;
  else
    usage_error(command, "--eval-train: '%s' is not all, none or a number of images", images);
}

/* Below the options: the schedules and their keys. */
static const char *help_after(void) {
  static char text[4096];
  size_t used = (size_t)snprintf(text, sizeof text, "Schedules, as in --schedule \"step every=10\":\n");
  for (int i = 0; i < cnn_schedule_count(); i++) {
    cnn_schedule_info schedule = cnn_schedule_get(i);
    used += (size_t)snprintf(text + used, sizeof text - used, "  %-12s%s\n", schedule.name, schedule.summary);
    for (int k = 0; k < schedule.params; k++) {
      cnn_param_info param = cnn_schedule_param(i, k);
      used += (size_t)snprintf(text + used, sizeof text - used, "    %s=%s: %s\n", param.key,
                               param.standard ? param.standard : "...", param.help);
    }
  }
  snprintf(text + used, sizeof text - used,
           "\nCtrl-C finishes the step and saves the model; a second one quits at once.\n\n"
           "Example:\n  cnn train simple-conv-net --data mnist --epochs 20 --seed 1 --log run.jsonl\n");
  return text;
}

int cmd_train(int argc, char **argv) {
  static const char *const losses[] = {"cross-entropy", "mse", NULL};
  static const char *const measures[] = {"loss", "error", NULL};
  struct train train = {.batch = cnn_plan_defaults().batch, .options = cnn_train_defaults(), .momentum = NAN};
  cnn_train_options *options = &train.options;
  train.loss = losses[0];
  train.measure = measures[0];
  train.seed = (int64_t)options->seed;
  options->lr = 0;
  char evaluated[32];
  snprintf(evaluated, sizeof evaluated, "%lld", (long long)options->evaluate_train);
  if (options->evaluate_train <= 0) strcpy(evaluated, options->evaluate_train ? "all" : "none");
  const struct option_row rows[] = {
      ROW_DATA(&train.source),
      ROW_WHOLE("epochs", "N", &options->epochs, 1, 1e6, NULL, "passes over the training images"),
      ROW_WHOLE("batch", "N", &train.batch, 1, LARGEST_BATCH, NULL, "images in a mini-batch"),
      ROW_CHOICE("optimizer", "NAME", &options->optimizer, optimizer_names(), "optimiser"),
      ROW_NUMBER("lr", "RATE", &options->lr, 1e-12, 1e6, "the optimiser's usual one", "learning rate"),
      ROW_NUMBER_BELOW("momentum", "M", &train.momentum, 0, 1, "0.9", "of momentum and nesterov"),
      ROW_WORD("schedule", "NAME", &options->schedule, NULL, "how the learning rate goes, see below"),
      ROW_NUMBER("warmup", "EPOCHS", &options->warmup, 0, 1e6, NULL, "let the learning rate rise at first"),
      ROW_NUMBER("weight-decay", "D", &options->weight_decay, 0, 1000, "0; 0.01 for adamw", "weight decay"),
      ROW_SWITCH("decay-biases", &options->decay_biases, "weight decay of biases too"),
      ROW_NUMBER("clip-norm", "N", &options->clip_norm, 0, 1e6, "off", "largest norm of the gradient"),
      ROW_NUMBER("clip-value", "V", &options->clip_value, 0, 1e6, "off", "largest element of the gradient"),
      ROW_CHOICE("loss", "NAME", &train.loss, losses, "loss"),
      ROW_NUMBER_BELOW("label-smoothing", "S", &options->label_smoothing, 0, 1, NULL,
                       "share of the target spread over all classes"),
      ROW_NUMBER_BELOW("ema", "E", &options->ema, 0, 1, "off",
                       "evaluate and save an average of the weights, with this share of the old each step"),
      ROW_NUMBER("validation", "N", &options->validation, 0, 1e9, "none",
                 "training images to hold back, a number or a fraction, and evaluate after each epoch"),
      ROW_WHOLE("patience", "N", &options->patience, 0, 1e6, "off",
                "stop after so many epochs without a better validation, and save the best epoch's weights"),
      ROW_CHOICE("measure", "NAME", &train.measure, measures, "what makes a validation better"),
      ROW_WHOLE("seed", "N", &train.seed, 0, LARGEST_SEED, NULL,
                "of first weights, order of images, augmentation, dropout, validation"),
      ROW_WHOLE("group", "N", &train.group, 1, 1e6, "by the batch", "images in a gradient group"),
      ROW_WORD("augment", "TEXT", &options->augment, "none",
               "draw training images anew, as \"shift=2 flip\"; see cnn data show"),
      ROW_WORD("normalize", "TEXT", &options->normalize, "none",
               "channel, or mean-image; with scale=255 behind it, values are that large"),
      ROW_THREADS(&train.threads),
      ROW_LIMIT(&options->limit),
      ROW_MEMORY(&train.memory),
      ROW_WORD("eval-train", "N", &train.evaluate_train, evaluated,
               "training images to evaluate after an epoch: a number, all, none (not in the end either)"),
      ROW_FILE_TO_WRITE("out", &train.out, "NET.safetensors, numbered where taken",
                        "model file to write or replace"),
      ROW_SWITCH("plot", &train.plot, "draw curves of loss and accuracy, on a terminal after each epoch"),
      ROW_SWITCH("no-save", &train.no_save, "write no model file"),
      ROW_FILE_TO_WRITE("log", &train.log, "none", "file for settings and a line an epoch, in JSON"),
      ROW_CONFIG(&train.config),
      ROW_SWITCH("print-config", &train.print_config,
                 "print the file for --config that repeats the run, only"),
      ROW_END};
  struct command_line line = {.words = "NET",
                              .least = 1,
                              .most = 1,
                              .rows = rows,
                              .first = "network",
                              .about = "Train NET, a built-in network or a .net file, and save the model.",
                              .after = help_after()};
  /* argp moves the words of argv about, but the log shall have them as they were typed */
  char **command = calloc((size_t)argc + 1, sizeof *command);
  if (!command) return fail_with("out of memory");
  memcpy(command, argv, (size_t)argc * sizeof *command);
  command_line_parse(&line, argc, argv);
  train.line = &line;
  train.called = argv[0];
  train.name = line.word[0];
  settle(&train, &line);
  check_options(&train, argv[0]);
  train.command = command;
  train.words = argc;
  progress_init(&train.progress);

  int result = prepare(&train);
  if (result == EXIT_SUCCESS && train.print_config && !write_config(&train, stdout))
    result = fail_with("--print-config: a name with a line's end, or a blank at an end, fits no line");
  else if (result == EXIT_SUCCESS && !train.print_config)
    result = run(&train);
  train_free(&train);
  free(command);
  return result;
}
