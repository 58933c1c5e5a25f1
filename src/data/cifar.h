/* CIFAR-10 and CIFAR-100 (Krizhevsky 2009, "Learning multiple layers of features from tiny images") in their
 * binary version: records without a header,
 *
 *     label | 1024 red | 1024 green | 1024 blue                     CIFAR-10, 3073 bytes
 *     coarse label | label | 1024 red | 1024 green | 1024 blue      CIFAR-100, 3074 bytes
 *
 * 32x32, rows from the top. Called by dataset.c. */
#ifndef CNN_DATA_CIFAR_H
#define CNN_DATA_CIFAR_H

#include <stdbool.h>

#include "data/dataset.h"

/* The folder holds a file of one of the two, by name. */
bool cifar_is_folder(const char *path);

/* Every name between commas ends in .bin, and the first file is not an IDX file of images. */
bool cifar_is_list(const char *source);

/* Fill a data set (name set, all else 0). A folder has both splits; of a list of files the last one is the
 * test split, but a single one is all training: *has_split. */
cnn_status cifar_read_folder(cnn_dataset *dataset, const char *path);
cnn_status cifar_read_list(cnn_dataset *dataset, const char *source, bool *has_split);

#endif
