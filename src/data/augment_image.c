/* Augmentation of one image: random numbers, then coordinates, then one bilinear resampling.
 *
 * Output pixel (y, x) reads the image at
 *
 *     (sy, sx) = middle of the window + shift + M (y - middle, x - middle) + (dy, dx)[y][x]
 *
 * M = rotation * shear * 1/scale * mirror, from the output to the image. dy and dx are the elastic
 * displacements (Simard, Steinkraus and Platt 2003, section 2): noise, uniform in (-1, 1) at each pixel,
 * smoothed by a Gaussian of sigma pixels whose taps sum to 1, times alpha. The field is computed at full
 * resolution; beyond the image there is no noise. All loops run in one fixed order and contain only + - * and
 * conversions, so every machine gives the same bits. */
#include <assert.h>
#include <string.h>

#include "core/maths.h"
#include "core/rng.h"
#include "data/augment.h"
#include "data/dataset.h"

/* Streams of random numbers, by what they are drawn for: part of a run's format. */
enum {
  DRAW_SHIFT_Y,
  DRAW_SHIFT_X,
  DRAW_ROTATE,
  DRAW_SCALE_Y,
  DRAW_SCALE_X,
  DRAW_SHEAR,
  DRAW_PAD_Y,
  DRAW_PAD_X,
  DRAW_CROP_Y,
  DRAW_CROP_X,
  DRAW_FLIP,
  DRAW_ERASE_Y,
  DRAW_ERASE_X,
  DRAW_COLOR, /* and the two after it */
  DRAW_FIELD = DRAW_COLOR + 3
};

enum {
  LANES = 16,      /* columns of a field computed together */
  FIELD_SHIFT = 24 /* draws an image has for its field, 8 numbers each */
};

static double uniform(struct ticket ticket, uint32_t what, double most) {
  struct rng rng = rng_stream(ticket.seed, RNG_AUGMENT, what);
  return (2.0 * (double)rng_uniform(&rng, ticket.number) - 1) * most;
}

static int64_t below(struct ticket ticket, uint32_t what, int64_t bound) {
  struct rng rng = rng_stream(ticket.seed, RNG_AUGMENT, what);
  return (int64_t)rng_below(&rng, ticket.number, (uint64_t)bound);
}

/* ------------------------------------------------------------------ scratch memory */

enum part {
  SOURCE,  /* the image, with a frame around it */
  NOISE,   /* of one axis */
  SMOOTH,  /* it, smoothed along rows */
  FIELD_Y, /* displacements */
  FIELD_X,
  FRACTION_Y, /* of a row: of the place that is read */
  FRACTION_X,
  ROW,   /* of a row: its upper neighbours' row, as int32_t */
  PLACE, /* of a row: the upper left neighbours in the source's plane, likewise */
  PARTS
};

struct work {
  int64_t stride, plane;     /* of the framed source: one row and column before, two after */
  int64_t columns, noisy;    /* of a field, a multiple of LANES; with room for taps on both sides */
  int64_t offset[PARTS + 1]; /* floats */
  float *memory;
};

static struct work lay_out(const struct augment *augment, cnn_shape image, cnn_shape input) {
  struct work work = {.stride = image.w + 3, .plane = (image.h + 3) * (image.w + 3)};
  work.columns = (input.w + LANES - 1) / LANES * LANES;
  work.noisy = work.columns + 2 * augment->radius;
  int64_t rows = augment->sigma > 0 ? input.h : 0, field = rows * work.columns;
  const int64_t floats[PARTS] = {
      image.c * work.plane, rows * work.noisy, field, field, field, input.w, input.w, input.w, input.w};
  for (int i = 0; i < PARTS; i++) work.offset[i + 1] = work.offset[i] + (floats[i] + 15) / 16 * 16;
  return work;
}

static float *part(const struct work *work, int which) { return work->memory + work->offset[which]; }

static int32_t *places(const struct work *work, int which) { return (int32_t *)(void *)part(work, which); }

