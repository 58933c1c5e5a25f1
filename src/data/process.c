/* See process.h. */
#include "data/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Chatter before which npm and tar put what went wrong. */
static bool is_chatter(const char *line) {
  static const char *const starts[] = {"npm warn", "npm WARN", "npm notice", NULL};
  for (int i = 0; starts[i]; i++)
    if (strncmp(line, starts[i], strlen(starts[i])) == 0) return true;
  return line[strspn(line, " \t")] == 0;
}

/* The first long line says what happened ("npm error code ENOTFOUND" before it does not); where
 * none is long, the first. */
static void quote_log(const char *folder, const char *log, char *reason, size_t reason_size) {
  enum { TELLING = 30 };
  char path[4096], line[1024];
  int length = snprintf(path, sizeof path, "%s/%s", folder, log);
  FILE *file = length < (int)sizeof path ? fopen(path, "re") : NULL;
  if (!file) return;
  bool found = false;
  while (fgets(line, sizeof line, file)) {
    line[strcspn(line, "\r\n")] = 0;
    if (is_chatter(line)) continue;
    const char *text = line;
    if (strncmp(text, "npm error ", 10) == 0 || strncmp(text, "npm ERR! ", 9) == 0)
      text += text[4] == 'e' ? 10 : 9;
    bool telling = strlen(text) > TELLING;
    if (!found || telling) snprintf(reason, reason_size, "%s", text);
    found = true;
    if (telling) break;
  }
  fclose(file);
}

/* The status of a child that ended in time; else it is killed and false comes back. A host program
 * that ignores SIGCHLD leaves nothing to wait for: success then shows in what the child made. */
static bool wait_for(pid_t child, int seconds, int *status) {
  const struct timespec nap = {0, 20 * 1000 * 1000};
  struct timespec start, now;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (;;) {
    pid_t got = waitpid(child, status, WNOHANG);
    if (got == child) return true;
    if (got < 0 && errno == ECHILD) {
      *status = 0;
      return true;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec - start.tv_sec > seconds) break;
    nanosleep(&nap, NULL);
  }
  kill(child, SIGKILL);
  while (waitpid(child, status, 0) < 0 && errno == EINTR) continue;
  return false;
}

/* 0, or an errno. The child starts with no signal blocked or ignored. */
static int start(const char *const *arguments, const char *folder, const char *log, pid_t *child) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  error = posix_spawn_file_actions_addchdir_np(&actions, folder);
  if (!error) error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!error) error = posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (!error) error = posix_spawn_file_actions_adddup2(&actions, 1, 2);
  /* posix_spawnp takes char *const[] but writes neither the words nor the list */
  union {
    const char *const *given;
    char *const *taken;
  } words = {.given = arguments};
  if (!error) error = posix_spawnp(child, arguments[0], &actions, &attributes, words.taken, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

bool process_run(const char *const *arguments, const char *folder, const char *log, int seconds, char *reason,
                 size_t reason_size) {
  pid_t child;
  int error = start(arguments, folder, log, &child), status = 0;
  if (error == ENOENT)
    snprintf(reason, reason_size, "%s is not installed", arguments[0]);
  else if (error)
    snprintf(reason, reason_size, "%s does not start: %s", arguments[0], strerror(error));
  if (error) return false;
  if (!wait_for(child, seconds, &status)) {
    snprintf(reason, reason_size, "%s took longer than %d seconds", arguments[0], seconds);
    return false;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 127) /* where starting it could not say so */
    snprintf(reason, reason_size, "%s is not installed", arguments[0]);
  else if (WIFEXITED(status))
    snprintf(reason, reason_size, "%s exited with %d", arguments[0], WEXITSTATUS(status));
  else
    snprintf(reason, reason_size, "%s was ended by signal %d", arguments[0],
             WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  quote_log(folder, log, reason, reason_size);
  return false;
}
