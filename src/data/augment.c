/* Augmentation's settings: read, checked, written. See augment.h. */
#include "data/augment.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/maths.h"

enum kind { NUMBER, WHOLE, SIZE, ELASTIC, SWITCH, FILL };

/* One word of the text. */
struct row {
  const char *name;
  enum kind kind;
  size_t offset;
  double least, most;
};

#define AT(field) offsetof(struct augment, field)
static const struct row rows[] = {{"crop", SIZE, AT(crop_h), 1, 65535},
                                  {"pad", WHOLE, AT(pad), 1, 1000},
                                  {"shift", NUMBER, AT(shift), 1e-6, 1000},
                                  {"rotate", NUMBER, AT(rotate), 1e-6, 180},
                                  {"scale", NUMBER, AT(scale), 1e-6, 0.9},
                                  {"shear", NUMBER, AT(shear), 1e-6, 60},
                                  {"elastic", ELASTIC, AT(sigma), 0, 0},
                                  {"flip", SWITCH, AT(flip), 0, 0},
                                  {"erase", WHOLE, AT(erase), 1, 65535},
                                  {"color", NUMBER, AT(color), 1e-6, 10},
                                  {"fill", FILL, AT(edge), 0, 0}};
enum { ROWS = sizeof rows / sizeof *rows };

/* A piece of text that is not ended by NUL. */
struct piece {
  const char *start;
  size_t length;
};

static bool is(struct piece piece, const char *word) {
  return strlen(word) == piece.length && memcmp(piece.start, word, piece.length) == 0;
}

/* The part before the first `mark`, and what is after it; false where there is none. */
static bool divide(struct piece whole, char mark, struct piece *before, struct piece *after) {
  const char *at = memchr(whole.start, mark, whole.length);
  if (!at) return false;
  *before = (struct piece){whole.start, (size_t)(at - whole.start)};
  *after = (struct piece){at + 1, whole.length - before->length - 1};
  return true;
}

static cnn_status out_of_range(const char *name, struct piece value, double least, double most, bool whole) {
  return CNN_FAIL(CNN_E_ARGUMENT, "augment: %s=%.*s; it must be a %snumber of %g to %g", name,
                  (int)(value.length < 60 ? value.length : 60), value.start, whole ? "whole " : "", least,
                  most);
}

static cnn_status read_number(const char *name, struct piece value, double least, double most,
                              double *number) {
  double read;
  if (!text_to_number(value.start, value.length, &read) || read < least || read > most)
    return out_of_range(name, value, least, most, false);
  *number = read;
  return CNN_OK;
}

static cnn_status read_whole(const char *name, struct piece value, double least, double most,
                             int64_t *number) {
  int64_t read;
  if (!text_to_integer(value.start, value.length, &read) || (double)read < least || (double)read > most)
    return out_of_range(name, value, least, most, true);
  *number = read;
  return CNN_OK;
}

/* "256" or "240x320", height and width. */
static cnn_status read_size(const struct row *row, struct piece value, int64_t *h, int64_t *w) {
  int64_t size[2] = {0};
  int count = text_to_sizes(value.start, value.length, size, 2);
  if (count == 1) size[1] = size[0];
  for (int i = 0; i < 2; i++)
    if (count == 0 || (double)size[i] < row->least || (double)size[i] > row->most)
      return out_of_range(row->name, value, row->least, row->most, true);
  *h = size[0];
  *w = size[1];
  return CNN_OK;
}

/* "sigma:4,alpha:34", in either order. */
static cnn_status read_elastic(struct piece value, struct augment *augment) {
  struct piece half[2] = {value, {value.start, 0}}, name, number;
  divide(value, ',', &half[0], &half[1]);
  for (int i = 0; i < 2; i++) {
    if (!divide(half[i], ':', &name, &number)) break;
    if (is(name, "sigma"))
      CNN_TRY(read_number("elastic's sigma", number, 0.5, AUGMENT_SIGMA, &augment->sigma));
    else if (is(name, "alpha"))
      CNN_TRY(read_number("elastic's alpha", number, 1e-6, 1e5, &augment->alpha));
    else
      break;
  }
  if (augment->sigma > 0 && augment->alpha > 0) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "augment: elastic=%.*s; it is written as elastic=sigma:4,alpha:34",
                  (int)(value.length < 60 ? value.length : 60), value.start);
}

static cnn_status read_value(const struct row *row, struct piece value, struct augment *augment) {
  void *field = (char *)augment + row->offset;
  switch (row->kind) {
    case NUMBER: return read_number(row->name, value, row->least, row->most, field);
    case WHOLE: return read_whole(row->name, value, row->least, row->most, field);
    case SIZE: return read_size(row, value, &augment->crop_h, &augment->crop_w);
    case ELASTIC: return read_elastic(value, augment);
    case SWITCH: augment->flip = true; return CNN_OK;
    case FILL: augment->edge = is(value, "edge"); break;
  }
  if (augment->edge || is(value, "zero")) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "augment: fill=%.*s; it must be zero or edge",
                  (int)(value.length < 60 ? value.length : 60), value.start);
}

