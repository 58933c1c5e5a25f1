/* cnn show net: a network as an SVG, from its input down: a box each brick (convolution and pooling grey, as
 * in Figure 7-2 of the chapter), beside it the block of its output (Figures 7-10 and 7-27), arrows for who
 * reads whom.
 *
 *     lanes of branches | boxes | blocks and shapes
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "replacement.h"
#include "show.h"
#include "source.h"

enum {
  ROW = 76,
  BOX_HEIGHT = 44,
  BOX_WIDTH = 230,
  LANE = 14,
  EDGE = 20,
  BLOCKS = 120,
  WORDS = 190,
  LONGEST_NAME = 29 /* that fits a box */
};

struct drawing {
  FILE *file;
  const cnn_net *net;
  cnn_layer_info *layers;
  int count;
  int lanes;    /* of branches, left of the boxes */
  int box_left; /* pixels */
};

static int top_of(int brick) { return EDGE + 24 + brick * ROW; }

/* With what XML takes for its own as entities. */
static void write_text(FILE *file, const char *text) {
  for (; *text; text++) switch (*text) {
      case '&': fputs("&amp;", file); break;
      case '<': fputs("&lt;", file); break;
      case '>': fputs("&gt;", file); break;
      case '"': fputs("&quot;", file); break;
      default: fputc(*text, file);
    }
}

static void words(const struct drawing *d, double x, double y, const char *class, const char *text) {
  fprintf(d->file, "<text class=\"%s\" x=\"%g\" y=\"%g\">", class, x, y);
  write_text(d->file, text);
  fputs("</text>\n", d->file);
}

/* "30 filters of 1x5x5"; of layers without filters or units what becomes of the size; or nothing. */
static void describe(const struct drawing *d, const cnn_layer_info *layer, char *text, size_t size) {
  char name[160];
  cnn_weight_info weight;
  snprintf(name, sizeof name, "%s.weight", layer->name);
  text[0] = '\0';
  for (int w = 0; w < cnn_net_weight_count(d->net); w++) {
    if (cnn_net_weight(d->net, w, &weight) != CNN_OK || strcmp(weight.name, name) != 0) continue;
    if (weight.dims == 4)
      snprintf(text, size, "%lld filters of %lldx%lldx%lld", (long long)weight.dim[0],
               (long long)weight.dim[1], (long long)weight.dim[2], (long long)weight.dim[3]);
    else if (weight.dims == 3)
      snprintf(text, size, "%lld filters of %lldx%lld", (long long)weight.dim[0], (long long)weight.dim[1],
               (long long)weight.dim[2]);
    else if (weight.dims == 2)
      snprintf(text, size, "%lld units of %lld inputs", (long long)weight.dim[0], (long long)weight.dim[1]);
    else
      break;
    return;
  }
  if (layer->inputs == 1 && (layer->in.h != layer->out.h || layer->in.w != layer->out.w))
    snprintf(text, size, "%lldx%lld to %lldx%lld", (long long)layer->in.h, (long long)layer->in.w,
             (long long)layer->out.h, (long long)layer->out.w);
}

static bool is_one_of(const char *kind, const char *const *kinds) {
  for (; *kinds; kinds++)
    if (strstr(kind, *kinds)) return true;
  return false;
}

static void draw_box(const struct drawing *d, int i) {
  static const char *const gathering[] = {"conv", "pool", "subsample", NULL}, *const joining[] = {
                                                                                  "add", "concat", NULL};
  const cnn_layer_info *layer = &d->layers[i];
  char name[192], about[96];
  int y = top_of(i);
  const char *class = is_one_of(layer->kind, gathering) ? "box field"
                      : is_one_of(layer->kind, joining) ? "box join"
                                                        : "box";
  fprintf(d->file, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\"/>\n", class,
          d->box_left, y, BOX_WIDTH, BOX_HEIGHT);
  describe(d, layer, about, sizeof about);
  bool counted = strncmp(layer->name, layer->kind, strlen(layer->kind)) == 0;
  snprintf(name, sizeof name, "%.60s%s%s", layer->name, counted ? "" : ": ", counted ? "" : layer->kind);
  if (strlen(name) > LONGEST_NAME) strcpy(name + LONGEST_NAME - 3, "...");
  words(d, d->box_left + BOX_WIDTH / 2.0, y + (about[0] ? 18 : 27), "name", name);
  if (about[0]) words(d, d->box_left + BOX_WIDTH / 2.0, y + 35, "about", about);
}

