/* Shapes, equation (7.1), im2col and col2im: the chapter's own numbers first, then every case against the
 * formula written out. */
#include <inttypes.h>
#include <string.h>

#include "check.h"
#include "core/rng.h"
#include "core/status.h"

static int64_t output_size(int64_t in, int64_t filter, int64_t stride, int64_t pad) {
  int64_t out = -1;
  ok(cnn_output_size(in, filter, stride, pad, 1, CNN_ROUND_ERROR, &out));
  return out;
}

/* 7.2.4: Figure 7-7, Figure 7-8's sizes, and the third example with its two axes. */
static void examples_of_the_chapter(void **state) {
  (void)state;
  assert_int_equal(output_size(4, 3, 1, 1), 4);
  assert_int_equal(output_size(7, 3, 2, 0), 3);
  assert_int_equal(output_size(28, 5, 3, 2), 10);
  assert_int_equal(output_size(31, 5, 3, 2), 11);
}

/* (7.1) by counting: windows at -pad, stride - pad, ... */
static int64_t windows(int64_t in, int64_t extent, int64_t stride, int64_t pad, bool ceil) {
  int64_t count = 0;
  while (count * stride + extent <= in + 2 * pad) count++;
  bool rest = count > 0 && (count - 1) * stride + extent < in + 2 * pad;
  if (ceil && rest && count * stride - pad < in) count++;
  return count;
}

static void output_sizes_by_counting(void **state) {
  (void)state;
  for (int64_t in = 1; in <= 12; in++)
    for (int64_t filter = 1; filter <= 5; filter++)
      for (int64_t stride = 1; stride <= 4; stride++)
        for (int64_t pad = 0; pad <= 3; pad++)
          for (int64_t dilation = 1; dilation <= 3; dilation++) {
            int64_t extent = dilation * (filter - 1) + 1, room = in + 2 * pad - extent, out = -7;
            for (int ceil = 0; ceil < 2; ceil++) {
              cnn_status status = cnn_output_size(in, filter, stride, pad, dilation,
                                                  ceil ? CNN_ROUND_CEIL : CNN_ROUND_FLOOR, &out);
              if (room < 0) {
                assert_int_equal(status, CNN_E_SHAPE);
                assert_int_equal(out, -7);
                continue;
              }
              assert_int_equal(status, CNN_OK);
              assert_int_equal(out, windows(in, extent, stride, pad, ceil));
              out = -7;
            }
            cnn_status status = cnn_output_size(in, filter, stride, pad, dilation, CNN_ROUND_ERROR, &out);
            assert_int_equal(status, room < 0 || room % stride ? CNN_E_SHAPE : CNN_OK);
          }
}

