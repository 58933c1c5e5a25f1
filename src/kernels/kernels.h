/* The kernels: loops over floats, one table of them for each instruction set.
 *
 * Every kernel is written once, in a body_*.h on the vectors of vec_*.h, and compiled once for each
 * instruction set in isa_*.c; pick.c chooses a table at run time. All tables give the same bits:
 * vectors run across outputs and sums follow an order that does not depend on the width.
 *
 * Buffers come in blocks of 16 floats: `count` is a multiple of 16 unless a comment says otherwise. */
#ifndef CNN_KERNELS_KERNELS_H
#define CNN_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"
#include "core/status.h"

enum { BLOCK = 16 }; /* floats in a channel block, a weight panel, and lanes of a reduction */

/* Consecutive steps of a chain of multiply-adds: offsets into A and B of the first. */
struct run {
  int32_t a, b, count;
};

/* C[i][j] = start[j] + sum over k of A[a_row[i] + a(k)] * B[b(k) + j], for `rows` rows i and `columns`
 * columns j, each element one chain of fused multiply-adds over ascending k. The offsets a(k) and b(k)
 * come in runs: from one k to the next in a run they grow by a_step and b_step.
 *
 * This is the product of section 7.4 without its matrix: the row i of im2col is never laid out, its
 * element k is read where it stands, at a_row[i] + a(k). Columns come in panels of 16: column j of B is
 * at panel j/16 (b_panel floats apart), lane j%16, and likewise for C. Of a last panel only whole
 * vectors that hold a column are written: up to column 16 * panels, depending on the instruction set;
 * those extra columns hold nothing of meaning. */
struct product {
  const float *a, *b;
  float *c;
  const int32_t *a_row, *c_row;
  const struct run *runs;
  int64_t a_step, b_step;
  int64_t rows, columns, depth; /* depth: steps in all runs together */
  int64_t cycle, fours; /* of each so many rows the first so many come in fours; 0: nothing is known */
  int32_t spacing;      /* 1 or 16: floats between the a_row of neighbours in a four */
  int64_t b_panel, c_panel;
  const float *start; /* panels of 16, one after the other; NULL: 0 */
  bool add;           /* the chains go on from what C holds; start is not read */
};

/* A window sliding over one plane of channel blocks: h x w positions of 16 floats, to oh x ow. */
struct window {
  int64_t h, w, oh, ow;
  int64_t fh, fw, stride_h, stride_w, pad_h, pad_w;
  int64_t x_row, y_row; /* floats from one row to the next in planes of x and y */
  bool count_pad;       /* average: divide by fh * fw even where the window reaches into padding */
};

/* Convolution by a table of connections (layers/table_conv.c) with stride 1, 16 outputs side by side. */
struct table_conv {
  struct window window;
  int64_t channels, x_plane; /* of x; floats from one block of them to the next */
  const float *weight;       /* [channels][fh][fw][16] */
  const float *reach;        /* [channels][16]: 1 where the channel reaches the output, else 0 */
  const float *start;        /* [16]: what sums begin with; NULL: 0 */
};

/* Local response normalisation (layers/lrn.c) of a row of pixels, whose channel blocks stand `plane` floats
 * apart: s = k + alpha * sum of x^2 over the channels c - before .. c + after, y = x s^-beta. */
struct lrn {
  int64_t channels, blocks, before, after;
  int64_t plane;
  float alpha, k, beta, slope; /* slope: -2 alpha beta */
  bool quarter;                /* beta is 0.75 */
  float *scratch;              /* LRN_PIXELS lines of `line` floats: lead, channels, as many again as lead */
  int64_t lead, line;          /* lead: before, rounded up to whole blocks */
};
enum { LRN_PIXELS = 16 };

/* Dropout in one image (layers/dropout.c): a word whose upper 24 bits are below threshold drops its element.
 */
struct dropout {
  struct rng rng;
  uint64_t call; /* of the image's first elements; its low 24 bits are 0 */
  int32_t threshold;
  float scale; /* of those kept */
};

/* One optimiser step over a range of weights; the fields an optimiser does not know are ignored. */
struct update {
  float *weight, *moment[2];
  const float *gradient;
  float lr, momentum, beta1, beta2, decay, epsilon;
  float rest1, rest2, rest; /* 1 - beta1, 1 - beta2, 1 - decay, rounded once: 1 - 0.999F is 1.3e-5 off */
  float correction1, correction2; /* adam: 1 / (1 - beta^t) */

  /* Of the gradient before that, in this order; 'treated' is false where none of them does anything. */
  bool treated;
  float scale;  /* times this */
  float limit;  /* no element beyond +- this; 0: no limit */
  float l2;     /* plus this times the weight */
  float shrink; /* adamw: lr * its weight decay */
};

struct kernel_table {
  const char *name;
#define KERNEL(result, name, arguments) result(*name) arguments;
#include "kernels/kernels.def"
#undef KERNEL
};

/* The table in use: the best the machine has, or the one $CNN_ISA names. */
cnn_status kernels_pick(const struct kernel_table **table);

/* For tests. One table by name, NULL where this machine has none such; and: use it from now on. */
const struct kernel_table *kernels_find(const char *name);
void kernels_use(const struct kernel_table *table);

#endif
