/* cnn show confusion, mistakes, shift: where a model fails on a data set. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "show.h"

enum { BATCH = 100, WORST = 24, CELL = 40, MOST_SHIFT = 4, SHIFTS = 2 * MOST_SHIFT + 1, SHIFT_LIMIT = 1000 };

/* A model beside a split of a data set, and a mini-batch. */
struct study {
  cnn_model *model;
  cnn_plan *plan;
  cnn_dataset *data;
  cnn_split split;
  int64_t images, classes, pixels; /* pixels: values of an image */
  float *x, *y;
  int32_t *labels;
};

static void study_free(struct study *s) {
  free(s->x);
  free(s->y);
  free(s->labels);
  cnn_dataset_free(s->data);
  cnn_plan_free(s->plan);
  cnn_model_free(s->model);
}

static cnn_status study_fit(struct study *s, const char *source) {
  cnn_shape out = cnn_net_output(cnn_model_net(s->model)), in = cnn_model_image(s->model),
            image = cnn_dataset_image(s->data);
  if (out.h != 1 || out.w != 1 || cnn_dataset_classes(s->data) > out.c || image.c != in.c ||
      image.h != in.h || image.w != in.w) {
    char ours[TEXT_SIZE], theirs[TEXT_SIZE];
    fail_with("the model takes images of %s in %lld classes, '%s' has %s in %d", shape_text(in, ours),
              (long long)out.c, source, shape_text(image, theirs), cnn_dataset_classes(s->data));
    exit(EXIT_FAILURE);
  }
  s->classes = out.c;
  return cnn_shape_count(in, &s->pixels);
}

static cnn_status study_open(const struct show *show, int64_t usual_limit, struct study *s) {
  cnn_plan_options options = cnn_plan_defaults();
  cnn_dataset_options of_data = cnn_dataset_defaults();
  options.mode = CNN_INFER;
  options.batch = BATCH;
  options.threads = (int)show->threads;
  cnn_status status = cnn_model_load(show->model, &s->model);
  if (status == CNN_OK) status = cnn_plan_new(cnn_model_net(s->model), &options, &s->plan);
  if (status == CNN_OK) status = cnn_model_apply(s->model, s->plan);
  if (status == CNN_OK) {
    of_data.image = cnn_model_image(s->model);
    status = cnn_dataset_open(show->data, &of_data, &s->data);
  }
  if (status == CNN_OK) status = study_fit(s, show->data);
  if (status != CNN_OK) return status;
  s->split = strcmp(show->split, "train") == 0 ? CNN_SPLIT_TRAIN : CNN_SPLIT_TEST;
  int64_t limit = show->limit ? show->limit : usual_limit;
  s->images = cnn_dataset_count(s->data, s->split);
  if (limit && limit < s->images) s->images = limit;
  s->x = calloc((size_t)(2 * BATCH * s->pixels), sizeof *s->x);
  s->y = calloc((size_t)(BATCH * s->classes), sizeof *s->y);
  s->labels = calloc(BATCH, sizeof *s->labels);
  return s->x && s->y && s->labels ? CNN_OK : CNN_E_MEMORY;
}

/* Images first .. first + count - 1, at most BATCH, into the second half of s->x. */
static cnn_status study_read(struct study *s, int64_t first, int64_t *count) {
  cnn_status status = CNN_OK;
  *count = s->images - first < BATCH ? s->images - first : BATCH;
  for (int64_t n = 0; status == CNN_OK && n < *count; n++)
    status = cnn_dataset_read(s->data, s->split, first + n, s->x + (BATCH + n) * s->pixels, &s->labels[n]);
  return status;
}

/* Their outputs, with the images moved by dy rows and dx columns; black comes in from the edge. */
static cnn_status study_predict(struct study *s, int64_t count, int64_t dy, int64_t dx) {
  cnn_shape in = cnn_model_image(s->model), out = cnn_net_output(cnn_model_net(s->model));
  const float *from = s->x + BATCH * s->pixels;
  for (int64_t i = 0; i < count * s->pixels; i++) {
    int64_t h = i / in.w % in.h - dy, w = i % in.w - dx;
    s->x[i] = h >= 0 && h < in.h && w >= 0 && w < in.w ? from[i - dy * in.w - dx] : 0;
  }
  in.n = out.n = count;
  return cnn_plan_forward(s->plan, (cnn_tensor){s->x, in}, (cnn_tensor){s->y, out});
}

