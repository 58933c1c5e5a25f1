/* What `cnn train` shows while it runs. On a terminal: a live line, redrawn at most ten times a second and
 * cut to the window's width by leaving out what matters least, and a line that stays after each epoch.
 * Piped: the line after each epoch only. The log gets one JSON object an epoch. Nothing here allocates
 * between the first step and the last. */
#include "progress.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "output.h"
#include "plot.h"

/* What --plot keeps of each epoch. */
enum { TRAINING_LOSS, VALIDATION_LOSS, TEST_LOSS, TRAINING, VALIDATION, TEST, CURVES };

enum { WIDEST = 240, PIECES = 8, CARET_C = 2 /* room for the terminal's echo */ };

/* A line is made of pieces; the ones with the highest rank go first where the window is narrow. */
struct piece {
  int rank;
  char text[48];
};

void progress_init(struct progress *progress) {
  const char *kind = getenv("TERM");
  bool is_dumb = kind && strcmp(kind, "dumb") == 0; /* cannot go back to the start of a line */
  *progress = (struct progress){.terminal = isatty(STDOUT_FILENO) == 1 && !is_dumb};
}

static int window_width(void) {
  struct winsize window;
  const char *columns = getenv("COLUMNS");
  long width = columns ? strtol(columns, NULL, 10) : 0;
  if (width <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) width = window.ws_col;
  if (width <= 0) width = 80;
  return width > WIDEST ? WIDEST : (int)width;
}

static int window_height(void) {
  struct winsize window;
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ? window.ws_row : 0;
}

/* The pieces of rank <= most, two spaces apart; the length, which may pass the size. */
static int join(const struct piece *pieces, int count, int most, char *line, size_t size) {
  int length = 0;
  line[0] = '\0';
  for (int i = 0; i < count; i++) {
    if (pieces[i].rank > most || pieces[i].text[0] == '\0') continue;
    size_t room = length < (int)size ? size - (size_t)length : 0;
    length += snprintf(room ? line + length : NULL, room, "%s%s", length ? "  " : "", pieces[i].text);
  }
  return length;
}

/* The line that keeps the most pieces within `width` characters. */
static void fit(const struct piece *pieces, int count, int width, char *line, size_t size) {
  int rank = PIECES;
  while (join(pieces, count, rank, line, size) > width && rank > 1) rank--;
  if (width < 1) width = 1;
  if ((size_t)width < size) line[width] = '\0';
}

void progress_clear(struct progress *progress) {
  if (progress->drawn > 0) printf("\r%*s\r", progress->drawn + CARET_C, "");
  progress->drawn = 0;
}

static void write_epoch(struct piece *piece, const cnn_progress *now) {
  int width = snprintf(NULL, 0, "%lld", (long long)now->epochs);
  snprintf(piece->text, sizeof piece->text, "epoch %*lld/%lld", width, (long long)now->epoch,
           (long long)now->epochs);
}

static void write_loss(struct piece *piece, double loss) {
  snprintf(piece->text, sizeof piece->text, loss < 1e5 ? "loss %.4f" : "loss %.4g", loss);
}

static void draw_live(struct progress *progress, const cnn_progress *now) {
  double clock = now_seconds();
  if (clock - progress->drawn_at < 0.1 && progress->drawn > 0) return;
  progress->drawn_at = clock;
  char line[WIDEST + 1], left[TEXT_SIZE];
  struct piece piece[] = {{.rank = 1}, {.rank = 4}, {.rank = 3}, {.rank = 5}, {.rank = 6}, {.rank = 2}};
  double steps = (double)now->step;
  write_epoch(&piece[0], now);
  snprintf(piece[1].text, sizeof piece[1].text, "step %*lld/%lld",
           snprintf(NULL, 0, "%lld", (long long)now->steps), (long long)now->step, (long long)now->steps);
  write_loss(&piece[2], progress->loss_sum / steps);
  snprintf(piece[3].text, sizeof piece[3].text, "accuracy %.2f %%", 100 * progress->accuracy_sum / steps);
  snprintf(piece[4].text, sizeof piece[4].text, "%.0f images/s", now->images_per_second);
  snprintf(piece[5].text, sizeof piece[5].text, "ETA %s", time_text(now->seconds_left, left));
  fit(piece, 6, window_width() - 1 - CARET_C, line, sizeof line);
  int length = (int)strlen(line);
  int wipe = progress->drawn > length ? progress->drawn - length : 0;
  printf("\r%s%*s", line, wipe, "");
  for (int i = 0; i < wipe; i++) putchar('\b');
  fflush(stdout);
  progress->drawn = length;
}

/* The line that stays; whole where standard output is not a terminal. */
static void print_epoch(struct progress *progress, const cnn_progress *now) {
  char line[WIDEST + 1];
  struct piece piece[] = {{.rank = 1}, {.rank = 2}, {.rank = 5}, {.rank = 6},
                          {.rank = 4}, {.rank = 3}, {.rank = 7}, {.rank = 8}};
  write_epoch(&piece[0], now);
  write_loss(&piece[1], now->loss);
  snprintf(piece[2].text, sizeof piece[2].text, "accuracy %.2f %%", 100 * now->accuracy);
  if (!isnan(now->train_accuracy))
    snprintf(piece[3].text, sizeof piece[3].text, "train %.2f %%", 100 * now->train_accuracy);
  if (!isnan(now->validation_accuracy))
    snprintf(piece[4].text, sizeof piece[4].text, "validation %.2f %%", 100 * now->validation_accuracy);
  if (!isnan(now->test_accuracy))
    snprintf(piece[5].text, sizeof piece[5].text, "test %.2f %%", 100 * now->test_accuracy);
  snprintf(piece[6].text, sizeof piece[6].text, "%.0f images/s", now->images_per_second);
  snprintf(piece[7].text, sizeof piece[7].text, "%.1f s", now->seconds);
  fit(piece, 8, progress->terminal ? window_width() - 1 : WIDEST, line, sizeof line);
  puts(line);
  fflush(stdout);
}

