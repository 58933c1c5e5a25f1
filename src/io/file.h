/* Files: replaced as a whole or not at all, and read to the byte, with a sentence for every failure.
 *
 * Called by whatever writes a file that someone may depend on (models, data sets) and by the readers
 * of this folder. Nothing here knows a format. */
#ifndef CNN_IO_FILE_H
#define CNN_IO_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

struct file_writer;

/* Give path the contents that `write` writes by file_write(). They go to a temporary file in the same
 * folder (path.PID-N.tmp), which is flushed to disk and renamed: at every moment, and after any failure, path
 * holds either what it held before or the whole new contents. After a failure no temporary file is
 * left; only the end of the process in the middle leaves one.
 *
 * An old file's permissions are kept, a new one has 0666 less the umask. An old file that is not
 * writable is not replaced. Where path is a symbolic link, its target is replaced. A device, a pipe or
 * a socket is written to as it is. What `write` returns is passed on.
 *
 * A process that may meet a limit on file sizes (ulimit -f) must ignore SIGXFSZ, or it is killed. */
cnn_status file_replace(const char *path, cnn_status (*write)(void *context, struct file_writer *writer),
                        void *context);
cnn_status file_write(struct file_writer *writer, const void *bytes, size_t count);

/* A file open for reading. path is borrowed, for messages. */
struct file_reader {
  const char *path;
  int fd;
  int64_t size; /* in bytes; -1 for what is not a regular file */
  int64_t read; /* bytes so far */
};

cnn_status file_open(const char *path, struct file_reader *reader);
void file_close(struct file_reader *reader);

/* The next count bytes. CNN_E_FORMAT where the file ends before. */
cnn_status file_read(struct file_reader *reader, void *bytes, size_t count);

/* CNN_E_FORMAT where the file goes on. */
cnn_status file_read_end(struct file_reader *reader);

#endif
