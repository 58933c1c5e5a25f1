/* Augmentation: src/data/augment.c, augment_image.c, augmenter.c, core/maths.c. Pictures whose values are
 * their own coordinates show exactly where each output pixel was read, so geometry is checked against its
 * definition, not against itself. */
#include "data_scratch.h"

#include <math.h>

#include "core/maths.h"
#include "core/rng.h"
#include "data/augment.h"
#include "data/dataset.h"

enum { SIDE = 64, DRAWS = 400 };

#define ok(call)                                     \
  do {                                               \
    if ((call) != CNN_OK) fail_msg("%s", cnn_why()); \
  } while (0)

/* ---- core/maths.c ---- */

static void test_maths(void **state) {
  (void)state;
  for (int i = -40000; i <= 40000; i++) {
    double degrees = i * 0.0091, sine, cosine;
    maths_sin_cos(degrees, &sine, &cosine);
    long double radians = (long double)degrees * 3.14159265358979323846264338327950288L / 180;
    if (fabsl(sine - sinl(radians)) > 3e-16L || fabsl(cosine - cosl(radians)) > 3e-16L)
      fail_msg("%.17g degrees: sin %.17g, cos %.17g", degrees, sine, cosine);
  }
  double sine, cosine;
  maths_sin_cos(90, &sine, &cosine);
  assert_true(sine == 1 && cosine == 0);
  for (int i = -70000; i <= 70000; i++) {
    double x = i * 0.00987;
    long double error = maths_exp(x) / expl((long double)x) - 1;
    if (fabsl(error) > 6e-16L) fail_msg("exp(%.17g) is wrong by %Lg", x, error);
  }
  assert_true(maths_exp(0) == 1);
}

static void test_eigen(void **state) {
  (void)state;
  uint64_t random = 3;
  for (int trial = 0; trial < 200; trial++) {
    double a[3][3], value[3], v[3][3];
    for (int i = 0; i < 3; i++)
      for (int k = i; k < 3; k++)
        a[i][k] = a[k][i] = trial % 4 == 0 && i != k ? 0 : (int)(next_random(&random) % 2001) * 0.01 - 10;
    maths_eigen3(a, value, v);
    for (int i = 0; i < 3; i++)
      for (int k = 0; k < 3; k++) {
        double dot = v[i][0] * v[k][0] + v[i][1] * v[k][1] + v[i][2] * v[k][2];
        double image = a[k][0] * v[i][0] + a[k][1] * v[i][1] + a[k][2] * v[i][2];
        assert_true(fabs(dot - (i == k)) < 1e-13);
        assert_true(fabs(image - value[i] * v[i][k]) < 1e-12);
      }
  }
}

/* ---- the text ---- */

