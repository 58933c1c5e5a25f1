/* Threads: the only file that knows them (OpenMP under it).
 *
 * Work is cut into tasks by shapes alone; who runs which task is decided as it comes, so results
 * cannot depend on the number of threads. */
#ifndef CNN_CORE_THREADS_H
#define CNN_CORE_THREADS_H

#include <stdint.h>

/* One task of a job. thread: 0 .. threads-1, for scratch memory. */
typedef void threads_task(void *context, int64_t task, int thread);

/* Run tasks 0 .. tasks-1 on up to `threads` threads; returns when all are done. */
void threads_run(int threads, int64_t tasks, threads_task *run, void *context);

/* Processors this process may use, at least 1. */
int threads_processors(void);

/* Seconds on a clock that only goes forward. */
double threads_seconds(void);

#endif
