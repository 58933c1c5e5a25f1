/* See study.h. */
#include "study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "show.h"
#include "source.h"

void study_free(struct study *s) {
  free(s->x);
  free(s->y);
  free(s->labels);
  cnn_dataset_free(s->data);
  cnn_plan_free(s->plan);
  cnn_model_free(s->model);
}

static cnn_status check_fit(struct study *s, const char *source) {
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

cnn_status study_open(const struct study_options *options, struct study *s) {
  cnn_dataset_options of_data = cnn_dataset_defaults();
  cnn_status status =
      source_model_plan(options->model, options->inside, 0, options->threads, &s->model, &s->plan);
  if (status != CNN_OK) return status;
  of_data.image = cnn_model_image(s->model);
  status = cnn_dataset_open(options->data, &of_data, &s->data);
  if (status == CNN_OK) status = check_fit(s, options->data);
  if (status != CNN_OK) return status;
  warn_of_classes(s->model, s->data);
  s->batch = cnn_plan_settings(s->plan).batch;
  s->split = options->split;
  s->images = cnn_dataset_count(s->data, s->split);
  if (options->limit && options->limit < s->images) s->images = options->limit;
  if (s->images == 0) {
    fail_with("'%s' has no %s images", options->data, s->split == CNN_SPLIT_TRAIN ? "training" : "test");
    exit(EXIT_FAILURE);
  }
  s->x = calloc((size_t)(2 * s->batch * s->pixels), sizeof *s->x);
  s->y = calloc((size_t)(s->batch * s->classes), sizeof *s->y);
  s->labels = calloc((size_t)s->batch, sizeof *s->labels);
  return s->x && s->y && s->labels ? CNN_OK : CNN_E_MEMORY;
}

/* They stand in the second half of s->x, so that they can be moved. */
cnn_status study_read(struct study *s, int64_t first, int64_t *count) {
  cnn_status status = CNN_OK;
  *count = s->images - first < s->batch ? s->images - first : s->batch;
  for (int64_t n = 0; status == CNN_OK && n < *count; n++)
    status = cnn_dataset_read(s->data, s->split, first + n, s->x + (s->batch + n) * s->pixels, &s->labels[n]);
  return status;
}

cnn_status study_predict(struct study *s, int64_t count, int64_t dy, int64_t dx) {
  cnn_shape in = cnn_model_image(s->model), out = cnn_net_output(cnn_model_net(s->model));
  const float *from = s->x + s->batch * s->pixels;
  for (int64_t i = 0; i < count * s->pixels; i++) {
    int64_t h = i / in.w % in.h - dy, w = i % in.w - dx;
    s->x[i] = h >= 0 && h < in.h && w >= 0 && w < in.w ? from[i - dy * in.w - dx] : 0;
  }
  in.n = out.n = count;
  return cnn_plan_forward(s->plan, (cnn_tensor){s->x, in}, (cnn_tensor){s->y, out});
}

cnn_status study_run(struct study *s, cnn_status (*each)(void *, struct study *, int64_t, int64_t),
                     void *context) {
  cnn_status status = CNN_OK;
  for (int64_t first = 0, count = 0; status == CNN_OK && first < s->images; first += count) {
    status = study_read(s, first, &count);
    if (status == CNN_OK) status = study_predict(s, count, 0, 0);
    if (status == CNN_OK) status = each(context, s, first, count);
  }
  return status;
}

int64_t study_guess(const struct study *s, int64_t n) {
  int64_t best = 0;
  for (int64_t c = 1; c < s->classes; c++)
    if (s->y[n * s->classes + c] > s->y[n * s->classes + best]) best = c;
  return best;
}

void warn_of_classes(const cnn_model *model, const cnn_dataset *data) {
  for (int i = 0; i < cnn_dataset_classes(data); i++) {
    const char *ours = cnn_model_class(model, i), *theirs = cnn_dataset_class(data, i);
    if (!ours || !theirs || strcmp(ours, theirs) == 0) continue;
    fprintf(stderr, "cnn: warning: class %d is '%s' to the model and '%s' in the data\n", i, ours, theirs);
    return;
  }
}

/* ---- Which classes are taken for which ---- */

cnn_status confusion_new(int64_t classes, struct confusion *c) {
  *c = (struct confusion){.classes = classes,
                          .matrix = calloc((size_t)(classes * classes), sizeof *c->matrix)};
  return c->matrix ? CNN_OK : CNN_E_MEMORY;
}

void confusion_free(struct confusion *c) { free(c->matrix); }

void confusion_add(struct confusion *c, const struct study *s, int64_t count) {
  for (int64_t n = 0; n < count; n++) {
    int64_t guessed = study_guess(s, n);
    c->matrix[s->labels[n] * c->classes + guessed]++;
    c->correct += guessed == s->labels[n];
  }
  c->images += count;
}

int64_t confusion_cell(const struct confusion *c, int64_t truth, int64_t guessed) {
  return c->matrix[truth * c->classes + guessed];
}

struct rates confusion_rates(const struct confusion *c, int64_t class) {
  struct rates r = {0};
  double hits = (double)confusion_cell(c, class, class);
  for (int64_t k = 0; k < c->classes; k++) {
    r.images += confusion_cell(c, class, k);
    r.guessed += confusion_cell(c, k, class);
  }
  r.precision = hits / (double)r.guessed;
  r.recall = hits / (double)r.images;
  r.f1 = 2 * hits / (double)(r.images + r.guessed);
  return r;
}

/* ---- Images that are mistaken ---- */

cnn_status mistakes_new(const struct study *s, struct mistakes *m) {
  *m = (struct mistakes){.row = calloc((size_t)s->images, sizeof *m->row)};
  return m->row ? CNN_OK : CNN_E_MEMORY;
}

void mistakes_free(struct mistakes *m) { free(m->row); }

void mistakes_add(struct mistakes *m, const struct study *s, int64_t first, int64_t count) {
  for (int64_t n = 0; n < count; n++) {
    float *outputs = s->y + n * s->classes;
    to_probabilities(s->plan, outputs, s->classes);
    int64_t guessed = study_guess(s, n);
    if (guessed != s->labels[n])
      m->row[m->count++] = (struct mistake){first + n, s->labels[n], guessed, (double)outputs[guessed]};
  }
}

static int by_confidence(const void *a, const void *b) {
  const struct mistake *x = a, *y = b;
  if (x->confidence != y->confidence) return x->confidence > y->confidence ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

void mistakes_sort(struct mistakes *m) { qsort(m->row, (size_t)m->count, sizeof *m->row, by_confidence); }
