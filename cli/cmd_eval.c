/* cnn eval: a model's accuracy and mean loss over one split of a data set, in one line. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "source.h"
#include "study.h"

static cnn_status evaluate(const char *path, const char *source, cnn_split split, int64_t batch,
                           int64_t threads, int64_t limit, int64_t memory, const char *tta,
                           cnn_evaluation *evaluation) {
  cnn_model *model = NULL;
  cnn_plan *plan = NULL;
  cnn_dataset *data = NULL;
  cnn_status status = source_model_plan(path, false, batch, threads, &model, &plan);
  if (status == CNN_OK) {
    cnn_dataset_options options = cnn_dataset_defaults();
    options.image = cnn_model_image(model);
    options.memory = memory;
    status = cnn_dataset_open(source, &options, &data);
  }
  if (status == CNN_OK) {
    warn_of_classes(model, data);
    status = cnn_evaluate_tta(plan, data, split, limit, tta, evaluation);
  }
  cnn_dataset_free(data);
  cnn_plan_free(plan);
  cnn_model_free(model);
  return status;
}

int cmd_eval(int argc, char **argv) {
  static const char *const splits[] = {"train", "test", NULL};
  const char *data = NULL, *split = "test", *tta = NULL;
  int64_t batch = 100, threads = 0, limit = 0, memory = 0;
  bool json = false;
  const struct option_row rows[] = {
      ROW_DATA(&data),
      ROW_CHOICE("split", "SPLIT", &split, splits, "images to use"),
      ROW_WHOLE("batch", "N", &batch, 1, LARGEST_BATCH, NULL, "images computed together"),
      ROW_THREADS(&threads),
      ROW_LIMIT(&limit),
      ROW_MEMORY(&memory),
      ROW_WORD("tta", "TEXT", &tta, "none", "average over looks at an image: flip, shift=1, ten-crop"),
      ROW_JSON(&json),
      ROW_END};
  struct command_line line = {
      .words = "MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about = "Measure the accuracy and mean loss of MODEL, a file written by cnn train.",
      .after = "Example:\n  cnn eval simple-conv-net.safetensors --data mnist\n"};
  command_line_parse(&line, argc, argv);

  cnn_evaluation evaluation;
  if (evaluate(line.word[0], data, strcmp(split, "train") == 0 ? CNN_SPLIT_TRAIN : CNN_SPLIT_TEST, batch,
               threads, limit, memory, tta, &evaluation) != CNN_OK)
    return fail();
  if (!json) {
    print_evaluation("", &evaluation);
    return EXIT_SUCCESS;
  }
  struct json out = {stdout, false};
  json_open(&out, NULL, '{');
  json_integer(&out, "correct", evaluation.correct);
  json_integer(&out, "total", evaluation.total);
  json_number(&out, "accuracy", evaluation.accuracy);
  json_number(&out, "loss", evaluation.loss);
  json_close(&out, '}');
  putchar('\n');
  return EXIT_SUCCESS;
}
