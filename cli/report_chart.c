/* Curves over epochs as SVG, drawn here so that they are there without the script, on paper too; the script
 * adds a cursor, by what stands in data-* of each chart and by the values in the JSON below. Coordinates are
 * those of a viewBox as wide as a phone's screen, and charts stand side by side where there is room, so that
 * their text is never scaled far. */
#include <math.h>
#include <string.h>

#include "output.h"
#include "report.h"

enum {
  WIDTH = 350,
  HEIGHT = 210,
  LEFT = 48,
  RIGHT = 342,
  TOP = 10,
  BOTTOM = 184,
  MOST_SERIES = 4,
  MOST_DOTS = 60
};

struct series {
  const char *name, *class;
  enum run_log_column column;
};

struct chart {
  const char *id, *title, *unit; /* unit: behind each value */
  bool logarithmic;              /* where all values allow it */
  double factor;                 /* of the log's values */
  int digits;                    /* behind the point; with `significant`, in all */
  bool significant;
  struct series series[MOST_SERIES]; /* ended by one without a name, or full */
};

static const struct chart charts[] = {
    {"loss",
     "Loss",
     "",
     true,
     1,
     4,
     false,
     {{"training", "training", LOG_LOSS},
      {"training, after the epoch", "after", LOG_TRAIN_LOSS},
      {"validation", "validation", LOG_VALIDATION_LOSS},
      {"test", "test", LOG_TEST_LOSS}}},
    {"accuracy",
     "Accuracy",
     " %",
     false,
     100,
     2,
     false,
     {{"training", "training", LOG_ACCURACY},
      {"training, after the epoch", "after", LOG_TRAIN_ACCURACY},
      {"validation", "validation", LOG_VALIDATION_ACCURACY},
      {"test", "test", LOG_TEST_ACCURACY}}},
    {"lr", "Learning rate", "", false, 1, 4, true, {{"learning rate", "training", LOG_LR}}},
    {"time",
     "Time of an epoch",
     " s",
     false,
     1,
     1,
     false,
     {{"with its evaluation", "training", LOG_EPOCH_SECONDS}}},
};
enum { CHARTS = sizeof charts / sizeof *charts };

struct scale {
  double low, high; /* at the ends; logarithms where it is logarithmic */
  double step;      /* between ticks; 0: 1, 2, 5 of each decade */
  bool logarithmic;
};

static double value_of(const struct run_log *log, const struct chart *chart, const struct series *series,
                       int64_t epoch) {
  return chart->factor * log->value[series->column][epoch];
}

static bool has_series(const struct run_log *log, const struct chart *chart, int k) {
  if (k >= MOST_SERIES || !chart->series[k].name) return false;
  for (int64_t i = 0; i < log->epochs; i++)
    if (isfinite(value_of(log, chart, &chart->series[k], i))) return true;
  return false;
}

/* 1, 2 or 5 times a power of ten, so that `span` has about four of it. */
static double nice_step(double span) {
  double power = pow(10, floor(log10(span / 4))), part = span / 4 / power;
  return power * (part < 1.5 ? 1 : part < 3.5 ? 2 : part < 7.5 ? 5 : 10);
}

static struct scale find_scale(const struct run_log *log, const struct chart *chart) {
  double low = INFINITY, high = -INFINITY;
  for (int k = 0; k < MOST_SERIES; k++)
    for (int64_t i = 0; has_series(log, chart, k) && i < log->epochs; i++) {
      double value = value_of(log, chart, &chart->series[k], i);
      if (!isfinite(value)) continue;
      low = fmin(low, value);
      high = fmax(high, value);
    }
  if (chart->logarithmic && low > 0 && high > 3 * low)
    return (struct scale){.low = log10(low) - 0.04, .high = log10(high) + 0.04, .logarithmic = true};
  if (!chart->logarithmic && chart->factor == 1) low = fmin(low, 0); /* rates and times begin at nothing */
  double step = nice_step(high > low ? high - low : high != 0 ? fabs(high) : 1);
  struct scale scale = {.low = floor(low / step) * step, .high = ceil(high / step) * step, .step = step};
  if (!(scale.high > scale.low)) scale.high = scale.low + step;
  return scale;
}

static double x_of(const struct run_log *log, int64_t epoch) {
  return log->epochs > 1 ? LEFT + (double)(RIGHT - LEFT) * (double)epoch / (double)(log->epochs - 1)
                         : (LEFT + RIGHT) / 2.0;
}

static double y_of(const struct scale *scale, double value) {
  double v = scale->logarithmic ? log10(value) : value;
  return BOTTOM - (BOTTOM - TOP) * (v - scale->low) / (scale->high - scale->low);
}

static void write_tick(FILE *file, const struct scale *scale, double value, const char *unit) {
  html(file,
       "<path class=\"grid\" d=\"M%d %.2fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.2f\">%.10g%s</text>",
       LEFT, y_of(scale, value), RIGHT, LEFT - 6, y_of(scale, value) + 4, value, unit);
}

