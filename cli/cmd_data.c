/* cnn data: the data sets that can be fetched by name; fetches one into the cache folder, checks the files
 * there by SHA-256, or writes a picture of training images and their augmentation. */
#include <stdlib.h>
#include <string.h>

#include "cnn.h"
#include "commands.h"
#include "options.h"
#include "output.h"
#include "sheet.h"

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

/* "3x32x32" */
static void read_shape(const char *command, const char *text, cnn_shape *shape) {
  long long size[3] = {0};
  const char *at = text;
  if (!text) return;
  for (int i = 0; i < 3; i++) {
    char *end = NULL;
    size[i] = *at >= '1' && *at <= '9' ? strtoll(at, &end, 10) : 0;
    if (size[i] < 1 || size[i] > 65535 || *end != (i < 2 ? 'x' : '\0'))
      usage_error(command, "--image: '%s' is not a shape: channels, height and width, as 3x32x32", text);
    at = end + 1;
  }
  *shape = (cnn_shape){1, size[0], size[1], size[2]};
}

static int show(const struct sheet *sheet) {
  cnn_status status = sheet_write(sheet);
  if (status == CNN_E_MEMORY) return fail_with("out of memory for the sheet");
  if (status != CNN_OK) return fail();
  printf("%s: %lld images of %s, each beside %lld drawings of it\n", sheet->out, (long long)sheet->rows,
         sheet->source, (long long)sheet->columns);
  return EXIT_SUCCESS;
}

static const char *read_action(const char *command, const char *action) {
  static const char *const actions[] = {"list", "fetch", "verify", "show", NULL};
  for (const char *const *known = actions; *known; known++)
    if (strcmp(*known, action) == 0) return *known;
  const char *nearest = nearest_name(action, actions);
  if (nearest) usage_error(command, "unknown action '%s': did you mean '%s'?", action, nearest);
  usage_error(command, "unknown action '%s' (one of list, fetch, verify, show)", action);
}

/* All options are those of show. */
static void refuse_options(const struct command_line *line, const char *command, const char *action) {
  for (int i = 0; line->rows[i].name; i++)
    if (line->place[i] != OPTION_NOWHERE)
      usage_error(command, "--%s is an option of show; %s takes none", line->rows[i].name, action);
}

int cmd_data(int argc, char **argv) {
  struct sheet sheet = {.out = "sheet.png", .rows = 8, .columns = 8, .seed = 1};
  const char *image = NULL;
  const struct option_row rows[] = {
      ROW_WORD("augment", "TEXT", &sheet.augment, "none", "show: as of cnn train"),
      ROW_FILE_TO_WRITE("out", &sheet.out, NULL, "show: the PNG file to write"),
      ROW_WHOLE("rows", "N", &sheet.rows, 1, 1000, NULL, "show: images, a row each"),
      ROW_WHOLE("columns", "N", &sheet.columns, 1, 1000, NULL, "show: drawings of each image"),
      ROW_WORD("image", "CxHxW", &image, "the images' own", "show: size of a network's input"),
      ROW_WHOLE("zoom", "N", &sheet.zoom, 1, 64, "by size", "show: enlarge pixels"),
      ROW_WHOLE("seed", "N", &sheet.seed, 0, LARGEST_SEED, NULL, "show: of the random numbers"),
      ROW_END};
  struct command_line line = {
      .words = "list\nfetch NAME\nverify NAME\nshow DATA",
      .most = 2,
      .rows = rows,
      .about =
          "List the data sets that have a name, fetch one, check its files by SHA-256, or write a picture of "
          "training images beside what augmentation makes of them.",
      .after =
          "Files go to $CNN_DATA, else $XDG_CACHE_HOME/cnn, else ~/.cache/cnn.\n\n"
          "Examples:\n  cnn data fetch mnist\n"
          "  cnn data show mnist --augment \"rotate=10 elastic=sigma:4,alpha:34\" --out sheet.png\n"};
  command_line_parse(&line, argc, argv);

  if (line.count == 0) usage_error(argv[0], "the action is missing (one of list, fetch, verify, show)");
  const char *action = read_action(argv[0], line.word[0]), *name = line.word[1];
  bool is_show = strcmp(action, "show") == 0;
  if (!is_show) refuse_options(&line, argv[0], action);
  if (strcmp(action, "list") == 0) {
    if (line.count > 1) usage_error(argv[0], "'%s' is one argument too many", name);
    return list();
  }
  if (line.count < 2) usage_error(argv[0], "the data set's name is missing");
  read_shape(argv[0], image, &sheet.input);
  sheet.source = name;
  if (is_show) return show(&sheet);
  bool is_fetch = strcmp(action, "fetch") == 0;
  cnn_status status =
      is_fetch ? cnn_data_fetch(name, print_line, NULL) : cnn_data_verify(name, print_line, NULL);
  return status == CNN_OK ? say_folder(name, is_fetch ? "there" : "right") : fail();
}
