/* cnn layers: the kinds of layer, or all that one kind can be told, from the library's own tables. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"

static int larger(int width, const char *text) {
  int length = (int)strlen(text);
  return length > width ? length : width;
}

static int show_all(void) {
  int width = 0;
  for (int i = 0; i < cnn_layer_class_count(); i++) width = larger(width, cnn_layer_class_get(i).name);
  for (int i = 0; i < cnn_layer_class_count(); i++) {
    cnn_layer_class_info layer = cnn_layer_class_get(i);
    printf("%-*s  %s\n", width, layer.name, layer.summary);
  }
  return EXIT_SUCCESS;
}

static void show_params(int index, int params) {
  static const char none[] = "(required)";
  int key = 3, standard = 7, type = 4; /* widths of the columns: those of their titles at least */
  for (int i = 0; i < params; i++) {
    cnn_param_info param = cnn_layer_param(index, i);
    key = larger(key, param.key);
    standard = larger(standard, param.standard ? param.standard : none);
    type = larger(type, param.type);
  }
  printf("\n  %-*s  %-*s  %-*s  %s\n", key, "key", standard, "default", type, "type", "meaning");
  for (int i = 0; i < params; i++) {
    cnn_param_info param = cnn_layer_param(index, i);
    printf("  %-*s  %-*s  %-*s  %s\n", key, param.key, standard, param.standard ? param.standard : none, type,
           param.type, param.help);
  }
}

static int show_one(const char *name) {
  int index;
  if (cnn_layer_class_find(name, &index) != CNN_OK) return fail();
  cnn_layer_class_info layer = cnn_layer_class_get(index);
  printf("%s: %s\n", layer.name, layer.summary);
  if (layer.most_inputs > 1)
    printf("\n  takes %d to %d inputs, named by from=, as in from=relu1,conv2\n", layer.inputs,
           layer.most_inputs);
  if (layer.params > 0) show_params(index, layer.params);
  if (layer.examples && layer.examples[0])
    printf("\nexamples (in= is the shape of the input, n x c x h x w, which a network knows)\n");
  for (const char *const *example = layer.examples; example && *example; example++)
    printf("  %s %s\n", layer.name, *example);
  return EXIT_SUCCESS;
}

int cmd_layers(int argc, char **argv) {
  struct command_line line = {
      .words = "[NAME]",
      .least = 0,
      .most = 1,
      .about = "List the kinds of layer, or with NAME all parameters of one, with examples.",
      .after = "Example:\n  cnn layers conv\n"};
  command_line_parse(&line, argc, argv);
  return line.count == 0 ? show_all() : show_one(line.word[0]);
}
