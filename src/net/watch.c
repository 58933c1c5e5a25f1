/* Looking inside a plan: outputs of layers, the gradients there, and a backward pass from any of them. Plans
 * made with `keep` have a place for each that nothing else uses (draw.c). */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "net/plan.h"

cnn_status cnn_net_find(const cnn_net *net, const char *name, int *index) {
  for (int i = 0; i < net->count; i++)
    if (strcmp(net->bricks[i].name, name) == 0) {
      *index = i;
      return CNN_OK;
    }
  const char **names = mem_zeroed((size_t)net->count + 1, sizeof *names);
  if (!names) return status_no_memory((size_t)net->count * sizeof *names, "names of layers");
  for (int i = 0; i < net->count; i++) names[i] = net->bricks[i].name;
  const char *nearest = text_nearest(name, names);
  cnn_status status =
      nearest ? CNN_FAIL(CNN_E_KEY, "no layer is named '%.60s'; did you mean '%s'? `cnn summary` lists them",
                         name, nearest)
              : CNN_FAIL(CNN_E_KEY, "no layer is named '%.60s'; `cnn summary` lists them", name);
  mem_free(names);
  return status;
}

/* The brick of a plan that keeps its outputs, where t has the shape of that. */
static cnn_status find(const cnn_plan *plan, const char *layer, cnn_tensor t, int *brick) {
  if (!plan->options.keep)
    return CNN_FAIL(CNN_E_ARGUMENT, "the plan does not keep the outputs of its layers; make it with `keep`");
  CNN_TRY(cnn_net_find(plan->net, layer, brick));
  cnn_shape out = plan->net->bricks[*brick].out;
  if (t.shape.n >= 1 && t.shape.n <= plan->options.batch && t.shape.c == out.c && t.shape.h == out.h &&
      t.shape.w == out.w)
    return CNN_OK;
  return CNN_FAIL(
      CNN_E_SHAPE,
      "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64 " values for the output of '%s', which is %" PRId64
      "x%" PRId64 "x%" PRId64 " for each of 1 to %" PRId64 " images",
      t.shape.n, t.shape.c, t.shape.h, t.shape.w, layer, out.c, out.h, out.w, plan->options.batch);
}

static cnn_status are_there(int64_t wanted, int64_t images, const char *what, const char *call) {
  if (wanted <= images) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "%" PRId64 " images, but %s of %" PRId64 " are there: call %s before",
                  wanted, what, images, call);
}

cnn_status cnn_plan_get_output(const cnn_plan *plan, const char *layer, cnn_tensor y) {
  int brick;
  CNN_TRY(find(plan, layer, y, &brick));
  CNN_TRY(are_there(y.shape.n, plan->outputs, "outputs", "cnn_plan_forward()"));
  view_read(&plan->steps[brick].y, 0, y.shape.n, y.data);
  return CNN_OK;
}

static cnn_status need_gradients(const cnn_plan *plan) {
  if (plan->gradients) return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT, "an inference plan has no gradients; make it with CNN_TRAIN");
}

cnn_status cnn_plan_get_output_gradient(const cnn_plan *plan, const char *layer, cnn_tensor dy) {
  int brick;
  CNN_TRY(need_gradients(plan));
  CNN_TRY(find(plan, layer, dy, &brick));
  CNN_TRY(are_there(dy.shape.n, plan->output_gradients, "gradients", "cnn_plan_gradient()"));
  view_read(&plan->steps[brick].dy, 0, dy.shape.n, dy.data);
  return CNN_OK;
}

static void clear(const struct view *v, int64_t batch) {
  for (int64_t n = 0; v->data && n < batch; n++)
    memset(v->data + n * v->image, 0, (size_t)(view_blocks(v) * v->plane) * sizeof *v->data);
}

cnn_status cnn_plan_backward(cnn_plan *plan, const char *layer, cnn_tensor dy) {
  int brick;
  CNN_TRY(need_gradients(plan));
  CNN_TRY(find(plan, layer, dy, &brick));
  CNN_TRY(are_there(dy.shape.n, plan->held, "outputs", "cnn_plan_forward()"));
  for (int i = 0; i < plan->net->count; i++) {
    clear(&plan->steps[i].dy, dy.shape.n);
    for (int k = 0; k < plan->steps[i].inputs; k++) clear(&plan->steps[i].dx[k], dy.shape.n);
  }
  view_write(&plan->steps[brick].dy, 0, dy.shape.n, dy.data);
  exec_backward_from(plan, dy.shape.n, brick);
  plan->output_gradients = dy.shape.n;
  return CNN_OK;
}
