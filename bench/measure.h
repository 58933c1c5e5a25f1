/* Timing, shared by the programs of this folder: the median of several rounds, each of as many calls as
 * fill a given time; a round in which the processor was lent to others (stolen ticks of /proc/stat) is
 * taken again, twice as many times as there are rounds at most. Patterns that choose rows. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <fnmatch.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MOST_ROUNDS = 99 };

struct timing {
  double median, least, most; /* seconds of one call */
  int rounds;
  int retaken;   /* rounds thrown away */
  int disturbed; /* rounds kept though ticks were stolen: the limit was reached */
};

/* One call; 0 where it went well. */
typedef int measured(void *context);

static inline double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Stolen ticks of all processors since the machine started; 0 where the system does not say. */
static inline long stolen_ticks(void) {
  char line[512] = "";
  FILE *file = fopen("/proc/stat", "r");
  if (!file) return 0;
  bool read = fgets(line, sizeof line, file) != NULL;
  fclose(file);
  char *at = line + strcspn(line, " ");
  long ticks = 0;
  for (int i = 0; read && i < 8; i++) ticks = strtol(at, &at, 10); /* the eighth number is the stolen ones */
  return ticks;
}

static inline int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Seconds of one call, over `calls` calls; below 0 where one failed. *stolen: more than 2 % of the time. */
static inline double one_round(measured *call, void *context, int64_t calls, bool *stolen) {
  long ticks = stolen_ticks();
  double start = seconds_now();
  for (int64_t i = 0; i < calls; i++)
    if (call(context) != 0) return -1;
  double elapsed = seconds_now() - start;
  ticks = stolen_ticks() - ticks;
  *stolen = (double)ticks / (double)sysconf(_SC_CLK_TCK) > 0.02 * elapsed;
  return elapsed / (double)calls;
}

/* `rounds` rounds of at least `seconds` each, after a warm-up of a quarter of that. 0 where all calls went
 * well. */
static inline int measure(measured *call, void *context, int rounds, double seconds, struct timing *timing) {
  double taken[MOST_ROUNDS], warm = seconds_now(), once;
  bool stolen;
  int64_t calls = 0;
  *timing = (struct timing){.rounds = rounds};
  do {
    if (call(context) != 0) return -1;
    calls++;
    once = (seconds_now() - warm) / (double)calls;
  } while (once * (double)calls < seconds / 4);
  calls = once < seconds ? (int64_t)(seconds / once) + 1 : 1;
  for (int i = 0; i < rounds; i++) {
    taken[i] = one_round(call, context, calls, &stolen);
    if (taken[i] < 0) return -1;
    if (stolen && timing->retaken < 2 * rounds) {
      timing->retaken++;
      i--;
    } else {
      timing->disturbed += stolen;
    }
  }
  qsort(taken, (size_t)rounds, sizeof *taken, ascending);
  timing->least = taken[0];
  timing->most = taken[rounds - 1];
  timing->median = rounds % 2 ? taken[rounds / 2] : 0.5 * (taken[rounds / 2 - 1] + taken[rounds / 2]);
  return 0;
}

/* Does a row's name hold the pattern (of a shell: * ? [...])? "=NAME": is it that very name? NULL: every row
 * is wanted. */
static inline bool wanted(const char *name, const char *pattern) {
  char anywhere[256];
  if (!pattern) return true;
  if (*pattern == '=') return strcmp(pattern + 1, name) == 0;
  snprintf(anywhere, sizeof anywhere, "*%s*", pattern);
  return fnmatch(anywhere, name, 0) == 0;
}

#endif
