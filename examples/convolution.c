/* Sections 7.2.2 to 7.2.5, Figures 7-3 to 7-9: convolution, bias, padding, stride and channels.
 *
 * Each figure is a network of one layer, whose filter and bias we set ourselves. */
#include <cnn.h>
#include <stdio.h>

static const float filter[27] = {2, 0, 1, 0, 1, 2, 1, 0, 2, /* and the same for channels 2 and 3 */
                                 2, 0, 1, 0, 1, 2, 1, 0, 2, 2, 0, 1, 0, 1, 2, 1, 0, 2};
static int wrong;

static cnn_status run(cnn_net *net, cnn_plan **plan, cnn_tensor x, const char *config, float bias,
                      cnn_tensor y) {
  char shape[64];
  cnn_plan_options options = {.mode = CNN_INFER, .batch = 1};
  snprintf(shape, sizeof shape, "shape=%dx%dx%d", (int)x.shape.c, (int)x.shape.h, (int)x.shape.w);
  cnn_net_add(net, "input", shape);
  cnn_net_add(net, "conv", config); /* a failure of either waits for cnn_plan_new */
  cnn_status status = cnn_plan_new(net, &options, plan);
  if (status == CNN_OK) status = cnn_plan_set_weight(*plan, "conv1.weight", filter, x.shape.c * 9);
  if (status == CNN_OK) status = cnn_plan_set_weight(*plan, "conv1.bias", &bias, 1);
  if (status == CNN_OK) status = cnn_plan_forward(*plan, x, y);
  return status;
}

/* size: of the input and of the output, which are square. */
static void figure(const char *title, float *x, int channels, int size, const char *config, float bias,
                   int out, const float *expected) {
  float y[16];
  cnn_net *net = cnn_net_new();
  cnn_plan *plan = NULL;
  if (run(net, &plan, (cnn_tensor){x, {1, channels, size, size}}, config, bias,
          (cnn_tensor){y, {1, 1, out, out}}) != CNN_OK) {
    fprintf(stderr, "%s: %s\n", title, cnn_why());
    wrong = 1;
  } else {
    printf("%s\n", title);
    for (int i = 0; i < out * out; i++) {
      printf("%4g%s", y[i], i % out == out - 1 ? "\n" : "");
      wrong |= y[i] != expected[i];
    }
  }
  cnn_plan_free(plan);
  cnn_net_free(net);
}

int main(void) {
  float x[48] = {1, 2, 3, 0, 0, 1, 2, 3, 3, 0, 1, 2, 2, 3, 0, 1}, large[49];
  for (int i = 0; i < 16; i++) x[16 + i] = 2 * x[i], x[32 + i] = 3 * x[i]; /* channels 2 and 3 */
  for (int i = 0; i < 49; i++) large[i] = x[i / 7 % 4 * 4 + i % 7 % 4]; /* the same rows, longer and more */

  figure("Figures 7-3 and 7-4: input (4, 4), filter (3, 3)", x, 1, 4, "filters=1 kernel=3", 0, 2,
         (float[]){15, 16, 6, 15});
  figure("Figure 7-5: and bias 3", x, 1, 4, "filters=1 kernel=3", 3, 2, (float[]){18, 19, 9, 18});
  figure("Figure 7-6: and padding 1, no bias", x, 1, 4, "filters=1 kernel=3 pad=1", 0, 4,
         (float[]){7, 12, 10, 2, 4, 15, 16, 10, 10, 6, 15, 6, 8, 10, 4, 3});
  figure("Figure 7-7: input (7, 7), stride 2", large, 1, 7, "filters=1 kernel=3 stride=2", 0, 3,
         (float[]){15, 17, 15, 17, 15, 17, 15, 17, 15});
  figure("Figures 7-8 and 7-9: channels of 1, 2 and 3 times the input; their results are added up", x, 3, 4,
         "filters=1 kernel=3", 0, 2, (float[]){90, 96, 36, 90});
  return wrong;
}