int64_t augment_scratch(const struct augment *augment, cnn_shape image, cnn_shape input) {
  return lay_out(augment, image, input).offset[PARTS] * (int64_t)sizeof(float);
}

/* The image as floats, within a frame: zeros, or its edge again. */
static void frame(const struct augment *augment, const uint8_t *pixels, cnn_shape image,
                  const struct work *work) {
  float value[256];
  for (int i = 0; i < 256; i++) value[i] = dataset_value((uint8_t)i);
  for (int64_t c = 0; c < image.c; c++) {
    float *plane = part(work, SOURCE) + c * work->plane;
    memset(plane, 0, (size_t)work->plane * sizeof *plane);
    for (int64_t y = 0; y < image.h; y++) {
      float *row = plane + (y + 1) * work->stride + 1;
      for (int64_t x = 0; x < image.w; x++) row[x] = value[*pixels++];
      if (augment->edge) row[-1] = row[0], row[image.w] = row[image.w + 1] = row[image.w - 1];
    }
    if (!augment->edge) continue;
    size_t row = (size_t)work->stride * sizeof *plane;
    float *last = plane + image.h * work->stride;
    memcpy(plane, plane + work->stride, row);
    memcpy(last + work->stride, last, row);
    memcpy(last + 2 * work->stride, last, row);
  }
}

/* ------------------------------------------------------------------ elastic displacements */

/* Uniform in (-1, 1), 2^16 values, eight from a draw. */
static void fill_noise(const struct work *work, cnn_shape input, int radius, struct ticket ticket, int axis) {
  struct rng rng = rng_stream(ticket.seed, RNG_AUGMENT, DRAW_FIELD + (uint32_t)axis);
  uint64_t draw = ticket.number << FIELD_SHIFT;
  float *noise = part(work, NOISE);
  memset(noise, 0, (size_t)(input.h * work->noisy) * sizeof *noise);
  for (int64_t y = 0; y < input.h; y++) {
    float *row = noise + y * work->noisy + radius;
    for (int64_t x = 0; x < input.w; x += 8, draw++) {
      uint32_t word[4];
      rng_words(&rng, draw, word);
      for (int64_t k = 0; k < 8 && x + k < input.w; k++)
        row[x + k] = ((float)(word[k / 2] >> 16 * (k % 2) & 0xFFFF) - 32767.5F) * 0x1p-15F;
    }
  }
}

/* to[lane] = sum over i of tap[i] * from[i * step + lane] */
static void convolve(const float *tap, int64_t taps, const float *from, int64_t step, float *restrict to) {
  float sum[LANES] = {0};
  for (int64_t i = 0; i < taps; i++) {
    const float *row = from + i * step;
    for (int lane = 0; lane < LANES; lane++) sum[lane] += tap[i] * row[lane];
  }
  memcpy(to, sum, sizeof sum);
}

/* Smooth along rows, then along columns; times alpha. */
static void make_field(const struct augment *augment, const struct work *work, cnn_shape input,
                       float *field) {
  const float *noise = part(work, NOISE);
  float *smooth = part(work, SMOOTH);
  int64_t r = augment->radius, columns = work->columns;
  float alpha = (float)augment->alpha;
  for (int64_t y = 0; y < input.h; y++)
    for (int64_t x = 0; x < columns; x += LANES)
      convolve(augment->tap, 2 * r + 1, noise + y * work->noisy + x, 1, smooth + y * columns + x);
  for (int64_t y = 0; y < input.h; y++) {
    int64_t first = y < r ? 0 : y - r, last = y + r < input.h ? y + r : input.h - 1; /* rows that are there */
    for (int64_t x = 0; x < columns; x += LANES)
      convolve(augment->tap + first - (y - r), last - first + 1, smooth + first * columns + x, columns,
               field + y * columns + x);
  }
  for (int64_t i = 0; i < input.h * columns; i++) field[i] *= alpha;
}

