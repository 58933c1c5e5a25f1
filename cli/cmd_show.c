/* cnn show: pictures and tables of what a network has learned, what it looks at and where it fails. A row a
 * kind; the work is in show_*.c. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "options.h"
#include "output.h"
#include "show.h"

/* What a kind takes beside the model. */
enum needs { NOTHING, IMAGE, DATA };

struct kind {
  const char *name, *out; /* the standard file; NULL: none unless it is asked for */
  enum needs needs;
  int (*run)(const struct show *show);
  const char *options; /* that it knows, with spaces around */
};

static const struct kind kinds[] = {
    {"filters", "filters.png", NOTHING, show_filters, " layer before zoom "},
    {"response", "response.png", IMAGE, show_response, " layer filter zoom "},
    {"features", "features.png", IMAGE, show_features, " layer zoom "},
    {"why", "why.png", IMAGE, show_why, " layer class zoom "},
    {"confusion", NULL, DATA, show_confusion, " limit json "},
    {"mistakes", NULL, DATA, show_mistakes, " limit json count zoom "},
    {"shift", NULL, DATA, show_shift, " limit json "},
    {"net", "net.svg", NOTHING, show_net, " "},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static const char *kind_names(void) {
  static char names[256];
  int length = 0;
  for (int i = 0; i < KINDS; i++)
    length += snprintf(names + length, sizeof names - (size_t)length, "%s%s", i ? ", " : "", kinds[i].name);
  return names;
}

static const struct kind *find_kind(const char *command, const char *name) {
  const char *names[KINDS + 1] = {NULL};
  for (int i = 0; i < KINDS; i++) {
    if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    names[i] = kinds[i].name;
  }
  const char *nearest = nearest_name(name, names);
  if (nearest) usage_error(command, "there is no '%s' to show: did you mean '%s'?", name, nearest);
  usage_error(command, "there is no '%s' to show (one of %s)", name, kind_names());
}

/* An option that this kind does not know would be passed over in silence. */
static void refuse(const char *command, const struct kind *kind, const char *option, bool given) {
  char word[32];
  snprintf(word, sizeof word, " %s ", option);
  if (given && !strstr(kind->options, word))
    usage_error(command, "--%s means nothing to '%s'", option, kind->name);
}

/* A picture under the name of another format would open in no viewer. */
static void check_out(const char *command, const struct kind *kind, const char *out) {
  static const char *const formats[] = {".png",  ".svg",  ".jpg", ".jpeg", ".gif",
                                        ".webp", ".tiff", ".bmp", ".pdf",  ".html"};
  const char *ending = out ? strrchr(out, '.') : NULL, *ours = kind->run == show_net ? "SVG" : "PNG";
  for (size_t i = 0; ending && i < sizeof formats / sizeof *formats; i++)
    if (strcasecmp(ending, formats[i]) == 0 && strcasecmp(ending + 1, ours) != 0)
      usage_error(command, "--out: '%s' writes %s, and '%s' is named as another format", kind->name, ours,
                  out);
}

static void check(const char *command, const struct kind *kind, const struct command_line *line,
                  struct show *show) {
  if (line->count < 2)
    usage_error(command, "%s is missing", kind->run == show_net ? "the network or model" : "the model");
  show->model = line->word[1];
  show->image = line->count > 2 ? line->word[2] : NULL;
  if (kind->needs != IMAGE && show->image) usage_error(command, "'%s' is one argument too many", show->image);
  if (kind->needs == IMAGE && !show->image == !show->data)
    usage_error(command, "give '%s' one image: a PNG or JPEG file, or --data DATA and --index N", kind->name);
  if (kind->needs == DATA && !show->data)
    usage_error(command, "--data DATA is missing: data set's name, IDX files or folder of images");
  if (kind->needs == NOTHING && show->data) usage_error(command, "--data means nothing to '%s'", kind->name);
  if (kind->needs != IMAGE && show->invert)
    usage_error(command, "--invert means nothing to '%s'", kind->name);
  if (show->layer && show->filter) usage_error(command, "--layer and --filter: give one of them");
  refuse(command, kind, "layer", show->layer);
  refuse(command, kind, "filter", show->filter);
  refuse(command, kind, "class", show->class);
  refuse(command, kind, "before", show->before);
  refuse(command, kind, "json", show->json);
  refuse(command, kind, "limit", show->limit);
  refuse(command, kind, "zoom", show->zoom);
  check_out(command, kind, show->out);
  if (!show->out) show->out = kind->out;
}

int cmd_show(int argc, char **argv) {
  static const char *const splits[] = {"train", "test", NULL};
  struct show show = {.split = "test", .count = 24};
  const struct option_row rows[] = {
      ROW_WORD("out", "FILE", &show.out, "KIND.png, net.svg; none for tables", "the picture to write"),
      ROW_WORD("data", "DATA", &show.data, "none", "data set's name, IDX files or folder of images"),
      ROW_CHOICE("split", "SPLIT", &show.split, splits, "images of it to use"),
      ROW_WHOLE("index", "N", &show.index, 0, 1e15, NULL, "the image of it to show, where no file is given"),
      ROW_SWITCH("invert", &show.invert, "swap black and white: for dark digits on white paper"),
      ROW_WORD("layer", "NAME", &show.layer, "filters, response: the first with filters; features: all",
               "the layer; of why: Grad-CAM's"),
      ROW_SWITCH("before", &show.before, "filters: beside those before training"),
      ROW_WORD("filter", "ROWS", &show.filter, "the layer's",
               "response: of this filter, as \"1 0 -1 / 2 0 -2 / 1 0 -1\""),
      ROW_WORD("class", "NAME", &show.class, "the most probable", "why: what speaks for this class"),
      ROW_WHOLE("count", "N", &show.count, 1, 10000, NULL, "mistakes: show the N worst"),
      ROW_WHOLE("limit", "N", &show.limit, 1, 1e15, "all; shift: 1000", "tables: use the first N images"),
      ROW_WHOLE("zoom", "N", &show.zoom, 1, 256, "by size", "enlarge values to N x N pixels"),
      ROW_THREADS(&show.threads),
      ROW_JSON(&show.json),
      ROW_END};
  struct command_line line = {
      .words =
          "filters MODEL\nresponse MODEL IMAGE\nfeatures MODEL IMAGE\nwhy MODEL IMAGE\nconfusion MODEL "
          "--data DATA\n"
          "mistakes MODEL --data DATA\nshift MODEL --data DATA\nnet NET|MODEL",
      .most = 3,
      .rows = rows,
      .about =
          "Show what a network has learned, what it looks at, and where it fails. IMAGE is a PNG or JPEG "
          "file; "
          "without it, --data and --index name an image of a data set.",
      .after =
          "filters    the filters of a layer, the smallest weight of each black, the largest white\n"
          "response   the image beside each filter and what it makes of it\n"
          "features   what every layer makes of the image; the strongest value of each map is framed\n"
          "why        what speaks for a class: saliency, Grad-CAM and occlusion\n"
          "confusion  which classes are taken for which; precision, recall and F1 (needs --data)\n"
          "mistakes   the images that it is wrong about, the surest first (needs --data)\n"
          "shift      accuracy on images moved by -4 to 4 pixels (needs --data)\n"
          "net        the network's layers, shapes and branches, as SVG\n\n"
          "Examples:\n  cnn show filters simple-conv-net.safetensors --before\n"
          "  cnn show why simple-conv-net.safetensors --data mnist --index 7\n"
          "  cnn show confusion simple-conv-net.safetensors --data mnist --out confusion.png\n"};
  command_line_parse(&line, argc, argv);
  if (line.count == 0) usage_error(argv[0], "what to show is missing (one of %s)", kind_names());
  const struct kind *kind = find_kind(argv[0], line.word[0]);
  check(argv[0], kind, &line, &show);
  return kind->run(&show);
}
