/* Threads on the side, with one lock and one condition: see threads.h. */
#include <pthread.h>
#include <signal.h>

#include "core/memory.h"
#include "core/threads.h"

struct workers {
  pthread_mutex_t lock;
  pthread_cond_t woken;
  void (*work)(struct workers *workers, void *context);
  void *context;
  int count;
  pthread_t thread[];
};

static void *run_worker(void *argument) {
  struct workers *workers = argument;
  workers->work(workers, workers->context);
  return NULL;
}

struct workers *workers_new(int count, void (*work)(struct workers *workers, void *context), void *context) {
  struct workers *workers = mem_zeroed(1, sizeof *workers + (size_t)count * sizeof *workers->thread);
  if (!workers) return NULL;
  pthread_mutex_init(&workers->lock, NULL);
  pthread_cond_init(&workers->woken, NULL);
  workers->work = work;
  workers->context = context;
  sigset_t all, before; /* signals are for the program's own threads */
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (workers->count < count &&
         pthread_create(&workers->thread[workers->count], NULL, run_worker, workers) == 0)
    workers->count++;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return workers;
}

void workers_free(struct workers *workers) {
  if (!workers) return;
  for (int i = 0; i < workers->count; i++) pthread_join(workers->thread[i], NULL);
  pthread_cond_destroy(&workers->woken);
  pthread_mutex_destroy(&workers->lock);
  mem_free(workers);
}

void workers_lock(struct workers *workers) { pthread_mutex_lock(&workers->lock); }
void workers_unlock(struct workers *workers) { pthread_mutex_unlock(&workers->lock); }
void workers_wait(struct workers *workers) { pthread_cond_wait(&workers->woken, &workers->lock); }
void workers_wake(struct workers *workers) { pthread_cond_broadcast(&workers->woken); }
