/* See connections.h. */
#include "layers/connections.h"

#include <inttypes.h>
#include <string.h>

int64_t connections_count(const struct connections *t) {
  int64_t count = 0;
  for (int64_t f = 0; f < t->filters; f++) count += __builtin_popcountll(t->channels[f]);
  return count;
}

int64_t connections_channels(const struct connections *t) {
  int64_t most = 0;
  for (int64_t f = 0; f < t->filters; f++)
    for (int64_t c = most; c < MOST_CONNECTED; c++)
      if (connected(t, f, c)) most = c + 1;
  return most;
}

/* "3" or "3-5": a range of channels, both inclusive; false where it is neither. */
static bool parse_range(const char *text, size_t length, int64_t range[2]) {
  const char *dash = memchr(text, '-', length);
  size_t first = dash ? (size_t)(dash - text) : length;
  if (!text_to_integer(text, first, &range[0])) return false;
  range[1] = range[0];
  if (dash && !text_to_integer(dash + 1, length - first - 1, &range[1])) return false;
  return range[0] >= 0 && range[0] <= range[1] && range[1] < MOST_CONNECTED;
}

cnn_status connections_parse(const char *key, const char *text, struct connections *t) {
  *t = (struct connections){.filters = 1};
  for (;;) {
    size_t length = strcspn(text, ",/");
    int64_t range[2], f = t->filters - 1;
    if (!parse_range(text, length, range))
      return CNN_FAIL(CNN_E_ARGUMENT,
                      "%s: '%.*s' of filter %" PRId64
                      " is no channel and no range of them, as in 0-2,5/1-3 with channels of 0 to %d",
                      key, (int)(length < 40 ? length : 40), text, f, MOST_CONNECTED - 1);
    for (int64_t c = range[0]; c <= range[1]; c++) {
      if (connected(t, f, c))
        return CNN_FAIL(CNN_E_ARGUMENT, "%s: filter %" PRId64 " has channel %" PRId64 " twice", key, f, c);
      t->channels[f] |= (uint64_t)1 << c;
    }
    if (!text[length]) return CNN_OK;
    if (text[length] == '/' && t->filters++ == MOST_CONNECTED)
      return CNN_FAIL(CNN_E_ARGUMENT, "%s: more than %d filters", key, MOST_CONNECTED);
    text += length + 1;
  }
}

void connections_print(const struct connections *t, struct text *out) {
  for (int64_t f = 0; f < t->filters; f++) {
    const char *before = f ? "/" : "";
    for (int64_t c = 0, last; c < MOST_CONNECTED; c = last + 1) {
      last = c;
      if (!connected(t, f, c)) continue;
      while (last + 1 < MOST_CONNECTED && connected(t, f, last + 1)) last++;
      text_add(out, "%s%" PRId64, before, c);
      if (last > c) text_add(out, "-%" PRId64, last);
      before = ",";
    }
  }
}
