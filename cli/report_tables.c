/* The tables of a report: which classes are taken for which, and what each layer and weight has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "report.h"
#include "show.h"

enum { MOST_CLASSES = 32 /* of a matrix that a person reads */, MOST_PAIRS = 10, SHADES = 8 };

static void write_class(FILE *file, const struct measured *m, int64_t class) {
  char name[96];
  html_text(file, show_class(m->study.model, class, name));
}

/* ---- Confusion ---- */

static double share_of(const struct confusion *c, int64_t truth, int64_t guessed) {
  int64_t images = confusion_rates(c, truth).images;
  return images ? (double)confusion_cell(c, truth, guessed) / (double)images : 0;
}

/* The darkest: of mistakes the largest share there is, or a twentieth where all are less. */
static double darkest(const struct confusion *c) {
  double most = 0.05;
  for (int64_t i = 0; i < c->classes; i++)
    for (int64_t k = 0; k < c->classes; k++)
      if (i != k && share_of(c, i, k) > most) most = share_of(c, i, k);
  return most;
}

/* 0 to SHADES; small shares are seen too. */
static int shade(double share, double most) {
  int level = (int)ceil(SHADES * sqrt(share / most) - 1e-9);
  return level > SHADES ? SHADES : level;
}

static bool has_long_names(const struct measured *m) {
  char name[96];
  for (int64_t i = 0; i < m->study.classes; i++)
    if (strlen(show_class(m->study.model, i, name)) > 3) return true;
  return false;
}

static void write_matrix(FILE *file, const struct measured *m) {
  const struct confusion *c = &m->confusion;
  double most = darkest(c);
  html(file,
       "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\">"
       "<table class=\"matrix%s\"><caption>A row for each true class, a column for each guess</caption>\n"
       "<thead><tr><td>",
       has_long_names(m) ? " upright" : "");
  for (int64_t i = 0; i < c->classes; i++) {
    html(file, "<th scope=\"col\"><span>");
    write_class(file, m, i);
    html(file, "</span>");
  }
  html(file, "</thead><tbody>\n");
  for (int64_t i = 0; i < c->classes; i++) {
    html(file, "<tr><th scope=\"row\">");
    write_class(file, m, i);
    for (int64_t k = 0; k < c->classes; k++)
      html(file, "<td class=\"%s%d\">%lld", i == k ? "right" : "wrong",
           shade(share_of(c, i, k), i == k ? 1 : most), (long long)confusion_cell(c, i, k));
    html(file, "\n");
  }
  html(file, "</tbody></table></div>\n");
}

struct pair {
  int64_t truth, guessed, count;
};

static int by_count(const void *a, const void *b) {
  const struct pair *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  if (x->truth != y->truth) return x->truth < y->truth ? -1 : 1;
  return x->guessed < y->guessed ? -1 : x->guessed > y->guessed;
}

/* The worst so far, and one more. */
static int keep_worst(struct pair *pairs, int count, struct pair one) {
  pairs[count] = one;
  qsort(pairs, (size_t)count + 1, sizeof *pairs, by_count);
  return count < MOST_PAIRS ? count + 1 : MOST_PAIRS;
}

static void write_pairs(FILE *file, const struct measured *m) {
  const struct confusion *c = &m->confusion;
  struct pair pairs[MOST_PAIRS + 1];
  int count = 0;
  for (int64_t i = 0; i < c->classes; i++)
    for (int64_t k = 0; k < c->classes; k++)
      if (i != k && confusion_cell(c, i, k))
        count = keep_worst(pairs, count, (struct pair){i, k, confusion_cell(c, i, k)});
  if (count == 0) return;
  html(file, "<div><h3>Most often confused</h3>\n<ol class=\"pairs\">\n");
  for (int i = 0; i < count; i++) {
    html(file, "<li><b>");
    write_class(file, m, pairs[i].truth);
    html(file, "</b> taken for <b>");
    write_class(file, m, pairs[i].guessed);
    html(file, "</b>: %lld time%s</li>\n", (long long)pairs[i].count, pairs[i].count == 1 ? "" : "s");
  }
  html(file, "</ol></div>\n");
}

