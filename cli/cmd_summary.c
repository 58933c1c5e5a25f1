/* cnn summary: each layer's output shape, parameters and multiply-adds, and the memory that a plan for
 * inference and one for training would take, in bytes, without allocating it. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "source.h"

struct summary {
  const char *name;
  const cnn_net *net;
  int64_t batch;
  const char *optimizer;
  int64_t parameters, multiply_adds;
  cnn_memory inference, training;
  const char *no_training; /* why this network cannot be trained, or NULL */
};

static cnn_status collect(struct summary *summary) {
  for (int i = 0; i < cnn_net_layer_count(summary->net); i++) {
    cnn_layer_info layer;
    cnn_status status = cnn_net_layer(summary->net, i, &layer);
    if (status != CNN_OK) return status;
    summary->parameters += layer.parameters;
    summary->multiply_adds += layer.multiply_adds;
  }
  cnn_plan_options options = cnn_plan_defaults();
  options.batch = summary->batch;
  options.mode = CNN_TRAIN;
  if (cnn_plan_memory(summary->net, &options, summary->optimizer, &summary->training) != CNN_OK)
    summary->no_training = cnn_why();
  options.mode = CNN_INFER;
  return cnn_plan_memory(summary->net, &options, NULL, &summary->inference);
}

/* Rows of the memory table, and keys of its JSON. */
static const struct {
  const char *name;
  size_t offset;
} memory_rows[] = {
    {"weights", offsetof(cnn_memory, weights)},     {"gradients", offsetof(cnn_memory, gradients)},
    {"optimizer", offsetof(cnn_memory, optimizer)}, {"activations", offsetof(cnn_memory, activations)},
    {"scratch", offsetof(cnn_memory, scratch)},     {"total", offsetof(cnn_memory, total)},
};
enum { MEMORY_ROWS = sizeof memory_rows / sizeof *memory_rows };

static int64_t memory_value(const cnn_memory *memory, int row) {
  return *(const int64_t *)(const void *)((const char *)memory + memory_rows[row].offset);
}

/* The names of what layer `index` takes, for a layer that does not just take the one above. */
static void print_inputs(const cnn_net *net, int index, const cnn_layer_info *layer) {
  if (layer->inputs == 0 || (layer->inputs == 1 && layer->from[0] == index - 1)) return;
  for (int k = 0; k < layer->inputs; k++) {
    cnn_layer_info from;
    if (cnn_net_layer(net, layer->from[k], &from) == CNN_OK) printf("%s%s", k ? ", " : "  from ", from.name);
  }
}

/* The longest name and the longest kind, at least as long as they were given. */
static void find_widths(const cnn_net *net, int *name, int *kind) {
  cnn_layer_info layer;
  for (int i = 0; i < cnn_net_layer_count(net); i++) {
    if (cnn_net_layer(net, i, &layer) != CNN_OK) continue;
    if ((int)strlen(layer.name) > *name) *name = (int)strlen(layer.name);
    if ((int)strlen(layer.kind) > *kind) *kind = (int)strlen(layer.kind);
  }
}

static void print_layers(const struct summary *summary) {
  char text[TEXT_SIZE];
  int name = 12, kind = 9;
  find_widths(summary->net, &name, &kind);
  printf("%-*s %-*s %14s %13s %15s\n", name, "layer", kind, "kind", "output", "parameters", "multiply-adds");
  for (int i = 0; i < cnn_net_layer_count(summary->net); i++) {
    cnn_layer_info layer;
    if (cnn_net_layer(summary->net, i, &layer) != CNN_OK) continue;
    printf("%-*s %-*s %14s %13lld %15lld", name, layer.name, kind, layer.kind, shape_text(layer.out, text),
           (long long)layer.parameters, (long long)layer.multiply_adds);
    print_inputs(summary->net, i, &layer);
    printf("\n");
  }
  printf("%-*s %-*s %14s %13lld %15lld\n", name, "total", kind, "", "", (long long)summary->parameters,
         (long long)summary->multiply_adds);
}