static void write_ticks(FILE *file, const struct scale *scale, const char *unit) {
  static const double parts[] = {1, 2, 5};
  if (!scale->logarithmic) {
    int64_t count = llround((scale->high - scale->low) / scale->step);
    for (int64_t i = 0; i <= count; i++) {
      double value = scale->low + (double)i * scale->step;
      write_tick(file, scale, fabs(value) < scale->step / 1e6 ? 0 : value, unit);
    }
    return;
  }
  bool all = scale->high - scale->low < 2.2; /* decades: else powers of ten alone */
  for (int e = (int)floor(scale->low); e <= (int)ceil(scale->high); e++)
    for (int k = 0; k < (all ? 3 : 1); k++) {
      double place = e + log10(parts[k]);
      if (place >= scale->low && place <= scale->high) write_tick(file, scale, parts[k] * pow(10, e), unit);
    }
}

/* The first, and multiples of 1, 2, 5, 10, 20, ... */
static void write_epochs(FILE *file, const struct run_log *log) {
  int64_t step = 1;
  for (int k = 0; log->epochs / step > 6; k++) step = k % 3 == 1 ? step / 2 * 5 : step * 2;
  for (int64_t epoch = 1; epoch <= log->epochs; epoch++)
    if (epoch == 1 || epoch % step == 0)
      html(file, "<text class=\"epoch\" x=\"%.2f\" y=\"%d\">%lld</text>", x_of(log, epoch - 1), BOTTOM + 17,
           (long long)epoch);
}

/* A line broken where an epoch was not measured. */
static void write_curve(FILE *file, const struct run_log *log, const struct chart *chart,
                        const struct scale *scale, int k) {
  const struct series *series = &chart->series[k];
  bool pen = false;
  html(file, "<path class=\"curve %s\" data-series=\"%d\" d=\"", series->class, k);
  for (int64_t i = 0; i < log->epochs; i++) {
    double value = value_of(log, chart, series, i);
    bool there = isfinite(value) && (!scale->logarithmic || value > 0);
    if (there) html(file, "%s%.2f %.2f", pen ? "L" : "M", x_of(log, i), y_of(scale, value));
    pen = there;
  }
  html(file, "\"/>");
  for (int64_t i = 0; i < log->epochs && log->epochs <= MOST_DOTS; i++) {
    double value = value_of(log, chart, series, i);
    if (isfinite(value) && (!scale->logarithmic || value > 0))
      html(file, "<circle class=\"dot %s\" cx=\"%.2f\" cy=\"%.2f\" r=\"2\"/>", series->class, x_of(log, i),
           y_of(scale, value));
  }
}

static void write_value(FILE *file, const struct chart *chart, double value) {
  if (isfinite(value))
    html(file, chart->significant ? "%.*g%s" : "%.*f%s", chart->digits, value, chart->unit);
  else
    html(file, "–");
}

/* The same in words, for who does not see it. */
static void write_label(FILE *file, const struct run_log *log, const struct chart *chart) {
  html(file, "%s over %lld epoch%s", chart->title, (long long)log->epochs, log->epochs == 1 ? "" : "s");
  const char *between = ": ";
  for (int k = 0; k < MOST_SERIES; k++) {
    if (!has_series(log, chart, k)) continue;
    html(file, "%s%s from ", between, chart->series[k].name);
    write_value(file, chart, value_of(log, chart, &chart->series[k], 0));
    html(file, " to ");
    write_value(file, chart, value_of(log, chart, &chart->series[k], log->epochs - 1));
    between = "; ";
  }
}

/* Legend and values in one: those of the last epoch, until the script is asked for another. */
static void write_readout(FILE *file, const struct run_log *log, const struct chart *chart) {
  html(file, "<p class=\"readout\"><span class=\"at\">epoch %lld</span>", (long long)log->epochs);
  for (int k = 0; k < MOST_SERIES; k++) {
    if (!has_series(log, chart, k)) continue;
    html(file, " <span class=\"key\"><i class=\"swatch %s\"></i>%s <b data-series=\"%d\">",
         chart->series[k].class, chart->series[k].name, k);
    write_value(file, chart, value_of(log, chart, &chart->series[k], log->epochs - 1));
    html(file, "</b></span>");
  }
  html(file, "</p>\n");
}

static void write_chart(FILE *file, const struct run_log *log, const struct chart *chart) {
  struct scale scale = find_scale(log, chart);
  html(file, "<figure class=\"chart\" id=\"chart-%s\">\n<figcaption>%s%s</figcaption>\n", chart->id,
       chart->title, scale.logarithmic ? " <small>logarithmic</small>" : "");
  html(file,
       "<svg viewBox=\"0 0 %d %d\" role=\"img\" data-low=\"%.15g\" data-high=\"%.15g\" data-log=\"%d\" "
       "aria-label=\"",
       WIDTH, HEIGHT, scale.low, scale.high, scale.logarithmic);
  write_label(file, log, chart);
  html(file, "\">");
  write_ticks(file, &scale, chart->unit);
  write_epochs(file, log);
  for (int k = 0; k < MOST_SERIES; k++)
    if (has_series(log, chart, k)) write_curve(file, log, chart, &scale, k);
  html(file, "</svg>\n");
  write_readout(file, log, chart);
  html(file, "</figure>\n");
}