static void test_text(void **state) {
  (void)state;
  struct augment a;
  struct text text = {0};
  ok(augment_parse(
      " fill=edge  shift=2 rotate=10 scale=0.1 shear=5 elastic=alpha:34,sigma:4\tflip erase=8 pad=4 "
      "color=0.1 crop=256x240 ",
      &a));
  augment_write(&a, &text);
  assert_string_equal(text.data,
                      "crop=256x240 pad=4 shift=2 rotate=10 scale=0.1 shear=5 elastic=sigma:4,alpha:34 flip "
                      "erase=8 color=0.1 fill=edge");
  text_free(&text);
  ok(augment_parse(NULL, &a));
  ok(augment_parse("crop=32", &a));
  assert_int_equal(a.crop_w, 32);
  augment_parse("", &a);
  augment_write(&a, &text);
  assert_null(text.data);
  const struct {
    const char *text;
    cnn_status status;
    const char *why;
  } wrong[] = {{"shfit=2", CNN_E_KEY, "did you mean 'shift'"},
               {"blur=2", CNN_E_KEY, "known: crop, pad"},
               {"shift", CNN_E_ARGUMENT, "shift needs a value"},
               {"shift=", CNN_E_ARGUMENT, "shift="},
               {"shift=0", CNN_E_ARGUMENT, "1e-06 to 1000"},
               {"shift=2px", CNN_E_ARGUMENT, "shift=2px"},
               {"shift=nan", CNN_E_ARGUMENT, "shift=nan"},
               {"rotate=181", CNN_E_ARGUMENT, "to 180"},
               {"scale=1", CNN_E_ARGUMENT, "0.9"},
               {"pad=1.5", CNN_E_ARGUMENT, "whole number"},
               {"flip=yes", CNN_E_ARGUMENT, "flip takes no value"},
               {"flip flip", CNN_E_ARGUMENT, "given twice"},
               {"crop=32x", CNN_E_ARGUMENT, "crop="},
               {"crop=0", CNN_E_ARGUMENT, "crop=0"},
               {"elastic=4", CNN_E_ARGUMENT, "sigma:4,alpha:34"},
               {"elastic=sigma:4", CNN_E_ARGUMENT, "sigma:4,alpha:34"},
               {"elastic=sigma:4,sigma:5", CNN_E_ARGUMENT, "sigma:4,alpha:34"},
               {"elastic=sigma:65,alpha:3", CNN_E_ARGUMENT, "0.5 to 64"},
               {"fill=grey", CNN_E_ARGUMENT, "zero or edge"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    if (augment_parse(wrong[i].text, &a) != wrong[i].status) fail_msg("'%s' is taken", wrong[i].text);
    assert_why(wrong[i].why);
  }
}

/* Whatever is read can be written, and reads back to the same; whatever is not leaves a sentence. */
static void test_text_at_random(void **state) {
  (void)state;
  static const char *const bits[] = {
      "shift",  "=",     "2",     "rotate=10", " ",  "elastic=",  "sigma:", "4",    ",",
      "alpha:", "34",    "flip",  "erase=8",   "x",  "crop=",     "32",     ".",    "-",
      "e",      "1e400", "fill=", "edge",      "\t", "color=0.1", "\xff",   "pad=2"};
  uint64_t random = 11;
  int good = 0;
  for (int trial = 0; trial < 20000; trial++) {
    char string[256] = "";
    for (uint32_t i = next_random(&random) % 9; i > 0; i--)
      strcat(string, bits[next_random(&random) % (sizeof bits / sizeof *bits)]);
    struct augment a, again;
    cnn_status status = augment_parse(string, &a);
    if (status != CNN_OK) {
      assert_true(status == CNN_E_KEY || status == CNN_E_ARGUMENT);
      assert_memory_equal(cnn_why(), "augment: ", 9);
      continue;
    }
    struct text text = {0}, twice = {0};
    augment_write(&a, &text);
    ok(augment_parse(text.data, &again));
    augment_write(&again, &twice);
    assert_string_equal(text.data ? text.data : "", twice.data ? twice.data : "");
    good += text.length > 0;
    text_free(&text);
    text_free(&twice);
  }
  assert_true(good > 500);
}

/* ---- geometry ---- */

/* Channel 0 holds 2 * y, channel 1 holds 2 * x, channel 2 is white. */
static uint8_t map[3 * SIDE * SIDE];
static float out[3 * SIDE * SIDE];
static const cnn_shape whole = {1, 3, SIDE, SIDE};

static void make_map(void) {
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      map[y * SIDE + x] = (uint8_t)(2 * y);
      map[(SIDE + y) * SIDE + x] = (uint8_t)(2 * x);
      map[(2 * SIDE + y) * SIDE + x] = 255;
    }
}

/* The canvas of h x w that number `number` of seed 7 gives; *top and *left where its window lies. */
static cnn_tensor draw(const char *text, uint64_t number, int64_t h, int64_t w, int64_t *top, int64_t *left) {
  struct augment a;
  cnn_tensor canvas = {out, {1, 3, h, w}};
  struct ticket ticket = {7, number};
  ok(augment_parse(text, &a));
  ok(augment_check(&a, whole, canvas.shape));
  void *work = malloc((size_t)augment_scratch(&a, whole, canvas.shape));
  assert_non_null(work);
  augment_image(&a, map, whole, ticket, canvas, work, top, left);
  augment_erase(&a, ticket, canvas);
  free(work);
  return canvas;
}

/* Where pixel (y, x) was read, in pixels of the image. */
static double read_y(cnn_tensor t, int y, int x) { return (double)*cnn_tensor_at(t, 0, 0, y, x) * 127.5; }
static double read_x(cnn_tensor t, int y, int x) { return (double)*cnn_tensor_at(t, 0, 1, y, x) * 127.5; }

