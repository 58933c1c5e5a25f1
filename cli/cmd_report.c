/* cnn report: one page about a model: its run, what it has learned, where it fails. report.h says which file
 * does what. The page takes its place when it is whole: where anything fails, what was there stays. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "show.h"

enum { PATH_SIZE = 4096 };

/* Opens a file beside `path` that takes its place in the end; temporary[] is its name. */
static FILE *open_beside(const char *path, char temporary[PATH_SIZE]) {
  struct stat status;
  size_t length = strlen(path);
  if (length == 0) return fail_with("--out: the file's name is empty"), NULL;
  if (path[length - 1] == '/' || (stat(path, &status) == 0 && S_ISDIR(status.st_mode)))
    return fail_with("--out: '%s' is a folder; name a file in it", path), NULL;
  if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
    return fail_with("--out: '%s' is not a regular file", path), NULL;
  if (stat(path, &status) == 0 && access(path, W_OK) != 0)
    return fail_with("--out: '%s' cannot be replaced: %s", path, strerror(errno)), NULL;
  if (snprintf(temporary, PATH_SIZE, "%s.XXXXXX", path) >= PATH_SIZE)
    return fail_with("--out: the name is longer than %d bytes", PATH_SIZE - 8), NULL;
  int file = mkstemp(temporary);
  FILE *stream = file < 0 ? NULL : fdopen(file, "w");
  if (!stream) fail_with("--out: '%s' cannot be written: %s", path, strerror(errno));
  if (!stream && file >= 0) close(file), unlink(temporary);
  return stream;
}

/* As any file that a program makes: mkstemp() lets only its owner read it. */
static mode_t usual_mode(const char *path) {
  struct stat status;
  if (stat(path, &status) == 0) return status.st_mode & 07777;
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

static int finish(FILE *file, const char *temporary, const char *path) {
  int64_t size = ftell(file);
  bool failed = fflush(file) != 0 || ferror(file) || fchmod(fileno(file), usual_mode(path)) != 0;
  int error = errno;
  if (fclose(file) != 0 && !failed) failed = true, error = errno;
  if (!failed && rename(temporary, path) != 0) failed = true, error = errno;
  if (failed) return fail_with("--out: '%s' cannot be written: %s", path, strerror(error));
  char text[TEXT_SIZE];
  printf("%s: the report, %s, for any browser\n", path, size_text(size, text));
  return EXIT_SUCCESS;
}

/* So that nothing is computed for a page that cannot be written. */
static int try_out(const char *path) {
  char temporary[PATH_SIZE];
  FILE *file = open_beside(path, temporary);
  if (!file) return EXIT_FAILURE;
  fclose(file);
  unlink(temporary);
  return EXIT_SUCCESS;
}

static int write_report(const struct report *report) {
  char temporary[PATH_SIZE];
  FILE *file = open_beside(report->out, temporary);
  if (!file) return EXIT_FAILURE;
  cnn_status status = page_write(file, report);
  int result = status == CNN_OK ? finish(file, temporary, report->out) : show_result(status);
  if (status != CNN_OK) fclose(file);
  if (result != EXIT_SUCCESS) unlink(temporary);
  return result;
}

static int run(struct report *report, const struct study_options *options, const char *log) {
  const struct measured *measured = &report->measured;
  if (try_out(report->out) != EXIT_SUCCESS) return EXIT_FAILURE;
  if (log && run_log_read(log, &report->log) != EXIT_SUCCESS) return EXIT_FAILURE;
  cnn_status status = measure(options, &report->measured);
  if (status != CNN_OK) return show_result(status);
  warn_of_classes(measured->study.model, measured->study.data);
  if (log && run_log_compare(&report->log, measured->study.model, report->model) != EXIT_SUCCESS)
    return EXIT_FAILURE;
  return write_report(report);
}

int cmd_report(int argc, char **argv) {
  struct report report = {.out = "report.html"};
  struct study_options options = {.inside = true, .split = CNN_SPLIT_TEST};
  const char *log = NULL;
  const struct option_row rows[] = {
      ROW_DATA(&report.data),
      ROW_WORD("log", "RUN.jsonl", &log, "none", "the log that cnn train --log wrote, for the curves"),
      ROW_WORD("out", "FILE", &report.out, NULL, "the page to write or replace"),
      ROW_LIMIT(&options.limit),
      ROW_THREADS(&options.threads),
      ROW_END};
  struct command_line line = {
      .words = "MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about =
          "Write one page about MODEL for any browser, with everything in it: the run's settings and the "
          "command that "
          "repeats it, curves of loss and accuracy, filters before and after training, feature maps of ten "
          "test images, "
          "the confusion matrix, the worst mistakes, and for each layer its work, time, memory and what is "
          "dead or "
          "saturated in it.",
      .after =
          "Example:\n  cnn train simple-conv-net --data mnist --out model.safetensors --log run.jsonl\n"
          "  cnn report model.safetensors --data mnist --log run.jsonl --out report.html\n"};
  command_line_parse(&line, argc, argv);
  report.model = options.model = line.word[0];
  options.data = report.data;
  if (log && strcmp(log, report.out) == 0) usage_error(argv[0], "--out and --log name the same file");
  if (strcmp(options.model, report.out) == 0) usage_error(argv[0], "--out names the model");
  signal(SIGXFSZ, SIG_IGN); /* `ulimit -f`: the write fails instead, and says so */
  int result = run(&report, &options, log);
  measured_free(&report.measured);
  run_log_free(&report.log);
  return result;
}
