/* Convolution of a network's input with few filters. The input comes in planes; conv, elsewhere, has filters
 * along the vectors, and of eight or fewer that leaves half of each empty. Here
 *
 *     forward            positions run along the vectors, line after line of a copy of x with its padding;
 * what is computed between the lines is dropped, and planes of y become pixels backward_weights   taps run
 * along the vectors: a row of im2col's matrix for each position
 *
 * with the same chains. For one group, and neither stride nor dilation. Some lines at a time, so that it all
 * stays in the L1 cache. */
#ifndef CNN_LAYERS_PLANES_H
#define CNN_LAYERS_PLANES_H

#include "layers/layer.h"

struct conv;

struct planes {
  int64_t taps, row;    /* of a filter; of the matrix, and of sums of backward_weights: whole blocks */
  int64_t lines;        /* of y at a time */
  int64_t line, plane;  /* of the copy: floats from one to the next */
  int64_t wide;         /* floats of a plane of y */
  int64_t copy_at;      /* in scratch: the copy, */
  int64_t work_at;      /* and after it planes of y, or the matrix */
  struct window window; /* over planes of the copy */
  int32_t *filter;      /* 0, 1, ... */
  int32_t *y_row;       /* of a filter, among planes of y */
  int32_t *sum_row;     /* of a filter, in its sums */
  struct run *taps_of;  /* forward: weights and the copy, a run for each row of a filter */
  struct run *all;      /* backward_weights: dy and the matrix */
  bool *finite;         /* no weight is infinite or NaN */
};

/* Whether that is the shorter way. */
bool planes_pay(const struct conv *config, const struct ledger *l);

/* Books tables, scratch behind what is booked there, and prepare(). */
void planes_book(struct planes *t, const struct conv *config, struct ledger *l);

/* Looks at the weights: those that are not finite must not meet the copy's zeros. */
void planes_prepare(const struct step *s, const struct planes *t);

/* Of image n; only where weights are finite. */
void planes_forward(const struct step *s, const struct planes *t, int64_t n, float *scratch);

/* Adds the gradient of image n's weights to dw; last: of its group. */
void planes_backward_weights(const struct step *s, const struct planes *t, int64_t n, bool last, float *dw,
                             float *scratch);

#endif