static void output_size_sentences(void **state) {
  (void)state;
  int64_t out = -7;
  assert_int_equal(cnn_output_size(12, 3, 2, 0, 1, CNN_ROUND_ERROR, &out), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "(12 + 2*0 - 3) / 2 is not whole; set round=floor, round=ceil or pad");
  assert_int_equal(cnn_output_size(4, 3, 1, 1, 4, CNN_ROUND_FLOOR, &out), CNN_E_SHAPE);
  assert_string_equal(
      cnn_why(),
      "a filter of extent 9 does not fit 4 with pad 1: 4 + 2*1 - 9 is negative; make the filter "
      "smaller or pad larger");
  const int64_t wrong[][5] = {{0, 1, 1, 0, 1},         {1, 0, 1, 0, 1},         {1, 1, 0, 0, 1},
                              {1, 1, 1, -1, 1},        {1, 1, 1, 0, 0},         {INT64_MIN, 1, 1, 0, 1},
                              {1, 1, 1, 0, -1},        {1, INT64_MAX, 1, 0, 1}, {INT64_MAX, 1, 1, 0, 1},
                              {1, 1, 1, 0, 1LL << 31}, {1, 1, 1, INT64_MAX, 1}, {1, 1, INT64_MAX, 0, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    const int64_t *w = wrong[i];
    assert_int_equal(cnn_output_size(w[0], w[1], w[2], w[3], w[4], CNN_ROUND_FLOOR, &out), CNN_E_ARGUMENT);
    assert_non_null(strstr(cnn_why(), "none above 2^31 - 1"));
  }
  assert_int_equal(out, -7);
  const int64_t most = INT32_MAX; /* the largest that are taken do not overflow */
  assert_int_equal(cnn_output_size(most, 1, 1, most, 1, CNN_ROUND_ERROR, &out), CNN_OK);
  assert_int_equal(out, 3 * most);
  assert_int_equal(cnn_output_size(most, most, most, most, most, CNN_ROUND_CEIL, &out), CNN_E_SHAPE);
}

static void counts(void **state) {
  (void)state;
  int64_t count = -7;
  assert_int_equal(cnn_shape_count((cnn_shape){10, 3, 5, 5}, &count), CNN_OK); /* 7.4.3 */
  assert_int_equal(count, 750);
  const cnn_shape wrong[] = {{0, 1, 1, 1},
                             {1, -1, 1, 1},
                             {1, 1, INT64_MIN, 1},
                             {1, 1, 1, 0},
                             {INT64_MAX, 1, 1, 1},
                             {1LL << 31, 1LL << 31, 1LL << 31, 1LL << 31},
                             {1LL << 30, 1LL << 30, 1, 1}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(cnn_shape_count(wrong[i], &count), CNN_E_SHAPE);
  assert_int_equal(count, 750);
  assert_int_equal(cnn_shape_count((cnn_shape){2, 3, 0, 5}, &count), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "dimension h of shape 2x3x0x5 must be at least 1");
  assert_int_equal(cnn_shape_count((cnn_shape){1, 4294967296, 4294967296, 1}, &count), CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "shape 1x4294967296x4294967296x1 has too many elements");
}

static void slices(void **state) {
  (void)state;
  float data[5 * 2 * 3 * 2] = {0};
  cnn_tensor t = {data, {5, 2, 3, 2}}, view = {0};
  assert_int_equal(cnn_tensor_images(t, 3, 2, &view), CNN_OK);
  assert_ptr_equal(view.data, data + 3 * 12);
  assert_int_equal(view.shape.n, 2);
  assert_int_equal(view.shape.c, 2);
  assert_int_equal(view.shape.h, 3);
  assert_int_equal(view.shape.w, 2);
  assert_ptr_equal(cnn_tensor_at(t, 4, 1, 2, 1), data + 59);
  const int64_t wrong[][2] = {
      {-1, 1},        {0, 0},         {0, 6},         {5, 1},         {4, 2},
      {1, INT64_MAX}, {INT64_MAX, 1}, {INT64_MIN, 1}, {0, INT64_MIN}, {INT64_MAX, INT64_MAX}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
    assert_int_equal(cnn_tensor_images(t, wrong[i][0], wrong[i][1], &view), CNN_E_ARGUMENT);
  assert_ptr_equal(view.data, data + 3 * 12);
}

/* 7.4.3: (9, 75) for one image of 3x7x7 and 5x5 filters, (90, 75) for ten. */
static void im2col_shapes_of_the_chapter(void **state) {
  (void)state;
  int64_t rows, columns;
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 7, 7}, 5, 5, 1, 0, &rows, &columns), CNN_OK);
  assert_int_equal(rows, 9);
  assert_int_equal(columns, 75);
  assert_int_equal(cnn_im2col_shape((cnn_shape){10, 3, 7, 7}, 5, 5, 1, 0, &rows, &columns), CNN_OK);
  assert_int_equal(rows, 90);
  assert_int_equal(columns, 75);
}

static void im2col_errors(void **state) {
  (void)state;
  int64_t rows = -7, columns = -7;
  float one = 5, col = 3;
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 7, 0}, 5, 5, 1, 0, &rows, &columns), CNN_E_SHAPE);
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 4, 7}, 5, 5, 1, 0, &rows, &columns), CNN_E_SHAPE);
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 7, 4}, 5, 5, 1, 0, &rows, &columns), CNN_E_SHAPE);
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 7, 7}, 5, 5, 0, 0, &rows, &columns), CNN_E_ARGUMENT);
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 3, 7, 7}, 5, 5, 1, -1, &rows, &columns), CNN_E_ARGUMENT);
  assert_int_equal(
      cnn_im2col_shape((cnn_shape){1, 1, 1 << 29, 1 << 29}, 1 << 28, 1 << 28, 1, 0, &rows, &columns),
      CNN_E_SHAPE);
  assert_string_equal(cnn_why(), "the matrix of im2col would have too many elements");
  assert_int_equal(cnn_im2col_shape((cnn_shape){1, 1, 1, 1}, 1 << 30, 1 << 30, 1, INT32_MAX, &rows, &columns),
                   CNN_E_SHAPE);
  assert_int_equal(rows, -7);
  assert_int_equal(columns, -7);
  cnn_tensor t = {&one, {1, 1, 1, 1}};
  assert_int_equal(cnn_im2col(t, 2, 1, 1, 0, &col), CNN_E_SHAPE);
  assert_int_equal(cnn_col2im(&col, 1, 2, 1, 0, t), CNN_E_SHAPE);
  assert_true(one == 5 && col == 3);
}

