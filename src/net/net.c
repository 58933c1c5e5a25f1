/* Networks as bricks: cnn_net_add() and what can be asked of a net. No memory is planned here. */
#include "net/net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

enum { MOST_BRICKS = 4096 }; /* deeper than any in use; work that grows with its square stays small */

cnn_net *cnn_net_new(void) { return mem_zeroed(1, sizeof(cnn_net)); }

void cnn_net_free(cnn_net *net) {
  if (!net) return;
  for (int i = 0; i < net->count; i++) {
    mem_free(net->bricks[i].name);
    mem_free(net->bricks[i].config);
  }
  for (int i = 0; i < net->weight_count; i++) mem_free(net->weights[i].name);
  mem_free(net->bricks);
  mem_free(net->weights);
  text_free(&net->text);
  mem_free(net);
}

/* Does brick i's output stand as n, c, h, w? The network's input does where all who read it take it so. */
static bool comes_dense(const cnn_net *net, int i) {
  if (!net_is_input(net, i)) return false;
  for (int r = i + 1; r < net->count; r++)
    for (int k = 0; k < net->bricks[r].inputs; k++)
      if (net->bricks[r].from[k] == i && !net->bricks[r].class->any_block) return false;
  return true;
}

void net_ledger(const cnn_net *net, int i, struct ledger *ledger) {
  const struct brick *brick = &net->bricks[i];
  ledger->config = brick->config;
  ledger->inputs = brick->inputs;
  for (int k = 0; k < brick->inputs; k++)
    view_layout(&ledger->x[k], brick->in[k], comes_dense(net, brick->from[k]) ? 1 : BLOCK);
  view_layout(&ledger->y, brick->out, BLOCK);
}

static const char *const common_keys[] = {"name", "from", NULL};
static const char *const weight_keys[] = {"name",    "from",  "lr",
                                          "bias_lr", "decay", NULL}; /* with learning_params */

/* The value of name= in a brick's words, or the kind and how many there are of it: "conv2". */
static cnn_status brick_name(const cnn_net *net, const struct layer_class *class, const char *words,
                             struct brick *brick) {
  char name[64];
  const char *given;
  size_t length;
  CNN_TRY(net_common_key(words, "name", &given, &length));
  brick->named = given != NULL;
  if (given) {
    if (length >= sizeof name)
      return CNN_FAIL(CNN_E_ARGUMENT, "name=%.20s... is longer than %zu characters", given, sizeof name - 1);
    memcpy(name, given, length);
    name[length] = 0;
  } else {
    int same = 1;
    for (int i = 0; i < net->count; i++) same += net->bricks[i].class == class;
    snprintf(name, sizeof name, "%s%d", class->name, same);
  }
  if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
    return CNN_FAIL(CNN_E_ARGUMENT, "name=%s: letters, digits, '_' and '-' wanted", name);
  for (int i = 0; i < net->count; i++)
    if (strcmp(net->bricks[i].name, name) == 0)
      return CNN_FAIL(CNN_E_KEY, "name '%s' is taken by an earlier brick; choose another with name=", name);
  brick->name = mem_copy_text(name);
  return brick->name ? CNN_OK : status_no_memory(strlen(name), "a name");
}

static cnn_status brick_shape(struct brick *brick) {
  CNN_TRY(brick->class->shape(brick->config, brick->in, &brick->out));
  int64_t count;
  CNN_TRY(cnn_shape_count(brick->out, &count));
  if (count > INT32_MAX / 4)
    return CNN_FAIL(CNN_E_SHAPE, "its output of %" PRId64 " elements an image is too large: at most 2^29",
                    count);
  return CNN_OK;
}

static cnn_status add_weight(cnn_net *net, const struct weight_booking *booking, int index, bool state) {
  struct brick *brick = &net->bricks[net->count - 1];
  struct net_weight *weights = mem_resize(net->weights, (size_t)(net->weight_count + 1) * sizeof *weights);
  if (!weights) return status_no_memory(sizeof *weights, "a weight's name");
  net->weights = weights;
  size_t size = strlen(brick->name) + strlen(booking->suffix) + 2;
  struct net_weight weight = {mem_alloc(size), net->count - 1, index, state, *booking};
  if (!weight.name) return status_no_memory(size, "a weight's name");
  snprintf(weight.name, size, "%s.%s", brick->name, booking->suffix);
  net->weights[net->weight_count++] = weight;
  int64_t count = 1;
  for (int i = 0; i < booking->dims; i++) count *= booking->dim[i];
  if (!state) brick->parameters += count;
  return CNN_OK;
}

