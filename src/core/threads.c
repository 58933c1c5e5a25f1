/* Jobs on several threads: see threads.h.
 *
 * Each thread that calls threads_run() has helpers of its own, made when they are first wanted, which wait
 * for its jobs: a short while awake, since a step has many jobs in a row, then asleep. A job is open while it
 * has tasks left. A helper enters an open job, takes tasks until there are none, and leaves. The caller takes
 * tasks too, closes the job, and waits for those that are inside: for no one who is late, so that a processor
 * busy with other programs costs the help and no more.
 *
 * Each thread has a share of the tasks, the same ones whenever a job has as many: what they read and wrote
 * last time is in its caches. Whoever is done with its own takes from the others', from the end, where their
 * owner comes last. */
#include "core/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
  MOST = 255,     /* helpers of one caller */
  OPEN = 1 << 16, /* in `inside`: the job may be entered */
  AWAKE = 100,    /* microseconds that one who waits stays awake */
};

/* A thread's tasks that nobody has taken: the number of the first, and of the one behind the last in the
 * upper half, in a cache line of its own. */
struct share {
  _Alignas(64) _Atomic(uint64_t) left;
};

struct helper {
  struct team *team;
  int thread; /* 1 .. MOST */
  pthread_t id;
};

struct team {
  _Atomic(uint32_t) job;    /* its number: helpers wait for another than they have seen */
  _Atomic(uint32_t) inside; /* helpers in the job, and OPEN */
  _Atomic(uint32_t) asleep; /* helpers that only a call to the system wakes */
  threads_task *run;        /* these three change only while no helper can be inside */
  void *context;
  int threads; /* that the job is for: helpers 1 .. threads - 1 */
  int helpers;
  atomic_bool spins; /* there is a processor for each */
  atomic_bool over;
  struct helper helper[MOST];
  struct share share[MOST + 1];
};

static _Thread_local struct team own; /* of the calling thread */
static _Thread_local bool in_a_task;
static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void sleep_while(_Atomic(uint32_t) *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic(uint32_t) *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void rest(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* True once *word is no longer `value`; false where that takes long. */
static bool changes_soon(const struct team *t, _Atomic(uint32_t) *word, uint32_t value) {
  if (!t->spins) return atomic_load(word) != value;
  double start = threads_seconds();
  do {
    for (int i = 0; i < 64; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
      rest();
    }
  } while (threads_seconds() - start < AWAKE * 1e-6);
  return false;
}

static void share_out(struct team *t, int64_t tasks) {
  for (int64_t i = 0; i < t->threads; i++) {
    uint64_t first = (uint64_t)(tasks * i / t->threads), behind = (uint64_t)(tasks * (i + 1) / t->threads);
    atomic_store(&t->share[i].left, behind << 32 | first);
  }
}

/* The first task of a share, or the last one; false where none is left. */
static bool take(struct share *share, bool first, int64_t *task) {
  uint64_t left = atomic_load(&share->left);
  while ((uint32_t)left != left >> 32)
    if (atomic_compare_exchange_weak(&share->left, &left, first ? left + 1 : left - (UINT64_C(1) << 32))) {
      *task = first ? (int64_t)(uint32_t)left : (int64_t)(left >> 32) - 1;
      return true;
    }
  return false;
}

static void take_tasks(struct team *t, int thread) {
  in_a_task = true;
  for (int i = 0; i < t->threads; i++)
    for (int64_t task; take(&t->share[(thread + i) % t->threads], i == 0, &task);)
      t->run(t->context, task, thread);
  in_a_task = false;
}

static bool enter(struct team *t) {
  uint32_t inside = atomic_load(&t->inside);
  while (inside & OPEN)
    if (atomic_compare_exchange_weak(&t->inside, &inside, inside + 1)) return true;
  return false;
}

static void leave(struct team *t) {
  if (atomic_fetch_sub(&t->inside, 1) == 1) wake(&t->inside); /* the last one, of a closed job */
}

static void *help(void *argument) {
  const struct helper *self = argument;
  struct team *t = self->team;
  for (uint32_t seen = 0;;) {
    while (atomic_load(&t->job) == seen)
      if (!changes_soon(t, &t->job, seen)) {
        atomic_fetch_add(&t->asleep, 1);
        sleep_while(&t->job, seen);
        atomic_fetch_sub(&t->asleep, 1);
      }
    seen = atomic_load(&t->job);
    if (atomic_load(&t->over)) return NULL;
    if (!enter(t)) continue;
    if (self->thread < t->threads) take_tasks(t, self->thread);
    leave(t);
  }
}

static void announce(struct team *t) {
  atomic_fetch_add(&t->job, 1);
  if (atomic_load(&t->asleep) > 0) wake(&t->job);
}

/* The thread ends, and its helpers before it. */
static void dismiss(void *team) {
  struct team *t = team;
  atomic_store(&t->over, true);
  announce(t);
  for (int i = 0; i < t->helpers; i++) pthread_join(t->helper[i].id, NULL);
  t->helpers = 0;
}

/* The child of a fork has the thread that called it, and no helper. */
static void forget(void) { own.helpers = 0; }

static void prepare(void) {
  pthread_key_create(&at_exit, dismiss);
  pthread_atfork(NULL, NULL, forget);
}

/* As many helpers as are wanted, or as the system gives. */
static void recruit(struct team *t, int wanted) {
  sigset_t all, before; /* signals are for the program's own threads */
  if (wanted > MOST) wanted = MOST;
  if (t->helpers >= wanted) return;
  pthread_once(&once, prepare);
  pthread_setspecific(at_exit, t);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (t->helpers < wanted) {
    struct helper *helper = &t->helper[t->helpers];
    *helper = (struct helper){.team = t, .thread = t->helpers + 1};
    if (pthread_create(&helper->id, NULL, help, helper) != 0) break;
    t->helpers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  t->spins = t->helpers < threads_processors();
}

void threads_run(int threads, int64_t tasks, threads_task *run, void *context) {
  struct team *t = &own;
  if (threads > 1 && tasks > 1 && !in_a_task) recruit(t, threads - 1);
  if (threads <= 1 || tasks <= 1 || tasks > UINT32_MAX || in_a_task || t->helpers == 0) {
    for (int64_t task = 0; task < tasks; task++) run(context, task, 0);
    return;
  }
  t->run = run;
  t->context = context;
  t->threads = threads <= t->helpers ? threads : t->helpers + 1;
  share_out(t, tasks);
  atomic_store(&t->inside, OPEN);
  announce(t);
  take_tasks(t, 0);
  uint32_t inside = atomic_fetch_and(&t->inside, ~(uint32_t)OPEN) & ~(uint32_t)OPEN;
  for (; inside > 0; inside = atomic_load(&t->inside))
    if (!changes_soon(t, &t->inside, inside)) sleep_while(&t->inside, inside);
}

int threads_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long online = sysconf(_SC_NPROCESSORS_ONLN); /* more than a cpu_set_t holds */
  return online > 0 ? (int)online : 1;
}

double threads_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
