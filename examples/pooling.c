/* Sections 7.3 and 7.4.4, Figures 7-14 to 7-16, 7-21 and 7-22: pooling as a layer, and by im2col. */
#include <cnn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static int wrong;

static void check(const char *title, const float *y, int channels, int size, const float *expected) {
  printf("%s\n", title);
  for (int i = 0; i < channels * size * size; i++) {
    printf("%4g%s", y[i], i % (size * size) == size * size - 1 ? "\n" : i % size == size - 1 ? "  /" : "");
    wrong |= y[i] != expected[i];
  }
}

/* A network of one pooling layer over c planes of h x h. */
static void layer(const char *title, const char *kind, const char *config, float *x, int c, int h, int size,
                  const float *expected) {
  char shape[64];
  float y[16];
  cnn_net *net = cnn_net_new();
  cnn_plan *plan = NULL;
  cnn_plan_options options = {.mode = CNN_INFER, .batch = 1};
  snprintf(shape, sizeof shape, "shape=%dx%dx%d", c, h, h);
  cnn_net_add(net, "input", shape);
  cnn_net_add(net, kind, config);
  cnn_tensor in = {x, {1, c, h, h}}, out = {y, {1, c, size, size}};
  if (cnn_plan_new(net, &options, &plan) == CNN_OK && cnn_plan_forward(plan, in, out) == CNN_OK)
    check(title, y, c, size, expected);
  else
    wrong = fprintf(stderr, "%s: %s\n", title, cnn_why());
  cnn_plan_free(plan);
  cnn_net_free(net);
}

int main(void) {
  float x[2 * 16] = {1, 2, 1, 0, 0, 1, 2, 3, 3, 0, 1, 2, 2, 4, 0, 1};
  for (int i = 0; i < 16; i++) x[16 + i] = 10 * x[i]; /* a second channel */
  layer("Figure 7-14: the largest of each 2x2", "maxpool", "kernel=2 stride=2", x, 1, 4, 2,
        (float[]){2, 3, 4, 2});
  layer("average pooling: the mean of each 2x2", "avgpool", "kernel=2 stride=2", x, 1, 4, 2,
        (float[]){1, 1.5F, 2.25F, 1});
  const float both[] = {2, 3, 4, 2, 20, 30, 40, 20};
  layer("Figure 7-15: two channels stay two", "maxpool", "kernel=2 stride=2", x, 2, 4, 2, both);

  float picture[36] = {1, 2, 0, 7, 1, 0, 0, 9, 2, 3, 2, 3, 3, 0, 1, 2, 1, 2,
                       2, 4, 0, 1, 0, 1, 6, 0, 1, 2, 1, 2, 2, 4, 0, 1, 8, 1};
  float shifted[36]; /* by one to the right */
  for (int i = 0; i < 36; i++) shifted[i] = i % 6 ? picture[i - 1] : 1;
  layer("Figure 7-16: 3x3 pooling", "maxpool", "kernel=3", picture, 1, 6, 2, (float[]){9, 7, 6, 8});
  layer("Figure 7-16: of the shifted input", "maxpool", "kernel=3", shifted, 1, 6, 2, (float[]){9, 7, 6, 8});

  /* Pooling.forward: each row of im2col is (c, 2, 2); as 4 numbers a row it is one window of one channel
   * (Figure 7-21). The largest of row (oh, ow, c) is y[c, oh, ow] (Figure 7-22). */
  float col[4 * 8], y[8];
  if (cnn_im2col((cnn_tensor){x, {1, 2, 4, 4}}, 2, 2, 2, 0, col) != CNN_OK) wrong = 1;
  for (int row = 0; row < 8; row++) {
    const float *w = col + (size_t)row * 4;
    y[row % 2 * 4 + row / 2] = fmaxf(fmaxf(w[0], w[1]), fmaxf(w[2], w[3]));
  }
  check("Figures 7-21 and 7-22: by im2col, (8, 4), and the largest of each row", y, 2, 2, both);
  return wrong != 0;
}
