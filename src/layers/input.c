/* input: where a network begins; says the shape of one image. It computes nothing. */
#include <string.h>

#include "layers/layer.h"

struct config {
  cnn_shape shape;
};

static const struct param params[] = {{"shape", PARAM_SHAPE, offsetof(struct config, shape), NULL, 1, 65535,
                                       NULL, "channels, height and width of one image, as in 1x28x28"},
                                      {0}};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  (void)in;
  *out = ((const struct config *)config)->shape;
  return CNN_OK;
}

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  (void)ledger;
}

const struct layer_class layer_input = {
    .name = "input",
    .summary = "where a network begins: the shape of one image",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 0,
    .shape = shape,
    .book = book,
};
