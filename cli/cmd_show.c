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
  const char *options; /* that it knows, with spaces around; all know `out` */
};

#define AN_IMAGE " data split index invert threads "

static const struct kind kinds[] = {
    {"filters", "filters.png", NOTHING, show_filters, " layer before zoom threads "},
    {"response", "response.png", IMAGE, show_response, AN_IMAGE "layer filter zoom "},
    {"features", "features.png", IMAGE, show_features, AN_IMAGE "layer zoom "},
    {"excite", "excite.png", NOTHING, show_excite,
     " data split limit layer channel patches count steps rate decay blur rest seed zoom json threads "},
    {"why", "why.png", IMAGE, show_why, AN_IMAGE "layer class zoom "},
    {"confusion", NULL, DATA, show_confusion, " data split limit json threads "},
    {"mistakes", NULL, DATA, show_mistakes, " data split limit json count zoom threads "},
    {"shift", NULL, DATA, show_shift, " data split limit json threads "},
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

static bool given(const struct command_line *line, const char *option) {
  return option_place(line, option) != OPTION_NOWHERE;
}

/* An option that this kind does not know would be passed over in silence. */
static void refuse_others(const char *command, const struct kind *kind, const struct command_line *line) {
  char word[32];
  for (const struct option_row *row = line->rows; row->name; row++) {
    snprintf(word, sizeof word, " %s ", row->name);
    if (given(line, row->name) && strcmp(row->name, "out") != 0 && !strstr(kind->options, word))
      usage_error(command, "--%s means nothing to '%s'", row->name, kind->name);
  }
}

static void check_excite(const char *command, const struct command_line *line, const struct show *show) {
  static const char *const of_data[] = {"split", "limit", "patches"};
  if (!show->layer)
    usage_error(command, "--layer NAME is missing: the layer to excite; `cnn summary` lists them");
  if (show->channel >= 0 && show->count) usage_error(command, "--channel and --count: give one of them");
  for (size_t i = 0; !show->data && i < sizeof of_data / sizeof *of_data; i++)
    if (given(line, of_data[i])) usage_error(command, "--%s needs --data", of_data[i]);
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
  if (show->image && (given(line, "index") || given(line, "split")))
    usage_error(command, "--index and --split are of --data; '%s' is one image", show->image);
  if (kind->needs == DATA && !show->data)
    usage_error(command, "--data DATA is missing: data set's name, IDX or CIFAR files, or folder of images");
  refuse_others(command, kind, line);
  if (show->layer && show->filter) usage_error(command, "--layer and --filter: give one of them");
  if (kind->run == show_excite) check_excite(command, line, show);
  check_out(command, kind, show->out);
  if (!show->out) show->out = kind->out;
}

int cmd_show(int argc, char **argv) {
  static const char *const splits[] = {"train", "test", NULL};
  struct show show = {.split = "test", .channel = -1, .ascent = cnn_ascent_defaults()};
  int64_t seed = (int64_t)show.ascent.seed;
  const struct option_row rows[] = {
      ROW_FILE_TO_WRITE("out", &show.out, "KIND.png, net.svg; none for tables", "the picture to write"),
      ROW_WORD("data", "DATA", &show.data, "none",
               "data set's name, IDX or CIFAR files, or folder of images"),
      ROW_CHOICE("split", "SPLIT", &show.split, splits, "images of it to use"),
      ROW_WHOLE("index", "N", &show.index, 0, 1e15, NULL, "the image of it to show, where no file is given"),
      ROW_SWITCH("invert", &show.invert, "swap black and white: for dark digits on white paper"),
      ROW_WORD("layer", "NAME", &show.layer, "filters, response: the first with filters; features: all",
               "the layer; of why: Grad-CAM's; excite needs it"),
      ROW_SWITCH("before", &show.before, "filters: beside those before training"),
      ROW_WORD("filter", "ROWS", &show.filter, "the layer's",
               "response: of this filter, as \"1 0 -1 / 2 0 -2 / 1 0 -1\""),
      ROW_WORD("class", "NAME", &show.class, "the most probable", "why: what speaks for this class"),
      ROW_WHOLE("channel", "K", &show.channel, 0, 1e9, "as many as --count", "excite: this channel alone"),
      ROW_WHOLE("count", "N", &show.count, 1, 10000, "24; excite: 32",
                "mistakes: show the N worst; excite: the first N channels"),
      ROW_WHOLE("patches", "N", &show.patches, 1, 1000, "8; 24 of one channel",
                "excite: so many patches of the data for each channel"),
      ROW_WHOLE("steps", "N", &show.ascent.steps, 1, 1e6, NULL, "excite: of gradient ascent"),
      ROW_NUMBER("rate", "R", &show.ascent.rate, 1e-6, 1e3, NULL,
                 "excite: how far a pixel moves in the first step, at most; 1 is from black to white"),
      ROW_NUMBER("decay", "D", &show.ascent.decay, 0, 1, NULL,
                 "excite: what the first step takes from each pixel's distance to --rest"),
      ROW_NUMBER("blur", "B", &show.ascent.blur, 0, 1, NULL, "excite: how much the first step blurs"),
      ROW_NUMBER("rest", "V", &show.ascent.rest, 0, 1, "0; of colour images 0.5",
                 "excite: the value of pixels that do not matter, from 0, black, to 1, white"),
      ROW_WHOLE("seed", "S", &seed, 0, LARGEST_SEED, NULL, "excite: of the noise that ascent begins with"),
      ROW_WHOLE("limit", "N", &show.limit, 1, 1e15, "all; shift: 1000",
                "tables, excite: use the first N images"),
      ROW_WHOLE("zoom", "N", &show.zoom, 1, 256, "by size", "enlarge values to N x N pixels"),
      ROW_THREADS(&show.threads),
      ROW_JSON(&show.json),
      ROW_END};
  struct command_line line = {
      .words =
          "filters MODEL\nresponse MODEL IMAGE\nfeatures MODEL IMAGE\nexcite MODEL --layer NAME\n"
          "why MODEL IMAGE\nconfusion MODEL --data DATA\nmistakes MODEL --data DATA\n"
          "shift MODEL --data DATA\nnet NET|MODEL",
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
          "excite     what channels of a layer look for: images found by gradient ascent and, with --data, "
          "the\n"
          "           patches that excite them most, as large as their receptive field\n"
          "why        what speaks for a class: saliency, Grad-CAM and occlusion\n"
          "confusion  which classes are taken for which; precision, recall and F1 (needs --data)\n"
          "mistakes   the images that it is wrong about, the surest first (needs --data)\n"
          "shift      accuracy on images moved by -4 to 4 pixels (needs --data)\n"
          "net        the network's layers, shapes and branches, as SVG\n\n"
          "Examples:\n  cnn show filters simple-conv-net.safetensors --before\n"
          "  cnn show excite simple-conv-net.safetensors --layer conv1 --data mnist\n"
          "  cnn show why simple-conv-net.safetensors --data mnist --index 7\n"
          "  cnn show confusion simple-conv-net.safetensors --data mnist --out confusion.png\n"};
  command_line_parse(&line, argc, argv);
  if (line.count == 0) usage_error(argv[0], "what to show is missing (one of %s)", kind_names());
  show.ascent.seed = (uint64_t)seed;
  const struct kind *kind = find_kind(argv[0], line.word[0]);
  check(argv[0], kind, &line, &show);
  refuse_overwriting(argv[0], &line);
  return kind->run(&show);
}
