/* cnn show confusion, mistakes, shift: where a model fails on a data set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "show.h"
#include "study.h"

enum { WORST = 24, CELL = 40, MOST_SHIFT = 4, SHIFTS = 2 * MOST_SHIFT + 1, SHIFT_LIMIT = 1000 };

static cnn_status open_study(const struct show *show, int64_t usual_limit, struct study *study) {
  return study_open(
      &(struct study_options){.model = show->model,
                              .data = show->data,
                              .split = strcmp(show->split, "train") == 0 ? CNN_SPLIT_TRAIN : CNN_SPLIT_TEST,
                              .limit = show->limit ? show->limit : usual_limit,
                              .threads = show->threads},
      study);
}

/* ---- A table as a picture: squares from white to dark blue, the number in each ---- */

static void draw_cell(cnn_picture *picture, int64_t row, int64_t column, double share, const char *text,
                      int64_t top, int64_t left) {
  float v = share > 0 ? (float)sqrt(share < 1 ? share : 1) : 0; /* small shares are seen too */
  float colour[3] = {1 - 0.92F * v, 1 - 0.75F * v, 1 - 0.45F * v};
  int64_t y = top + row * CELL, x = left + column * CELL;
  cnn_picture_paste(picture, (cnn_tensor){colour, {1, 3, 1, 1}}, CELL - 1, y, x);
  cnn_picture_text(picture, text, y + (CELL - CNN_TEXT_HEIGHT) / 2, x + (CELL - cnn_text_width(text)) / 2,
                   v > 0.7F ? 1 : 0);
}

/* ---- confusion ---- */

struct table {
  struct study study;
  struct confusion counts;
};

static cnn_status count_batch(void *context, struct study *study, int64_t first, int64_t count) {
  (void)first;
  confusion_add(context, study, count);
  return CNN_OK;
}

static void print_confusion_json(const struct table *c) {
  struct json out = {stdout, false};
  char name[96];
  json_open(&out, NULL, '{');
  json_integer(&out, "images", c->counts.images);
  json_integer(&out, "correct", c->counts.correct);
  json_number(&out, "accuracy", (double)c->counts.correct / (double)c->study.images);
  json_open(&out, "classes", '[');
  for (int64_t i = 0; i < c->study.classes; i++) {
    struct rates r = confusion_rates(&c->counts, i);
    json_open(&out, NULL, '{');
    json_string(&out, "class", show_class(c->study.model, i, name));
    json_integer(&out, "images", r.images);
    json_integer(&out, "guessed", r.guessed);
    json_number(&out, "precision", r.precision);
    json_number(&out, "recall", r.recall);
    json_number(&out, "f1", r.f1);
    json_close(&out, '}');
  }
  json_close(&out, ']');
  json_open(&out, "matrix", '[');
  for (int64_t i = 0; i < c->study.classes; i++) {
    json_open(&out, NULL, '[');
    for (int64_t k = 0; k < c->study.classes; k++) json_integer(&out, NULL, confusion_cell(&c->counts, i, k));
    json_close(&out, ']');
  }
  json_close(&out, ']');
  json_close(&out, '}');
  putchar('\n');
}

static void print_rate(double rate) {
  if (isfinite(rate))
    printf("  %8.2f %%", 100 * rate);
  else
    printf("  %10s", "-");
}

/* The matrix where it fits a screen, then the rates. */
static void print_confusion(const struct table *c) {
  enum { MOST = 12 };
  char name[96];
  if (c->study.classes <= MOST) {
    printf("%-14s", "truth \\ guess");
    for (int64_t i = 0; i < c->study.classes; i++) printf(" %6.6s", show_class(c->study.model, i, name));
    putchar('\n');
    for (int64_t i = 0; i < c->study.classes; i++) {
      printf("%-14.14s", show_class(c->study.model, i, name));
      for (int64_t k = 0; k < c->study.classes; k++)
        printf(" %6lld", (long long)confusion_cell(&c->counts, i, k));
      putchar('\n');
    }
    putchar('\n');
  }
  printf("%-14s  %10s  %10s  %10s  %8s\n", "class", "precision", "recall", "F1", "images");
  for (int64_t i = 0; i < c->study.classes; i++) {
    struct rates r = confusion_rates(&c->counts, i);
    printf("%-14.14s", show_class(c->study.model, i, name));
    print_rate(r.precision);
    print_rate(r.recall);
    print_rate(r.f1);
    printf("  %8lld\n", (long long)r.images);
  }
  printf("accuracy %.2f %% (%lld/%lld)\n", 100 * (double)c->counts.correct / (double)c->study.images,
         (long long)c->counts.correct, (long long)c->study.images);
}

