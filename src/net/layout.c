/* Where the values of one image stand: places whose lifetimes do not meet share memory.
 *
 * Largest first, each at the lowest offset at which it meets no neighbour in time: within a few per cent
 * of the least possible on networks (Pisarchyk and Lee 2020, "Efficient memory management for deep neural
 * net inference", greedy by size). */
#include "net/plan.h"

static bool meet(const struct place *a, const struct place *b) {
  return a->from <= b->to && b->from <= a->to;
}

/* The lowest offset at which place i is clear of those already placed (placed[j] != 0). */
static int64_t lowest(const struct place *places, int count, int i) {
  int64_t offset = 0;
  for (int j = 0; j < count; j++) { /* each move may free or block: start over after it */
    const struct place *other = &places[j];
    if (other->offset < 0 || j == i || !meet(other, &places[i])) continue;
    if (offset < other->offset + other->floats && other->offset < offset + places[i].floats) {
      offset = other->offset + other->floats;
      j = -1;
    }
  }
  return offset;
}

int64_t layout_places(struct place *places, int count) {
  int64_t end = 0;
  for (int i = 0; i < count; i++) places[i].offset = -1;
  for (int placed = 0; placed < count; placed++) {
    int largest = -1;
    for (int i = 0; i < count; i++)
      if (places[i].offset < 0 && (largest < 0 || places[i].floats > places[largest].floats)) largest = i;
    places[largest].offset = lowest(places, count, largest);
    int64_t past = places[largest].offset + places[largest].floats;
    if (past > end) end = past;
  }
  /* An odd number of cache lines, so that the same place of many images does not fall into few sets. */
  return (end / BLOCK | 1) * BLOCK;
}