/* The output as a block: height and width by its own, depth by its channels, all in powers of two. */
static void draw_block(const struct drawing *d, int i) {
  const cnn_layer_info *layer = &d->layers[i];
  char shape[TEXT_SIZE];
  double h = 4 + 5 * log2((double)layer->out.h), w = 4 + 5 * log2((double)layer->out.w),
         deep = 2 + 4 * log2((double)layer->out.c);
  if (h > ROW - 26) h = ROW - 26;
  if (w > 60) w = 60;
  if (deep > 44) deep = 44;
  double up = deep * 0.35, left = d->box_left + BOX_WIDTH + 24, top = top_of(i) + (BOX_HEIGHT - h + up) / 2;
  fprintf(d->file,
          "<path class=\"side\" d=\"M%g %gl%g %gh%gv%gl%g %gz\"/><rect class=\"front\" x=\"%g\" y=\"%g\" "
          "width=\"%g\" height=\"%g\"/><path class=\"line\" d=\"M%g %gl%g %g\"/>\n",
          left, top, deep, -up, w, h, -deep, up, left, top, w, h, left + w, top, deep, -up);
  words(d, left + BLOCKS, top_of(i) + BOX_HEIGHT / 2.0 + (layer->parameters ? -2 : 5), "shape",
        shape_text(layer->out, shape));
  if (!layer->parameters) return;
  snprintf(shape, sizeof shape, "%lld parameters", (long long)layer->parameters);
  words(d, left + BLOCKS, top_of(i) + BOX_HEIGHT / 2.0 + 15, "count", shape);
}

/* ---- Wires ---- */

struct branch {
  int from, to, lane;
};

/* Wires that pass by other bricks: every one but those from the brick above. Returns how many there are. */
static int find_branches(const struct drawing *d, struct branch *branches) {
  int count = 0;
  for (int i = 0; i < d->count; i++)
    for (int k = 0; k < d->layers[i].inputs; k++) {
      struct branch branch = {d->layers[i].from[k], i, 0};
      if (branch.from == i - 1) continue;
      for (int b = 0; b < count; b++) /* the lowest lane that is free from there to here */
        if (branches[b].lane == branch.lane && branches[b].from < branch.to && branch.from < branches[b].to)
          branch.lane++, b = -1;
      branches[count++] = branch;
    }
  return count;
}

static void draw_wires(const struct drawing *d, const struct branch *branches, int count) {
  int middle = d->box_left + BOX_WIDTH / 2;
  for (int i = 1; i < d->count; i++)
    for (int k = 0; k < d->layers[i].inputs; k++)
      if (d->layers[i].from[k] == i - 1)
        fprintf(d->file, "<path class=\"wire\" d=\"M%d %dV%d\"/>\n", middle, top_of(i - 1) + BOX_HEIGHT,
                top_of(i) - 2);
  for (int b = 0; b < count; b++) {
    int lane = d->box_left - 12 - branches[b].lane * LANE;
    fprintf(d->file, "<path class=\"wire\" d=\"M%d %dH%dV%dH%d\"/>\n", d->box_left,
            top_of(branches[b].from) + BOX_HEIGHT * 3 / 4, lane, top_of(branches[b].to) + BOX_HEIGHT / 4,
            d->box_left - 2);
  }
}

/* ---- The file ---- */

