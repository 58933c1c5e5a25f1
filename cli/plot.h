/* Curves as text: values over epochs, for `cnn train --plot`. */
#ifndef CLI_PLOT_H
#define CLI_PLOT_H

#include <stdbool.h>

enum { PLOT_CURVES = 3 };

struct curve {
  const char *name;     /* "test" */
  const double *values; /* [points]; NaN: not measured */
};

struct plot {
  const char *title; /* "loss" */
  struct curve curves[PLOT_CURVES];
  int points; /* epochs so far */
  int epochs; /* of the whole run: the right end */
  bool logarithmic;
};

/* How: `width` in characters and `height` in lines of the window, 0: any; `color` with escape sequences;
 * `unicode` with lines and dots, else ASCII. */
struct plot_style {
  int width, height;
  bool color, unicode;
};

/* Print two plots on standard output, side by side where the width has room for both, else the one below the
 * other. Returns the number of lines; 0 and no output where the window is too small or there is no point. */
int plot_print(const struct plot plots[2], struct plot_style style);

#endif