/* ------------------------------------------------------------------ where output pixels read */

struct way {
  float m[2][2];     /* [0]: y of y and x; [1]: x of y and x */
  float middle[2];   /* of the output */
  float place[2];    /* of the image, where the output's middle reads */
  int64_t top, left; /* of the window */
};

static struct way draw_way(const struct augment *augment, cnn_shape image, cnn_shape input,
                           struct ticket ticket) {
  struct way way = {.top = (image.h - input.h) / 2, .left = (image.w - input.w) / 2};
  double sine = 0, cosine = 1, lean_sine = 0, lean_cosine = 1, zoom_y = 1, zoom_x = 1, shift_y = 0,
         shift_x = 0;
  if (augment->crop_h > 0) {
    way.top = below(ticket, DRAW_CROP_Y, image.h - input.h + 1);
    way.left = below(ticket, DRAW_CROP_X, image.w - input.w + 1);
  }
  if (augment->pad > 0) {
    shift_y = (double)(below(ticket, DRAW_PAD_Y, 2 * augment->pad + 1) - augment->pad);
    shift_x = (double)(below(ticket, DRAW_PAD_X, 2 * augment->pad + 1) - augment->pad);
  }
  if (augment->shift > 0) {
    shift_y += uniform(ticket, DRAW_SHIFT_Y, augment->shift);
    shift_x += uniform(ticket, DRAW_SHIFT_X, augment->shift);
  }
  if (augment->rotate > 0) maths_sin_cos(uniform(ticket, DRAW_ROTATE, augment->rotate), &sine, &cosine);
  if (augment->shear > 0)
    maths_sin_cos(uniform(ticket, DRAW_SHEAR, augment->shear), &lean_sine, &lean_cosine);
  if (augment->scale > 0) {
    zoom_y = 1 / (1 + uniform(ticket, DRAW_SCALE_Y, augment->scale));
    zoom_x = 1 / (1 + uniform(ticket, DRAW_SCALE_X, augment->scale));
  }
  if (augment->flip && below(ticket, DRAW_FLIP, 2)) zoom_x = -zoom_x;
  double lean = lean_sine / lean_cosine;
  way.m[0][0] = (float)((cosine + sine * lean) * zoom_y);
  way.m[0][1] = (float)(sine * zoom_x);
  way.m[1][0] = (float)((cosine * lean - sine) * zoom_y);
  way.m[1][1] = (float)(cosine * zoom_x);
  way.middle[0] = 0.5F * (float)(input.h - 1);
  way.middle[1] = 0.5F * (float)(input.w - 1);
  way.place[0] = (float)way.top + way.middle[0] + (float)shift_y;
  way.place[1] = (float)way.left + way.middle[1] + (float)shift_x;
  return way;
}

/* Coordinates into whole neighbours and fractions; what lies outside is taken to the frame. */
static void divide(float *restrict fraction, int32_t *restrict whole, int64_t count, float most) {
  for (int64_t x = 0; x < count; x++) {
    float at = fraction[x] < -1 ? -1 : fraction[x];
    at = (at > most ? most : at) + 1;
    whole[x] = (int32_t)at; /* not negative: rounds down */
    fraction[x] = at - (float)whole[x];
  }
}

static void add_field(float *restrict to, const float *restrict field, int64_t count) {
  for (int64_t x = 0; x < count; x++) to[x] += field[x];
}

