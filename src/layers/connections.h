/* Tables of connections: which channels each filter sees (layers/table_conv.c), and their form as text.
 *
 *     connections=0-2/1-3/0,4-5      filters 0, 1, 2; channels and ranges of channels, counted from 0
 */
#ifndef CNN_LAYERS_CONNECTIONS_H
#define CNN_LAYERS_CONNECTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

enum { MOST_CONNECTED = 64 /* filters, and channels, of a table */ };

struct connections {
  int64_t filters;
  uint64_t channels[MOST_CONNECTED]; /* bit c of filter f's: it sees channel c */
};

static inline bool connected(const struct connections *t, int64_t f, int64_t c) {
  return t->channels[f] >> c & 1;
}

/* How many pairs of a filter and a channel that it sees. */
int64_t connections_count(const struct connections *t);

/* One more than the last channel that any filter sees. */
int64_t connections_channels(const struct connections *t);

/* CNN_E_ARGUMENT where text is no table; `key` begins the sentence. */
cnn_status connections_parse(const char *key, const char *text, struct connections *t);

/* The table as text, with ranges wherever channels follow each other. */
void connections_print(const struct connections *t, struct text *out);

#endif