static void test_nothing_changes_nothing(void **state) {
  (void)state;
  int64_t top, left;
  draw("", 3, SIDE, SIDE, &top, &left);
  for (int i = 0; i < 3 * SIDE * SIDE; i++) assert_true(out[i] == dataset_value(map[i]));
  assert_true(top == 0 && left == 0);
}

static void test_flip_and_pad_are_exact(void **state) {
  (void)state;
  int64_t top, left;
  int flips = 0, seen[9][9] = {{0}};
  for (uint64_t n = 0; n < DRAWS; n++) {
    cnn_tensor t = draw("flip pad=4 fill=edge", n, SIDE, SIDE, &top, &left);
    double oy = read_y(t, 30, 30), ox = read_x(t, 30, 30);
    bool flip = read_x(t, 30, 31) < ox;
    flips += flip;
    int dy = (int)lrint(oy - 30), dx = (int)lrint(ox - (flip ? SIDE - 1 - 30 : 30));
    assert_in_range(dy + 4, 0, 8);
    assert_in_range(dx + 4, 0, 8);
    seen[dy + 4][dx + 4]++;
    for (int y = 0; y < SIDE; y++)
      for (int x = 0; x < SIDE; x++) {
        int sy = y + dy, sx = (flip ? SIDE - 1 - x : x) + dx;
        sy = sy < 0 ? 0 : sy >= SIDE ? SIDE - 1 : sy;
        sx = sx < 0 ? 0 : sx >= SIDE ? SIDE - 1 : sx;
        assert_true(*cnn_tensor_at(t, 0, 0, y, x) == dataset_value((uint8_t)(2 * sy)));
        assert_true(*cnn_tensor_at(t, 0, 1, y, x) == dataset_value((uint8_t)(2 * sx)));
        assert_true(*cnn_tensor_at(t, 0, 2, y, x) == 1);
      }
  }
  assert_in_range(flips, DRAWS * 2 / 5, DRAWS * 3 / 5);
  int places = 0;
  for (int i = 0; i < 81; i++) places += seen[i / 9][i % 9] > 0;
  assert_true(places > 70);
}

static void test_crop(void **state) {
  (void)state;
  int64_t top, left;
  int seen[5] = {0};
  for (uint64_t n = 0; n < 100; n++) {
    cnn_tensor t = draw("crop=64", n, 60, 50, &top, &left);
    assert_in_range(top, 0, 4);
    assert_in_range(left, 0, 14);
    seen[top]++;
    for (int y = 0; y < 60; y++)
      for (int x = 0; x < 50; x++)
        assert_true(*cnn_tensor_at(t, 0, 0, y, x) == dataset_value((uint8_t)(2 * (y + top))) &&
                    *cnn_tensor_at(t, 0, 1, y, x) == dataset_value((uint8_t)(2 * (x + left))));
  }
  for (int i = 0; i < 5; i++) assert_in_range(seen[i], 8, 40);
  draw("shift=1e-6", 1, 60, 50, &top, &left); /* no crop: the middle */
  assert_true(top == 2 && left == 7);
}

/* The map from output to image around the middle: m[0][0] is y of y, m[0][1] y of x; p the middle's place. */
static void measure(cnn_tensor t, double m[2][2], double p[2]) {
  m[0][0] = (read_y(t, 36, 32) - read_y(t, 28, 32)) / 8;
  m[0][1] = (read_y(t, 32, 36) - read_y(t, 32, 28)) / 8;
  m[1][0] = (read_x(t, 36, 32) - read_x(t, 28, 32)) / 8;
  m[1][1] = (read_x(t, 32, 36) - read_x(t, 32, 28)) / 8;
  p[0] = (read_y(t, 31, 31) + read_y(t, 32, 32)) / 2 - 31.5;
  p[1] = (read_x(t, 31, 31) + read_x(t, 32, 32)) / 2 - 31.5;
}

/* Each draw lies within its range, and draws fill it. */
struct range {
  double least, most;
};

static void extend(struct range *range, double value) {
  if (value < range->least) range->least = value;
  if (value > range->most) range->most = value;
}

