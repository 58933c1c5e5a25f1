/* PNG and JPEG files, resizing and grey: src/data/images.c, png.c, jpeg.c. */
#include "data/images.h"

#include <fcntl.h>

#include "data_pictures.h"

static struct image load(const char *path) {
  struct image image = {0};
  if (image_load(path, &image) != CNN_OK) fail_msg("%s", cnn_why());
  return image;
}

static void check_pixels(const char *path, int64_t w, int64_t h, int c, const uint8_t *pixels) {
  struct image image = load(path);
  assert_int_equal(image.w, w);
  assert_int_equal(image.h, h);
  assert_int_equal(image.c, c);
  assert_memory_equal(image.pixels, pixels, (size_t)(w * h * c));
  image_free(&image);
}

/* ------------------------------------------------------------------ PNG */

static void test_png_plain(void **state) {
  (void)state;
  uint8_t pixels[7 * 5 * 3];
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)(11 * i);
  write_png(in_scratch("grey.png"), 7, 5, 1, pixels);
  write_png(in_scratch("colour.png"), 7, 5, 3, pixels);
  check_pixels(in_scratch("grey.png"), 7, 5, 1, pixels);
  check_pixels(in_scratch("colour.png"), 7, 5, 3, pixels);
  struct png_kind interlaced = {.type = PNG_COLOR_TYPE_RGB, .bits = 8, .interlace = PNG_INTERLACE_ADAM7};
  write_png_kind(in_scratch("adam7.png"), 7, 5, &interlaced, pixels, 21);
  check_pixels(in_scratch("adam7.png"), 7, 5, 3, pixels);
}

/* Each channel becomes value * alpha / 255, rounded. */
static void test_png_alpha_on_black(void **state) {
  (void)state;
  write_png(in_scratch("ga.png"), 4, 1, 2, (const uint8_t[]){200, 255, 200, 0, 200, 128, 200, 1});
  check_pixels(in_scratch("ga.png"), 4, 1, 1, (const uint8_t[]){200, 0, 100, 1});
  write_png(in_scratch("rgba.png"), 2, 1, 4, (const uint8_t[]){10, 20, 30, 255, 100, 200, 255, 51});
  check_pixels(in_scratch("rgba.png"), 2, 1, 3, (const uint8_t[]){10, 20, 30, 20, 40, 51});
}

static void test_png_palette_bits_16(void **state) {
  (void)state;
  png_color palette[3] = {{1, 2, 3}, {255, 0, 0}, {0, 100, 50}};
  png_byte alpha[2] = {255, 0};
  struct png_kind kind = {.type = PNG_COLOR_TYPE_PALETTE, .bits = 8, .palette = palette, .colours = 3};
  write_png_kind(in_scratch("palette.png"), 3, 1, &kind, (const uint8_t[]){2, 0, 1}, 3);
  check_pixels(in_scratch("palette.png"), 3, 1, 3, (const uint8_t[]){0, 100, 50, 1, 2, 3, 255, 0, 0});
  kind.transparent = alpha, kind.transparents = 2;
  write_png_kind(in_scratch("clear.png"), 3, 1, &kind, (const uint8_t[]){2, 0, 1}, 3);
  check_pixels(in_scratch("clear.png"), 3, 1, 3, (const uint8_t[]){0, 100, 50, 1, 2, 3, 0, 0, 0});
  struct png_kind bits = {.type = PNG_COLOR_TYPE_GRAY, .bits = 1};
  write_png_kind(in_scratch("bits.png"), 9, 1, &bits, (const uint8_t[]){0xA5, 0x80}, 2);
  check_pixels(in_scratch("bits.png"), 9, 1, 1, (const uint8_t[]){255, 0, 255, 0, 0, 255, 0, 255, 255});
  struct png_kind deep = {.type = PNG_COLOR_TYPE_GRAY, .bits = 16};
  write_png_kind(in_scratch("deep.png"), 3, 1, &deep, (const uint8_t[]){0xFF, 0xFF, 0x80, 0x80, 0x01, 0x01},
                 6);
  check_pixels(in_scratch("deep.png"), 3, 1, 1, (const uint8_t[]){255, 128, 1});
}

