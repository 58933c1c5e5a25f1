/* Where the values of one image stand: places whose lifetimes do not meet share memory. Those that pass
 * (plan.h) are laid out on their own.
 *
 * Largest first, each at the lowest offset at which it meets no neighbour in time: within a few per cent
 * of the least possible on networks (Pisarchyk and Lee 2020, "Efficient memory management for deep neural
 * net inference", greedy by size). */
#include "net/plan.h"

static bool meet(const struct place *a, const struct place *b) {
  return a->from <= b->to && b->from <= a->to;
}

/* The lowest offset at which a place is clear of those that have theirs: upwards from `first`, past each
 * that it meets, until there is a gap. */
static int64_t lowest(const struct place *places, int first, const struct place *place) {
  int64_t offset = 0;
  for (int i = first; i >= 0; i = places[i].next) {
    const struct place *other = &places[i];
    if (!meet(other, place)) continue;
    if (offset + place->floats <= other->offset) break;
    if (other->offset + other->floats > offset) offset = other->offset + other->floats;
  }
  return offset;
}

/* Put place i into the list by offset. */
static void insert(struct place *places, int *first, int i) {
  int *link = first;
  while (*link >= 0 && places[*link].offset < places[i].offset) link = &places[*link].next;
  places[i].next = *link;
  *link = i;
}

/* The largest place of the kind asked for that has no offset yet, or -1. */
static int largest_left(const struct place *places, int count, bool passing) {
  int largest = -1;
  for (int i = 0; i < count; i++)
    if (places[i].passing == passing && places[i].offset < 0 &&
        (largest < 0 || places[i].floats > places[largest].floats))
      largest = i;
  return largest;
}

int64_t layout_places(struct place *places, int count, bool passing) {
  int64_t end = 0;
  int first = -1;
  for (int i = 0; i < count; i++)
    if (places[i].passing == passing) places[i].offset = -1;
  for (int largest; (largest = largest_left(places, count, passing)) >= 0;) {
    places[largest].offset = lowest(places, first, &places[largest]);
    insert(places, &first, largest);
    int64_t past = places[largest].offset + places[largest].floats;
    if (past > end) end = past;
  }
  /* An odd number of cache lines, so that the same place of many images does not fall into few sets. */
  return end ? (end / BLOCK | 1) * BLOCK : 0;
}
