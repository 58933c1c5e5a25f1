/* cnn layers: the kinds of layer, or all that one kind can be told, from the library's own tables. */
#include <stdlib.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"

static int show_all(void) {
  for (int i = 0; i < cnn_layer_class_count(); i++) {
    cnn_layer_class_info layer = cnn_layer_class_get(i);
    printf("%-10s %s\n", layer.name, layer.summary);
  }
  return EXIT_SUCCESS;
}

static int show_one(const char *name) {
  int index;
  if (cnn_layer_class_find(name, &index) != CNN_OK) return fail();
  cnn_layer_class_info layer = cnn_layer_class_get(index);
  printf("%s: %s\n", layer.name, layer.summary);
  if (layer.params > 0) printf("\n  %-10s %-10s %-12s %s\n", "key", "default", "type", "meaning");
  for (int i = 0; i < layer.params; i++) {
    cnn_param_info param = cnn_layer_param(index, i);
    printf("  %-10s %-10s %-12s %s\n", param.key, param.standard ? param.standard : "(required)", param.type,
           param.help);
  }
  if (layer.examples && layer.examples[0])
    printf("\nexamples (in= is the input's shape, which a network knows)\n");
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
