/* Threads: what computes (threads.c) and what works on the side (workers.c), on POSIX threads.
 *
 * Work is cut into tasks by shapes alone, and any thread may run any task, so results cannot depend on the
 * number of threads. */
#ifndef CNN_CORE_THREADS_H
#define CNN_CORE_THREADS_H

#include <stdint.h>

/* One task of a job. thread: 0 .. threads-1, for scratch memory. */
typedef void threads_task(void *context, int64_t task, int thread);

/* Run tasks 0 .. tasks-1 on up to `threads` threads; returns when all are done. Neighbours mostly run on one
 * thread, and on the same one in the next job of as many tasks: in its caches they find what they left. */
void threads_run(int threads, int64_t tasks, threads_task *run, void *context);

/* Processors this process may use, at least 1. */
int threads_processors(void);

/* Threads of their own, beside those that compute: they wait for files, say. Each calls `work` once, which
 * looks for things to do, under the lock, until it is told to return. What work they do must not show in any
 * result. */
struct workers;

/* NULL where memory is out. There may be fewer than `count`, even none, where the system gives no more. */
struct workers *workers_new(int count, void (*work)(struct workers *workers, void *context), void *context);
void workers_free(struct workers *workers); /* waits for all to return from `work`; NULL is fine */

void workers_lock(struct workers *workers);
void workers_unlock(struct workers *workers);
void workers_wait(struct workers *workers); /* locked; unlocks until somebody wakes all, or for no reason */
void workers_wake(struct workers *workers);

/* Seconds on a clock that only goes forward. */
double threads_seconds(void);

#endif
