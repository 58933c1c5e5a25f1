/* What a convolution's files share: its settings (conv.c), and the products that it consists of, whose tables
 * conv_pieces.c makes. */
#ifndef CNN_LAYERS_CONV_H
#define CNN_LAYERS_CONV_H

#include "layers/col2im.h"
#include "layers/few_filters.h"
#include "layers/layer.h"

struct conv {
  int64_t filters, kernel[2], stride[2], pad[2], dilation[2], groups;
  int round;
  bool bias;
  struct init init, bias_init;
};

enum direction { FORWARD, DATA, WEIGHTS };

/* One product: rows that have the same chain. In forward and backward_data rows are positions and the chain
 * runs over taps; in backward_weights rows are taps and the chain runs over positions. Positions of several
 * images, where several make one product, follow each other. */
struct conv_piece {
  int64_t rows, depth, run_count; /* of one image; of one group */
  int64_t fours;      /* rows of an image, of a group, that come in fours, in front of the others */
  int32_t *from, *to; /* [rows]: x and y; dy and dx; x and weight, from for each group */
  int64_t lo, hi;     /* backward_weights: lines of y that it meets, a run each */
  struct run *runs;   /* [run_count]: x and weight; dy and across, for each group; x and dy */
};

/* The pieces of one direction. */
struct conv_pieces {
  struct conv_piece *piece;
  int64_t count;
};

struct conv_tables {
  /* one group: c input channels, k taps, fn filters in panels; its dx in c_panels panels of 16 */
  int64_t c, k, fn, panels, c_panels, positions, inputs; /* positions of y; of x */
  bool depthwise;    /* depthwise.h does all of it, and what follows is not used */
  bool few_channels; /* col2im.h does backward_data, and data and across are not used */
  struct col2im col2im;
  bool few_filters; /* few_filters.h does backward_weights, and weights is not used */
  struct few_filters few;
  bool aligned, c_aligned;    /* groups of filters, of channels, begin at a panel of y, of dx */
  int64_t images, sum_images; /* how many one product may take: of rows; of the chains of backward_weights */
  int64_t tap_step;           /* floats of x from one tap of a run to the next */
  int64_t spacing[3];  /* floats from one row of a line to the next, in each direction; 0: they differ */
  int64_t lines;       /* of y that backward_weights takes together, for all its pieces */
  int64_t part_panels; /* panels of filters that one part of forward computes; 0: it goes image by image */
  struct conv_pieces forward, data, weights;
  struct view padded; /* a copy of x with its padding for backward_weights, where plane is not 0 */
  int64_t padded_at;  /* in scratch */
  float *across;      /* [groups][c_panels][filter, fh, fw][16 channels]; made by prepare() */
};

static inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
static inline int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }
static inline int64_t clip(int64_t i, int64_t end) { return i < 0 ? 0 : i > end ? end : i; }

/* Lines of y whose dy, and the x that they meet, the L1 cache holds for all taps: 192 positions or so. */
static inline int64_t conv_lines_at_hand(const cnn_shape *y) { return clip(192 / y->w - 1, y->h - 1) + 1; }

/* The number of tap (c, fh, fw) in the order channel block, fh, fw, channel in block. */
int64_t conv_tap_number(const struct conv *config, int64_t channels, int64_t block, int64_t c, int64_t fh,
                        int64_t fw);

/* How many pieces a direction has. */
int64_t conv_count_pieces(const struct conv *config, struct ledger *l, struct conv_tables *t,
                          enum direction direction);

/* The taps in all pieces of forward, for one channel: how much work their tables are. in, out: h and w. */
int64_t conv_piece_taps(const struct conv *config, const int64_t in[2], const int64_t out[2]);

/* Books their tables, and fills them where there is memory; what tables say of x, of its padding and of
 * `images` is there. */
void conv_book_pieces(const struct conv *config, struct ledger *l, struct conv_tables *t,
                      enum direction direction, struct conv_pieces *pieces);

#endif