static void write_rate(FILE *file, double rate) {
  if (isfinite(rate))
    html(file, "<td>%.2f %%", 100 * rate);
  else
    html(file, "<td>–");
}

static void write_rates(FILE *file, const struct measured *m) {
  html(file,
       "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Rates of each class\"><table "
       "class=\"numbers\">"
       "<thead><tr><th scope=\"col\">class<th scope=\"col\">precision<th scope=\"col\">recall<th "
       "scope=\"col\">F1"
       "<th scope=\"col\">images</thead><tbody>\n");
  for (int64_t i = 0; i < m->confusion.classes; i++) {
    struct rates r = confusion_rates(&m->confusion, i);
    char images[32];
    html(file, "<tr><th scope=\"row\">");
    write_class(file, m, i);
    write_rate(file, r.precision);
    write_rate(file, r.recall);
    write_rate(file, r.f1);
    html(file, "<td>%s\n", grouped(r.images, images));
  }
  html(file, "</tbody></table></div>\n");
}

void confusion_write(FILE *file, const struct measured *m) {
  html(file, "<div class=\"beside\">\n");
  if (m->confusion.classes <= MOST_CLASSES)
    write_matrix(file, m);
  else
    html(file,
         "<p class=\"fine\">A matrix of %lld classes is not drawn here: <code>cnn show confusion</code> "
         "makes it a "
         "picture.</p>\n",
         (long long)m->confusion.classes);
  write_rates(file, m);
  write_pairs(file, m);
  html(file,
       "</div>\n<p class=\"fine\">Precision: of the images that were taken for the class, the share that is "
       "of it. "
       "Recall: of its images, the share that was found. F1: their harmonic mean.</p>\n");
}

/* ---- Layers ---- */

static void write_micro(FILE *file, double seconds) {
  if (isfinite(seconds))
    html(file, "<td>%.2f", 1e6 * seconds);
  else
    html(file, "<td>–");
}

static void write_layer(FILE *file, const struct layer_seen *seen, bool bending) {
  const cnn_layer_info *layer = &seen->layer;
  char shape[TEXT_SIZE], parameters[32], work[32], out[TEXT_SIZE], weights[TEXT_SIZE];
  html(file, "<tr><th scope=\"row\">");
  html_text(file, layer->name);
  html(file, "<td class=\"word\">%s<td>%s<td>%s<td>%s", layer->kind, shape_text(layer->out, shape),
       grouped(layer->parameters, parameters), grouped(layer->multiply_adds, work));
  write_micro(file, seen->forward);
  write_micro(file, seen->backward);
  html(file, "<td>%s<td>%s",
       size_text(layer->out.c * layer->out.h * layer->out.w * (int64_t)sizeof(float), out),
       layer->parameters ? size_text(layer->parameters * (int64_t)sizeof(float), weights) : "–");
  html(file, "<td>%.3g<td>%.1f %%", seen->sum / (double)seen->values,
       100 * (double)seen->zeros / (double)seen->values);
  if (bending && !seen->bends) html(file, "<td>–");
  if (seen->bends) html(file, "<td>%.1f %%", 100 * (double)seen->flat / (double)seen->values);
  html(file, "<td>%lld\n", (long long)seen->dead);
}

