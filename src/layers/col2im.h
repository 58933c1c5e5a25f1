/* The gradient of a convolution's input as section 7.4.3 of the chapter computes it: dy times the weights
 * gives the gradient of im2col's matrix, and col2im adds its elements to where they came from. conv goes this
 * way where x has few channels: the columns of that matrix, taps x channels, fill vectors that the channels
 * alone would leave nearly empty. For one group and no dilation.
 *
 * An element of the matrix is a chain over filters; an element of dx is the sum of its elements of the
 * matrix, output position after output position. */
#ifndef CNN_LAYERS_COL2IM_H
#define CNN_LAYERS_COL2IM_H

#include "layers/layer.h"

struct col2im {
  int64_t channels, taps, filters; /* of x, of a filter, of y */
  int64_t panels;                  /* of 16 columns */
  int64_t lines;                   /* of y, whose rows of the matrix are there together: */
  int64_t matrix_at;               /* in scratch: [positions of those lines][panels][16] */
  int32_t *from, *to;              /* of those positions: in dy, in the matrix */
  struct run *runs;                /* one a block of filters */
  float *weights;                  /* [panels][filters][16] */
};

/* Whether that is the shorter way, for lines of y of so many positions. */
bool col2im_pays(int64_t channels, int64_t taps, int64_t filters, int64_t width);

/* Books tables, scratch behind what is booked there, and a part of prepare() for each panel. */
void col2im_book(struct col2im *c, struct ledger *l, int64_t taps);

/* Lays out one panel of the weights, from conv's own: [filter/16][tap and channel][16]. */
void col2im_prepare(const struct step *s, const struct col2im *c, int64_t panel);

/* window: of planes of dx to planes of dy. */
void col2im_backward_data(const struct step *s, struct shard shard, const struct col2im *c,
                          const struct window *window);

#endif
