/* One layer alone, on random values: the engine's answer beside that of the layer's plain loops.
 *
 * cnn_gradcheck() runs it over the bricks of a net; the tests over every example of every layer. */
#ifndef CNN_NET_PROBE_H
#define CNN_NET_PROBE_H

#include "net/plan.h"

enum probe_part { PROBE_OUTPUT, PROBE_INPUT, PROBE_WEIGHT, PROBE_BIAS, PROBE_PARTS };
extern const char *const probe_names[PROBE_PARTS]; /* "output", "input", "weight", "bias" */

struct probe {
  cnn_net *net; /* an input, and the layer */
  cnn_plan *plan;
  cnn_shape in, out;          /* n: the batch */
  int64_t count[PROBE_PARTS]; /* 0: the layer has no such part */
  float *engine[PROBE_PARTS]; /* y, dx, dw, db, dense */
  double *naive[PROBE_PARTS];
  float *x, *dy, *weight[MAX_WEIGHTS]; /* what went in */
  double *x64, *dy64, *weight64[MAX_WEIGHTS];
};

/* Build, fill with random values, run both. words: the layer's keys; in.n: images. */
cnn_status probe_new(const char *layer, const char *words, cnn_shape in, uint64_t seed, int threads,
                     struct probe **probe);
void probe_free(struct probe *probe);

/* ||engine - naive|| / ||naive|| of a part. */
double probe_engine_error(const struct probe *probe, enum probe_part part);

/* Central differences of the plain loops against their own backward, over up to `samples` elements of a
 * part (not of the output); relative, in norm. */
double probe_oracle_error(struct probe *probe, enum probe_part part, int samples);

#endif