/* Each row by the share of its images. */
static cnn_status draw_confusion(const struct table *c, cnn_picture **picture) {
  int64_t classes = c->study.classes, widest = cnn_text_width("truth \\ guess");
  char text[96];
  for (int64_t i = 0; i < classes; i++) {
    int64_t width = cnn_text_width(show_class(c->study.model, i, text));
    if (width > widest) widest = width;
  }
  int64_t left = widest + 12, top = CNN_TEXT_HEIGHT + 12;
  cnn_status status =
      cnn_picture_new(top + classes * CELL + 4, left + classes * CELL + 4, CNN_PAPER, picture);
  if (status != CNN_OK) return status;
  cnn_picture_text(*picture, "truth \\ guess", 6, 6, 0);
  for (int64_t i = 0; i < classes; i++) {
    const char *name = show_class(c->study.model, i, text);
    int64_t images = confusion_rates(&c->counts, i).images, length = (CELL - 2) / CNN_TEXT_WIDTH;
    cnn_picture_text(*picture, name, top + i * CELL + (CELL - CNN_TEXT_HEIGHT) / 2, 6, 0);
    char cut[96];
    snprintf(cut, sizeof cut, "%.*s", (int)length, name);
    cnn_picture_text(*picture, cut, 6, left + i * CELL + (CELL - cnn_text_width(cut)) / 2, 0);
    for (int64_t k = 0; k < classes; k++) {
      char number[32] = "";
      if (confusion_cell(&c->counts, i, k))
        snprintf(number, sizeof number, "%lld", (long long)confusion_cell(&c->counts, i, k));
      draw_cell(*picture, i, k, images ? (double)confusion_cell(&c->counts, i, k) / (double)images : 0,
                number, top, left);
    }
  }
  return CNN_OK;
}

int show_confusion(const struct show *show) {
  struct table c = {{0}, {0}};
  cnn_picture *picture = NULL;
  cnn_status status = open_study(show, 0, &c.study);
  if (status == CNN_OK) status = confusion_new(c.study.classes, &c.counts);
  if (status == CNN_OK) status = study_run(&c.study, count_batch, &c.counts);
  if (status == CNN_OK && show->json) print_confusion_json(&c);
  if (status == CNN_OK && !show->json) print_confusion(&c);
  if (status == CNN_OK && show->out) status = draw_confusion(&c, &picture);
  status = write_picture(status, picture, show->out);
  confusion_free(&c.counts);
  study_free(&c.study);
  return show_result(status);
}

/* ---- mistakes ---- */

static cnn_status mistaken_batch(void *context, struct study *study, int64_t first, int64_t count) {
  mistakes_add(context, study, first, count);
  return CNN_OK;
}

static cnn_status draw_mistakes(const struct study *s, const struct mistake *mistakes, int64_t count,
                                int64_t zoom, cnn_picture **picture) {
  cnn_shape image = cnn_model_image(s->model);
  char(*words)[224] = calloc((size_t)count, sizeof *words);
  const char **labels = calloc((size_t)count, sizeof *labels);
  float *tiles = calloc((size_t)(count * s->pixels), sizeof *tiles);
  cnn_status status = words && labels && tiles ? CNN_OK : CNN_E_MEMORY;
  for (int64_t i = 0; status == CNN_OK && i < count; i++) {
    char truth[96], guessed[96];
    snprintf(words[i], sizeof *words, "%s, not %s: %.2f", show_class(s->model, mistakes[i].truth, truth),
             show_class(s->model, mistakes[i].guessed, guessed), mistakes[i].confidence);
    labels[i] = words[i];
    status = cnn_dataset_read(s->data, s->split, mistakes[i].index, tiles + i * s->pixels, NULL);
  }
  image.n = count;
  if (status == CNN_OK)
    status = titled_sheet((cnn_tensor){tiles, image},
                          (cnn_sheet_options){.labels = labels, .zoom = zoom, .asis = true}, picture,
                          "truth, guess and its probability");
  free(words);
  free(labels);
  free(tiles);
  return status;
}

static void print_mistakes(const struct study *s, const struct mistakes *mistakes, int64_t count,
                           bool as_json) {
  struct json out = {stdout, false};
  char truth[96], guessed[96];
  if (as_json) {
    json_open(&out, NULL, '{');
    json_integer(&out, "images", s->images);
    json_integer(&out, "mistakes", mistakes->count);
    json_open(&out, "worst", '[');
  } else {
    printf("%8s  %-12s %-12s %s\n", "image", "truth", "guess", "probability");
  }
  for (int64_t i = 0; i < count; i++) {
    const struct mistake *m = &mistakes->row[i];
    show_class(s->model, m->truth, truth);
    if (as_json) {
      json_open(&out, NULL, '{');
      json_integer(&out, "index", m->index);
      json_string(&out, "truth", show_class(s->model, m->truth, truth));
      json_string(&out, "guess", show_class(s->model, m->guessed, guessed));
      json_number(&out, "probability", m->confidence);
      json_close(&out, '}');
    } else {
      printf("%8lld  %-12s %-12s %.4f\n", (long long)m->index, show_class(s->model, m->truth, truth),
             show_class(s->model, m->guessed, guessed), m->confidence);
    }
  }
  if (as_json) {
    json_close(&out, ']');
    json_close(&out, '}');
    putchar('\n');
  } else {
    printf("%lld of %lld images are mistaken\n", (long long)mistakes->count, (long long)s->images);
  }
}

