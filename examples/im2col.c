/* Sections 7.4.2 and 7.4.3, Figures 7-17 to 7-20: im2col, and convolution as one matrix product with it.
 *
 * The steps are those of Convolution.forward in the chapter; the result is compared with the conv layer's. */
#include <cnn.h>
#include <math.h>
#include <stdio.h>

enum { N = 10, C = 3, H = 7, W = 7, FN = 4, FH = 5, FW = 5, OH = 3, OW = 3 };
enum { ROWS = N * OH * OW, COLUMNS = C * FH * FW };
static float x[N * C * H * W], col[ROWS * COLUMNS], filters[FN * COLUMNS], bias[FN] = {0, 1, 2, 3};
static float y[N * FN * OH * OW], expected[N * FN * OH * OW];

/* col times the filters, each of them one column of COLUMNS numbers (Figure 7-19), plus the bias. Row
 * (n, oh, ow), column fn of the product becomes y[n, fn, oh, ow]: the transpose of Figure 7-20. */
static void multiply(void) {
  for (int row = 0; row < ROWS; row++)
    for (int fn = 0; fn < FN; fn++) {
      float sum = bias[fn];
      for (int k = 0; k < COLUMNS; k++) sum += col[row * COLUMNS + k] * filters[fn * COLUMNS + k];
      y[(row / (OH * OW) * FN + fn) * OH * OW + row % (OH * OW)] = sum;
    }
}

static cnn_status layer(cnn_net *net, cnn_plan **plan, cnn_tensor in) {
  cnn_plan_options options = {.mode = CNN_INFER, .batch = N, .seed = 1};
  cnn_net_add(net, "input", "shape=3x7x7");
  cnn_net_add(net, "conv", "filters=4 kernel=5"); /* its weights are drawn from the seed */
  cnn_status status = cnn_plan_new(net, &options, plan);
  if (status == CNN_OK) status = cnn_plan_get_weight(*plan, "conv1.weight", filters, FN * COLUMNS);
  if (status == CNN_OK) status = cnn_plan_set_weight(*plan, "conv1.bias", bias, FN);
  if (status == CNN_OK) status = cnn_plan_forward(*plan, in, (cnn_tensor){expected, {N, FN, OH, OW}});
  return status;
}

int main(void) {
  int64_t rows[2] = {0}, columns[2] = {0};
  float furthest = 0;
  cnn_net *net = cnn_net_new();
  cnn_plan *plan = NULL;
  cnn_tensor ten = {x, {N, C, H, W}};
  for (int i = 0; i < N * C * H * W; i++) x[i] = (float)(i * 37 % 101) / 100;

  cnn_status status = cnn_im2col_shape((cnn_shape){1, C, H, W}, FH, FW, 1, 0, &rows[0], &columns[0]);
  if (status == CNN_OK) status = cnn_im2col_shape(ten.shape, FH, FW, 1, 0, &rows[1], &columns[1]);
  if (status == CNN_OK) status = cnn_im2col(ten, FH, FW, 1, 0, col);
  if (status == CNN_OK) status = layer(net, &plan, ten);
  if (status != CNN_OK) fprintf(stderr, "%s\n", cnn_why());
  multiply();
  for (int i = 0; i < N * FN * OH * OW; i++) furthest = fmaxf(furthest, fabsf(y[i] - expected[i]));

  printf("im2col of  1 image  of (3, 7, 7) for filters of (5, 5): (%d, %d)\n", (int)rows[0], (int)columns[0]);
  printf("im2col of 10 images of (3, 7, 7) for filters of (5, 5): (%d, %d)\n", (int)rows[1], (int)columns[1]);
  printf("times the filters, (%d, %d), and as (10, 4, 3, 3): at most %.0e from the conv layer\n", COLUMNS, FN,
         furthest);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return status != CNN_OK || rows[0] != 9 || rows[1] != 90 || columns[0] != 75 || columns[1] != 75 ||
         furthest > 1e-5F;
}
