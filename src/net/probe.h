/* One layer alone, on random values: the engine's answer beside that of the layer's plain loops.
 *
 * cnn_gradcheck() runs it over the bricks of a net; the tests over every example of every layer. */
#ifndef CNN_NET_PROBE_H
#define CNN_NET_PROBE_H

#include "net/plan.h"

enum probe_part { PROBE_OUTPUT, PROBE_INPUT, PROBE_WEIGHT, PROBE_BIAS, PROBE_PARTS };
extern const char *const probe_names[PROBE_PARTS]; /* "output", "input", "weight", "bias" */

struct probe {
  cnn_net *net; /* inputs, and the layer */
  cnn_plan *plan;
  int inputs;
  cnn_shape in[MAX_INPUTS], out; /* n: the batch */
  int64_t count[PROBE_PARTS];    /* 0: the layer has no such part */
  float *engine[PROBE_PARTS];    /* y, dx, dw, db, dense; those of several inputs one after the other */
  double *naive[PROBE_PARTS];
  float *x, *dy, *weight[MAX_WEIGHTS]; /* what went in */
  double *x64, *dy64, *weight64[MAX_WEIGHTS];
};

/* Build, fill with random values, run both. words: the layer's keys; in.n: images, of all inputs alike. */
cnn_status probe_new_inputs(const char *layer, const char *words, const cnn_shape *in, int inputs,
                            uint64_t seed, int threads, struct probe **probe);
/* Likewise, of a layer with one input. */
cnn_status probe_new(const char *layer, const char *words, cnn_shape in, uint64_t seed, int threads,
                     struct probe **probe);
void probe_free(struct probe *probe);

/* Bricks for that: so many inputs, and the layer on them. */
cnn_status probe_net(cnn_net *net, const char *layer, const char *words, const cnn_shape *in, int inputs);

/* The values of all inputs to the plan's inputs, and the gradients of all inputs from brick `layer`. */
void probe_write(const struct probe *probe, const cnn_plan *plan);
void probe_read(const struct probe *probe, const cnn_plan *plan, int layer, float *dx);

/* The plain loops, on what the probe's doubles now are; backward: into probe->naive. */
void probe_naive(const struct probe *probe, double *y, bool backward);

/* ||engine - naive|| / ||naive|| of a part. */
double probe_engine_error(const struct probe *probe, enum probe_part part);

/* Central differences of the plain loops against their own backward, over up to `samples` elements of a
 * part (not of the output); relative, in norm. */
double probe_oracle_error(struct probe *probe, enum probe_part part, int samples);

#endif
