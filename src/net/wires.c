/* Wires: which bricks a brick takes its inputs from, by `from=` or, without it, the one above. Called while a
 * net is built. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "net/net.h"

enum { LONGEST_NAME = 64 };

cnn_status net_common_key(const char *words, const char *key, const char **value, size_t *length) {
  size_t head = strlen(key);
  *value = NULL;
  for (const char *word = words; *(word += strspn(word, " \t\r\n")); word += strcspn(word, " \t\r\n")) {
    size_t size = strcspn(word, " \t\r\n");
    if (size <= head || word[head] != '=' || strncmp(word, key, head)) continue;
    if (*value) return CNN_FAIL(CNN_E_KEY, "key '%s' is given twice", key);
    *value = word + head + 1;
    *length = size - head - 1;
  }
  return CNN_OK;
}

static cnn_status unknown_brick(const cnn_net *net, const char *name) {
  const char **names = mem_zeroed((size_t)net->count + 1, sizeof *names);
  if (!names) return status_no_memory((size_t)net->count * sizeof *names, "names of bricks");
  for (int i = 0; i < net->count; i++) names[i] = net->bricks[i].name;
  const char *nearest = text_nearest(name, names);
  cnn_status status =
      nearest ? CNN_FAIL(CNN_E_KEY, "from=: no brick above is named '%s'; did you mean '%s'?", name, nearest)
              : CNN_FAIL(CNN_E_KEY,
                         "from=: no brick above is named '%s'; a brick takes its inputs from those above it",
                         name);
  mem_free(names);
  return status;
}

static cnn_status find_brick(const cnn_net *net, const char *text, size_t length, int *found) {
  char name[LONGEST_NAME];
  if (length == 0) return CNN_FAIL(CNN_E_ARGUMENT, "from=: a name is empty; write from=a,b");
  if (length >= sizeof name)
    return CNN_FAIL(CNN_E_ARGUMENT, "from=%.20s... is longer than %zu characters", text, sizeof name - 1);
  memcpy(name, text, length);
  name[length] = 0;
  for (int i = 0; i < net->count; i++)
    if (strcmp(net->bricks[i].name, name) == 0) {
      *found = i;
      return CNN_OK;
    }
  return unknown_brick(net, name);
}

/* What class takes, for a sentence: "1 input", "2 to 8 inputs". */
static cnn_status wrong_number(const struct layer_class *class, int count) {
  char takes[32];
  int most = layer_most_inputs(class);
  if (most > class->inputs)
    snprintf(takes, sizeof takes, "%d to %d inputs", class->inputs, most);
  else
    snprintf(takes, sizeof takes, "%d input%s", most, most == 1 ? "" : "s");
  return CNN_FAIL(CNN_E_ARGUMENT, "it takes %s, not %d; name them in from=%s", takes, count,
                  most == 1 ? "" : ", as in from=a,b");
}

/* The bricks of from=, or the one above. */
static cnn_status find_inputs(const cnn_net *net, const char *words, struct brick *brick) {
  const char *from;
  size_t length;
  CNN_TRY(net_common_key(words, "from", &from, &length));
  const struct layer_class *class = brick->class;
  if (class->inputs == 0) {
    if (from) return CNN_FAIL(CNN_E_KEY, "a network begins here, so from= has no meaning");
    return CNN_OK;
  }
  brick->inputs = 1;
  brick->from[0] = net->count - 1;
  if (from) {
    brick->inputs = 0;
    for (const char *at = from, *end = from + length; at; brick->inputs++) {
      const char *comma = memchr(at, ',', (size_t)(end - at));
      int found;
      CNN_TRY(find_brick(net, at, (size_t)((comma ? comma : end) - at), &found));
      if (brick->inputs < MAX_INPUTS) brick->from[brick->inputs] = found;
      at = comma ? comma + 1 : NULL;
    }
  }
  if (brick->inputs < class->inputs || brick->inputs > layer_most_inputs(class))
    return wrong_number(class, brick->inputs);
  return CNN_OK;
}

cnn_status net_wire(const cnn_net *net, const char *words, struct brick *brick) {
  bool first = net->count == 0, input = brick->class->inputs == 0;
  if (input && !first && !(net->several_inputs && net_is_input(net, net->count - 1)))
    return CNN_FAIL(CNN_E_ARGUMENT, "a network has one input, as its first brick");
  if (!input && first) return CNN_FAIL(CNN_E_ARGUMENT, "the first brick must be `input shape=CxHxW`");
  CNN_TRY(find_inputs(net, words, brick));
  for (int k = 0; k < brick->inputs; k++) brick->in[k] = net->bricks[brick->from[k]].out;
  return CNN_OK;
}

bool net_wired_above(const cnn_net *net, int i) {
  const struct brick *brick = &net->bricks[i];
  return brick->inputs == 0 || (brick->inputs == 1 && brick->from[0] == i - 1);
}

int net_unread(const cnn_net *net) {
  for (int i = 0; i < net->count - 1; i++)
    if (net->bricks[i].readers == 0) return i;
  return -1;
}
