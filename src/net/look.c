/* Looking inside a network: outputs of layers, and gradients of a score with respect to them. Plans for
 * CNN_LOOK give every output and every gradient a place of its own (draw.c), so there is nothing to do here
 * but to copy, and to set off backward. */
#include <inttypes.h>
#include <string.h>

#include "net/plan.h"

/* The brick of that name, for a tensor of its output's shape. */
static cnn_status find(const cnn_plan *plan, const char *layer, cnn_tensor t, int *found) {
  if (plan->options.mode != CNN_LOOK)
    return CNN_FAIL(CNN_E_ARGUMENT, "this plan keeps no outputs of layers; make it with CNN_LOOK");
  if (!plan->looked)
    return CNN_FAIL(
        CNN_E_ARGUMENT,
        "there are no outputs of layers yet, or the weights have changed; call cnn_plan_forward()");
  const cnn_net *net = plan->net;
  int i = 0;
  while (i < net->count && strcmp(net->bricks[i].name, layer) != 0) i++;
  if (i == net->count) return CNN_FAIL(CNN_E_KEY, "the network has no layer '%s'", layer);
  cnn_shape out = net->bricks[i].out;
  if (t.shape.n != plan->looked || t.shape.c != out.c || t.shape.h != out.h || t.shape.w != out.w)
    return CNN_FAIL(CNN_E_SHAPE,
                    "a tensor of %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64
                    " for the output of '%s', which is %" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64,
                    t.shape.n, t.shape.c, t.shape.h, t.shape.w, layer, plan->looked, out.c, out.h, out.w);
  *found = i;
  return CNN_OK;
}

cnn_status cnn_plan_get_output(const cnn_plan *plan, const char *layer, cnn_tensor y) {
  int i;
  CNN_TRY(find(plan, layer, y, &i));
  view_read(&plan->steps[i].y, 0, y.shape.n, y.data);
  return CNN_OK;
}

static void clear(const struct view *v, int64_t batch) {
  for (int64_t n = 0; n < batch && v->data; n++)
    memset(v->data + n * v->image, 0, (size_t)(view_blocks(v) * v->plane) * sizeof(float));
}

cnn_status cnn_plan_backward(cnn_plan *plan, const char *layer, cnn_tensor dy) {
  int top;
  CNN_TRY(find(plan, layer, dy, &top));
  for (int i = 0; i < plan->net->count; i++) {
    clear(&plan->steps[i].dy, dy.shape.n);
    for (int k = 0; k < plan->steps[i].inputs; k++) clear(&plan->steps[i].dx[k], dy.shape.n);
  }
  view_write(&plan->steps[top].dy, 0, dy.shape.n, dy.data);
  exec_backward(plan, top, dy.shape.n);
  return CNN_OK;
}

cnn_status cnn_plan_get_output_gradient(const cnn_plan *plan, const char *layer, cnn_tensor dx) {
  int i;
  CNN_TRY(find(plan, layer, dx, &i));
  view_read(&plan->steps[i].dy, 0, dx.shape.n, dx.data);
  return CNN_OK;
}