static void assert_fills(struct range range, double least, double most) {
  double slack = 1e-3, width = most - least;
  if (range.least < least - slack || range.most > most + slack || range.least > least + 0.05 * width ||
      range.most < most - 0.05 * width)
    fail_msg("%g .. %g, expected %g .. %g", range.least, range.most, least, most);
}

static const struct range nothing = {1e9, -1e9};

static void test_affine(void **state) {
  (void)state;
  int64_t top, left;
  double m[2][2], p[2];
  struct range dy = nothing, dx = nothing, angle = nothing, zoom_y = nothing, zoom_x = nothing,
               lean = nothing;
  for (uint64_t n = 0; n < DRAWS; n++) {
    measure(draw("shift=3", n, SIDE, SIDE, &top, &left), m, p);
    assert_true(fabs(m[0][0] - 1) + fabs(m[1][1] - 1) + fabs(m[0][1]) + fabs(m[1][0]) < 1e-4);
    extend(&dy, p[0]), extend(&dx, p[1]);
    measure(draw("rotate=25", n, SIDE, SIDE, &top, &left), m, p);
    assert_true(fabs(p[0]) + fabs(p[1]) < 1e-3);
    assert_true(fabs(m[0][0] - m[1][1]) < 1e-4 && fabs(m[0][1] + m[1][0]) < 1e-4);
    assert_true(fabs(m[0][0] * m[0][0] + m[0][1] * m[0][1] - 1) < 1e-4);
    extend(&angle, atan2(m[0][1], m[0][0]) * 180 / 3.14159265358979);
    measure(draw("scale=0.2", n, SIDE, SIDE, &top, &left), m, p);
    assert_true(fabs(m[0][1]) + fabs(m[1][0]) < 1e-4);
    extend(&zoom_y, 1 / m[0][0]), extend(&zoom_x, 1 / m[1][1]);
    measure(draw("shear=20", n, SIDE, SIDE, &top, &left), m, p);
    assert_true(fabs(m[0][0] - 1) + fabs(m[1][1] - 1) + fabs(m[0][1]) < 1e-4);
    extend(&lean, atan(m[1][0]) * 180 / 3.14159265358979);
  }
  assert_fills(dy, -3, 3);
  assert_fills(dx, -3, 3);
  assert_fills(angle, -25, 25);
  assert_fills(zoom_y, 0.8, 1.2);
  assert_fills(zoom_x, 0.8, 1.2);
  assert_fills(lean, -20, 20);
}

/* All together are one resampling: rotation times shear times scale, and settings draw as they do alone. */
static void test_composition(void **state) {
  (void)state;
  int64_t top, left;
  double r[2][2], s[2][2], z[2][2], m[2][2], p[2], shift[2];
  for (uint64_t n = 0; n < 50; n++) {
    measure(draw("rotate=15", n, SIDE, SIDE, &top, &left), r, p);
    measure(draw("shear=10", n, SIDE, SIDE, &top, &left), s, p);
    measure(draw("scale=0.1", n, SIDE, SIDE, &top, &left), z, p);
    measure(draw("shift=2", n, SIDE, SIDE, &top, &left), m, shift);
    measure(draw("rotate=15 shift=2 scale=0.1 shear=10", n, SIDE, SIDE, &top, &left), m, p);
    assert_true(fabs(p[0] - shift[0]) + fabs(p[1] - shift[1]) < 1e-3);
    for (int i = 0; i < 2; i++)
      for (int k = 0; k < 2; k++) {
        double expected = 0;
        for (int a = 0; a < 2; a++)
          for (int b = 0; b < 2; b++) expected += r[i][a] * s[a][b] * z[b][k];
        assert_true(fabs(m[i][k] - expected) < 1e-3);
      }
  }
}

static void test_fill(void **state) {
  (void)state;
  int64_t top, left;
  int dark = 0;
  for (uint64_t n = 0; n < 20; n++) {
    cnn_tensor t = draw("shift=20", n, SIDE, SIDE, &top, &left);
    for (int i = 0; i < SIDE * SIDE; i++) dark += t.data[2 * SIDE * SIDE + i] == 0;
    t = draw("shift=20 fill=edge", n, SIDE, SIDE, &top, &left);
    for (int i = 0; i < SIDE * SIDE; i++) assert_true(t.data[2 * SIDE * SIDE + i] == 1);
  }
  assert_in_range(dark, 20 * SIDE * 10, 20 * SIDE * 40);
}

