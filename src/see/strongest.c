/* Which images of a stream of batches give the strongest values of each channel of a layer: the patches of
 * data that excite it most. `cnn show excite` cuts them out by the receptive field (field.c). */
#include <inttypes.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "net/net.h"
#include "see/see.h"

/* The largest value of a map, the first of equal ones; image -1 where none is a number. */
static cnn_excitation largest(const float *map, cnn_shape s, int64_t image) {
  cnn_excitation e = {.image = -1};
  for (int64_t i = 0; i < s.h * s.w; i++)
    if (map[i] == map[i] && (e.image < 0 || map[i] > e.response))
      e = (cnn_excitation){image, i / s.w, i % s.w, map[i]};
  return e;
}

/* Into its place; the last one drops out. */
static void enter(cnn_excitation e, cnn_excitation *best, int64_t count) {
  int64_t at = count;
  while (at > 0 && (best[at - 1].image < 0 || e.response > best[at - 1].response)) at--;
  if (e.image < 0 || at == count) return;
  memmove(best + at + 1, best + at, (size_t)(count - at - 1) * sizeof *best);
  best[at] = e;
}

cnn_status cnn_strongest(cnn_plan *plan, const char *layer, cnn_tensor x, int64_t first, int64_t count,
                         cnn_excitation *best) {
  const cnn_net *net = cnn_plan_net(plan);
  cnn_shape out = cnn_net_output(net);
  int brick;
  int64_t outputs, values;
  if (count < 1) return CNN_FAIL(CNN_E_ARGUMENT, "lists of %" PRId64 " images; give 1 or more", count);
  CNN_TRY(cnn_net_find(net, layer, &brick));
  cnn_shape s = net->bricks[brick].out;
  s.n = out.n = x.shape.n;
  CNN_TRY(cnn_shape_count(out, &outputs));
  CNN_TRY(cnn_shape_count(s, &values));
  size_t bytes = (size_t)(outputs + values) * sizeof(float);
  float *y = mem_alloc(bytes), *maps = y + outputs;
  if (!y) return status_no_memory(bytes, "outputs of a layer");
  cnn_status status = cnn_plan_forward(plan, x, (cnn_tensor){y, out});
  if (status == CNN_OK) status = cnn_plan_get_output(plan, layer, (cnn_tensor){maps, s});
  for (int64_t i = 0; status == CNN_OK && i < s.n * s.c; i++)
    enter(largest(maps + i * s.h * s.w, s, first + i / s.c), best + i % s.c * count, count);
  mem_free(y);
  return status;
}