static void log_epoch(struct progress *progress, const cnn_progress *now) {
  struct json out = {progress->log, false};
  json_open(&out, NULL, '{');
  json_integer(&out, "epoch", now->epoch);
  json_integer(&out, "steps", now->total_step);
  json_number(&out, "loss", now->loss);
  json_number(&out, "accuracy", now->accuracy);
  json_number(&out, "train_accuracy", now->train_accuracy);
  json_number(&out, "train_loss", now->train_loss);
  if (!isnan(now->validation_loss)) {
    json_number(&out, "validation_accuracy", now->validation_accuracy);
    json_number(&out, "validation_loss", now->validation_loss);
  }
  json_number(&out, "test_accuracy", now->test_accuracy);
  json_number(&out, "test_loss", now->test_loss);
  json_number(&out, "lr", now->lr);
  json_number(&out, "seconds", now->seconds);
  json_number(&out, "images_per_second", now->images_per_second);
  json_close(&out, '}');
  fputc('\n', progress->log);
  progress_check_log(progress);
}

static double *curve(const struct progress *progress, int number) {
  return progress->history + number * progress->epochs;
}

static void keep(struct progress *progress, const cnn_progress *now) {
  int64_t i = now->epoch - 1;
  curve(progress, TRAINING_LOSS)[i] = now->loss;
  curve(progress, VALIDATION_LOSS)[i] = now->validation_loss;
  curve(progress, TEST_LOSS)[i] = now->test_loss;
  curve(progress, TRAINING)[i] = 100 * now->accuracy;
  curve(progress, VALIDATION)[i] = 100 * now->validation_accuracy;
  curve(progress, TEST)[i] = 100 * now->test_accuracy;
}

static bool has_unicode(void) {
  setlocale(LC_CTYPE, "");
  bool has = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  setlocale(LC_CTYPE, "C");
  return has;
}

/* NO_COLOR: https://no-color.org */
static bool has_color(const struct progress *progress) {
  const char *no_color = getenv("NO_COLOR");
  return progress->terminal && !(no_color && *no_color);
}

static void draw_plot(struct progress *progress) {
  int points = (int)progress->last.epoch - !progress->last.epoch_end, epochs = (int)progress->epochs;
  struct plot plots[2] = {{"loss, log",
                           {{"training", curve(progress, TRAINING_LOSS)},
                            {"validation", curve(progress, VALIDATION_LOSS)},
                            {"test", curve(progress, TEST_LOSS)}},
                           points,
                           epochs,
                           true},
                          {"accuracy, %",
                           {{"training", curve(progress, TRAINING)},
                            {"validation", curve(progress, VALIDATION)},
                            {"test", curve(progress, TEST)}},
                           points,
                           epochs,
                           false}};
  struct plot_style style = {progress->terminal ? window_width() - 1 : 79,
                             progress->terminal ? window_height() : 0, has_color(progress), has_unicode()};
  progress->plotted = plot_print(plots, style);
  fflush(stdout);
}

/* The plot goes, so that the epoch's line can stand in its place. */
static void wipe_plot(struct progress *progress) {
  if (progress->terminal && progress->plotted > 0) printf("\033[%dA\033[J", progress->plotted);
  progress->plotted = 0;
}

bool progress_plot(struct progress *progress, int64_t epochs) {
  progress->epochs = epochs;
  progress->history = malloc((size_t)(CURVES * epochs) * sizeof *progress->history);
  return progress->history != NULL;
}

void progress_end(struct progress *progress) {
  progress_clear(progress);
  if (progress->history && !progress->terminal) draw_plot(progress);
  free(progress->history);
  progress->history = NULL;
}

void progress_check_log(struct progress *progress) {
  errno = 0;
  if (!progress->log || progress->log_failed) return;
  if (fflush(progress->log) == 0 && !ferror(progress->log)) return;
  progress->log_failed = true;
  const char *reason = errno ? strerror(errno) : "an earlier write failed";
  progress_clear(progress);
  progress->plotted = 0; /* what is said now stands between it and the cursor */
  fail_with("cannot write the log '%s': %s; training goes on without it", progress->log_path, reason);
}

void progress_report(void *context, const cnn_progress *now) {
  struct progress *progress = context;
  progress->last = *now;
  if (now->epoch_end) {
    progress_clear(progress);
    wipe_plot(progress);
    print_epoch(progress, now);
    if (progress->history) {
      keep(progress, now);
      if (progress->terminal) draw_plot(progress);
    }
    if (progress->log && !progress->log_failed) log_epoch(progress, now);
    return;
  }
  if (now->step == 1) progress->loss_sum = progress->accuracy_sum = 0;
  progress->loss_sum += now->loss;
  progress->accuracy_sum += now->accuracy;
  if (progress->terminal) draw_live(progress, now);
}
