/* Section 7.5, Figure 7-23: SimpleConvNet brick by brick; predict, loss and gradient of one batch.
 *
 * The images are made up, so this needs no data set; training is readme.c and `cnn train simple-conv-net`. */
#include <cnn.h>
#include <math.h>
#include <stdio.h>

enum { BATCH = 100 };
static float x[BATCH * 28 * 28], p[BATCH * 10], values[432000];
static int32_t t[BATCH];

/* __init__: input_dim (1, 28, 28), conv_param {30, 5, pad 0, stride 1}, hidden_size 100, output_size 10. */
static void build(cnn_net *net) {
  cnn_net_add(net, "input", "shape=1x28x28");
  cnn_net_add(net, "conv", "filters=30 kernel=5 stride=1 pad=0 init=normal:0.01"); /* W1, b1 */
  cnn_net_add(net, "relu", "");
  cnn_net_add(net, "maxpool", "kernel=2 stride=2");
  cnn_net_add(net, "affine", "units=100 init=normal:0.01"); /* W2, b2 */
  cnn_net_add(net, "relu", "");
  cnn_net_add(net, "affine", "units=10 init=normal:0.01"); /* W3, b3 */
  cnn_net_add(net, "softmax", "");                         /* the loss is added by a plan for training */
}

static cnn_status use(const cnn_net *net, cnn_plan *plan, int *wrong) {
  cnn_layer_info layer;
  cnn_weight_info weight;
  float loss, sum = 0;
  for (int i = 0; cnn_net_layer(net, i, &layer) == CNN_OK && i < cnn_net_layer_count(net); i++)
    printf("%-9s (%d, %d, %d, %d)\n", layer.name, BATCH, (int)layer.out.c, (int)layer.out.h,
           (int)layer.out.w);

  cnn_status status =
      cnn_plan_forward(plan, (cnn_tensor){x, {BATCH, 1, 28, 28}}, (cnn_tensor){p, {BATCH, 10, 1, 1}});
  if (status != CNN_OK) return status;
  for (int i = 0; i < 10; i++) sum += p[i];
  printf("predict: the 10 probabilities of image 0 add up to %.4f\n", sum);

  status = cnn_plan_gradient(plan, (cnn_tensor){x, {BATCH, 1, 28, 28}}, t, &loss);
  if (status != CNN_OK) return status;
  printf("loss: %.4f; a network that knows nothing has ln 10 = %.4f\n", loss, log(10));
  *wrong |= fabsf(sum - 1) > 1e-5F || fabs(loss - log(10)) > 0.01;

  for (int i = 0; i < cnn_net_weight_count(net); i++) {
    double square = 0;
    if ((status = cnn_net_weight(net, i, &weight)) != CNN_OK) return status;
    if ((status = cnn_plan_get_gradient(plan, weight.name, values, weight.count)) != CNN_OK) return status;
    for (int64_t k = 0; k < weight.count; k++) square += (double)values[k] * values[k];
    printf("gradient: %-14s %6d values, norm %.6f\n", weight.name, (int)weight.count, sqrt(square));
    *wrong |= !(square > 0);
  }
  return CNN_OK;
}

int main(void) {
  int wrong = 0;
  for (int i = 0; i < BATCH; i++) t[i] = i % 10;
  for (int i = 0; i < BATCH * 784; i++) x[i] = (float)(i * 31 % 256 * (t[i / 784] + 1) % 256) / 255;
  cnn_net *net = cnn_net_new();
  cnn_plan *plan = NULL;
  cnn_plan_options options = cnn_plan_defaults(); /* CNN_TRAIN, 100 images, seed 1 */
  build(net);
  cnn_status status = cnn_plan_new(net, &options, &plan);
  if (status == CNN_OK) status = use(net, plan, &wrong);
  if (status != CNN_OK) fprintf(stderr, "%s\n", cnn_why());
  cnn_plan_free(plan);
  cnn_net_free(net);
  return status != CNN_OK || wrong;
}