void layers_write(FILE *file, const struct measured *m) {
  static const char *const titles[] = {"output",         "parameters",   "multiply-adds",
                                       "forward, µs",    "backward, µs", "output, bytes",
                                       "weights, bytes", "mean output",  "zeros"};
  bool bending = false;
  char images[32], text[TEXT_SIZE], parameters[32], work[32];
  int64_t sum = 0, work_sum = 0;
  double forward = 0, backward = 0;
  html(file,
       "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Layers\"><table class=\"numbers\" "
       "id=\"layer-table\">"
       "<thead><tr><th scope=\"col\">layer<th scope=\"col\" class=\"word\">kind");
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) html(file, "<th scope=\"col\">%s", titles[i]);
  for (int i = 0; i < m->layers; i++) bending = bending || m->layer[i].bends;
  html(file, "%s<th scope=\"col\">dead</thead><tbody>\n", bending ? "<th scope=\"col\">saturated" : "");
  for (int i = 0; i < m->layers; i++) {
    const struct layer_seen *seen = &m->layer[i];
    write_layer(file, seen, bending);
    sum += seen->layer.parameters;
    work_sum += seen->layer.multiply_adds;
    if (isfinite(seen->forward)) forward += seen->forward;
    if (isfinite(seen->backward)) backward += seen->backward;
  }
  html(file,
       "</tbody><tfoot><tr><th "
       "scope=\"row\">total<td><td><td>%s<td>%s<td>%.2f<td>%.2f<td><td>%s<td><td><td>%s</tfoot>"
       "</table></div>\n",
       grouped(sum, parameters), grouped(work_sum, work), 1e6 * forward, 1e6 * backward,
       size_text(sum * (int64_t)sizeof(float), text), bending ? "<td>" : "");
  html(file,
       "<p class=\"fine\">Multiply-adds, times and bytes of outputs are for one image. Times are of each "
       "layer alone, in "
       "batches of %lld on %d thread%s of this machine; forward and backward together run faster than their "
       "sum. "
       "Outputs were looked at on %s test images. Zeros: the share of them that are 0. %sDead: channels "
       "whose output "
       "is the same for all images, though what goes in is not.</p>\n",
       (long long)m->study.batch, cnn_plan_settings(m->study.plan).threads,
       cnn_plan_settings(m->study.plan).threads == 1 ? "" : "s", grouped(m->study.images, images),
       bending ? "Saturated: the share of outputs at which the slope of tanh or sigmoid is below a twentieth "
                 "of its largest. "
               : "");
}

/* ---- Weights ---- */

static void write_number(FILE *file, double value) {
  if (isfinite(value))
    html(file, "<td>%.3g", value);
  else
    html(file, "<td>–");
}

static void write_weight(FILE *file, const struct weight_seen *seen) {
  html(file, "<tr><th scope=\"row\">");
  html_text(file, seen->weight.name);
  html(file, "<td>");
  for (int d = 0; d < seen->weight.dims; d++)
    html(file, "%s%lld", d ? "×" : "", (long long)seen->weight.dim[d]);
  write_number(file, seen->mean);
  write_number(file, seen->deviation);
  write_number(file, seen->before);
  write_number(file, seen->least);
  write_number(file, seen->most);
  if (isfinite(seen->change))
    html(file, "<td>%.3g×", seen->change);
  else
    html(file, "<td>–");
  write_number(file, seen->gradient);
  html(file, "\n");
}

void weights_write(FILE *file, const struct measured *m) {
  static const char *const titles[] = {
      "shape",    "mean",    "deviation",         "deviation before training",
      "smallest", "largest", "moved by training", "gradient"};
  char images[32];
  html(file,
       "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Weights\"><table class=\"numbers\" "
       "id=\"weight-table\">"
       "<thead><tr><th scope=\"col\">weight");
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) html(file, "<th scope=\"col\">%s", titles[i]);
  html(file, "</thead><tbody>\n");
  for (int i = 0; i < m->weights; i++) write_weight(file, &m->weight[i]);
  html(file,
       "</tbody></table></div>\n<p class=\"fine\">Moved by training: the length of the way from the first "
       "weights to "
       "these, by the length of the first weights. Gradient: the root of the mean square, of the gradient of "
       "the mean "
       "loss over the first %s %s images.</p>\n",
       grouped(m->gradient_images, images), m->gradient_split == CNN_SPLIT_TRAIN ? "training" : "test");
}
