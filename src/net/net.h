/* A network as the rest of the library sees it: bricks in the order they run. */
#ifndef CNN_NET_NET_H
#define CNN_NET_NET_H

#include "core/text.h"
#include "layers/layer.h"

struct brick {
  char *name;
  bool named; /* by name=, not by counting */
  const struct layer_class *class;
  void *config;
  struct learning learning;
  int inputs, from[MAX_INPUTS];      /* bricks it takes its inputs from */
  cnn_shape in[MAX_INPUTS + 1], out; /* of one image; in is ended by one of none */
  int readers;                       /* how many inputs of other bricks take its output */
  int line;
  int64_t parameters, multiply_adds;
};

/* A weight of the network; the name is "brick.suffix". */
struct net_weight {
  char *name;
  int brick, index; /* the index-th weight, or state, of that brick */
  bool state;       /* kept, but not trained */
  struct weight_booking booking;
};

struct cnn_net {
  struct brick *bricks;
  int count, room;
  bool several_inputs; /* allowed: for probes of layers that take several */
  struct net_weight *weights;
  int weight_count;
  cnn_status failed; /* the first failure, and its sentence */
  char why[512];
  struct text text; /* what cnn_net_text() last gave */
};

/* Is brick i where values come in? */
static inline bool net_is_input(const cnn_net *net, int i) { return net->bricks[i].class->inputs == 0; }

/* wires.c: the inputs of a new brick and their shapes, by `from=` in its words. */
cnn_status net_wire(const cnn_net *net, const char *words, struct brick *brick);

/* Does brick i take the output of the one above, and nothing else? */
bool net_wired_above(const cnn_net *net, int i);

/* The value of a key that all bricks know; NULL where it is not among the words. CNN_E_KEY: given twice. */
cnn_status net_common_key(const char *words, const char *key, const char **value, size_t *length);

/* The first brick whose output nothing takes though it is not the last, or -1. */
int net_unread(const cnn_net *net);

/* Prepare a ledger for brick i: shapes and blocks, nothing booked. */
void net_ledger(const cnn_net *net, int i, struct ledger *ledger);

/* As cnn_net_add(), for a line of a file. */
cnn_status net_add_line(cnn_net *net, const char *layer, const char *config, const char *source, int line);

/* Adds what cnn_net_text() gives, for those who must not change the net; text->failed where memory is out. */
void net_write(const cnn_net *net, struct text *text);

/* The most bytes that cnn_net_parse() takes. */
enum { NET_LARGEST_TEXT = 1 << 20 };

/* The index of a weight by name; CNN_E_KEY names the nearest known one. */
cnn_status net_find_weight(const cnn_net *net, const char *name, int *index);

#endif