static void test_erase(void **state) {
  (void)state;
  int64_t top, left;
  int whole_ones = 0;
  for (uint64_t n = 0; n < 100; n++) {
    cnn_tensor t = draw("erase=8", n, SIDE, SIDE, &top, &left);
    const float *white = t.data + 2 * SIDE * SIDE;
    int y0 = SIDE, y1 = -1, x0 = SIDE, x1 = -1, count = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
      if (white[i] != 0) continue;
      int y = i / SIDE, x = i % SIDE;
      count++;
      y0 = y < y0 ? y : y0, y1 = y > y1 ? y : y1, x0 = x < x0 ? x : x0, x1 = x > x1 ? x : x1;
    }
    assert_int_equal(count, (y1 - y0 + 1) * (x1 - x0 + 1)); /* one rectangle */
    assert_true(y1 - y0 < 8 && x1 - x0 < 8 && (y1 - y0 == 7 || y0 == 0 || y1 == SIDE - 1));
    whole_ones += count == 64;
  }
  assert_in_range(whole_ones, 60, 99); /* some reach over the edge */
}

/* ---- elastic displacements, against a plain 2-D convolution in double ---- */

static void naive_field(double sigma, uint64_t number, int axis, double field[SIDE][SIDE]) {
  static double noise[SIDE][SIDE];
  struct rng rng = rng_stream(7, RNG_AUGMENT, 16 + (uint32_t)axis);
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      int k = y * SIDE + x;
      uint32_t bits = rng_word(&rng, (number << 24) + (uint64_t)(k / 8), k % 8 / 2) >> 16 * (k % 2) & 0xFFFF;
      noise[y][x] = (bits - 32767.5) / 32768;
    }
  int r = (int)ceil(3 * sigma);
  double sum = 0;
  for (int t = -r; t <= r; t++) sum += exp(-0.5 * t * t / (sigma * sigma));
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      field[y][x] = 0;
      for (int i = -r; i <= r; i++)
        for (int k = -r; k <= r; k++)
          if (y + i >= 0 && y + i < SIDE && x + k >= 0 && x + k < SIDE)
            field[y][x] += exp(-0.5 * (i * i + k * k) / (sigma * sigma)) / (sum * sum) * noise[y + i][x + k];
    }
}

static void test_elastic(void **state) {
  (void)state;
  static double field[2][SIDE][SIDE];
  const struct {
    const char *text;
    double sigma, alpha;
  } cases[] = {{"elastic=sigma:4,alpha:34", 4, 34}, {"elastic=sigma:1.3,alpha:2", 1.3, 2}};
  for (int i = 0; i < 2; i++) {
    int64_t top, left;
    cnn_tensor t = draw(cases[i].text, 5, SIDE, SIDE, &top, &left);
    for (int axis = 0; axis < 2; axis++) naive_field(cases[i].sigma, 5, axis, field[axis]);
    double sum = 0;
    for (int y = 8; y < SIDE - 8; y++)
      for (int x = 8; x < SIDE - 8; x++) {
        double dy = cases[i].alpha * field[0][y][x], dx = cases[i].alpha * field[1][y][x];
        assert_true(fabs(read_y(t, y, x) - y - dy) < 1e-3 && fabs(read_x(t, y, x) - x - dx) < 1e-3);
        sum += dy * dy + dx * dx;
      }
    double deviation = sqrt(sum / (2.0 * (SIDE - 16) * (SIDE - 16)));
    double expected = cases[i].alpha / sqrt(3 * 4 * 3.14159265358979 * cases[i].sigma * cases[i].sigma);
    assert_true(deviation > 0.6 * expected && deviation < 1.4 * expected);
  }
}

/* ---- colour ---- */