/* ------------------------------------------------------------------ JPEG */

static void check_near(const char *path, int64_t w, int64_t h, int c, const uint8_t *pixels, int most) {
  struct image image = load(path);
  assert_int_equal(image.w, w);
  assert_int_equal(image.h, h);
  assert_int_equal(image.c, c);
  for (int64_t i = 0; i < w * h * c; i++) {
    int difference = abs(image.pixels[i] - pixels[i]);
    if (difference > most) fail_msg("byte %lld: %d, expected %d", (long long)i, image.pixels[i], pixels[i]);
  }
  image_free(&image);
}

static void test_jpeg(void **state) {
  (void)state;
  enum { W = 20, H = 12 };
  uint8_t grey[W * H], colour[W * H * 3];
  for (int y = 0; y < H; y++)
    for (int x = 0; x < W; x++) {
      grey[y * W + x] = (uint8_t)(5 * x + 9 * y);
      for (int k = 0; k < 3; k++) colour[(y * W + x) * 3 + k] = (uint8_t)(40 * k + 3 * x + 5 * y);
    }
  for (int progressive = 0; progressive < 2; progressive++) {
    write_jpeg(in_scratch("grey.jpg"), W, H, 1, progressive, grey);
    write_jpeg(in_scratch("colour.jpg"), W, H, 3, progressive, colour);
    check_near(in_scratch("grey.jpg"), W, H, 1, grey, 2);
    check_near(in_scratch("colour.jpg"), W, H, 3, colour, 4);
  }
}

/* Adobe's CMYK is inverted: 255 is no ink. */
static void test_jpeg_cmyk(void **state) {
  (void)state;
  uint8_t pixels[8 * 8 * 4];
  for (int i = 0; i < 64; i++) memcpy(pixels + 4 * i, (const uint8_t[]){255, 128, 0, 255}, 4);
  write_jpeg(in_scratch("cmyk.jpg"), 8, 8, 4, false, pixels);
  struct image image = load(in_scratch("cmyk.jpg"));
  assert_int_equal(image.c, 3);
  assert_in_range(image.pixels[0], 253, 255);
  assert_in_range(image.pixels[1], 126, 130);
  assert_in_range(image.pixels[2], 0, 2);
  image_free(&image);
}

/* ------------------------------------------------------------------ grey and size */

static void check_fit(const struct image *image, cnn_shape shape, const uint8_t *expected) {
  uint8_t planes[256];
  assert_int_equal(image_fit(image, shape, planes), CNN_OK);
  for (int64_t i = 0; i < shape.c * shape.h * shape.w; i++) assert_int_equal(planes[i], expected[i]);
}

/* Rec. 601: 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1. */
static void test_grey(void **state) {
  (void)state;
  uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 77, 77, 77};
  struct image image = {pixels, 6, 1, 3};
  check_fit(&image, (cnn_shape){1, 1, 1, 6}, (const uint8_t[]){76, 150, 29, 255, 0, 77});
  assert_false(image_is_grey(&image));
  struct image last = {pixels + 9, 3, 1, 3};
  assert_true(image_is_grey(&last));
  struct image grey = {pixels + 15, 2, 1, 1};
  assert_true(image_is_grey(&grey));
  check_fit(&grey, (cnn_shape){1, 3, 1, 2}, (const uint8_t[]){77, 77, 77, 77, 77, 77});
}

static void test_planes(void **state) {
  (void)state;
  uint8_t pixels[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  struct image image = {pixels, 2, 2, 3};
  check_fit(&image, (cnn_shape){1, 3, 2, 2}, (const uint8_t[]){1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12});
}

/* An image of the size that is wanted is copied: that takes no memory. */
static void test_same_size(void **state) {
  (void)state;
  uint8_t pixels[3 * 20], planes[3 * 20];
  for (int i = 0; i < 60; i++) pixels[i] = (uint8_t)(i * 37);
  for (int have = 1; have <= 3; have += 2)
    for (int wanted = 1; wanted <= 3; wanted += 2) {
      struct image image = {pixels, 5, 4, have};
      mem_fail_after(0);
      cnn_status status = image_fit(&image, (cnn_shape){1, wanted, 4, 5}, planes);
      mem_fail_after(-1);
      assert_int_equal(status, CNN_OK);
      for (int c = 0; c < wanted; c++)
        for (int i = 0; i < 20; i++) {
          const uint8_t *p = pixels + i * have;
          double grey = have == 3 ? 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] : p[0];
          double expected = have == 3 && wanted == 3 ? p[c] : grey;
          assert_true(planes[c * 20 + i] - expected < 0.51 && planes[c * 20 + i] - expected > -0.51);
        }
    }
}

