/* One layer alone, to be measured: what cnn_bench is inside, for bench.c and its tests. */
#ifndef CNN_NET_BENCH_H
#define CNN_NET_BENCH_H

#include "net/plan.h"

struct cnn_bench {
  cnn_net *net; /* an input, and the layer */
  cnn_plan *plan;
  struct layer_class class;
};

#endif
