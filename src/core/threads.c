/* See threads.h. */
#include "core/threads.h"

#include <omp.h>
#include <stdatomic.h>
#include <time.h>

void threads_run(int threads, int64_t tasks, threads_task *run, void *context) {
  if (threads <= 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; task++) run(context, task, 0);
    return;
  }
  atomic_llong next = 0; /* always as many threads: a team of another size would be allocated anew */
#pragma omp parallel num_threads(threads) default(none) shared(next, tasks, run, context)
  {
    int thread = omp_get_thread_num();
    for (int64_t task; (task = atomic_fetch_add(&next, 1)) < tasks;) run(context, task, thread);
  }
}

int threads_processors(void) { return omp_get_num_procs(); }

double threads_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
