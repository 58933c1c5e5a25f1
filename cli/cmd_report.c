/* cnn report: one page about a model: its run, what it has learned, where it fails. report.h says which file
 * does what. The page takes its place when it is whole: where anything fails, what was there stays. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "options.h"
#include "output.h"
#include "replacement.h"
#include "report.h"
#include "show.h"

static int write_report(const struct report *report) {
  struct replacement page;
  int64_t size;
  char text[TEXT_SIZE];
  if (replacement_open(&page, report->out) != EXIT_SUCCESS) return EXIT_FAILURE;
  cnn_status status = page_write(page.file, report);
  if (status != CNN_OK) {
    replacement_drop(&page);
    return show_result(status);
  }
  if (replacement_finish(&page, &size) != EXIT_SUCCESS) return EXIT_FAILURE;
  printf("%s: the report, %s, for any browser\n", report->out, size_text(size, text));
  return EXIT_SUCCESS;
}

static int run(struct report *report, const struct study_options *options, const char *log) {
  const struct measured *measured = &report->measured;
  if (replacement_try(report->out) != EXIT_SUCCESS) return EXIT_FAILURE;
  if (log && run_log_read(log, &report->log) != EXIT_SUCCESS) return EXIT_FAILURE;
  cnn_status status = measure(options, &report->measured);
  if (status != CNN_OK) return show_result(status);
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
      ROW_FILE_TO_WRITE("out", &report.out, NULL, "the page to write or replace"),
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
  int result = run(&report, &options, log);
  measured_free(&report.measured);
  run_log_free(&report.log);
  return result;
}
