/* What a training run shows while it runs: a live line on a terminal, a line an epoch, a log. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "cnn.h"

struct progress {
  bool terminal;                 /* standard output is one */
  int drawn;                     /* characters of the live line that stand on the terminal */
  double drawn_at;               /* when, by now_seconds() */
  double loss_sum, accuracy_sum; /* over the epoch's steps so far */
  cnn_progress last;             /* total_step is 0 before the first step */
  FILE *log;                     /* NULL: none */
  const char *log_path;
  bool log_failed;
};

void progress_init(struct progress *progress);

/* The trainer's callback; context is a struct progress. Allocates nothing. */
void progress_report(void *context, const cnn_progress *now);

/* Wipe the live line, so that other text can be printed. */
void progress_clear(struct progress *progress);

/* Flush the log; on failure say so, once, and remember it. */
void progress_check_log(struct progress *progress);

#endif