int show_mistakes(const struct show *show) {
  struct study s = {0};
  struct mistakes mistakes = {0};
  cnn_picture *picture = NULL;
  cnn_status status = open_study(show, 0, &s);
  if (status == CNN_OK) status = mistakes_new(&s, &mistakes);
  if (status == CNN_OK) status = study_run(&s, mistaken_batch, &mistakes);
  if (status == CNN_OK) mistakes_sort(&mistakes);
  int64_t count = show->count ? show->count : WORST;
  if (mistakes.count < count) count = mistakes.count;
  if (status == CNN_OK && show->out && count)
    status = draw_mistakes(&s, mistakes.row, count, show->zoom, &picture);
  if (status == CNN_OK) print_mistakes(&s, &mistakes, count, show->json);
  status = write_picture(status, picture, show->out);
  mistakes_free(&mistakes);
  study_free(&s);
  return show_result(status);
}

/* ---- shift: Figure 7-16 as a measurement ---- */

struct shift {
  struct study study;
  int64_t correct[SHIFTS][SHIFTS]; /* by rows down, by columns to the right, from -MOST_SHIFT */
};

static cnn_status count_shifts(struct shift *shift) {
  struct study *s = &shift->study;
  cnn_status status = CNN_OK;
  for (int64_t first = 0, count = 0; status == CNN_OK && first < s->images; first += count) {
    status = study_read(s, first, &count);
    for (int64_t k = 0; status == CNN_OK && k < SHIFTS * SHIFTS; k++) {
      status = study_predict(s, count, k / SHIFTS - MOST_SHIFT, k % SHIFTS - MOST_SHIFT);
      for (int64_t n = 0; status == CNN_OK && n < count; n++)
        shift->correct[k / SHIFTS][k % SHIFTS] += study_guess(s, n) == s->labels[n];
    }
  }
  return status;
}

static double share(const struct shift *shift, int row, int column) {
  return (double)shift->correct[row][column] / (double)shift->study.images;
}

static void print_shift(const struct shift *shift, bool as_json) {
  struct json out = {stdout, false};
  if (as_json) {
    json_open(&out, NULL, '{');
    json_integer(&out, "images", shift->study.images);
    json_integer(&out, "most", MOST_SHIFT);
    json_open(&out, "accuracy", '[');
  } else {
    printf("accuracy in %% over %lld images, moved by so many pixels\n%5s", (long long)shift->study.images,
           "");
    for (int k = 0; k < SHIFTS; k++) printf(" %+6d", k - MOST_SHIFT);
    puts("  to the right");
  }
  for (int row = 0; row < SHIFTS; row++) {
    if (as_json)
      json_open(&out, NULL, '[');
    else
      printf("%+5d", row - MOST_SHIFT);
    for (int k = 0; k < SHIFTS; k++) {
      if (as_json)
        json_number(&out, NULL, share(shift, row, k));
      else
        printf(" %6.2f", 100 * share(shift, row, k));
    }
    if (as_json)
      json_close(&out, ']');
    else
      putchar('\n');
  }
  if (as_json) {
    json_close(&out, ']');
    json_close(&out, '}');
    putchar('\n');
  } else {
    puts("down");
  }
}

static cnn_status draw_shift(const struct shift *shift, cnn_picture **picture) {
  int64_t left = 5 * CNN_TEXT_WIDTH, top = 2 * CNN_TEXT_HEIGHT + 10;
  cnn_status status = cnn_picture_new(top + SHIFTS * CELL + 4, left + SHIFTS * CELL + 4, CNN_PAPER, picture);
  if (status != CNN_OK) return status;
  cnn_picture_text(*picture, "accuracy (%), image moved right, down by pixels", 4, 4, 0);
  for (int i = 0; i < SHIFTS; i++) {
    char text[32];
    snprintf(text, sizeof text, "%+d", i - MOST_SHIFT);
    cnn_picture_text(*picture, text, top + i * CELL + (CELL - CNN_TEXT_HEIGHT) / 2, 6, 0);
    cnn_picture_text(*picture, text, CNN_TEXT_HEIGHT + 6, left + i * CELL + (CELL - 2 * CNN_TEXT_WIDTH) / 2,
                     0);
    for (int k = 0; k < SHIFTS; k++) {
      double value = share(shift, i, k);
      snprintf(text, sizeof text, "%.1f", 100 * value);
      draw_cell(*picture, i, k, value * value, text, top, left);
    }
  }
  return CNN_OK;
}

int show_shift(const struct show *show) {
  struct shift shift = {0};
  cnn_picture *picture = NULL;
  cnn_status status = open_study(show, SHIFT_LIMIT, &shift.study);
  if (status == CNN_OK) status = count_shifts(&shift);
  if (status == CNN_OK) print_shift(&shift, show->json);
  if (status == CNN_OK && show->out) status = draw_shift(&shift, &picture);
  status = write_picture(status, picture, show->out);
  study_free(&shift.study);
  return show_result(status);
}
