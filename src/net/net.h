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
  int inputs, from[MAX_INPUTS];  /* bricks it takes its inputs from */
  cnn_shape in[MAX_INPUTS], out; /* of one image */
  int line;
  int64_t parameters, multiply_adds;
};

/* A weight of the network; the name is "brick.suffix". */
struct net_weight {
  char *name;
  int brick, index; /* the index-th weight of that brick */
  struct weight_booking booking;
};

struct cnn_net {
  struct brick *bricks;
  int count, room;
  struct net_weight *weights;
  int weight_count;
  cnn_status failed; /* the first failure, and its sentence */
  char why[512];
  struct text text; /* what cnn_net_text() last gave */
};

/* Prepare a ledger for brick i: shapes and blocks, nothing booked. */
void net_ledger(const cnn_net *net, int i, struct ledger *ledger);

/* As cnn_net_add(), for a line of a file. */
cnn_status net_add_line(cnn_net *net, const char *layer, const char *config, const char *source, int line);

/* The index of a weight by name; CNN_E_KEY names the nearest known one. */
cnn_status net_find_weight(const cnn_net *net, const char *name, int *index);

#endif
