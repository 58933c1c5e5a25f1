/* See file.h. */
#include "io/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"

struct file_writer {
  const char *path; /* as the caller gave it, for messages */
  int fd;
  bool replaces; /* there is an old file, which stays where this fails */
};

static cnn_status cannot_write(const struct file_writer *writer, int error) {
  const char *remedy = "";
  if (error == ENOSPC || error == EDQUOT) remedy = "; make room, or choose another place";
  if (error == EFBIG) remedy = "; raise the limit on file sizes (ulimit -f)";
  return CNN_FAIL(CNN_E_IO, "cannot write '%s': %s%s%s", writer->path, strerror(error), remedy,
                  writer->replaces ? "; the file that was there is unchanged" : "");
}

static int open_again(const char *path, int flags, mode_t mode) {
  int fd;
  do fd = open(path, flags | O_CLOEXEC | O_NOCTTY, mode);
  while (fd < 0 && errno == EINTR);
  return fd;
}

/* 0, or errno. A pipe or a device has nothing to flush, and some file systems do not know how to. */
static int flush(int fd) {
  int result;
  do result = fsync(fd);
  while (result < 0 && errno == EINTR);
  if (result == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP) return 0;
  return errno;
}

/* 0, or errno. After EINTR the descriptor is closed on Linux: never again. */
static int close_checked(int fd) { return close(fd) < 0 && errno != EINTR ? errno : 0; }

cnn_status file_write(struct file_writer *writer, const void *bytes, size_t count) {
  const char *next = bytes;
  while (count > 0) {
    ssize_t wrote = write(writer->fd, next, count < INT_MAX ? count : INT_MAX);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return cannot_write(writer, wrote < 0 ? errno : EIO);
    next += wrote;
    count -= (size_t)wrote;
  }
  return CNN_OK;
}

/* "folder/" in "folder/name". */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* What `writer->path` leads to when every symbolic link at its end is followed; it need not exist. */
static cnn_status follow_links(const struct file_writer *writer, char **target) {
  char link[PATH_MAX + 1];
  struct text here = {0};
  text_add(&here, "%s", writer->path);
  for (int hop = 0; !here.failed && hop < 40; hop++) {
    ssize_t length = readlink(here.data, link, PATH_MAX);
    if (length < 0 && errno != EINVAL && errno != ENOENT) {
      text_free(&here);
      return cannot_write(writer, errno);
    }
    if (length < 0) {
      *target = here.data;
      return CNN_OK;
    }
    link[length] = 0;
    struct text next = {0};
    if (link[0] != '/') text_add_bytes(&next, here.data, folder_length(here.data));
    text_add(&next, "%s", link);
    text_free(&here);
    here = next;
  }
  bool failed = here.failed;
  text_free(&here);
  return failed ? status_no_memory(PATH_MAX, "a file name") : cannot_write(writer, ELOOP);
}

