/* Sections 7.2.6 and 7.2.7, Figures 7-10 to 7-13: data as blocks, several filters, one bias each, batches. */
#include <cnn.h>
#include <math.h>
#include <stdio.h>

enum { N = 4, C = 3, H = 7, W = 9, FN = 20, FH = 5, FW = 5, OH = 3, OW = 5 };
static float x[N * C * H * W], all[N * FN * OH * OW], one[FN * OH * OW];

static void print_weight(const cnn_net *net, int index) {
  cnn_weight_info weight;
  if (cnn_net_weight(net, index, &weight) != CNN_OK) return;
  printf("  %-12s (", weight.name);
  for (int i = 0; i < weight.dims; i++) printf("%s%d", i ? ", " : "", (int)weight.dim[i]);
  printf(")\n");
}

static cnn_status blocks(cnn_net *net, cnn_plan **plan, int *wrong) {
  cnn_plan_options options = {.mode = CNN_INFER, .batch = N, .seed = 1};
  cnn_layer_info conv;
  cnn_net_add(net, "input", "shape=3x7x9"); /* (C, H, W) */
  cnn_net_add(net, "conv", "filters=20 kernel=5x5");
  cnn_status status = cnn_plan_new(net, &options, plan);
  if (status != CNN_OK || (status = cnn_net_layer(net, 1, &conv)) != CNN_OK) return status;

  printf("Figures 7-10 to 7-12: one image and FN filters\n");
  printf("  input        (%d, %d, %d)\n", (int)conv.in.c, (int)conv.in.h, (int)conv.in.w);
  print_weight(net, 0); /* (FN, C, FH, FW) */
  print_weight(net, 1); /* (FN): the chapter's (FN, 1, 1) */
  printf("  output       (%d, %d, %d)\n", (int)conv.out.c, (int)conv.out.h, (int)conv.out.w);
  *wrong |=
      conv.out.c != FN || conv.out.h != OH || conv.out.w != OW || conv.parameters != FN * (C * FH * FW + 1);

  printf("Figure 7-13: a batch of %d\n", N);
  for (int i = 0; i < N * C * H * W; i++) x[i] = (float)(i % 11) / 10;
  cnn_tensor in = {x, {N, C, H, W}}, out = {all, {N, FN, OH, OW}}, image, alone = {one, {1, FN, OH, OW}};
  printf("  input        (%d, %d, %d, %d), output (%d, %d, %d, %d)\n", N, C, H, W, N, FN, OH, OW);
  if ((status = cnn_plan_forward(*plan, in, out)) != CNN_OK) return status;
  float furthest = 0;
  for (int n = 0; n < N; n++) { /* a batch does N images' work in one call, and nothing else */
    if ((status = cnn_tensor_images(in, n, 1, &image)) != CNN_OK) return status;
    if ((status = cnn_plan_forward(*plan, image, alone)) != CNN_OK) return status;
    for (int i = 0; i < FN * OH * OW; i++)
      furthest = fmaxf(furthest, fabsf(one[i] - all[n * FN * OH * OW + i]));
  }
  printf("  each image alone gives the same output: they differ by %g\n", furthest);
  *wrong |= furthest > 1e-5F;
  return CNN_OK;
}

int main(void) {
  int wrong = 0;
  cnn_net *net = cnn_net_new();
  cnn_plan *plan = NULL;
  cnn_status status = blocks(net, &plan, &wrong);
  if (status != CNN_OK) fprintf(stderr, "%s\n", cnn_why());
  cnn_plan_free(plan);
  cnn_net_free(net);
  return status != CNN_OK || wrong;
}
