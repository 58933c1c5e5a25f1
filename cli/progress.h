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
  double *history; /* --plot: [PROGRESS_CURVES][epochs]; NULL: no plot */
  int64_t epochs;
  int plotted; /* lines of the plot that stand above the cursor */
};

void progress_init(struct progress *progress);

/* --plot: curves of loss and accuracy for a run of so many epochs. On a terminal they are drawn anew after
 * each epoch, below its line; elsewhere once, by progress_end(). False where memory is short. */
bool progress_plot(struct progress *progress, int64_t epochs);

/* The trainer's callback; context is a struct progress. Allocates nothing. */
void progress_report(void *context, const cnn_progress *now);

/* Wipe the live line, so that other text can be printed. */
void progress_clear(struct progress *progress);

/* The run is over: draws what is drawn once, wipes the live line, gives back what progress_plot() took. */
void progress_end(struct progress *progress);

/* Flush the log; on failure say so, once, and remember it. */
void progress_check_log(struct progress *progress);

#endif