/* Book once, counting, to learn what weights the new brick has. */
static cnn_status brick_books(cnn_net *net) {
  struct ledger ledger = {.training = true, .batch = 1, .group = 1};
  struct brick *brick = &net->bricks[net->count - 1];
  net_ledger(net, net->count - 1, &ledger);
  brick->class->book(brick->config, &ledger);
  brick->multiply_adds = ledger.multiply_adds;
  for (int i = 0; i < ledger.weights; i++) CNN_TRY(add_weight(net, &ledger.weight[i], i, false));
  for (int i = 0; i < ledger.states; i++) CNN_TRY(add_weight(net, &ledger.state[i], i, true));
  return CNN_OK;
}

static cnn_status add(cnn_net *net, const char *layer, const char *words, int line) {
  struct brick brick = {.line = line};
  CNN_TRY(layer_find(layer, &brick.class));
  if (net->count == MOST_BRICKS)
    return CNN_FAIL(CNN_E_ARGUMENT, "%s: a network has at most %d bricks", layer, MOST_BRICKS);
  if (net->count == net->room) {
    int room = net->room ? net->room * 2 : 16;
    struct brick *bricks = mem_resize(net->bricks, (size_t)room * sizeof *bricks);
    if (!bricks) return status_no_memory((size_t)room * sizeof *bricks, "a network");
    net->bricks = bricks;
    net->room = room;
  }
  brick.config = mem_zeroed(1, brick.class->config_size);
  cnn_status status = brick.config ? CNN_OK : status_no_memory(brick.class->config_size, "a brick");
  const char *const *common = brick.class->place ? weight_keys : common_keys;
  if (status == CNN_OK) status = params_parse(brick.class, words, common, brick.config);
  if (status == CNN_OK) status = params_read(learning_params, NULL, words, common_keys, &brick.learning);
  if (status == CNN_OK) status = brick_name(net, brick.class, words, &brick);
  if (status == CNN_OK) status = net_wire(net, words, &brick);
  if (status == CNN_OK) status = brick_shape(&brick);
  if (status != CNN_OK) {
    status_prefix("%s: ", brick.class->name);
    mem_free(brick.name);
    mem_free(brick.config);
    return status;
  }
  for (int k = 0; k < brick.inputs; k++) net->bricks[brick.from[k]].readers++;
  net->bricks[net->count++] = brick;
  return brick_books(net);
}

/* The first failure sticks. */
static cnn_status stick(cnn_net *net, cnn_status status) {
  if (status != CNN_OK) {
    net->failed = status;
    snprintf(net->why, sizeof net->why, "%s", cnn_why());
  }
  return status;
}

static cnn_status failed_before(const cnn_net *net) { return CNN_FAIL(net->failed, "%s", net->why); }

cnn_status cnn_net_add(cnn_net *net, const char *layer, const char *config) {
  if (!net) return CNN_FAIL(CNN_E_ARGUMENT, "cnn_net_add: the net is NULL; cnn_net_new() ran out of memory");
  if (net->failed) return failed_before(net);
  if (!layer) return stick(net, CNN_FAIL(CNN_E_ARGUMENT, "cnn_net_add: the layer's name is NULL"));
  return stick(net, add(net, layer, config ? config : "", 0));
}

cnn_status net_add_line(cnn_net *net, const char *layer, const char *config, const char *source, int line) {
  if (net->failed) return failed_before(net);
  cnn_status status = add(net, layer, config, line);
  if (status != CNN_OK) status_prefix("%s:%d: ", source, line);
  return stick(net, status);
}

