/* Curves as text. Each column of the panel is a place between the first and the last epoch, in which each
 * curve has one mark, at the value between the two epochs next to it. A curve is told from another by its
 * mark, and by its colour where there is one. */
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 10, COLUMNS = 100, LABEL = 11, GAP = 3, LEAST = 24 /* narrower says nothing */ };

/* A plot, laid out. */
struct panel {
  const struct plot *plot;
  int columns;
  double low, high;          /* of the scale: logarithms where it is logarithmic */
  char marks[ROWS][COLUMNS]; /* 0: empty, else the number of a curve + 1 */
  bool drawn[PLOT_CURVES];
};

static const char *const ascii_marks[PLOT_CURVES] = {"o", "+", "x"};
static const char *const unicode_marks[PLOT_CURVES] = {"\u25cf", "+", "\u00d7"};
static const char *const colors[PLOT_CURVES] = {"\033[34m", "\033[33m", "\033[32m"};

static double on_scale(const struct plot *plot, double value) {
  return plot->logarithmic ? (value > 0 ? log10(value) : NAN) : value;
}

/* The curve's value at a place, in epochs from 0; NaN outside it. */
static double value_at(const struct plot *plot, const struct curve *curve, double place) {
  if (!curve->values || place > plot->points - 1) return NAN;
  int before = (int)place, after = before + (before < plot->points - 1);
  double a = on_scale(plot, curve->values[before]), b = on_scale(plot, curve->values[after]);
  double share = place - before;
  return share > 0 ? a + (b - a) * share : a;
}

static void find_range(struct panel *panel) {
  const struct plot *plot = panel->plot;
  panel->low = INFINITY;
  panel->high = -INFINITY;
  for (int k = 0; k < PLOT_CURVES; k++)
    for (int i = 0; plot->curves[k].values && i < plot->points; i++) {
      double value = on_scale(plot, plot->curves[k].values[i]);
      if (!isfinite(value)) continue;
      panel->low = fmin(panel->low, value);
      panel->high = fmax(panel->high, value);
    }
  if (panel->low == panel->high)
    panel->high = panel->low + (plot->logarithmic ? 0.1 : 1e-3 * fabs(panel->low) + 1e-9);
}

static void lay_out(struct panel *panel, const struct plot *plot, int width) {
  *panel = (struct panel){.plot = plot, .columns = width - LABEL - 2};
  if (panel->columns > COLUMNS) panel->columns = COLUMNS;
  find_range(panel);
  if (!(panel->low < panel->high)) return;
  for (int k = 0; k < PLOT_CURVES; k++)
    for (int x = 0; x < panel->columns; x++) {
      double place = plot->epochs > 1 ? (double)x * (plot->epochs - 1) / (panel->columns - 1) : 0;
      double value = value_at(plot, &plot->curves[k], place);
      if (!isfinite(value)) continue;
      int row = (int)lround((panel->high - value) / (panel->high - panel->low) * (ROWS - 1));
      panel->marks[row][x] = (char)(k + 1);
      panel->drawn[k] = true;
    }
}

static void print_mark(int curve, struct plot_style style) {
  const char *mark = (style.unicode ? unicode_marks : ascii_marks)[curve];
  printf("%s%s%s", style.color ? colors[curve] : "", mark, style.color ? "\033[0m" : "");
}

/* `loss  o training  x test`; returns its width. */
static int print_title(const struct panel *panel, struct plot_style style) {
  int width = printf("%*s", LABEL, panel->plot->title);
  for (int k = 0; k < PLOT_CURVES; k++) {
    if (!panel->drawn[k]) continue;
    printf("  ");
    print_mark(k, style);
    width += 3 + printf(" %s", panel->plot->curves[k].name);
  }
  return width;
}

static int print_row(const struct panel *panel, int row, struct plot_style style) {
  double value = panel->high - (panel->high - panel->low) * row / (ROWS - 1);
  if (panel->plot->logarithmic) value = pow(10, value);
  if (row == 0 || row == ROWS / 2 || row == ROWS - 1)
    printf("%*.4g ", LABEL, value);
  else
    printf("%*s ", LABEL, "");
  printf("%s", style.unicode ? "\u2502" : "|");
  for (int x = 0; x < panel->columns; x++)
    if (panel->marks[row][x])
      print_mark(panel->marks[row][x] - 1, style);
    else
      putchar(' ');
  return LABEL + 2 + panel->columns;
}

static int print_axis(const struct panel *panel, struct plot_style style) {
  printf("%*s %s", LABEL, "", style.unicode ? "\u2514" : "+");
  for (int x = 0; x < panel->columns; x++) printf("%s", style.unicode ? "\u2500" : "-");
  return LABEL + 2 + panel->columns;
}

static int print_epochs(const struct panel *panel) {
  int width = printf("%*s %-*d", LABEL, "epoch", 2, 1);
  return width + printf("%*d", panel->columns - 1, panel->plot->epochs);
}

/* Line `line` of a panel, filled up to `width`. */
static void print_line(const struct panel *panel, int line, int width, struct plot_style style) {
  int printed = line == 0          ? print_title(panel, style)
                : line <= ROWS     ? print_row(panel, line - 1, style)
                : line == ROWS + 1 ? print_axis(panel, style)
                                   : print_epochs(panel);
  if (width > printed) printf("%*s", width - printed, "");
}

int plot_print(const struct plot plots[2], struct plot_style style) {
  static struct panel panels[2];
  bool beside = style.width >= 2 * (LEAST + LABEL) + GAP;
  int width = beside ? (style.width - GAP) / 2 : style.width;
  if (width < LEAST || plots[0].points < 1) return 0;
  int lines = ROWS + 3, total = beside ? lines : 2 * lines;
  if (style.height > 0 && total > style.height - 2) return 0;
  for (int i = 0; i < 2; i++) lay_out(&panels[i], &plots[i], width);
  for (int line = 0; line < total; line++) {
    print_line(&panels[line / lines], line % lines, beside ? width + GAP : 0, style);
    if (beside) print_line(&panels[1], line, 0, style);
    putchar('\n');
  }
  return total;
}
