/* See replacement.h. For what commands write by themselves; models and pictures the library writes, likewise.
 */
#include "replacement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messages.h"

int replacement_open(struct replacement *r, const char *path) {
  struct stat status;
  size_t length = strlen(path);
  r->path = path;
  r->file = NULL;
  if (length == 0) return fail_with("--out: the file's name is empty");
  if (path[length - 1] == '/' || (stat(path, &status) == 0 && S_ISDIR(status.st_mode)))
    return fail_with("--out: '%s' is a folder; name a file in it", path);
  if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
    return fail_with("--out: '%s' is not a regular file", path);
  if (stat(path, &status) == 0 && access(path, W_OK) != 0)
    return fail_with("--out: '%s' cannot be replaced: %s", path, strerror(errno));
  if ((size_t)snprintf(r->temporary, sizeof r->temporary, "%s.XXXXXX", path) >= sizeof r->temporary)
    return fail_with("--out: the name is longer than %zu bytes", sizeof r->temporary - 8);
  int file = mkstemp(r->temporary);
  r->file = file < 0 ? NULL : fdopen(file, "w");
  if (r->file) return EXIT_SUCCESS;
  int error = errno;
  if (file >= 0) close(file), unlink(r->temporary);
  const char *slash = strrchr(path, '/');
  if (error == ENOENT && slash)
    return fail_with("--out: the folder '%.*s' is not there; make it first", (int)(slash + 1 - path), path);
  return fail_with("--out: '%s' cannot be written: %s", path, strerror(error));
}

int replacement_try(const char *path) {
  struct replacement trial;
  if (replacement_open(&trial, path) != EXIT_SUCCESS) return EXIT_FAILURE;
  replacement_drop(&trial);
  return EXIT_SUCCESS;
}

/* As any file that a program makes: mkstemp() lets only its owner read it. */
static mode_t usual_mode(const char *path) {
  struct stat status;
  if (stat(path, &status) == 0) return status.st_mode & 07777;
  mode_t mask = umask(0);
  umask(mask);
  return 0666 & ~mask;
}

int replacement_finish(struct replacement *r, int64_t *size) {
  if (size) *size = ftell(r->file);
  bool failed = fflush(r->file) != 0 || ferror(r->file) || fchmod(fileno(r->file), usual_mode(r->path)) != 0;
  int error = errno;
  if (fclose(r->file) != 0 && !failed) failed = true, error = errno;
  if (!failed && rename(r->temporary, r->path) != 0) failed = true, error = errno;
  if (!failed) return EXIT_SUCCESS;
  unlink(r->temporary);
  return fail_with("--out: '%s' cannot be written: %s", r->path, strerror(error));
}

void replacement_drop(struct replacement *r) {
  if (!r->file) return;
  fclose(r->file);
  unlink(r->temporary);
}
