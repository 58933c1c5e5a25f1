/* The gradient of a convolution's weights where its filters fill no more than one vector. Filters side by
 * side, as conv has them elsewhere, would then be limited by what is read: each multiply-add takes an x of
 * its own. Here x runs along the vectors: 16 channels, and those of all pixels that a row of the filter
 * meets, which stand behind each other; a dy is read for all of them. The same chains, so the same bits.
 *
 * For whole blocks of channels, one group, filters more than one pixel wide, and no stride or dilation
 * along rows. The sums of a tap and 16 channels are [filter][channel] until their group of images is done,
 * then they are turned round. A row of x that has padding is copied with it. */
#ifndef CNN_LAYERS_FEW_FILTERS_H
#define CNN_LAYERS_FEW_FILTERS_H

#include "layers/layer.h"

struct conv;

struct few_filters {
  int64_t lines;      /* of y, that are at hand for all taps */
  int64_t row;        /* floats of a line of x copied with its padding; 0: x is read where it stands */
  int64_t copy_at;    /* of those lines, in scratch */
  int32_t *from, *to; /* of a filter: in a pixel of dy, in the sums */
  struct run *runs;   /* one a line: dy, and x or its copy */
};

bool few_filters_fit(const struct conv *config, const struct ledger *l);

/* Books tables, and scratch behind what is booked there. */
void few_filters_book(struct few_filters *t, const struct conv *config, struct ledger *l);

/* Adds the gradient of image n's weights to dw; last: of its group. */
void few_filters_backward_weights(const struct step *s, const struct few_filters *t, int64_t n, bool last,
                                  float *dw, float *scratch);

#endif
