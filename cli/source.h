/* Where a command's network comes from: a built-in name, a .net file or a model file. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "cnn.h"

/* A network and, where it came from a model file, the model. Start from {0}. */
struct source {
  cnn_model *model;   /* NULL for a bare network */
  cnn_net *owned;     /* NULL for a model */
  const cnn_net *net; /* either one's */
};

/* Loads and checks; cnn_why() tells why not. A model file is known by its ending or its contents. */
cnn_status source_load(const char *name, struct source *source);
void source_free(struct source *source);

/* "simple-conv-net" for "nets/simple-conv-net.net". */
void source_base_name(const char *name, char *base, size_t size);

/* A model file's network on a plan for `batch` images (0: up to 100, as many as take 256 MB) with the model's
 * weights: for inference or, with inside, one that keeps outputs of layers and has their gradients, of the
 * loss that the model was trained with. */
cnn_status source_model_plan(const char *path, bool inside, int64_t batch, int64_t threads, cnn_model **model,
                             cnn_plan **plan);

#endif