static void test_color(void **state) {
  (void)state;
  struct augment a;
  /* red and green rise together, blue alone: variances along (1, 1, 0) and (0, 0, 1) */
  double covariance[3][3] = {{0.05, 0.05, 0}, {0.05, 0.05, 0}, {0, 0, 0.02}};
  double sum[3] = {0};
  ok(augment_parse("color=0.1", &a));
  augment_set_colors(&a, covariance);
  void *work = malloc((size_t)augment_scratch(&a, whole, whole));
  for (uint64_t n = 0; n < 1000; n++) {
    cnn_tensor canvas = {out, whole};
    int64_t top, left;
    augment_image(&a, map, whole, (struct ticket){1, n}, canvas, work, &top, &left);
    double add[3];
    for (int c = 0; c < 3; c++) {
      add[c] = (double)out[c * SIDE * SIDE + 65] - (double)dataset_value(map[c * SIDE * SIDE + 65]);
      for (int i = 0; i < SIDE * SIDE; i++) {
        double here = (double)out[c * SIDE * SIDE + i] - (double)dataset_value(map[c * SIDE * SIDE + i]);
        assert_true(fabs(here - add[c]) < 1e-6);
      }
      sum[c] += add[c] * add[c];
    }
    assert_true(fabs(add[0] - add[1]) < 1e-6);
  }
  free(work);
  /* deviations: 0.1 * 0.1 / sqrt(2) along red, 0.1 * 0.02 along blue */
  assert_true(fabs(sqrt(sum[0] / 1000) / 0.0070711 - 1) < 0.1);
  assert_true(fabs(sqrt(sum[2] / 1000) / 0.002 - 1) < 0.1);
  assert_int_equal(augment_check(&a, (cnn_shape){1, 1, 8, 8}, (cnn_shape){1, 1, 8, 8}), CNN_E_SHAPE);
  assert_why("3 channels");
}

/* ---- the same bits ---- */

static uint64_t hash(const void *bytes, size_t count) {
  uint64_t h = 14695981039346656037ULL;
  for (size_t i = 0; i < count; i++) h = (h ^ ((const uint8_t *)bytes)[i]) * 1099511628211ULL;
  return h;
}

/* Of the values' bits (FNV-1a), as this test made them on x86-64: they are part of the promise that a seed
 * gives the same run on every machine and in every version. */
static void test_same_bits(void **state) {
  (void)state;
  static const char all[] = "pad=2 shift=2 rotate=10 scale=0.1 shear=5 elastic=sigma:4,alpha:34 flip erase=8";
  int64_t top, left;
  draw(all, 1, SIDE, SIDE, &top, &left);
  uint64_t first = hash(out, sizeof out);
  draw(all, 2, SIDE, SIDE, &top, &left);
  assert_true(hash(out, sizeof out) != first);
  draw(all, 1, SIDE, SIDE, &top, &left);
  assert_true(hash(out, sizeof out) == first);
  if (first != 0x88e495627462d443ULL) fail_msg("0x%016llx", (unsigned long long)first);
}

/* ---- cnn.h ---- */