cnn_status cnn_net_check(const cnn_net *net) {
  if (!net) return CNN_FAIL(CNN_E_ARGUMENT, "the net is NULL; cnn_net_new() ran out of memory");
  if (net->failed) return failed_before(net);
  if (net->count < 2)
    return CNN_FAIL(CNN_E_ARGUMENT, "the network has %s; it needs an input and one layer at least",
                    net->count ? "only an input" : "no layers");
  int unread = net_unread(net);
  if (unread >= 0)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "nothing takes the output of '%s'; name it in a later from=, or take it out",
                    net->bricks[unread].name);
  return CNN_OK;
}

void net_write(const cnn_net *net, struct text *text) {
  text_add(text, "%s", "");
  for (int i = 0; i < net->count; i++) {
    const struct brick *brick = &net->bricks[i];
    text_add(text, "%s", brick->class->name);
    if (brick->named) text_add(text, " name=%s", brick->name);
    for (int k = 0; !net_wired_above(net, i) && k < brick->inputs; k++)
      text_add(text, "%s%s", k ? "," : " from=", net->bricks[brick->from[k]].name);
    params_print(brick->class, brick->config, text);
    params_write(learning_params, &brick->learning, false, text);
    text_add(text, "\n");
  }
}

const char *cnn_net_text(cnn_net *net) {
  text_free(&net->text);
  net_write(net, &net->text);
  return net->text.failed ? NULL : net->text.data;
}

int64_t cnn_net_multiply_adds(const cnn_net *net, cnn_mode mode) {
  int64_t sum = 0;
  bool wants[MOST_BRICKS]; /* the gradient of its output */
  for (int i = 0; i < net->count; i++) {
    const struct brick *brick = &net->bricks[i];
    bool below = false, own = brick->parameters > 0;
    for (int k = 0; k < brick->inputs; k++) below = below || wants[brick->from[k]];
    wants[i] = below || own;
    sum += (mode == CNN_TRAIN ? 1 + own + below : 1) * brick->multiply_adds;
  }
  return sum;
}

int cnn_net_layer_count(const cnn_net *net) { return net->count; }

cnn_status cnn_net_layer(const cnn_net *net, int index, cnn_layer_info *info) {
  if (index < 0 || index >= net->count)
    return CNN_FAIL(CNN_E_ARGUMENT, "layer %d of a network of %d", index, net->count);
  const struct brick *b = &net->bricks[index];
  *info = (cnn_layer_info){.name = b->name,
                           .kind = b->class->name,
                           .in = b->inputs ? b->in[0] : b->out,
                           .out = b->out,
                           .parameters = b->parameters,
                           .multiply_adds = b->multiply_adds,
                           .line = b->line,
                           .inputs = b->inputs,
                           .from = b->from};
  return CNN_OK;
}

cnn_shape cnn_net_input(const cnn_net *net) { return net->count ? net->bricks[0].out : (cnn_shape){0}; }
cnn_shape cnn_net_output(const cnn_net *net) {
  return net->count ? net->bricks[net->count - 1].out : (cnn_shape){0};
}

int cnn_net_weight_count(const cnn_net *net) { return net->weight_count; }

cnn_status cnn_net_weight(const cnn_net *net, int index, cnn_weight_info *info) {
  if (index < 0 || index >= net->weight_count)
    return CNN_FAIL(CNN_E_ARGUMENT, "weight %d of a network of %d", index, net->weight_count);
  const struct net_weight *w = &net->weights[index];
  *info = (cnn_weight_info){.name = w->name, .dims = w->booking.dims, .count = 1, .trained = !w->state};
  for (int i = 0; i < w->booking.dims; i++) {
    info->dim[i] = w->booking.dim[i];
    info->count *= w->booking.dim[i];
  }
  return CNN_OK;
}

cnn_status net_find_weight(const cnn_net *net, const char *name, int *index) {
  for (int i = 0; i < net->weight_count; i++)
    if (strcmp(net->weights[i].name, name) == 0) {
      *index = i;
      return CNN_OK;
    }
  const char *names[256] = {0};
  for (int i = 0; i < net->weight_count && i < 255; i++) names[i] = net->weights[i].name;
  const char *nearest = text_nearest(name, names);
  return nearest
             ? CNN_FAIL(CNN_E_KEY, "unknown weight '%.60s'; did you mean '%s'?", name, nearest)
             : CNN_FAIL(CNN_E_KEY, "unknown weight '%.60s'; this network has %d", name, net->weight_count);
}