static void test_shrink(void **state) {
  (void)state;
  struct image square = {(uint8_t[]){10, 20, 30, 41}, 2, 2, 1};
  check_fit(&square, (cnn_shape){1, 1, 1, 1}, (const uint8_t[]){25}); /* 25.25 */
  struct image line = {(uint8_t[]){0, 90, 240}, 3, 1, 1};
  /* each takes one pixel and half of the middle: (0 + 45) / 1.5, (45 + 240) / 1.5 */
  check_fit(&line, (cnn_shape){1, 1, 1, 2}, (const uint8_t[]){30, 190});
  struct image column = {(uint8_t[]){0, 90, 240}, 1, 3, 1};
  check_fit(&column, (cnn_shape){1, 1, 2, 1}, (const uint8_t[]){30, 190});
  struct image half = {(uint8_t[]){0, 1}, 2, 1, 1};
  check_fit(&half, (cnn_shape){1, 1, 1, 1}, (const uint8_t[]){1}); /* 0.5 goes up */
}

static void test_grow(void **state) {
  (void)state;
  struct image line = {(uint8_t[]){0, 100}, 2, 1, 1};
  check_fit(&line, (cnn_shape){1, 1, 1, 4}, (const uint8_t[]){0, 25, 75, 100});
  check_fit(&line, (cnn_shape){1, 1, 1, 3}, (const uint8_t[]){0, 50, 100});
  struct image point = {(uint8_t[]){9}, 1, 1, 1};
  check_fit(&point, (cnn_shape){1, 1, 2, 2}, (const uint8_t[]){9, 9, 9, 9});
  struct image both = {(uint8_t[]){0, 10, 100, 110, 200, 210, 30, 40}, 2, 4,
                       1}; /* rows averaged, columns 0 1/4 3/4 1 */
  check_fit(&both, (cnn_shape){1, 1, 2, 4}, (const uint8_t[]){50, 53, 58, 60, 115, 118, 123, 125});
}

/* One axis by its definition, in double. */
static double resample(const double *from, int in, int out, int o) {
  if (out > in) {
    double at = (o + 0.5) * in / out - 0.5;
    at = at < 0 ? 0 : at > in - 1 ? in - 1 : at;
    int first = (int)at;
    double part = at - first;
    return from[first] * (1 - part) + (part > 0 ? from[first + 1] * part : 0);
  }
  double scale = (double)in / out, begin = o * scale, end = begin + scale, sum = 0;
  for (int i = 0; i < in; i++) {
    double a = begin > i ? begin : i, b = end < i + 1 ? end : i + 1;
    if (b > a) sum += (b - a) * from[i];
  }
  return sum / scale;
}

static void test_random_sizes(void **state) {
  (void)state;
  enum { MOST = 12 };
  uint64_t random = 3;
  for (int trial = 0; trial < 300; trial++) {
    int w = 1 + (int)(next_random(&random) % MOST), h = 1 + (int)(next_random(&random) % MOST);
    int ow = 1 + (int)(next_random(&random) % MOST), oh = 1 + (int)(next_random(&random) % MOST);
    uint8_t pixels[MOST * MOST], planes[MOST * MOST];
    for (int i = 0; i < w * h; i++) pixels[i] = (uint8_t)next_random(&random);
    struct image image = {pixels, w, h, 1};
    assert_int_equal(image_fit(&image, (cnn_shape){1, 1, oh, ow}, planes), CNN_OK);
    for (int oy = 0; oy < oh; oy++) {
      for (int ox = 0; ox < ow; ox++) {
        double row[MOST], column[MOST];
        for (int x = 0; x < w; x++) {
          for (int y = 0; y < h; y++) column[y] = pixels[y * w + x];
          row[x] = resample(column, h, oh, oy);
        }
        double difference = planes[oy * ow + ox] - resample(row, w, ow, ox);
        if (difference < -0.5000001 || difference > 0.5000001)
          fail_msg("%dx%d to %dx%d: off by %g", w, h, ow, oh, difference);
      }
    }
  }
}

