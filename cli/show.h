/* `cnn show`: what its kinds share. Each kind is a function of this, called by cmd_show.c; CNN_E_MEMORY
 * without a sentence of the library's is said by the caller. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stdbool.h>

#include "cnn.h"

/* What the command line says. */
struct show {
  const char *model; /* or a network, for `net` */
  const char *image; /* a file, or NULL: image `index` of `data` */
  const char *layer, *filter, *class, *data, *split, *out;
  int64_t index, limit, count, zoom, threads; /* 0 of limit, count, zoom: the kind's own */
  int64_t channel, patches;                   /* -1: all; 0: the kind's own */
  cnn_ascent_options ascent;
  bool before, invert, json;
};

int show_filters(const struct show *show);
int show_response(const struct show *show);
int show_features(const struct show *show);
int show_why(const struct show *show);
int show_excite(const struct show *show);
int show_confusion(const struct show *show);
int show_mistakes(const struct show *show);
int show_shift(const struct show *show);
int show_net(const struct show *show);

/* A model on a plan that keeps what its layers give. Start from {0}. */
struct seen {
  cnn_model *model;
  cnn_plan *plan;
  cnn_tensor x, y; /* one image as the model takes it, values in [0, 1]; the output for it */
};
cnn_status seen_open(const struct show *show, cnn_mode mode, int64_t batch, struct seen *seen);
void seen_free(struct seen *seen);

/* The image of the command line into seen->x, then forward into seen->y. */
cnn_status seen_forward(const struct show *show, struct seen *seen);

/* The data set of the command line, of images of that shape; exits where they are of another. */
cnn_status open_data(const struct show *show, cnn_shape taken, cnn_dataset **data, cnn_split *split);

/* Of an image larger than the network's input its middle, which is what the network sees. */
void keep_middle(cnn_tensor *x, cnn_shape in);

/* The output of a layer for that image: free() its data. */
cnn_status seen_output(const struct seen *seen, const char *layer, cnn_tensor *output);

/* Whether a layer has filters: then their weight, of four dimensions, or the three of table-conv. The weights
 * themselves: free() their data. */
bool has_filters(const cnn_net *net, const cnn_layer_info *layer, cnn_weight_info *weight);
cnn_status read_filters(const cnn_plan *plan, const cnn_weight_info *weight, cnn_tensor *filters);

/* A plan with the weights as they were before training. CNN_E_DATA where the model does not say the seed. */
cnn_status initial_plan(const cnn_model *model, cnn_plan **plan);

/* The first layer that has filters, or the one of that name: its weights, free() their data. */
cnn_status find_filters(const cnn_plan *plan, const char *name, cnn_layer_info *layer, cnn_tensor *filters);

/* A sheet with a title of these words. */
cnn_status titled_sheet(cnn_tensor tiles, cnn_sheet_options options, cnn_picture **sheet, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Writes and frees the picture, unless status is a failure or picture NULL; the status of both. */
cnn_status write_picture(cnn_status status, cnn_picture *picture, const char *path);

/* Joins them into one and frees them. */
cnn_status join_pictures(cnn_picture **pictures, int count, bool across, cnn_picture **joined);

/* The exit code; says what failed. */
int show_result(cnn_status status);

/* "7", or the class's number where it has no name. */
const char *show_class(const cnn_model *model, int64_t index, char buffer[96]);

/* Scores to probabilities, unless the network ends in a softmax. */
void to_probabilities(const cnn_plan *plan, float *outputs, int64_t count);

#endif
