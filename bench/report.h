/* What bench.c prints and writes: a table as the rows come, and all of them as JSON at the end. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <cnn.h>
#include <errno.h>
#include <math.h>

#include "measure.h"

enum { MOST_ROWS = 1024, MOST_PEAKS = 257 };

struct row {
  char name[96];
  int threads;
  struct timing timing; /* of one call */
  double images;        /* in one call; 0: not a matter of images */
  double flops, bytes;  /* of one call; 0: not counted */
  double parameters;    /* of the network; 0: none */
  double memory;        /* the process's largest resident size while the row ran, in bytes; NaN: unknown */
  char data[32];        /* the data set's name */
};

struct report {
  const char *only;
  struct row rows[MOST_ROWS];
  int count;
  double first_peak[MOST_PEAKS], last_peak[MOST_PEAKS]; /* by threads, in 1e9 operations a second */
};

static inline bool report_wants(const struct report *report, const char *name) {
  return wanted(name, report->only);
}

/* Linux: from here on the peak counts anew. */
static inline void reset_resident_peak(void) {
  FILE *file = fopen("/proc/self/clear_refs", "w");
  if (!file) return;
  fputs("5", file);
  fclose(file);
}

static inline double resident_peak(void) {
  char line[256];
  double kilobytes = NAN;
  FILE *file = fopen("/proc/self/status", "r");
  if (!file) return NAN;
  while (isnan(kilobytes) && fgets(line, sizeof line, file))
    if (strncmp(line, "VmHWM:", 6) == 0) kilobytes = strtod(line + 6, NULL);
  fclose(file);
  return kilobytes * 1024;
}

static inline void processor(char *name, size_t size) {
  char line[256];
  FILE *file = fopen("/proc/cpuinfo", "r");
  snprintf(name, size, "unknown");
  while (file && fgets(line, sizeof line, file)) {
    const char *at = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !at) continue;
    snprintf(name, size, "%.*s", (int)strcspn(at + 2, "\"\\\n"), at + 2);
    break;
  }
  if (file) fclose(file);
}

static inline void report_begin(const struct report *report) {
  char name[128];
  const char *isa = "?";
  (void)report;
  processor(name, sizeof name);
  if (cnn_isa(&isa) != CNN_OK) isa = "?";
  printf("cnn %s, %s, %s, %d processors\n", cnn_version(), isa, name, cnn_processors());
  printf("%-42s T %11s %26s %12s %9s %6s %7s\n", "row", "images/s", "[least .. most]", "ms", "GFLOP/s",
         "share", "MB");
}

/* Measure the peak on so many threads. The first time counts as the start, every other as the end. */
static inline void report_peak(struct report *report, int threads) {
  double peak;
  if (cnn_fma_peak(threads, &peak) != CNN_OK) return;
  if (report->first_peak[threads] > 0)
    report->last_peak[threads] = peak;
  else
    report->first_peak[threads] = peak;
  printf("%-42s %d %51s %9.1f\n", "machine/multiply-adds", threads, "", peak);
}

static inline double best_peak(const struct report *report, int threads) {
  return fmax(report->first_peak[threads], report->last_peak[threads]);
}

static inline void report_skip(const struct report *report, const struct row *row, const char *why) {
  (void)report;
  printf("%-42s %d skipped: %s\n", row->name, row->threads, why);
}

/* why: what went wrong, or NULL. */
static inline void report_row(struct report *report, const struct row *row, const char *why) {
  const struct timing *t = &row->timing;
  if (why) {
    fprintf(stderr, "bench: %s on %d threads: %s\n", row->name, row->threads, why);
    return;
  }
  printf("%-42s %d ", row->name, row->threads);
  if (row->images > 0)
    printf("%11.1f [%11.1f .. %10.1f] %12.4f", row->images / t->median, row->images / t->most,
           row->images / t->least, 1e3 * t->median);
  if (row->bytes > 0)
    printf("%6.1f GB/s [%11.1f .. %10.1f] %12.4f", 1e-9 * row->bytes / t->median, 1e-9 * row->bytes / t->most,
           1e-9 * row->bytes / t->least, 1e3 * t->median);
  if (row->flops > 0)
    printf(" %9.1f %4.0f %%", 1e-9 * row->flops / t->median,
           1e-7 * row->flops / t->median / best_peak(report, row->threads));
  if (!isnan(row->memory)) printf(" %7.0f", 1e-6 * row->memory);
  printf("%s\n", t->disturbed ? "  disturbed" : "");
  fflush(stdout);
  if (report->count < MOST_ROWS) report->rows[report->count++] = *row;
}

static inline void write_number(FILE *file, const char *key, double value) {
  if (isfinite(value))
    fprintf(file, ", \"%s\": %.9g", key, value);
  else
    fprintf(file, ", \"%s\": null", key);
}

static inline void write_row(FILE *file, const struct report *report, const struct row *row) {
  const struct timing *t = &row->timing;
  fprintf(file, "    {\"row\": \"%s\", \"threads\": %d", row->name, row->threads);
  write_number(file, "seconds", t->median);
  write_number(file, "seconds_min", t->least);
  write_number(file, "seconds_max", t->most);
  fprintf(file, ", \"rounds\": %d, \"retaken\": %d, \"disturbed\": %d", t->rounds, t->retaken, t->disturbed);
  if (row->images > 0) write_number(file, "images_per_second", row->images / t->median);
  if (row->bytes > 0) write_number(file, "gigabytes_per_second", 1e-9 * row->bytes / t->median);
  if (row->flops > 0) {
    write_number(file, "flops", row->flops);
    write_number(file, "gflops", 1e-9 * row->flops / t->median);
    write_number(file, "share_of_peak", 1e-9 * row->flops / t->median / best_peak(report, row->threads));
  }
  if (row->parameters > 0) write_number(file, "parameters", row->parameters);
  if (!isnan(row->memory)) write_number(file, "resident_bytes", row->memory);
  fprintf(file, ", \"data\": \"%s\"}", row->data);
}

/* false where the file could not be written. */
static inline bool report_end(const struct report *report, const char *path) {
  char name[128];
  const char *isa = "?";
  if (!path) return true;
  FILE *file = fopen(path, "w");
  if (!file) {
    fprintf(stderr, "bench: cannot write '%s': %s\n", path, strerror(errno));
    return false;
  }
  processor(name, sizeof name);
  if (cnn_isa(&isa) != CNN_OK) isa = "?";
  fprintf(file, "{\n  \"version\": \"%s\", \"isa\": \"%s\", \"processor\": \"%s\", \"processors\": %d,\n",
          cnn_version(), isa, name, cnn_processors());
  fprintf(file, "  \"multiply_add_peak\": [");
  bool comma = false;
  for (int t = 1; t < MOST_PEAKS; t++) {
    if (!(report->first_peak[t] > 0)) continue;
    fprintf(file, "%s\n    {\"threads\": %d, \"first_gflops\": %.6g, \"last_gflops\": %.6g}",
            comma ? "," : "", t, report->first_peak[t], report->last_peak[t]);
    comma = true;
  }
  fprintf(file, "],\n  \"rows\": [");
  for (int i = 0; i < report->count; i++) {
    fputs(i ? ",\n" : "\n", file);
    write_row(file, report, &report->rows[i]);
  }
  fputs("]\n}\n", file);
  bool failed = ferror(file);
  failed = fclose(file) != 0 || failed;
  if (failed) fprintf(stderr, "bench: cannot write '%s'\n", path);
  return !failed;
}

#endif
