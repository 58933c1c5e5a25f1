/* The other half of readme.c, and `cnn predict` in 40 lines: load a model file and say what is in a picture.
 *     predict MODEL IMAGE      as in: predict readme.safetensors seven.png */
#include <cnn.h>
#include <stdio.h>
#include <stdlib.h>

/* The class with the highest probability, and that probability. */
static cnn_status predict(const cnn_model *model, const char *path, int *best, float *probability) {
  const cnn_net *net = cnn_model_net(model);
  cnn_shape in = cnn_model_image(model), out = cnn_net_output(net);
  cnn_plan_options options = {.mode = CNN_INFER, .batch = 1};
  cnn_plan *plan = NULL;
  float *x = malloc((size_t)(in.c * in.h * in.w) * sizeof *x);
  float *p = malloc((size_t)(out.c * out.h * out.w) * sizeof *p);
  cnn_status status = x && p ? CNN_OK : CNN_E_MEMORY;
  if (status == CNN_OK) status = cnn_image_read(path, in, x); /* resized to what the model takes */
  if (status == CNN_OK) status = cnn_plan_new(net, &options, &plan);
  if (status == CNN_OK) status = cnn_model_apply(model, plan);
  if (status == CNN_OK) status = cnn_plan_forward(plan, (cnn_tensor){x, in}, (cnn_tensor){p, out});
  if (status == CNN_OK) {
    *best = 0;
    for (int i = 1; i < out.c; i++) *best = p[i] > p[*best] ? i : *best;
    *probability = p[*best];
  }
  cnn_plan_free(plan);
  free(p);
  free(x);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: predict MODEL IMAGE\n"), 2;
  cnn_model *model = NULL;
  int best = 0;
  float probability = 0;
  cnn_status status = cnn_model_load(argv[1], &model);
  if (status == CNN_OK) status = predict(model, argv[2], &best, &probability);
  if (status != CNN_OK)
    fprintf(stderr, "predict: %s\n", status == CNN_E_MEMORY ? cnn_status_text(status) : cnn_why());
  else if (cnn_model_class(model, best))
    printf("%s with probability %.3f\n", cnn_model_class(model, best), probability);
  else
    printf("class %d with probability %.3f\n", best, probability);
  cnn_model_free(model);
  return status != CNN_OK;
}