static const char style[] =
    "<style>text{font-family:system-ui,'DejaVu "
    "Sans',sans-serif;fill:#111}.title{font-size:15px;font-weight:bold}"
    ".name{font-size:13px;font-weight:bold;text-anchor:middle}.about{font-size:11px;text-anchor:middle}"
    ".shape{font-size:13px}.count{font-size:11px;fill:#555}"
    ".box{fill:#fff;stroke:#333}.field{fill:#ccc}.join{fill:#fdeecb}.front{fill:#b9d4f0;stroke:#456}"
    ".side{fill:#dceaf8;stroke:#456}.line{stroke:#456}.wire{fill:none;stroke:#333;marker-end:url(#head)}"
    "#head path{fill:#333}.paper{fill:#fff}"
    "@media(prefers-color-scheme:dark){.paper{fill:#16181b}text{fill:#eee}.count{fill:#aaa}.box{fill:#24282d;"
    "stroke:#bbb}.field{fill:#4a4f55}.join{fill:#5a4a20}.front{fill:#2d5580}.side{fill:#1d3b5a}.wire{stroke:#"
    "bbb}"
    "#head path{fill:#bbb}}</style>\n"
    "<defs><marker id=\"head\" markerWidth=\"8\" markerHeight=\"8\" refX=\"6\" refY=\"3\" orient=\"auto\">"
    "<path d=\"M0 0L7 3L0 6z\"/></marker></defs>\n";

static void draw_all(struct drawing *d, const char *name, const struct branch *branches, int count) {
  int64_t parameters = 0;
  for (int b = 0; b < count; b++)
    if (branches[b].lane >= d->lanes) d->lanes = branches[b].lane + 1;
  for (int i = 0; i < d->count; i++) parameters += d->layers[i].parameters;
  d->box_left = EDGE + (d->lanes ? 12 + d->lanes * LANE : 0);
  int width = d->box_left + BOX_WIDTH + 24 + BLOCKS + WORDS,
      height = top_of(d->count) - ROW + BOX_HEIGHT + EDGE;
  fprintf(d->file,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
          "role=\"img\">\n<title>",
          width, height, width, height);
  write_text(d->file, name);
  fprintf(d->file, "</title>\n%s<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n", style, width, height);
  char title[256];
  snprintf(title, sizeof title, "%.150s: %d layers, %lld parameters", name, d->count, (long long)parameters);
  words(d, EDGE, EDGE + 4, "title", title);
  draw_wires(d, branches, count);
  for (int i = 0; i < d->count; i++) {
    draw_box(d, i);
    draw_block(d, i);
  }
  fputs("</svg>\n", d->file);
}

static int write_drawing(struct drawing *d, const char *name, const char *path) {
  int wires = 0;
  for (int i = 0; i < d->count; i++) {
    if (cnn_net_layer(d->net, i, &d->layers[i]) != CNN_OK) return fail();
    wires += d->layers[i].inputs;
  }
  struct branch *branches = calloc((size_t)wires + 1, sizeof *branches);
  if (!branches) return fail_with("out of memory");
  struct replacement drawing;
  if (replacement_open(&drawing, path) != EXIT_SUCCESS) {
    free(branches);
    return EXIT_FAILURE;
  }
  d->file = drawing.file;
  draw_all(d, name, branches, find_branches(d, branches));
  free(branches);
  if (replacement_finish(&drawing, NULL) != EXIT_SUCCESS) return EXIT_FAILURE;
  printf("%s: %d layers of %s\n", path, d->count, name);
  return EXIT_SUCCESS;
}

int show_net(const struct show *show) {
  struct source source = {0};
  char name[160];
  if (source_load(show->model, &source) != CNN_OK) return fail();
  source_base_name(show->model, name, sizeof name);
  struct drawing d = {.net = source.net, .count = cnn_net_layer_count(source.net)};
  d.layers = calloc((size_t)d.count, sizeof *d.layers);
  int result = d.layers ? write_drawing(&d, name, show->out) : fail_with("out of memory");
  free(d.layers);
  source_free(&source);
  return result;
}
