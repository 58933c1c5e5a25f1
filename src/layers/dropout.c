/* dropout: while training each element is dropped, that is 0, with probability `rate`; those kept are scaled
 * by 1 / (1 - rate), so that nothing is left to do afterwards (Srivastava et al. 2014, 10; "inverted"). In
 * inference and evaluation y is x.
 *
 * Nothing is kept for backward: what is dropped is a function of the seed, the image's number in the run, the
 * layer and the element (struct chance), drawn again. Elements count in the order they stand in memory,
 * channel block by channel block; 64 of them, e to e + 63, take the words of Philox's calls e /
 * 4 to e / 4 + 15: element i word i % 64 / 16 of call e / 4 + i % 16. Of a word the upper 24 bits decide. */
#include <math.h>

#include "core/rng.h"
#include "layers/layer.h"

struct config {
  double rate;
};

static const struct param params[] = {
    {"rate", PARAM_NUMBER, offsetof(struct config, rate), "0.5", 0, 1, NULL,
     "probability that an element is dropped, below 1; taken to the nearest multiple of 2^-24"},
    {0}};

static cnn_status shape(const void *config, const cnn_shape *in, cnn_shape *out) {
  const struct config *c = config;
  if (c->rate > 0.9999)
    return CNN_FAIL(CNN_E_ARGUMENT, "rate=%g drops everything: it must be at most 0.9999", c->rate);
  *out = in[0];
  return CNN_OK;
}

static void book(const void *config, struct ledger *ledger) {
  (void)config;
  ledger->in_place = true;
}

enum { IMAGE_SHIFT = 24 /* calls of an image; it has at most 2^25 elements */ };

static struct dropout dropping(double rate, const struct chance *chance, uint32_t stream, int64_t n) {
  return (struct dropout){.rng = rng_stream(chance->seed, RNG_DROPOUT, stream),
                          .call = (chance->image + (uint64_t)n) << IMAGE_SHIFT,
                          .threshold = (int32_t)floor(rate * 0x1p24 + 0.5),
                          .scale = (float)(1 / (1 - rate))};
}

static void naive(const struct naive *s) {
  const struct config *c = s->config;
  int64_t places = s->out.h * s->out.w, image = s->out.c * places;
  for (int64_t i = 0; i < s->out.n * image; i++) {
    double factor = 1;
    if (s->chance) {
      struct dropout d = dropping(c->rate, s->chance, s->stream, i / image);
      int64_t channel = i % image / places;
      int64_t e = (channel / BLOCK * places + i % places) * BLOCK + channel % BLOCK;
      uint32_t word = rng_word(&d.rng, d.call + (uint64_t)(e / 64 * 16 + e % 16), (int)(e % 64 / 16));
      factor = (int32_t)(word >> 8) < d.threshold ? 0 : 1 / (1 - c->rate);
    }
    s->y[i] = s->x[0][i] * factor;
    if (s->dy) s->dx[0][i] = s->dy[i] * factor;
  }
}

/* y = x with elements dropped; forward and backward alike. */
static void drop(const struct step *s, const struct view *y, const struct view *x, struct shard shard) {
  const struct config *c = s->config;
  for (int64_t n = shard.n0; n < shard.n1; n++) {
    struct dropout d = dropping(c->rate, shard.chance, s->stream, n);
    s->kernels->dropout(&d, y->data + n * y->image, x->data + n * x->image, 0, view_blocks(y) * y->plane);
  }
}

static void forward(const struct step *s, struct shard shard) {
  if (shard.chance)
    drop(s, &s->y, &s->x[0], shard);
  else if (s->y.data != s->x[0].data)
    each_image(&s->y, &s->x[0], shard, copy_floats);
}

static void backward_data(const struct step *s, struct shard shard) {
  if (shard.chance)
    drop(s, &s->dx[0], &s->dy, shard);
  else
    each_image(&s->dx[0], &s->dy, shard, copy_floats);
}

static const char *const examples[] = {"in=2x40x1x1", "in=3x17x3x5 rate=0.25", "in=2x100x1x1 rate=0.9",
                                       "in=2x3x4x4 rate=0", NULL};

const struct layer_class layer_dropout = {
    .name = "dropout",
    .summary = "while training, drops elements at random; else passes all on",
    .config_size = sizeof(struct config),
    .params = params,
    .inputs = 1,
    .shape = shape,
    .book = book,
    .naive = naive,
    .forward = forward,
    .backward_data = backward_data,
    .examples = examples,
};