/* A new file beside target. Its name is kept below the usual limit of 255 bytes. */
static cnn_status create_temporary(struct file_writer *writer, const char *target, mode_t mode, char **name) {
  static atomic_uint serial;
  size_t folder = folder_length(target);
  for (int attempt = 0; attempt < 1000; attempt++) {
    struct text text = {0};
    text_add_bytes(&text, target, folder);
    text_add(&text, "%.200s.%ld-%u.tmp", target + folder, (long)getpid(), atomic_fetch_add(&serial, 1));
    if (text.failed) {
      text_free(&text);
      return status_no_memory(folder + 256, "a file name");
    }
    writer->fd = open_again(text.data, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (writer->fd >= 0) {
      *name = text.data;
      return CNN_OK;
    }
    int error = errno;
    text_free(&text);
    if (error == ENOENT)
      return CNN_FAIL(CNN_E_IO, "cannot write '%s': the folder '%.*s' is not there; make it first",
                      writer->path, folder ? (int)folder : 1, folder ? target : ".");
    if (error != EEXIST) return cannot_write(writer, error);
  }
  return cannot_write(writer, EEXIST);
}

/* Make a rename in this folder last. A folder that cannot be opened for reading is left to the system. */
static cnn_status flush_folder(const struct file_writer *writer, const char *target) {
  struct text folder = {0};
  text_add(&folder, "%.*s.", (int)folder_length(target), target);
  int fd = folder.failed ? -1 : open_again(folder.data, O_RDONLY | O_DIRECTORY, 0);
  text_free(&folder);
  if (fd < 0) return CNN_OK;
  int error = flush(fd);
  close(fd);
  if (error)
    return CNN_FAIL(CNN_E_IO, "'%s' is written, but its folder could not be flushed to disk: %s",
                    writer->path, strerror(error));
  return CNN_OK;
}

typedef cnn_status write_function(void *context, struct file_writer *writer);

static cnn_status replace(struct file_writer *writer, const char *target, const struct stat *old,
                          write_function *write, void *context) {
  char *temporary = NULL;
  CNN_TRY(create_temporary(writer, target, old ? old->st_mode & 0777 : 0666, &temporary));
  assert(temporary);
  if (old) { /* where the file system refuses, the new file is less open than the old, never more */
    if (fchown(writer->fd, old->st_uid, old->st_gid) < 0) errno = 0;
    if (fchmod(writer->fd, old->st_mode & 0777) < 0) errno = 0;
  }
  cnn_status status = write(context, writer);
  if (status == CNN_OK) {
    int error = flush(writer->fd);
    if (error) status = cannot_write(writer, error);
  }
  int error = close_checked(writer->fd);
  if (status == CNN_OK && error) status = cannot_write(writer, error);
  if (status == CNN_OK && rename(temporary, target) < 0) status = cannot_write(writer, errno);
  if (status != CNN_OK) unlink(temporary);
  mem_free(temporary);
  return status == CNN_OK ? flush_folder(writer, target) : status;
}

static cnn_status write_straight(struct file_writer *writer, write_function *write, void *context) {
  writer->fd = open_again(writer->path, O_WRONLY, 0);
  if (writer->fd < 0) return cannot_write(writer, errno);
  cnn_status status = write(context, writer);
  int error = close_checked(writer->fd);
  return status == CNN_OK && error ? cannot_write(writer, error) : status;
}

cnn_status file_replace(const char *path, write_function *write, void *context) {
  struct file_writer writer = {.path = path, .fd = -1};
  struct stat old;
  bool there = stat(path, &old) == 0;
  if (!there && errno != ENOENT) return cannot_write(&writer, errno);
  if (there && S_ISDIR(old.st_mode))
    return CNN_FAIL(CNN_E_IO, "cannot write '%s': it is a folder; give the name of a file", path);
  if (there && !S_ISREG(old.st_mode)) return write_straight(&writer, write, context);
  writer.replaces = there;
  if (there && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) < 0) return cannot_write(&writer, errno);

  char *target = NULL;
  CNN_TRY(follow_links(&writer, &target));
  assert(target);
  cnn_status status = replace(&writer, target, there ? &old : NULL, write, context);
  mem_free(target);
  return status;
}

cnn_status file_open(const char *path, struct file_reader *reader) {
  int fd = open_again(path, O_RDONLY, 0);
  if (fd < 0) return CNN_FAIL(CNN_E_IO, "cannot open '%s': %s", path, strerror(errno));
  struct stat info;
  int error = fstat(fd, &info) < 0 ? errno : S_ISDIR(info.st_mode) ? EISDIR : 0;
  if (error) {
    close(fd);
    return CNN_FAIL(CNN_E_IO, "cannot read '%s': %s", path, strerror(error));
  }
  *reader = (struct file_reader){path, fd, S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1, 0};
  return CNN_OK;
}

void file_close(struct file_reader *reader) {
  close(reader->fd);
  reader->fd = -1;
}

/* One read() that was not interrupted. */
static cnn_status read_some(struct file_reader *reader, void *bytes, size_t count, size_t *got) {
  ssize_t length;
  do length = read(reader->fd, bytes, count < INT_MAX ? count : INT_MAX);
  while (length < 0 && errno == EINTR);
  if (length < 0) return CNN_FAIL(CNN_E_IO, "cannot read '%s': %s", reader->path, strerror(errno));
  *got = (size_t)length;
  reader->read += length;
  return CNN_OK;
}

cnn_status file_read(struct file_reader *reader, void *bytes, size_t count) {
  char *next = bytes;
  while (count > 0) {
    size_t got = 0;
    CNN_TRY(read_some(reader, next, count, &got));
    if (got == 0)
      return CNN_FAIL(CNN_E_FORMAT, "%s: the file ends after %lld bytes, and at least %zu more were expected",
                      reader->path, (long long)reader->read, count);
    next += got;
    count -= got;
  }
  return CNN_OK;
}

cnn_status file_read_end(struct file_reader *reader) {
  char byte;
  size_t got = 0;
  int64_t expected = reader->read;
  CNN_TRY(read_some(reader, &byte, 1, &got));
  if (got == 0) return CNN_OK;
  return CNN_FAIL(CNN_E_FORMAT, "%s: the file goes on after byte %lld, where it was expected to end",
                  reader->path, (long long)expected);
}
