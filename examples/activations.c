/* Looking inside (section 7.6): a plan made with `keep` gives the output of every layer, and the gradient
 * there. A vertical edge, a filter typed by hand, its response, and where the strongest response is sensitive
 * to: the window that equation (7.1) says. */
#include <cnn.h>
#include <stdio.h>

/* A 1x6x6 image, dark on the left, bright on the right, through a 3x3 filter for vertical edges. */
static cnn_status look(cnn_plan *plan, float response[16], float gradient[36]) {
  static const float edge[9] = {-1, 0, 1, -2, 0, 2, -1, 0, 1};
  float image[36], output[4], at[16] = {0};
  for (int i = 0; i < 36; i++) image[i] = i % 6 > 2 ? 1.0F : 0.0F;
  cnn_status status = cnn_plan_set_weight(plan, "conv1.weight", edge, 9);
  if (status == CNN_OK)
    status = cnn_plan_forward(plan, (cnn_tensor){image, {1, 1, 6, 6}}, (cnn_tensor){output, {1, 1, 2, 2}});
  if (status == CNN_OK) status = cnn_plan_get_output(plan, "conv1", (cnn_tensor){response, {1, 1, 4, 4}});
  at[2 * 4 + 1] = 1; /* of the response in row 2, column 1 */
  if (status == CNN_OK) status = cnn_plan_backward(plan, "conv1", (cnn_tensor){at, {1, 1, 4, 4}});
  if (status == CNN_OK)
    status = cnn_plan_get_output_gradient(plan, "input1", (cnn_tensor){gradient, {1, 1, 6, 6}});
  return status;
}

int main(void) {
  cnn_net *net = NULL;
  cnn_plan *plan = NULL;
  cnn_plan_options options = {
      .mode = CNN_TRAIN, .batch = 1, .loss = CNN_LOSS_MEAN_SQUARED_ERROR, .keep = true};
  float response[16], gradient[36];
  cnn_status status = cnn_net_parse(
      "input shape=1x6x6\nconv filters=1 kernel=3 bias=no\nmaxpool kernel=2 stride=2", "edge", &net);
  if (status == CNN_OK) status = cnn_plan_new(net, &options, &plan);
  if (status == CNN_OK) status = look(plan, response, gradient);
  int wrong = 0;
  for (int i = 0; status == CNN_OK && i < 16; i++) {
    printf("%4.0f%s", (double)response[i], i % 4 == 3 ? "\n" : "");
    wrong += response[i] != (i % 4 == 1 || i % 4 == 2 ? 4.0F : 0.0F); /* 4 beside the edge, 0 elsewhere */
  }
  for (int i = 0; status == CNN_OK && i < 36; i++) {
    bool window =
        i / 6 >= 2 && i / 6 <= 4 && i % 6 >= 1 && i % 6 <= 3 && i % 6 != 2; /* the filter's middle is 0 */
    printf("%4.0f%s", (double)gradient[i], i % 6 == 5 ? "\n" : "");
    wrong += (gradient[i] != 0.0F) != window;
  }
  if (status != CNN_OK) fprintf(stderr, "activations: %s\n", cnn_why());
  cnn_plan_free(plan);
  cnn_net_free(net);
  return status != CNN_OK || wrong > 0;
}