/* What the script reads: numbers, and words of this file. */
static void write_json(FILE *file, const struct run_log *log) {
  struct json out = {file, false};
  html(file, "<script type=\"application/json\" id=\"curves\">");
  json_open(&out, NULL, '{');
  json_integer(&out, "epochs", log->epochs);
  json_integer(&out, "left", LEFT);
  json_integer(&out, "right", RIGHT);
  json_integer(&out, "top", TOP);
  json_integer(&out, "bottom", BOTTOM);
  json_open(&out, "charts", '{');
  for (int i = 0; i < CHARTS; i++) {
    json_open(&out, charts[i].id, '{');
    json_string(&out, "title", charts[i].title);
    json_string(&out, "unit", charts[i].unit);
    json_integer(&out, "digits", charts[i].digits);
    json_raw(&out, "significant", charts[i].significant ? "true" : "false");
    json_open(&out, "series", '{');
    for (int k = 0; k < MOST_SERIES; k++) {
      char key[8];
      if (!has_series(log, &charts[i], k)) continue;
      snprintf(key, sizeof key, "%d", k);
      json_open(&out, key, '{');
      json_string(&out, "name", charts[i].series[k].name);
      json_string(&out, "class", charts[i].series[k].class);
      json_open(&out, "values", '[');
      for (int64_t e = 0; e < log->epochs; e++)
        json_number(&out, NULL, value_of(log, &charts[i], &charts[i].series[k], e));
      json_close(&out, ']');
      json_close(&out, '}');
    }
    json_close(&out, '}');
    json_close(&out, '}');
  }
  json_close(&out, '}');
  json_close(&out, '}');
  html(file, "</script>\n");
}

static void write_cell(FILE *file, double value, int digits, double factor, const char *unit) {
  if (isfinite(value))
    html(file, "<td>%.*f%s", digits, factor * value, unit);
  else
    html(file, "<td>–");
}

static void write_table(FILE *file, const struct run_log *log) {
  static const struct {
    const char *title, *unit;
    enum run_log_column column;
    int digits;
    double factor;
  } rows[] = {{"loss", "", LOG_LOSS, 4, 1},
              {"accuracy", " %", LOG_ACCURACY, 2, 100},
              {"training loss after", "", LOG_TRAIN_LOSS, 4, 1},
              {"training accuracy after", " %", LOG_TRAIN_ACCURACY, 2, 100},
              {"validation loss", "", LOG_VALIDATION_LOSS, 4, 1},
              {"validation accuracy", " %", LOG_VALIDATION_ACCURACY, 2, 100},
              {"test loss", "", LOG_TEST_LOSS, 4, 1},
              {"test accuracy", " %", LOG_TEST_ACCURACY, 2, 100},
              {"images a second", "", LOG_SPEED, 0, 1},
              {"seconds of the epoch", "", LOG_EPOCH_SECONDS, 1, 1},
              {"since the start", "", LOG_SECONDS, 1, 1}};
  enum { ROWS = sizeof rows / sizeof *rows };
  bool shown[ROWS] = {false};
  html(
      file,
      "<details><summary>The values as a table</summary>\n<div class=\"wide\" tabindex=\"0\" role=\"region\" "
      "aria-label=\"Values of each epoch\"><table class=\"numbers\"><thead><tr><th scope=\"col\">epoch");
  for (int k = 0; k < ROWS; k++) {
    for (int64_t i = 0; i < log->epochs; i++) shown[k] = shown[k] || isfinite(log->value[rows[k].column][i]);
    if (shown[k]) html(file, "<th scope=\"col\">%s", rows[k].title);
  }
  html(file, "<th scope=\"col\">learning rate</thead><tbody>\n");
  for (int64_t i = 0; i < log->epochs; i++) {
    html(file, "<tr><th scope=\"row\">%lld", (long long)i + 1);
    for (int k = 0; k < ROWS; k++)
      if (shown[k])
        write_cell(file, log->value[rows[k].column][i], rows[k].digits, rows[k].factor, rows[k].unit);
    html(file, "<td>%.6g\n", log->value[LOG_LR][i]);
  }
  html(file, "</tbody></table></div></details>\n");
}

void charts_write(FILE *file, const struct run_log *log) {
  if (log->epochs == 0) {
    html(file, "<p>The log has no epoch: the run ended before its first was over.</p>\n");
    return;
  }
  html(file,
       "<p class=\"fine\">Point at an epoch to read its values; with the keyboard, move to a chart and use "
       "the "
       "arrow keys. “Training” is the mean over the epoch's mini-batches, while the weights change.</p>\n"
       "<div class=\"charts\">\n");
  for (int i = 0; i < CHARTS; i++) write_chart(file, log, &charts[i]);
  html(file, "</div>\n");
  write_table(file, log);
  write_json(file, log);
}
