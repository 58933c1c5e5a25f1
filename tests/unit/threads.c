/* Jobs on several threads: every task is run once, by a thread that the job is for, whoever calls and however
 * often. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/threads.h"

enum { TASKS = 300 };

struct job {
  int threads;
  atomic_int runs[TASKS];
  atomic_int busy[8]; /* tasks that run under a number of a thread: one at most */
  atomic_bool wrong;
};

static void task(void *context, int64_t number, int thread) {
  struct job *job = context;
  if (thread < 0 || thread >= job->threads || atomic_fetch_add(&job->busy[thread], 1) != 0) job->wrong = true;
  atomic_fetch_add(&job->runs[number], 1);
  for (volatile int i = 0; i < (int)(number % 7) * 20; i++) {
  }
  atomic_fetch_sub(&job->busy[thread], 1);
}

/* Jobs of all sizes, one after the other; false where one was not run as it should. */
static bool run_jobs(int jobs) {
  static _Thread_local struct job job;
  for (int i = 0; i < jobs; i++) {
    int64_t tasks = i % 5 == 0 ? TASKS : i % 9;
    memset(&job, 0, sizeof job);
    job.threads = 1 + i % 7;
    threads_run(job.threads, tasks, task, &job);
    for (int k = 0; k < TASKS; k++)
      if (job.runs[k] != (k < tasks)) return false;
    if (job.wrong) return false;
  }
  return true;
}

static void every_task_once(void **state) {
  (void)state;
  assert_true(run_jobs(3000));
}

static void *caller(void *argument) { return run_jobs(500) ? argument : NULL; }

/* Threads of a program compute side by side, and end. */
static void several_callers(void **state) {
  (void)state;
  pthread_t thread[4];
  int number[4];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, caller, &number[i]), 0);
    for (int i = 0; i < 4; i++) {
      void *result;
      assert_int_equal(pthread_join(thread[i], &result), 0);
      assert_ptr_equal(result, &number[i]);
    }
  }
}

static void nest(void *context, int64_t number, int thread) {
  (void)thread;
  struct job *job = context;
  job[number].threads = 3;
  threads_run(3, TASKS, task, &job[number]);
}

/* A task that has a job of its own runs it alone. */
static void a_job_in_a_task(void **state) {
  (void)state;
  struct job *job = calloc(20, sizeof *job);
  assert_non_null(job);
  threads_run(3, 20, nest, job);
  for (int i = 0; i < 20; i++) {
    assert_false(job[i].wrong);
    for (int k = 0; k < TASKS; k++) assert_int_equal(job[i].runs[k], 1);
  }
  free(job);
}

/* The child of a fork has none of its parent's helpers. qemu's user mode cannot run this: a thread that the
   child makes at times stops qemu on an assertion of its own (cpu == current_cpu). */
static void after_a_fork(void **state) {
  (void)state;
  if (CNN_TEST_EMULATED) skip();
  assert_true(run_jobs(50));
  pid_t child = fork();
  if (child == 0) {
    pthread_t thread;
    void *result = NULL;
    int number;
    bool right = run_jobs(50) && pthread_create(&thread, NULL, caller, &number) == 0 &&
                 pthread_join(thread, &result) == 0 && result == &number;
    _exit(right ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_true(run_jobs(50));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_task_once),
      cmocka_unit_test(several_callers),
      cmocka_unit_test(a_job_in_a_task),
      cmocka_unit_test(after_a_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