static cnn_status unknown(struct piece name) {
  const char *names[ROWS + 1] = {0};
  char word[64], list[160] = "";
  snprintf(word, sizeof word, "%.*s", (int)name.length, name.start);
  for (int i = 0; i < ROWS; i++) {
    names[i] = rows[i].name;
    snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", rows[i].name);
  }
  const char *nearest = text_nearest(word, names);
  if (nearest)
    return CNN_FAIL(CNN_E_KEY, "augment: unknown '%s': did you mean '%s'? (known: %s)", word, nearest, list);
  return CNN_FAIL(CNN_E_KEY, "augment: unknown '%s' (known: %s)", word, list);
}

/* seen: a bit for each row. */
static cnn_status read_word(struct piece word, struct augment *augment, unsigned *seen) {
  struct piece name = word, value = {word.start, 0};
  bool has_value = divide(word, '=', &name, &value);
  for (int i = 0; i < ROWS; i++) {
    if (!is(name, rows[i].name)) continue;
    if (*seen & 1U << i) return CNN_FAIL(CNN_E_ARGUMENT, "augment: %s is given twice", rows[i].name);
    *seen |= 1U << i;
    if (has_value == (rows[i].kind != SWITCH)) return read_value(&rows[i], value, augment);
    return CNN_FAIL(CNN_E_ARGUMENT, "augment: %s %s", rows[i].name,
                    has_value ? "takes no value" : "needs a value, as in shift=2");
  }
  return unknown(name);
}

/* exp(-t^2 / (2 sigma^2)) for |t| <= 3 sigma, summing to 1. */
static void make_taps(struct augment *augment) {
  double tap[AUGMENT_TAPS] = {0}, sum = 0;
  int r = augment->radius = (int)ceil(3 * augment->sigma);
  for (int t = -r; t <= r; t++)
    sum += tap[t + r] = maths_exp(-0.5 * t * t / (augment->sigma * augment->sigma));
  for (int i = 0; i <= 2 * r; i++) augment->tap[i] = (float)(tap[i] / sum);
}

cnn_status augment_parse(const char *text, struct augment *augment) {
  static const char gap[] = " \t\n";
  struct augment result = {0};
  unsigned seen = 0;
  for (const char *s = text ? text : ""; *(s += strspn(s, gap));) {
    struct piece word = {s, strcspn(s, gap)};
    CNN_TRY(read_word(word, &result, &seen));
    s += word.length;
  }
  if (result.sigma > 0) make_taps(&result);
  *augment = result;
  return CNN_OK;
}

void augment_write(const struct augment *augment, struct text *text) {
  char number[32], another[32];
  size_t start = text->length;
  for (int i = 0; i < ROWS; i++) {
    const void *field = (const char *)augment + rows[i].offset;
    const char *gap = text->length > start ? " " : "";
    switch (rows[i].kind) {
      case NUMBER:
        if (*(const double *)field > 0)
          text_add(text, "%s%s=%s", gap, rows[i].name, text_from_number(*(const double *)field, number));
        break;
      case WHOLE:
        if (*(const int64_t *)field > 0)
          text_add(text, "%s%s=%lld", gap, rows[i].name, (long long)*(const int64_t *)field);
        break;
      case SIZE:
        if (augment->crop_h > 0)
          text_add(text, "%scrop=%lldx%lld", gap, (long long)augment->crop_h, (long long)augment->crop_w);
        break;
      case ELASTIC:
        if (augment->sigma > 0)
          text_add(text, "%selastic=sigma:%s,alpha:%s", gap, text_from_number(augment->sigma, number),
                   text_from_number(augment->alpha, another));
        break;
      case SWITCH:
        if (augment->flip) text_add(text, "%sflip", gap);
        break;
      case FILL:
        if (augment->edge) text_add(text, "%sfill=edge", gap);
        break;
    }
  }
}

cnn_shape augment_source(const struct augment *augment, cnn_shape input) {
  cnn_shape source = {1, input.c, input.h, input.w};
  if (augment->crop_h > 0) source.h = augment->crop_h, source.w = augment->crop_w;
  return source;
}

cnn_status augment_check(const struct augment *augment, cnn_shape image, cnn_shape input) {
  if (image.h < input.h || image.w < input.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "images of %lldx%lld are smaller than the network's input of %lldx%lld, which is to be "
                    "cropped from them: crop= takes a larger size",
                    (long long)image.h, (long long)image.w, (long long)input.h, (long long)input.w);
  if (image.h > INT32_MAX / 2 / (image.w + 3) - 3)
    return CNN_FAIL(CNN_E_SHAPE, "augment: images of %lldx%lld are too large", (long long)image.h,
                    (long long)image.w);
  if (augment->color > 0 && image.c != 3)
    return CNN_FAIL(CNN_E_SHAPE, "augment: color is for images of 3 channels; these have %lld",
                    (long long)image.c);
  return CNN_OK;
}

void augment_set_colors(struct augment *augment, double covariance[3][3]) {
  double value[3], vector[3][3];
  maths_eigen3(covariance, value, vector);
  for (int k = 0; k < 3; k++)
    for (int c = 0; c < 3; c++) augment->component[k][c] = (float)(value[k] * vector[k][c]);
}