/* Places and fractions of one output row. */
static void aim_row(const struct way *way, const struct work *work, cnn_shape image, cnn_shape input,
                    int64_t y, bool elastic) {
  float v = (float)y - way->middle[0], middle = way->middle[1];
  float slope_y = way->m[0][1], slope_x = way->m[1][1];
  float row_y = way->m[0][0] * v + way->place[0], row_x = way->m[1][0] * v + way->place[1];
  float *restrict fy = part(work, FRACTION_Y), *restrict fx = part(work, FRACTION_X);
  int32_t stride = (int32_t)work->stride, *restrict iy = places(work, ROW),
          *restrict place = places(work, PLACE);
  for (int32_t x = 0; x < (int32_t)input.w; x++) {
    float u = (float)x - middle;
    fy[x] = slope_y * u + row_y;
    fx[x] = slope_x * u + row_x;
  }
  if (elastic) {
    add_field(fy, part(work, FIELD_Y) + y * work->columns, input.w);
    add_field(fx, part(work, FIELD_X) + y * work->columns, input.w);
  }
  divide(fy, iy, input.w, (float)image.h);
  divide(fx, place, input.w, (float)image.w);
  for (int64_t x = 0; x < input.w; x++) place[x] += iy[x] * stride;
}

static void sample_row(const struct work *work, const float *restrict plane, int64_t count,
                       float *restrict to) {
  const float *restrict fy = part(work, FRACTION_Y), *restrict fx = part(work, FRACTION_X);
  const int32_t *restrict place = places(work, PLACE);
  int64_t stride = work->stride;
  for (int64_t x = 0; x < count; x++) {
    const float *at = plane + place[x], *under = at + stride;
    float upper = at[0] + fx[x] * (at[1] - at[0]);
    float lower = under[0] + fx[x] * (under[1] - under[0]);
    to[x] = upper + fy[x] * (lower - upper);
  }
}

/* Krizhevsky, Sutskever and Hinton 2012, section 4.1: what is added to each channel of all pixels. */
static void draw_color(const struct augment *augment, struct ticket ticket, float add[3]) {
  for (uint32_t k = 0; k < 3; k++) {
    struct rng rng = rng_stream(ticket.seed, RNG_AUGMENT, DRAW_COLOR + k);
    float strength = rng_normal(&rng, ticket.number) * (float)augment->color;
    for (int c = 0; c < 3; c++) add[c] += strength * augment->component[k][c];
  }
}

void augment_image(const struct augment *augment, const uint8_t *pixels, cnn_shape image,
                   struct ticket ticket, cnn_tensor canvas, void *scratch, int64_t *top, int64_t *left) {
  cnn_shape input = canvas.shape;
  struct work work = lay_out(augment, image, input);
  work.memory = scratch;
  struct way way = draw_way(augment, image, input, ticket);
  float add[3] = {0};
  assert(input.c == image.c);
  frame(augment, pixels, image, &work);
  for (int axis = 0; axis < 2 && augment->sigma > 0; axis++) {
    fill_noise(&work, input, augment->radius, ticket, axis);
    make_field(augment, &work, input, part(&work, FIELD_Y + axis));
  }
  if (augment->color > 0) draw_color(augment, ticket, add);
  for (int64_t y = 0; y < input.h; y++) {
    aim_row(&way, &work, image, input, y, augment->sigma > 0);
    for (int64_t c = 0; c < input.c; c++) {
      float *row = cnn_tensor_at(canvas, 0, c, y, 0);
      sample_row(&work, part(&work, SOURCE) + c * work.plane, input.w, row);
      for (int64_t x = 0; augment->color > 0 && x < input.w; x++) row[x] += add[c];
    }
  }
  *top = way.top;
  *left = way.left;
}

void augment_erase(const struct augment *augment, struct ticket ticket, cnn_tensor canvas) {
  if (augment->erase == 0) return;
  cnn_shape shape = canvas.shape;
  int64_t side = augment->erase;
  int64_t y0 = below(ticket, DRAW_ERASE_Y, shape.h) - side / 2, y1 = y0 + side;
  int64_t x0 = below(ticket, DRAW_ERASE_X, shape.w) - side / 2, x1 = x0 + side;
  for (int64_t c = 0; c < shape.c; c++)
    for (int64_t y = y0 < 0 ? 0 : y0; y < y1 && y < shape.h; y++)
      for (int64_t x = x0 < 0 ? 0 : x0; x < x1 && x < shape.w; x++) *cnn_tensor_at(canvas, 0, c, y, x) = 0;
}
