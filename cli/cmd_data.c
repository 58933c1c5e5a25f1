/* cnn data: the data sets that can be fetched by name; fetches one into the cache folder, or checks the
 * files there by SHA-256. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"

static int list(void) {
  cnn_data_info info;
  for (int i = 0; i < cnn_data_count(); i++) {
    if (cnn_data_get(i, &info) != CNN_OK) return fail();
    printf("%-14s %-11s %s; %s\n", info.name, info.present ? "present" : "not fetched", info.summary,
           info.folder);
  }
  return EXIT_SUCCESS;
}

static void print_line(void *context, const char *text) {
  (void)context;
  puts(text);
  fflush(stdout);
}

/* Where the data set lies, as the last line. */
static int say_folder(const char *name, const char *state) {
  cnn_data_info info;
  for (int i = 0; i < cnn_data_count(); i++)
    if (cnn_data_get(i, &info) == CNN_OK && strcmp(info.name, name) == 0)
      printf("%s is %s, in %s\n", name, state, info.folder);
  return EXIT_SUCCESS;
}

int cmd_data(int argc, char **argv) {
  static const char *const actions[] = {"list", "fetch", "verify", NULL};
  struct command_line line = {
      .words = "list\nfetch NAME\nverify NAME",
      .least = 1,
      .most = 2,
      .about = "List the data sets that have a name, fetch one, or check its files by SHA-256.",
      .after =
          "Files go to $CNN_DATA, else $XDG_CACHE_HOME/cnn, else ~/.cache/cnn.\n\n"
          "Example:\n  cnn data fetch mnist\n"};
  command_line_parse(&line, argc, argv);

  const char *action = line.word[0], *name = line.word[1];
  bool is_list = strcmp(action, "list") == 0, is_fetch = strcmp(action, "fetch") == 0;
  if (!is_list && !is_fetch && strcmp(action, "verify") != 0) {
    const char *nearest = nearest_name(action, actions);
    if (nearest) usage_error(argv[0], "unknown action '%s': did you mean '%s'?", action, nearest);
    usage_error(argv[0], "unknown action '%s' (one of list, fetch, verify)", action);
  }
  if (is_list && line.count > 1) usage_error(argv[0], "'%s' is one argument too many", name);
  if (!is_list && line.count < 2) usage_error(argv[0], "the data set's name is missing");

  if (is_list) return list();
  cnn_status status =
      is_fetch ? cnn_data_fetch(name, print_line, NULL) : cnn_data_verify(name, print_line, NULL);
  return status == CNN_OK ? say_folder(name, is_fetch ? "there" : "right") : fail();
}