static void print_memory(const struct summary *summary) {
  char text[TEXT_SIZE];
  printf("\nmemory for batch %lld, in bytes\n", (long long)summary->batch);
  printf("%-12s %14s %10s", "", "inference", "");
  if (!summary->no_training) printf(" %14s", "training");
  printf("\n");
  for (int row = 0; row < MEMORY_ROWS; row++) {
    int64_t bytes = memory_value(&summary->inference, row);
    printf("%-12s %14lld %10s", memory_rows[row].name, (long long)bytes, size_text(bytes, text));
    if (!summary->no_training) {
      bytes = memory_value(&summary->training, row);
      printf(" %14lld %10s", (long long)bytes, size_text(bytes, text));
    }
    printf("\n");
  }
  if (summary->no_training)
    printf("\nnot for training: %s\n", summary->no_training);
  else
    printf("\ntraining with %s; multiply-adds are of one image's forward pass\n", summary->optimizer);
}

static void json_memory(struct json *out, const char *key, const cnn_memory *memory) {
  json_open(out, key, '{');
  for (int row = 0; row < MEMORY_ROWS; row++)
    json_integer(out, memory_rows[row].name, memory_value(memory, row));
  json_close(out, '}');
}

static void print_json(const struct summary *summary) {
  struct json out = {stdout, false};
  json_open(&out, NULL, '{');
  json_string(&out, "network", summary->name);
  json_shape(&out, "input", cnn_net_input(summary->net));
  json_shape(&out, "output", cnn_net_output(summary->net));
  json_open(&out, "layers", '[');
  for (int i = 0; i < cnn_net_layer_count(summary->net); i++) {
    cnn_layer_info layer;
    if (cnn_net_layer(summary->net, i, &layer) != CNN_OK) continue;
    json_open(&out, NULL, '{');
    json_string(&out, "name", layer.name);
    json_string(&out, "kind", layer.kind);
    json_shape(&out, "output", layer.out);
    json_integer(&out, "parameters", layer.parameters);
    json_integer(&out, "multiply_adds", layer.multiply_adds);
    json_open(&out, "inputs", '[');
    for (int k = 0; k < layer.inputs; k++) {
      cnn_layer_info from;
      if (cnn_net_layer(summary->net, layer.from[k], &from) == CNN_OK) json_string(&out, NULL, from.name);
    }
    json_close(&out, ']');
    json_close(&out, '}');
  }
  json_close(&out, ']');
  json_integer(&out, "parameters", summary->parameters);
  json_integer(&out, "multiply_adds", summary->multiply_adds);
  json_integer(&out, "batch", summary->batch);
  json_string(&out, "optimizer", summary->optimizer);
  json_open(&out, "memory", '{');
  json_memory(&out, "inference", &summary->inference);
  if (summary->no_training)
    json_string(&out, "training", NULL);
  else
    json_memory(&out, "training", &summary->training);
  json_close(&out, '}');
  json_close(&out, '}');
  putchar('\n');
}

int cmd_summary(int argc, char **argv) {
  struct summary summary = {.batch = 100, .optimizer = cnn_train_defaults().optimizer};
  bool json = false, text = false;
  const struct option_row rows[] = {
      ROW_WHOLE("batch", "N", &summary.batch, 1, LARGEST_BATCH, NULL, "images in a mini-batch"),
      ROW_CHOICE("optimizer", "NAME", &summary.optimizer, optimizer_names(), "optimiser"), ROW_JSON(&json),
      ROW_SWITCH("text", &text, "print the network as a .net file has it, only"), ROW_END};
  struct command_line line = {
      .words = "NET|MODEL",
      .least = 1,
      .most = 1,
      .rows = rows,
      .about =
          "Show each layer's output shape (channels x height x width), parameters and multiply-adds for "
          "one image, where its input comes from if not from the layer above, and the memory planned for "
          "inference and for training.",
      .after =
          "NET is a built-in network or a .net file, MODEL a file written by cnn train.\n\n"
          "Examples:\n  cnn summary simple-conv-net --batch 100\n"
          "  cnn summary lenet --text >mine.net\n"};
  command_line_parse(&line, argc, argv);
  if (json && text) usage_error(argv[0], "--json and --text exclude each other");

  struct source source = {0};
  summary.name = line.word[0];
  cnn_status status = source_load(line.word[0], &source);
  summary.net = source.net;
  if (status == CNN_OK) status = collect(&summary);
  int result = EXIT_SUCCESS;
  if (status != CNN_OK) {
    result = fail();
  } else if (text) {
    const char *words = source.model ? cnn_model_text(source.model) : cnn_net_text(source.owned);
    result = words ? EXIT_SUCCESS : fail_with("out of memory for the network's text");
    if (words) fputs(words, stdout);
  } else if (json) {
    print_json(&summary);
  } else {
    print_layers(&summary);
    print_memory(&summary);
  }
  source_free(&source);
  return result;
}
