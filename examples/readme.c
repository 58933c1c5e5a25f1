/* The program of the README: trains SimpleConvNet on a part of MNIST, saves it, and reads one digit. */
#include <cnn.h>
#include <stdio.h>
#define TRY(call) \
  if ((call) != CNN_OK) return fprintf(stderr, "%s\n", cnn_why()), 1

int main(void) {
  cnn_net *net;
  cnn_plan *plan;
  cnn_dataset *mnist;
  cnn_trainer *trainer;
  cnn_evaluation test;
  cnn_plan_options machine = cnn_plan_defaults();   /* for training, batches of 100, seed 1 */
  cnn_train_options options = cnn_train_defaults(); /* Adam, learning rate 0.001, 20 epochs */
  options.epochs = 1;
  options.limit = 10000; /* images; without this line all 60,000 */
  float image[28 * 28], p[10];
  int32_t label, best = 0;

  TRY(cnn_net_load("simple-conv-net", &net));
  TRY(cnn_plan_new(net, &machine, &plan));
  TRY(cnn_dataset_open("mnist", NULL, &mnist));
  TRY(cnn_trainer_new(plan, mnist, &options, &trainer));
  TRY(cnn_trainer_run(trainer));
  TRY(cnn_model_save("readme.safetensors", plan, NULL));
  TRY(cnn_evaluate(plan, mnist, CNN_SPLIT_TEST, 0, &test));
  TRY(cnn_dataset_read(mnist, CNN_SPLIT_TEST, 0, image, &label));
  TRY(cnn_plan_forward(plan, (cnn_tensor){image, {1, 1, 28, 28}}, (cnn_tensor){p, {1, 10, 1, 1}}));
  for (int32_t i = 1; i < 10; i++) best = p[i] > p[best] ? i : best;
  printf("test accuracy %.2f %%; test image 0 is a %d, read as a %d with probability %.3f\n",
         100 * test.accuracy, label, best, p[best]);

  cnn_trainer_free(trainer);
  cnn_dataset_free(mnist);
  cnn_plan_free(plan);
  cnn_net_free(net);
  return best != label;
}
