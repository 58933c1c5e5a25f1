/* What a reader should see first, as sentences: dead channels and saturated layers, a loss that rose again,
 * the class that is found least. */
#include <math.h>
#include <string.h>

#include "output.h"
#include "report.h"
#include "show.h"

enum { MOST_NAMED = 12 };
#define SATURATED 0.5 /* of a layer's outputs */

static void write_name(FILE *file, const char *name) {
  html(file, "<b>");
  html_text(file, name);
  html(file, "</b>");
}

/* "3, 17 and 4 more" */
static void write_channels(FILE *file, const struct measured *m, int index) {
  int64_t named = 0, dead = m->layer[index].dead;
  for (int64_t c = 0; c < m->layer[index].layer.out.c && named < MOST_NAMED; c++)
    if (channel_is_dead(m, index, c)) html(file, "%s%lld", named++ ? ", " : "", (long long)c);
  if (dead > named) html(file, " and %lld more", (long long)(dead - named));
}

static void write_dead(FILE *file, const struct measured *m, int index) {
  const struct layer_seen *seen = &m->layer[index];
  const char *unit = seen->layer.out.h * seen->layer.out.w == 1 ? "unit" : "channel";
  bool zero = true, one = seen->dead == 1, relu = strcmp(seen->layer.kind, "relu") == 0;
  char images[32];
  for (int64_t c = 0; c < seen->layer.out.c; c++)
    zero = zero && (!channel_is_dead(m, index, c) || seen->low[c] == 0);
  html(file, "<li class=\"bad\">");
  write_name(file, seen->layer.name);
  html(file, ": %lld of %lld %ss %s dead. The output%s of %s%s ", (long long)seen->dead,
       (long long)seen->layer.out.c, unit, one ? "is" : "are", one ? "" : "s", unit, one ? "" : "s");
  write_channels(file, m, index);
  html(file,
       one ? " is %s for every one of the %s images%s.</li>\n"
           : " are %s for every one of the %s images%s.</li>\n",
       zero ? "0" : "the same", grouped(m->study.images, images),
       relu && zero ? ", so no gradient passes there and the weights below do not learn" : "");
}

static void write_saturated(FILE *file, const struct layer_seen *seen, double share) {
  html(file, "<li class=\"bad\">");
  write_name(file, seen->layer.name);
  html(file,
       " is saturated: %.1f %% of its outputs lie where the slope of %s is below a twentieth of its largest, "
       "so "
       "little gradient passes to the layers below.</li>\n",
       100 * share, seen->layer.kind);
}

/* Says what is wrong within, or that nothing is. */
static void write_health(FILE *file, const struct measured *m) {
  int64_t dead = 0;
  int saturated = 0, bending = 0;
  char images[32];
  for (int i = 0; i < m->layers; i++) {
    const struct layer_seen *seen = &m->layer[i];
    double share = (double)seen->flat / (double)seen->values;
    dead += seen->dead;
    bending += seen->bends;
    if (seen->dead) write_dead(file, m, i);
    if (!seen->bends || share <= SATURATED) continue;
    saturated++;
    write_saturated(file, seen, share);
  }
  if (m->study.images < 2)
    html(file, "<li>One image is too few to tell which channels are dead.</li>\n");
  else if (dead == 0)
    html(file,
         "<li class=\"good\">No channel is dead: in each layer, every channel's output varies over the %s "
         "images.</li>\n",
         grouped(m->study.images, images));
  if (saturated == 0 && bending > 0)
    html(file, "<li class=\"good\">No layer is saturated.</li>\n");
  else if (bending == 0)
    html(file, "<li>No layer can saturate: the network has no tanh and no sigmoid.</li>\n");
}

/* A loss that was lower before the end: of the validation images, or else the test images. */
static void write_course(FILE *file, const struct run_log *log) {
  int64_t best = -1, last = log->epochs - 1;
  bool held = last >= 0 && isfinite(log->value[LOG_VALIDATION_LOSS][last]);
  const double *loss = log->value[held ? LOG_VALIDATION_LOSS : LOG_TEST_LOSS];
  for (int64_t i = 0; i <= last; i++)
    if (isfinite(loss[i]) && (best < 0 || loss[i] < loss[best])) best = i;
  if (best < 0 || !isfinite(loss[last])) return;
  const char *which = held ? "validation" : "test";
  if (loss[last] > 1.02 * loss[best])
    html(file,
         "<li class=\"bad\">The %s loss was least after epoch %lld, %.4f, and had risen to %.4f after epoch "
         "%lld: the "
         "epochs between made the network surer of its mistakes. <code>--patience</code> stops in "
         "time.</li>\n",
         which, (long long)best + 1, loss[best], loss[last], (long long)last + 1);
  else if (best == last && last > 0)
    html(file, "<li>The %s loss was still falling at the last epoch: %.4f.</li>\n", which, loss[last]);
}

static void write_class_rates(FILE *file, const struct measured *m) {
  int64_t worst = -1;
  char name[96];
  for (int64_t i = 0; i < m->confusion.classes; i++) {
    double recall = confusion_rates(&m->confusion, i).recall;
    if (isfinite(recall) && (worst < 0 || recall < confusion_rates(&m->confusion, worst).recall)) worst = i;
  }
  if (worst < 0 || m->mistakes.count == 0) return;
  struct rates r = confusion_rates(&m->confusion, worst);
  html(file, "<li>Class ");
  write_name(file, show_class(m->study.model, worst, name));
  html(file, " is found least often: %lld of its %lld images, %.2f %%.</li>\n",
       (long long)confusion_cell(&m->confusion, worst, worst), (long long)r.images, 100 * r.recall);
}

void findings_write(FILE *file, const struct report *report) {
  html(file, "<ul class=\"findings\" id=\"findings-list\">\n");
  write_health(file, &report->measured);
  write_course(file, &report->log);
  write_class_rates(file, &report->measured);
  html(file, "</ul>\n");
}