static void test_values(void **state) {
  (void)state;
  float values[4];
  write_png(in_scratch("v.png"), 2, 2, 1, (const uint8_t[]){0, 51, 128, 255});
  assert_int_equal(cnn_image_read(in_scratch("v.png"), (cnn_shape){1, 1, 2, 2}, values), CNN_OK);
  assert_true(values[0] == 0.0F && values[1] == 51.0F / 255.0F && values[3] == 1.0F);
  assert_fails(CNN_E_ARGUMENT, cnn_image_read(in_scratch("v.png"), (cnn_shape){1, 2, 2, 2}, values),
               "images of 2x2x2");
  assert_fails(CNN_E_ARGUMENT, cnn_image_read(in_scratch("v.png"), (cnn_shape){1, 1, 0, 2}, values), "1x0x2");
  assert_fails(CNN_E_ARGUMENT, cnn_image_read(in_scratch("v.png"), (cnn_shape){1, 1, INT64_MAX, 2}, values),
               "expected 1 or 3 channels");
}

/* ------------------------------------------------------------------ wrong files */

static void test_not_an_image(void **state) {
  (void)state;
  struct image image;
  put_bytes(in_scratch("text.png"), "hello, world", 12);
  put_bytes(in_scratch("empty.png"), "", 0);
  assert_fails(CNN_E_FORMAT, image_load(in_scratch("text.png"), &image), "neither PNG nor JPEG");
  assert_why("text.png");
  assert_fails(CNN_E_FORMAT, image_load(in_scratch("empty.png"), &image), "is empty");
  assert_fails(CNN_E_IO, image_load(in_scratch("none.png"), &image), "No such file");
  assert_fails(CNN_E_IO, image_load(scratch, &image), "is not a file");
}

static uint32_t crc_of(const uint8_t *bytes, size_t count) {
  return (uint32_t)crc32(0, bytes, (unsigned)count);
}

static void put_32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* Headers that ask for more pixels than anyone has. */
static void test_absurd_sizes(void **state) {
  (void)state;
  struct image image;
  size_t size;
  uint8_t pixel = 1;
  write_png(in_scratch("big.png"), 1, 1, 1, &pixel);
  uint8_t *file = get_bytes(in_scratch("big.png"), &size);
  put_32(file + 16, 100000);
  put_32(file + 20, 100000);
  put_32(file + 29, crc_of(file + 12, 17));
  put_bytes(in_scratch("big.png"), file, size);
  free(file);
  assert_fails(CNN_E_FORMAT, image_load(in_scratch("big.png"), &image),
               "100000x100000 pixels, at most 67108864");
  write_jpeg(in_scratch("big.jpg"), 1, 1, 1, false, &pixel);
  file = get_bytes(in_scratch("big.jpg"), &size);
  size_t at = 2;
  while (file[at + 1] != 0xC0) at += 2 + (size_t)(file[at + 2] << 8 | file[at + 3]);
  memcpy(file + at + 5, "\xFD\xE8\xFD\xE8", 4); /* 65000 */
  put_bytes(in_scratch("big.jpg"), file, size);
  free(file);
  assert_fails(CNN_E_FORMAT, image_load(in_scratch("big.jpg"), &image), "65000x65000 pixels");
}

static void make_samples(void) {
  uint8_t pixels[9 * 6 * 4];
  uint64_t random = 5;
  for (size_t i = 0; i < sizeof pixels; i++) pixels[i] = (uint8_t)next_random(&random);
  struct png_kind interlaced = {.type = PNG_COLOR_TYPE_GRAY, .bits = 16, .interlace = PNG_INTERLACE_ADAM7};
  write_png(in_scratch("sample0"), 9, 6, 4, pixels);
  write_png_kind(in_scratch("sample1"), 9, 6, &interlaced, pixels, 18);
  write_jpeg(in_scratch("sample2"), 9, 6, 3, false, pixels);
  write_jpeg(in_scratch("sample3"), 9, 6, 3, true, pixels);
  write_jpeg(in_scratch("sample4"), 9, 6, 4, false, pixels);
}
enum { SAMPLES = 5 };