static void test_augmenter(void **state) {
  (void)state;
  cnn_dataset *data = NULL;
  cnn_augmenter *augmenter = NULL;
  cnn_shape image;
  float one[3 * 16 * 16], two[3 * 12 * 12];
  ok(cnn_dataset_random((cnn_shape){20, 3, 16, 16}, 2, 4, 1, &data));
  ok(cnn_augmenter_new("crop=16 flip color=0.5", data, 12, 12, &augmenter));
  assert_int_equal(cnn_augmenter_shape(augmenter).h, 12);
  ok(cnn_augmenter_draw(augmenter, 19, 1, 1, two));
  ok(cnn_dataset_read(data, CNN_SPLIT_TRAIN, 19, one, NULL));
  assert_int_equal(cnn_augmenter_draw(augmenter, 20, 1, 1, two), CNN_E_ARGUMENT);
  cnn_augmenter_free(augmenter);
  assert_int_equal(cnn_augmenter_new("flip", data, 17, 16, &augmenter), CNN_E_SHAPE);
  assert_why("smaller than the network's input");
  assert_int_equal(cnn_augmenter_new("flip", data, -16, 16, &augmenter), CNN_E_ARGUMENT);
  assert_int_equal(cnn_augmenter_new("flip", data, 16, -1, &augmenter), CNN_E_ARGUMENT);
  assert_int_equal(cnn_augmenter_new("crop=32", data, 0, 0, &augmenter), CNN_E_SHAPE);
  assert_why("are 16x16; augmentation takes 32x32");
  assert_int_equal(cnn_augmenter_new("flip", data, 12, 12, &augmenter), CNN_E_SHAPE);
  ok(cnn_augmenter_new(NULL, data, 0, 0, &augmenter));
  float same[3 * 16 * 16];
  ok(cnn_augmenter_draw(augmenter, 19, 1, 1, same));
  assert_memory_equal(same, one, sizeof one);
  cnn_augmenter_free(augmenter);
  for (long fail_at = 0; fail_at < 5; fail_at++) { /* each allocation in turn */
    mem_fail_after(fail_at);
    cnn_status status = cnn_augmenter_new("color=0.1", data, 0, 0, &augmenter);
    mem_fail_after(-1);
    if (status == CNN_OK) cnn_augmenter_free(augmenter);
    if (fail_at < 3) assert_int_equal(status, CNN_E_MEMORY);
  }
  ok(cnn_augment_image("crop=256x320", (cnn_shape){1, 3, 227, 227}, &image));
  assert_true(image.c == 3 && image.h == 256 && image.w == 320);
  cnn_dataset_free(data);
}

/* What is written as a PNG file is read back, to the byte. */
static void test_image_write(void **state) {
  (void)state;
  float values[3 * 5 * 7], back[3 * 5 * 7];
  for (int c = 1; c <= 3; c += 2) {
    cnn_shape shape = {1, c, 5, 7};
    for (int i = 0; i < c * 35; i++) values[i] = (float)(i * 2) / 255.0F;
    ok(cnn_image_write(in_scratch("picture.png"), (cnn_tensor){values, shape}));
    ok(cnn_image_read(in_scratch("picture.png"), shape, back));
    assert_memory_equal(values, back, (size_t)c * 35 * sizeof(float));
  }
  for (int i = 0; i < 35; i++) values[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? -5.0F : 7.0F;
  ok(cnn_image_write(in_scratch("picture.png"), (cnn_tensor){values, {1, 1, 5, 7}}));
  ok(cnn_image_read(in_scratch("picture.png"), (cnn_shape){1, 1, 5, 7}, back));
  for (int i = 0; i < 35; i++) assert_true(back[i] == (i % 3 == 2 ? 1.0F : 0.0F));
  void *png;
  size_t bytes;
  char file[4096];
  ok(cnn_image_encode((cnn_tensor){values, {1, 1, 5, 7}}, &png, &bytes));
  FILE *written = fopen(in_scratch("picture.png"), "rb");
  assert_non_null(written);
  assert_int_equal(fread(file, 1, sizeof file, written), bytes);
  fclose(written);
  assert_memory_equal(file, png, bytes);
  free(png);
  assert_int_equal(cnn_image_encode((cnn_tensor){values, {2, 1, 5, 7}}, &png, &bytes), CNN_E_SHAPE);
  assert_true(png == NULL && bytes == 0);
  assert_int_equal(cnn_image_write(in_scratch("p.png"), (cnn_tensor){values, {1, 2, 5, 7}}), CNN_E_SHAPE);
  assert_int_equal(cnn_image_write(in_scratch("no/p.png"), (cnn_tensor){values, {1, 1, 5, 7}}), CNN_E_IO);
  assert_why("no/p.png");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_maths),
      cmocka_unit_test(test_eigen),
      cmocka_unit_test(test_text),
      cmocka_unit_test(test_text_at_random),
      cmocka_unit_test(test_nothing_changes_nothing),
      cmocka_unit_test(test_flip_and_pad_are_exact),
      cmocka_unit_test(test_crop),
      cmocka_unit_test(test_affine),
      cmocka_unit_test(test_composition),
      cmocka_unit_test(test_fill),
      cmocka_unit_test(test_erase),
      cmocka_unit_test(test_elastic),
      cmocka_unit_test(test_color),
      cmocka_unit_test(test_same_bits),
      cmocka_unit_test(test_augmenter),
      cmocka_unit_test(test_image_write),
  };
  make_map();
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
