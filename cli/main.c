/* The program `cnn`: a table of commands over libcnn. main() finds the command, hands it its arguments
 * and, at the end, whichever way the program ends, checks that standard output could be written.
 * Exit codes: 0, 1 failure (one sentence on standard error), 2 wrong usage. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"

struct command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    {"train", "train a network on a data set and save the model", cmd_train},
    {"eval", "measure a model's accuracy on a data set", cmd_eval},
    {"predict", "say what is in PNG or JPEG files", cmd_predict},
    {"serve", "show in the browser what a model sees in what you draw", cmd_serve},
    {"summary", "show a network's shapes, parameters, work and memory", cmd_summary},
    {"gradcheck", "compare backward gradients with numerical ones", cmd_gradcheck},
    {"layers", "list the kinds of layer, or one kind's parameters", cmd_layers},
    {"data", "list, fetch or verify the data sets, or show images", cmd_data},
    {"show", "pictures of filters, feature maps, mistakes and networks", cmd_show},
    {"report", "write one page about a model: curves, filters, mistakes, layers", cmd_report},
    {"bench", "measure images a second and the share of the machine's peak", cmd_bench},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_names(const char *title, const char *(*name)(int), const char *also) {
  printf("%s", title);
  for (int i = 0; name(i); i++) printf("%s%s", i ? ", " : "", name(i));
  printf("; %s\n", also);
}

static const char *data_name(int index) {
  static cnn_data_info info;
  return index < cnn_data_count() && cnn_data_get(index, &info) == CNN_OK ? info.name : NULL;
}

static void print_help(void) {
  printf(
      "Usage: cnn COMMAND [ARGUMENT...]\nConvolutional neural networks: train, evaluate, "
      "predict.\n\nCommands:\n");
  for (int i = 0; i < COMMANDS; i++) printf("  %-11s%s\n", commands[i].name, commands[i].summary);
  printf("\n");
  print_names("Networks:  ", cnn_net_builtin, "or a .net file");
  print_names("Data sets: ", data_name, "or IDX files, CIFAR's, or a folder of images");
  printf("\n`cnn COMMAND --help' or `cnn help COMMAND' tells more; `cnn --version' prints the version.\n");
}

static const struct command *find_command(const char *name) {
  const char *names[COMMANDS + 2];
  for (int i = 0; i < COMMANDS; i++) {
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
    names[i] = commands[i].name;
  }
  names[COMMANDS] = "help";
  names[COMMANDS + 1] = NULL;
  const char *nearest = nearest_name(name, names);
  const char *what = name[0] == '-' ? "option" : "command";
  if (nearest) usage_error("cnn", "unknown %s '%s': did you mean '%s'?", what, name, nearest);
  usage_error("cnn", "unknown %s '%s'", what, name);
}

static int run_command(const struct command *command, int argc, char **argv) {
  char name[64];
  snprintf(name, sizeof name, "cnn %s", command->name);
  argv[0] = name;
  return command->run(argc, argv);
}

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, a model perhaps: put
 * something there that cannot be read or written. */
static void fill_standard_streams(void) {
  for (int number = 0; number <= 2; number++)
    if (fcntl(number, F_GETFD) == -1) (void)!open("/dev/null", number == 0 ? O_WRONLY : O_RDONLY);
}

/* At exit, also after argp's --help: a full disk must not pass for success. */
static void close_output(void) {
  int failed = ferror(stdout);
  errno = 0;
  if (fclose(stdout) != 0 || failed) {
    const char *reason = errno ? strerror(errno) : "an earlier write failed";
    fprintf(stderr, "cnn: cannot write standard output: %s\n", reason);
    _exit(EXIT_FAILURE);
  }
}

int main(int argc, char **argv) {
  fill_standard_streams();
  signal(SIGXFSZ, SIG_IGN); /* `ulimit -f`: the write fails instead, and says so */
  if (atexit(close_output) != 0) return fail_with("out of memory");
  if (argc < 2) usage_error("cnn", "COMMAND is missing");
  const char *word = argv[1];
  if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "-?") == 0 ||
      (strcmp(word, "help") == 0 && (argc == 2 || (argc == 3 && strcmp(argv[2], "help") == 0)))) {
    print_help();
    return EXIT_SUCCESS;
  }
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
    printf("cnn %s\n", cnn_version());
    return EXIT_SUCCESS;
  }
  if (strcmp(word, "help") == 0) {
    if (argc > 3) usage_error("cnn", "'%s' is one argument too many", argv[3]);
    char option[] = "--help", *arguments[] = {NULL, option, NULL};
    return run_command(find_command(argv[2]), 2, arguments);
  }
  return run_command(find_command(word), argc - 1, argv + 1);
}