/* A case small enough to write down: 1x1x3x3, filters of 2x2, stride 2, pad 1. */
static void im2col_by_hand(void **state) {
  (void)state;
  float data[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, col[16], back[9];
  const float expected[16] = {0, 0, 0, 1, 0, 0, 2, 3, 0, 4, 0, 7, 5, 6, 8, 9};
  cnn_tensor t = {data, {1, 1, 3, 3}};
  assert_int_equal(cnn_im2col(t, 2, 2, 2, 1, col), CNN_OK);
  assert_memory_equal(col, expected, sizeof col);
  memset(back, 0xff, sizeof back); /* NaN, to be overwritten */
  assert_int_equal(cnn_col2im(col, 2, 2, 2, 1, (cnn_tensor){back, {1, 1, 3, 3}}), CNN_OK);
  assert_memory_equal(back, data, sizeof back); /* windows that do not overlap: each element once */
  float far[9] = {0}, narrow[4] = {1, 2, 3, 4};
  const float corners[9] = {1, 0, 2, 0, 0, 0, 3, 0, 4};
  memset(far, 0xff, sizeof far);
  assert_int_equal(cnn_col2im(narrow, 1, 1, 2, 0, (cnn_tensor){far, {1, 1, 3, 3}}), CNN_OK);
  assert_memory_equal(far, corners, sizeof far); /* what no window covers becomes 0 */
}

enum { LARGEST = 1 << 16 };

struct random {
  struct rng rng;
  uint64_t at;
};

static int64_t draw(struct random *random, int64_t least, int64_t most) {
  return least + (int64_t)rng_below(&random->rng, random->at++, (uint64_t)(most - least + 1));
}

/* Small whole numbers: products and sums of them are exact. */
static void fill(struct random *random, float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = (float)draw(random, -8, 8);
}

static void im2col_random(void **state) {
  (void)state;
  static float x[LARGEST], y[LARGEST], col[LARGEST], other[LARGEST];
  struct random random = {rng_stream(2026, RNG_GRADCHECK, 1), 0};
  for (int done = 0; done < 500;) {
    cnn_shape in = {draw(&random, 1, 3), draw(&random, 1, 4), draw(&random, 1, 9), draw(&random, 1, 9)};
    int64_t fh = draw(&random, 1, 4), fw = draw(&random, 1, 4), stride = draw(&random, 1, 3),
            pad = draw(&random, 0, 3), rows, columns, size;
    if (cnn_im2col_shape(in, fh, fw, stride, pad, &rows, &columns) != CNN_OK) continue;
    int64_t oh = (in.h + 2 * pad - fh) / stride + 1, ow = (in.w + 2 * pad - fw) / stride + 1;
    assert_int_equal(rows, in.n * oh * ow);
    assert_int_equal(columns, in.c * fh * fw);
    assert_int_equal(cnn_shape_count(in, &size), CNN_OK);
    assert_true(rows * columns <= LARGEST && size <= LARGEST);
    fill(&random, x, size);
    fill(&random, other, rows * columns);
    cnn_tensor t = {x, in};
    assert_int_equal(cnn_im2col(t, fh, fw, stride, pad, col), CNN_OK);
    for (int64_t row = 0; row < rows; row++)
      for (int64_t k = 0; k < columns; k++) {
        int64_t h = row / ow % oh * stride + k / fw % fh - pad, w = row % ow * stride + k % fw - pad;
        bool inside = h >= 0 && h < in.h && w >= 0 && w < in.w;
        float expected = inside ? *cnn_tensor_at(t, row / ow / oh, k / fw / fh, h, w) : 0;
        if (col[row * columns + k] != expected)
          fail_msg("row %" PRId64 " column %" PRId64 ": %g, not %g", row, k, (double)col[row * columns + k],
                   (double)expected);
      }
    /* the transpose: <im2col(x), other> == <x, col2im(other)>, exactly */
    double left = 0, right = 0;
    assert_int_equal(cnn_col2im(other, fh, fw, stride, pad, (cnn_tensor){y, in}), CNN_OK);
    for (int64_t i = 0; i < rows * columns; i++) left += (double)col[i] * (double)other[i];
    for (int64_t i = 0; i < size; i++) right += (double)x[i] * (double)y[i];
    assert_true(left == right);
    done++;
  }
}

/* Figure 7-14: the largest of each 2x2 at stride 2, through a network. */
static void figure_7_14(void **state) {
  (void)state;
  float x[16] = {1, 2, 1, 0, 0, 1, 2, 3, 3, 0, 1, 2, 2, 4, 0, 1}, y[4];
  const float expected[4] = {2, 3, 4, 2};
  cnn_net *net = cnn_net_new();
  cnn_plan *plan;
  assert_int_equal(cnn_net_add(net, "input", "shape=1x4x4"), CNN_OK);
  assert_int_equal(cnn_net_add(net, "maxpool", "kernel=2 stride=2"), CNN_OK);
  assert_int_equal(cnn_plan_new(net, &(cnn_plan_options){.mode = CNN_INFER, .batch = 1}, &plan), CNN_OK);
  assert_int_equal(cnn_plan_forward(plan, (cnn_tensor){x, {1, 1, 4, 4}}, (cnn_tensor){y, {1, 1, 2, 2}}),
                   CNN_OK);
  assert_memory_equal(y, expected, sizeof y);
  cnn_plan_free(plan);
  cnn_net_free(net);
}

/* 7.5: 28x28 images, 30 filters of 5x5, 2x2 pooling, 100 and 10 units. */
static void simple_conv_net(void **state) {
  (void)state;
  static const struct {
    const char *name, *kind;
    cnn_shape out;
    int64_t parameters, multiply_adds;
  } expected[] = {{"input1", "input", {1, 1, 28, 28}, 0, 0},
                  {"conv1", "conv", {1, 30, 24, 24}, 30 * 25 + 30, 30 * 24 * 24 * 25},
                  {"relu1", "relu", {1, 30, 24, 24}, 0, 0},
                  {"maxpool1", "maxpool", {1, 30, 12, 12}, 0, 0},
                  {"affine1", "affine", {1, 100, 1, 1}, 4320 * 100 + 100, 4320 * 100},
                  {"relu2", "relu", {1, 100, 1, 1}, 0, 0},
                  {"affine2", "affine", {1, 10, 1, 1}, 1010, 1000},
                  {"softmax1", "softmax", {1, 10, 1, 1}, 0, 0}};
  const int count = sizeof expected / sizeof *expected;
  int64_t parameters = 0;
  cnn_net *net;
  assert_int_equal(cnn_net_load("simple-conv-net", &net), CNN_OK);
  assert_int_equal(cnn_net_layer_count(net), count);
  for (int i = 0; i < count; i++) {
    cnn_layer_info info;
    assert_int_equal(cnn_net_layer(net, i, &info), CNN_OK);
    assert_string_equal(info.name, expected[i].name);
    assert_string_equal(info.kind, expected[i].kind);
    assert_memory_equal(&info.out, &expected[i].out, sizeof info.out);
    assert_memory_equal(&info.in, &expected[i ? i - 1 : 0].out, sizeof info.in);
    assert_int_equal(info.parameters, expected[i].parameters);
    assert_int_equal(info.multiply_adds, expected[i].multiply_adds);
    parameters += info.parameters;
  }
  assert_int_equal(parameters, 433890);
  cnn_net_free(net);
}

static void version(void **state) {
  (void)state;
  const char *text = cnn_version(); /* three numbers with points between them */
  for (int part = 0; part < 3; part++) {
    size_t digits = strspn(text, "0123456789");
    assert_true(digits > 0);
    assert_int_equal(text[digits], part < 2 ? '.' : 0);
    text += digits + (part < 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(examples_of_the_chapter),
      cmocka_unit_test(output_sizes_by_counting),
      cmocka_unit_test(output_size_sentences),
      cmocka_unit_test(counts),
      cmocka_unit_test(slices),
      cmocka_unit_test(im2col_shapes_of_the_chapter),
      cmocka_unit_test(im2col_errors),
      cmocka_unit_test(im2col_by_hand),
      cmocka_unit_test(im2col_random),
      cmocka_unit_test(figure_7_14),
      cmocka_unit_test(simple_conv_net),
      cmocka_unit_test(version),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