/* The largest output of image n, the lower class where two are the same. */
static int64_t guess(const struct study *s, int64_t n) {
  int64_t best = 0;
  for (int64_t c = 1; c < s->classes; c++)
    if (s->y[n * s->classes + c] > s->y[n * s->classes + best]) best = c;
  return best;
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

struct confusion {
  struct study study;
  int64_t *matrix; /* [truth][guess] */
  int64_t correct;
};

struct rates {
  double precision, recall, f1; /* NaN where nothing is divided by nothing */
  int64_t images, guessed;
};

static int64_t cell(const struct confusion *c, int64_t truth, int64_t guessed) {
  return c->matrix[truth * c->study.classes + guessed];
}

static struct rates rates_of(const struct confusion *c, int64_t class) {
  struct rates r = {0};
  double hits = (double)cell(c, class, class);
  for (int64_t k = 0; k < c->study.classes; k++) {
    r.images += cell(c, class, k);
    r.guessed += cell(c, k, class);
  }
  r.precision = hits / (double)r.guessed;
  r.recall = hits / (double)r.images;
  r.f1 = 2 * hits / (double)(r.images + r.guessed);
  return r;
}

static cnn_status count_confusion(struct confusion *c) {
  struct study *s = &c->study;
  cnn_status status = CNN_OK;
  for (int64_t first = 0, count = 0; status == CNN_OK && first < s->images; first += count) {
    status = study_read(s, first, &count);
    if (status == CNN_OK) status = study_predict(s, count, 0, 0);
    for (int64_t n = 0; status == CNN_OK && n < count; n++) {
      int64_t guessed = guess(s, n);
      c->matrix[s->labels[n] * s->classes + guessed]++;
      c->correct += guessed == s->labels[n];
    }
  }
  return status;
}

static void print_confusion_json(const struct confusion *c) {
  struct json out = {stdout, false};
  char name[96];
  json_open(&out, NULL, '{');
  json_integer(&out, "images", c->study.images);
  json_integer(&out, "correct", c->correct);
  json_number(&out, "accuracy", (double)c->correct / (double)c->study.images);
  json_open(&out, "classes", '[');
  for (int64_t i = 0; i < c->study.classes; i++) {
    struct rates r = rates_of(c, i);
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
    for (int64_t k = 0; k < c->study.classes; k++) json_integer(&out, NULL, cell(c, i, k));
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
static void print_confusion(const struct confusion *c) {
  enum { MOST = 12 };
  char name[96];
  if (c->study.classes <= MOST) {
    printf("%-14s", "truth \\ guess");
    for (int64_t i = 0; i < c->study.classes; i++) printf(" %6.6s", show_class(c->study.model, i, name));
    putchar('\n');
    for (int64_t i = 0; i < c->study.classes; i++) {
      printf("%-14.14s", show_class(c->study.model, i, name));
      for (int64_t k = 0; k < c->study.classes; k++) printf(" %6lld", (long long)cell(c, i, k));
      putchar('\n');
    }
    putchar('\n');
  }
  printf("%-14s  %10s  %10s  %10s  %8s\n", "class", "precision", "recall", "F1", "images");
  for (int64_t i = 0; i < c->study.classes; i++) {
    struct rates r = rates_of(c, i);
    printf("%-14.14s", show_class(c->study.model, i, name));
    print_rate(r.precision);
    print_rate(r.recall);
    print_rate(r.f1);
    printf("  %8lld\n", (long long)r.images);
  }
  printf("accuracy %.2f %% (%lld/%lld)\n", 100 * (double)c->correct / (double)c->study.images,
         (long long)c->correct, (long long)c->study.images);
}

/* Each row by the share of its images. */
static cnn_status draw_confusion(const struct confusion *c, cnn_picture **picture) {
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
    int64_t images = rates_of(c, i).images, length = (CELL - 2) / CNN_TEXT_WIDTH;
    cnn_picture_text(*picture, name, top + i * CELL + (CELL - CNN_TEXT_HEIGHT) / 2, 6, 0);
    char cut[96];
    snprintf(cut, sizeof cut, "%.*s", (int)length, name);
    cnn_picture_text(*picture, cut, 6, left + i * CELL + (CELL - cnn_text_width(cut)) / 2, 0);
    for (int64_t k = 0; k < classes; k++) {
      char number[32] = "";
      if (cell(c, i, k)) snprintf(number, sizeof number, "%lld", (long long)cell(c, i, k));
      draw_cell(*picture, i, k, images ? (double)cell(c, i, k) / (double)images : 0, number, top, left);
    }
  }
  return CNN_OK;
}

int show_confusion(const struct show *show) {
  struct confusion c = {0};
  cnn_picture *picture = NULL;
  cnn_status status = study_open(show, 0, &c.study);
  if (status == CNN_OK) {
    c.matrix = calloc((size_t)(c.study.classes * c.study.classes), sizeof *c.matrix);
    status = c.matrix ? count_confusion(&c) : CNN_E_MEMORY;
  }
  if (status == CNN_OK && show->json) print_confusion_json(&c);
  if (status == CNN_OK && !show->json) print_confusion(&c);
  if (status == CNN_OK && show->out) status = draw_confusion(&c, &picture);
  status = write_picture(status, picture, show->out);
  free(c.matrix);
  study_free(&c.study);
  return show_result(status);
}

/* ---- mistakes ---- */

struct mistake {
  int64_t index, truth, guessed;
  double confidence; /* the probability of the guess */
};

/* The surest first; of equal ones the lower index. */
static int by_confidence(const void *a, const void *b) {
  const struct mistake *x = a, *y = b;
  if (x->confidence != y->confidence) return x->confidence > y->confidence ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static cnn_status find_mistakes(struct study *s, struct mistake *mistakes, int64_t *found) {
  cnn_status status = CNN_OK;
  *found = 0;
  for (int64_t first = 0, count = 0; status == CNN_OK && first < s->images; first += count) {
    status = study_read(s, first, &count);
    if (status == CNN_OK) status = study_predict(s, count, 0, 0);
    for (int64_t n = 0; status == CNN_OK && n < count; n++) {
      float *outputs = s->y + n * s->classes;
      to_probabilities(s->plan, outputs, s->classes);
      int64_t guessed = guess(s, n);
      if (guessed != s->labels[n])
        mistakes[(*found)++] = (struct mistake){first + n, s->labels[n], guessed, (double)outputs[guessed]};
    }
  }
  qsort(mistakes, (size_t)*found, sizeof *mistakes, by_confidence);
  return status;
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

static void print_mistakes(const struct study *s, const struct mistake *mistakes, int64_t count,
                           int64_t found, bool as_json) {
  struct json out = {stdout, false};
  char truth[96], guessed[96];
  if (as_json) {
    json_open(&out, NULL, '{');
    json_integer(&out, "images", s->images);
    json_integer(&out, "mistakes", found);
    json_open(&out, "worst", '[');
  } else {
    printf("%8s  %-12s %-12s %s\n", "image", "truth", "guess", "probability");
  }
  for (int64_t i = 0; i < count; i++) {
    const struct mistake *m = &mistakes[i];
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
    printf("%lld of %lld images are mistaken\n", (long long)found, (long long)s->images);
  }
}

int show_mistakes(const struct show *show) {
  struct study s = {0};
  struct mistake *mistakes = NULL;
  cnn_picture *picture = NULL;
  int64_t found = 0;
  cnn_status status = study_open(show, 0, &s);
  if (status == CNN_OK) {
    mistakes = calloc((size_t)s.images, sizeof *mistakes);
    status = mistakes ? find_mistakes(&s, mistakes, &found) : CNN_E_MEMORY;
  }
  int64_t count = show->count ? show->count : WORST;
  if (found < count) count = found;
  if (status == CNN_OK && show->out && count)
    status = draw_mistakes(&s, mistakes, count, show->zoom, &picture);
  if (status == CNN_OK) print_mistakes(&s, mistakes, count, found, show->json);
  status = write_picture(status, picture, show->out);
  free(mistakes);
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
        shift->correct[k / SHIFTS][k % SHIFTS] += guess(s, n) == s->labels[n];
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
  cnn_status status = study_open(show, SHIFT_LIMIT, &shift.study);
  if (status == CNN_OK) status = count_shifts(&shift);
  if (status == CNN_OK) print_shift(&shift, show->json);
  if (status == CNN_OK && show->out) status = draw_shift(&shift, &picture);
  status = write_picture(status, picture, show->out);
  study_free(&shift.study);
  return show_result(status);
}