static void test_truncated_at_every_length(void **state) {
  (void)state;
  make_samples();
  const char *cut = in_scratch("cut");
  for (int sample = 0; sample < SAMPLES; sample++) {
    size_t size;
    uint8_t *file = get_bytes(in_scratch("sample%d", sample), &size);
    for (size_t length = 0; length < size; length++) {
      struct image image = {0};
      put_bytes(cut, file, length);
      if (image_load(cut, &image) != CNN_E_FORMAT) fail_msg("sample %d, %zu bytes", sample, length);
      assert_null(image.pixels);
      assert_non_null(strstr(cnn_why(), cut));
    }
    free(file);
    cut = in_scratch("cut");
  }
}

/* A damaged file is an error or an image; nothing is printed, nothing leaks. */
static void test_random_damage(void **state) {
  (void)state;
  enum { TRIALS = 1500 };
  uint64_t random = 9;
  int stderr_copy = dup(2), log = open(in_scratch("stderr"), O_RDWR | O_CREAT | O_TRUNC, 0600), refused = 0;
  make_samples();
  dup2(log, 2);
  for (int sample = 0; sample < SAMPLES; sample++) {
    size_t size;
    uint8_t *file = get_bytes(in_scratch("sample%d", sample), &size), *copy = malloc(size);
    assert_non_null(copy);
    const char *path = in_scratch("damaged");
    for (int trial = 0; trial < TRIALS; trial++) {
      memcpy(copy, file, size);
      for (uint32_t k = next_random(&random) % 4 + 1; k > 0; k--)
        copy[next_random(&random) % size] = (uint8_t)next_random(&random);
      put_bytes(path, copy, size);
      struct image image = {0};
      cnn_status status = image_load(path, &image);
      assert_true(status == CNN_OK || status == CNN_E_FORMAT);
      refused += status != CNN_OK;
      image_free(&image);
    }
    free(copy);
    free(file);
  }
  off_t printed = lseek(log, 0, SEEK_END);
  dup2(stderr_copy, 2);
  close(stderr_copy);
  close(log);
  assert_int_equal(printed, 0);
  assert_in_range(refused, SAMPLES * TRIALS / 4, SAMPLES * TRIALS - 1);
}

/* Until no allocation is left to fail. */
static void test_no_memory(void **state) {
  (void)state;
  make_samples();
  float values[300];
  for (int sample = 0; sample < SAMPLES; sample++) {
    const char *path = in_scratch("sample%d", sample);
    int refused = 0;
    for (long successes = 0;; successes++) {
      long before = mem_count();
      mem_fail_after(successes);
      cnn_status status = cnn_image_read(path, (cnn_shape){1, 3, 10, 4}, values);
      mem_fail_after(-1);
      if (mem_count() - before <= successes) {
        assert_int_equal(status, CNN_OK);
        break;
      }
      assert_true(status == CNN_OK || status == CNN_E_MEMORY); /* libpng can do without some */
      if (status == CNN_E_MEMORY) assert_why("out of memory");
      refused += status == CNN_E_MEMORY;
    }
    assert_true(refused >= 6);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_png_plain),
      cmocka_unit_test(test_png_alpha_on_black),
      cmocka_unit_test(test_png_palette_bits_16),
      cmocka_unit_test(test_jpeg),
      cmocka_unit_test(test_jpeg_cmyk),
      cmocka_unit_test(test_grey),
      cmocka_unit_test(test_planes),
      cmocka_unit_test(test_same_size),
      cmocka_unit_test(test_shrink),
      cmocka_unit_test(test_grow),
      cmocka_unit_test(test_random_sizes),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_not_an_image),
      cmocka_unit_test(test_absurd_sizes),
      cmocka_unit_test(test_truncated_at_every_length),
      cmocka_unit_test(test_random_damage),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
