/* `cnn report`: one page about a model and its run. Its parts:
 *   cmd_report.c       options, the order of things, the file
 *   report_log.c       the log of the run: read, checked, compared with the model
 *   report_run.c       the settings, and the command that repeats the run
 *   report_measure.c   what is measured on images: channels, weights, gradients, times
 *   report_page.c      the page from top to bottom
 *   report_findings.c  what stands out, in words
 *   report_chart.c     curves, as SVG
 *   report_pictures.c  filters, feature maps, mistakes, as PNG within the page
 *   report_tables.c    confusion, layers, weights
 *   report_html.c      text and pictures within HTML
 *   report/            the page's style and script, compiled in by cmake/embed-report.cmake */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "cnn.h"
#include "study.h"

/* ---- report_log.c ---- */

/* What an epoch's line of a log holds: name, and whether it may be null or left out. */
#define RUN_LOG_MAP(X)                                \
  X(LOSS, "loss", false)                              \
  X(ACCURACY, "accuracy", false)                      \
  X(TRAIN_LOSS, "train_loss", true)                   \
  X(TRAIN_ACCURACY, "train_accuracy", true)           \
  X(VALIDATION_LOSS, "validation_loss", true)         \
  X(VALIDATION_ACCURACY, "validation_accuracy", true) \
  X(TEST_LOSS, "test_loss", true)                     \
  X(TEST_ACCURACY, "test_accuracy", true)             \
  X(LR, "lr", false)                                  \
  X(SECONDS, "seconds", false)                        \
  X(SPEED, "images_per_second", false)

enum run_log_column {
#define RUN_LOG_COLUMN(name, key, optional) LOG_##name,
  RUN_LOG_MAP(RUN_LOG_COLUMN)
#undef RUN_LOG_COLUMN
      LOG_COLUMNS,
  LOG_EPOCH_SECONDS = LOG_COLUMNS, /* from the end of the epoch before, or the start */
  LOG_ALL
};

typedef struct json_t json_t; /* jansson's */

/* Start from {0}. */
struct run_log {
  const char *path;
  json_t *start; /* the first line */
  int64_t epochs, room;
  double *value[LOG_ALL]; /* [epochs]; NaN: not measured */
};

/* EXIT_SUCCESS, or EXIT_FAILURE after saying which line is wrong, what it has and what it should have. */
int run_log_read(const char *path, struct run_log *log);
void run_log_free(struct run_log *log);

/* Whether the log is the model's, by what both say of settings and size; says so where it is not. */
int run_log_compare(const struct run_log *log, const cnn_model *model, const char *model_path);

/* ---- report_run.c ---- */

/* The command that repeats the run, its words quoted for a shell: by the log's settings where there is a log,
 * else by the model's, with `data` as the data. free() it; NULL where memory is out. *net_file: the command
 * reads the network from a file of this name, which has to hold cnn_model_text(); "" where the network has a
 * name or its own file. */
char *run_command(const cnn_model *model, const char *model_path, const char *data,
                  const cnn_dataset *dataset, const struct run_log *log, char net_file[256]);

/* ---- report_measure.c ---- */

struct layer_seen {
  cnn_layer_info layer;
  float *low, *high; /* [channels] over all images and places */
  double sum;
  int64_t values, zeros,
      flat;     /* flat: where the slope is below a twentieth of its largest; of tanh and sigmoid */
  bool bends;   /* it is one of those */
  int64_t dead; /* channels that never change, those of layers below not counted again */
  double forward, backward; /* seconds for an image; NaN where there is nothing to do */
};

struct weight_seen {
  cnn_weight_info weight;
  double mean, deviation, least, most;
  double before, change; /* deviation before training; |w - w0| / |w0|. NaN where the seed is not known */
  double gradient;       /* root of the mean square of the loss's gradient; NaN where not trained */
};

/* Start from {0}. */
struct measured {
  struct study study;
  struct confusion confusion;
  struct mistakes mistakes; /* sorted */
  cnn_evaluation evaluation;
  struct layer_seen *layer; /* of each layer of the network */
  struct weight_seen *weight;
  int layers, weights;
  cnn_plan *initial;        /* weights before training; NULL where the seed is not known */
  cnn_split gradient_split; /* the gradient is that of the mean loss of these images, batch by batch */
  int64_t gradient_images;
};

cnn_status measure(const struct study_options *options, struct measured *measured);
void measured_free(struct measured *measured);

/* Does this channel of a layer never change, while what it comes from does? */
bool channel_is_dead(const struct measured *measured, int layer, int64_t channel);

/* ---- report_html.c ---- */

/* Text from anywhere, so that it stays text, between tags and within quotes. */
void html_text(FILE *file, const char *text);

/* printf whose arguments are ours; for what comes from files, html_text(). */
#define html fprintf

/* <img> with the picture inside, of width x height pixels of the page. alt, caption-like, is escaped. */
cnn_status html_image(FILE *file, cnn_tensor image, int64_t width, int64_t height, const char *class,
                      const char *alt);

/* "1,234,567", at most 32 characters. */
const char *grouped(int64_t number, char buffer[32]);

/* ---- the page ---- */

struct report {
  const char *model, *data, *out;
  struct run_log log; /* path is NULL where none was given */
  struct measured measured;
};

extern const char report_css[], report_js[], report_csp[]; /* by cmake/embed-report.cmake */

cnn_status page_write(FILE *file, const struct report *report);
void findings_write(FILE *file, const struct report *report);
void charts_write(FILE *file, const struct run_log *log);
cnn_status filters_write(FILE *file, const struct measured *measured);
cnn_status features_write(FILE *file, const struct measured *measured);
cnn_status mistakes_write(FILE *file, const struct measured *measured);
void confusion_write(FILE *file, const struct measured *measured);
void layers_write(FILE *file, const struct measured *measured);
void weights_write(FILE *file, const struct measured *measured);

#endif
