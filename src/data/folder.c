/* A folder of images as a data set: each sub-folder is a class, its PNG and JPEG files are the images.
 * Where the folder has train/ and test/ the classes lie in those, else images are split by
 * dataset_split().
 *
 * Names are taken in byte order, so that the same files give the same data set on every machine. Hidden
 * names and files of other kinds are passed over. Where the decoded images are more than the options'
 * `memory`, their files are only noted, and each is decoded when it is wanted. Called by dataset.c. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "data/dataset.h"
#include "data/images.h"

struct list {
  char **names;
  size_t count, room;
};

static void list_free(struct list *list) {
  for (size_t i = 0; i < list->count; i++) mem_free(list->names[i]);
  mem_free(list->names);
  *list = (struct list){0};
}

static cnn_status list_add(struct list *list, const char *name) {
  if (list->count == list->room) {
    size_t room = list->room ? 2 * list->room : 64;
    char **names = mem_resize(list->names, room * sizeof *names);
    if (!names) return status_no_memory(room * sizeof *names, "file names");
    list->names = names;
    list->room = room;
  }
  char *copy = mem_copy_text(name);
  if (!copy) return status_no_memory(strlen(name) + 1, "file names");
  list->names[list->count++] = copy;
  return CNN_OK;
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "folder/name", from mem_*; NULL where memory is out. */
static char *join(const char *folder, const char *name) {
  struct text path = {0};
  text_add(&path, "%s/%s", folder, name);
  if (!path.failed) return path.data;
  text_free(&path);
  return NULL;
}

static cnn_status no_path(const char *folder) { return status_no_memory(strlen(folder), "a path"); }

static bool is_image_name(const char *name) {
  static const char *const endings[] = {".png", ".jpg", ".jpeg"};
  size_t length = strlen(name);
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    size_t ending = strlen(endings[i]);
    if (length > ending && strcasecmp(name + length - ending, endings[i]) == 0) return true;
  }
  return false;
}

static bool is_folder(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

enum wanted { FOLDERS, IMAGES };

/* Add one entry of a folder where it is of the wanted kind. An image that cannot be reached, such as a
 * broken link, is kept: reading it will say so. */
static cnn_status list_entry(const char *folder, const char *name, enum wanted wanted, struct list *list) {
  if (name[0] == '.' || (wanted == IMAGES && !is_image_name(name))) return CNN_OK;
  char *path = join(folder, name);
  if (!path) return no_path(folder);
  bool fits = is_folder(path) == (wanted == FOLDERS);
  mem_free(path);
  return fits ? list_add(list, name) : CNN_OK;
}

/* What a folder holds of one kind, in byte order. */
static cnn_status list_folder(const char *folder, enum wanted wanted, struct list *list) {
  DIR *stream = opendir(folder);
  if (!stream) return CNN_FAIL(CNN_E_IO, "folder '%s' cannot be opened: %s", folder, strerror(errno));
  cnn_status status = CNN_OK;
  struct dirent *entry;
  errno = 0;
  while (status == CNN_OK && (entry = readdir(stream))) {
    status = list_entry(folder, entry->d_name, wanted, list);
    errno = 0;
  }
  if (status == CNN_OK && errno)
    status = CNN_FAIL(CNN_E_IO, "folder '%s' cannot be read: %s", folder, strerror(errno));
  closedir(stream);
  if (status == CNN_OK && list->count > 1)
    qsort(list->names, list->count, sizeof *list->names, compare_names);
  return status;
}

/* ------------------------------------------------------------------ the files of a data set */

struct file {
  char *path;
  int32_t label;
  uint8_t split;
};

struct files {
  struct list classes;
  struct file *all;
  size_t count, room;
};

static void files_free(struct files *files) {
  list_free(&files->classes);
  for (size_t i = 0; i < files->count; i++) mem_free(files->all[i].path);
  mem_free(files->all);
}

static cnn_status add_file(struct files *files, const char *folder, const char *name, int32_t label,
                           cnn_split split) {
  if (files->count == files->room) {
    size_t room = files->room ? 2 * files->room : 64;
    struct file *all = mem_resize(files->all, room * sizeof *all);
    if (!all) return status_no_memory(room * sizeof *all, "file names");
    files->all = all;
    files->room = room;
  }
  char *path = join(folder, name);
  if (!path) return no_path(folder);
  files->all[files->count++] = (struct file){path, label, split};
  return CNN_OK;
}

/* The images of one class. */
static cnn_status add_class(struct files *files, const char *folder, int32_t label, cnn_split split) {
  struct list images = {0};
  cnn_status status = list_folder(folder, IMAGES, &images);
  if (status == CNN_OK && images.count == 0)
    status = CNN_FAIL(CNN_E_DATA,
                      "class folder '%s' has no images: put .png, .jpg or .jpeg files into it or remove it",
                      folder);
  for (size_t i = 0; status == CNN_OK && i < images.count; i++)
    status = add_file(files, folder, images.names[i], label, split);
  list_free(&images);
  return status;
}

static int32_t class_label(const struct list *classes, const char *name) {
  for (size_t i = 0; i < classes->count; i++)
    if (strcmp(classes->names[i], name) == 0) return (int32_t)i;
  return -1;
}

static cnn_status add_classes(struct files *files, const char *folder, const struct list *names,
                              cnn_split split) {
  for (size_t i = 0; i < names->count; i++) {
    int32_t label = class_label(&files->classes, names->names[i]);
    char *path = join(folder, names->names[i]);
    if (!path) return no_path(folder);
    cnn_status status =
        label >= 0 ? add_class(files, path, label, split)
                   : CNN_FAIL(CNN_E_DATA,
                              "'%s' has no class of its name to train on: add the same folder to train/ "
                              "or remove it",
                              path);
    mem_free(path);
    CNN_TRY(status);
  }
  return CNN_OK;
}

/* A folder with one sub-folder a class. The classes are those of the training split. */
static cnn_status add_split(struct files *files, const char *folder, cnn_split split) {
  struct list found = {0};
  cnn_status status = list_folder(folder, FOLDERS, &found);
  if (status == CNN_OK && split == CNN_SPLIT_TRAIN) {
    files->classes = found;
    return add_classes(files, folder, &files->classes, split);
  }
  if (status == CNN_OK) status = add_classes(files, folder, &found, split);
  list_free(&found);
  return status;
}

/* Whether folder/name is there and has sub-folders of its own, as a split has and a class has not. */
static cnn_status is_split(const char *folder, const char *name, bool *result) {
  char *path = join(folder, name);
  if (!path) return no_path(folder);
  struct list inside = {0};
  cnn_status status = is_folder(path) ? list_folder(path, FOLDERS, &inside) : CNN_OK;
  *result = inside.count > 0;
  list_free(&inside);
  mem_free(path);
  return status;
}

static cnn_status list_split(struct files *files, const char *folder, const char *name, cnn_split split) {
  char *path = join(folder, name);
  if (!path) return no_path(folder);
  cnn_status status = add_split(files, path, split);
  mem_free(path);
  return status;
}

/* *has_split: the files' splits are set. */
static cnn_status list_files(struct files *files, const char *folder, bool *has_split) {
  bool train = false, test = false;
  CNN_TRY(is_split(folder, "train", &train));
  CNN_TRY(is_split(folder, "test", &test));
  *has_split = train && test;
  if (train != test)
    return CNN_FAIL(CNN_E_DATA, "folder '%s' has %s/ with classes in it, but no such %s/: both are needed",
                    folder, train ? "train" : "test", train ? "test" : "train");
  if (!train) return add_split(files, folder, CNN_SPLIT_TRAIN);
  CNN_TRY(list_split(files, folder, "train", CNN_SPLIT_TRAIN));
  return list_split(files, folder, "test", CNN_SPLIT_TEST);
}

/* ------------------------------------------------------------------ splitting and reading */

static cnn_status split_files(struct files *files, const cnn_dataset_options *options) {
  int32_t *labels = mem_zeroed(files->count, sizeof *labels);
  uint8_t *is_test = mem_zeroed(files->count, 1);
  cnn_status status;
  if (labels && is_test) {
    for (size_t i = 0; i < files->count; i++) labels[i] = files->all[i].label;
    status = dataset_split(labels, (int64_t)files->count, options->seed, options->test_fraction, is_test);
    for (size_t i = 0; i < files->count; i++)
      files->all[i].split = is_test[i] ? CNN_SPLIT_TEST : CNN_SPLIT_TRAIN;
  } else {
    status = status_no_memory(files->count * 5, "splitting images");
  }
  mem_free(labels);
  mem_free(is_test);
  return status;
}

/* The size that all images get. */
static cnn_status choose_image(const struct files *files, const cnn_dataset_options *options,
                               cnn_shape *shape) {
  if (options->image.c) {
    *shape = (cnn_shape){1, options->image.c, options->image.h, options->image.w};
    return CNN_OK;
  }
  struct image first = {0};
  CNN_TRY(image_load(files->all[0].path, &first));
  *shape = (cnn_shape){1, image_is_grey(&first) ? 1 : 3, first.h, first.w};
  image_free(&first);
  return CNN_OK;
}

static cnn_status decode_file(const char *path, cnn_shape shape, uint8_t *pixels) {
  struct image image = {0};
  CNN_TRY(image_load(path, &image));
  cnn_status status = image_fit(&image, shape, pixels);
  image_free(&image);
  return status;
}

cnn_status dataset_load(const cnn_dataset *dataset, cnn_split split, int64_t index, uint8_t *pixels) {
  if (dataset_streams(dataset)) return decode_file(dataset->part[split].paths[index], dataset->image, pixels);
  memcpy(pixels, dataset_pixels(dataset, split, index), (size_t)dataset_image_bytes(dataset));
  return CNN_OK;
}

/* Whether the images are more than may be held in memory. */
static bool must_stream(const cnn_dataset *dataset, const struct files *files,
                        const cnn_dataset_options *options) {
  double bytes = (double)files->count * (double)dataset_image_bytes(dataset);
  double most = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 2;
  return bytes > (options->memory ? (double)options->memory : most);
}

static void count_splits(const struct files *files, int64_t counts[2]) {
  counts[0] = counts[1] = 0;
  for (size_t i = 0; i < files->count; i++) counts[files->all[i].split]++;
}

/* Paths change hands. */
static cnn_status keep_files(cnn_dataset *dataset, struct files *files) {
  int64_t counts[2], at[2] = {0, 0};
  count_splits(files, counts);
  CNN_TRY(dataset_part_streamed(dataset, CNN_SPLIT_TRAIN, counts[CNN_SPLIT_TRAIN]));
  CNN_TRY(dataset_part_streamed(dataset, CNN_SPLIT_TEST, counts[CNN_SPLIT_TEST]));
  for (size_t i = 0; i < files->count; i++) {
    struct file *file = &files->all[i];
    struct dataset_part *part = &dataset->part[file->split];
    int64_t index = at[file->split]++;
    part->paths[index] = file->path;
    part->labels[index] = file->label;
    file->path = NULL;
  }
  return CNN_OK;
}

static cnn_status read_images(cnn_dataset *dataset, const struct files *files) {
  int64_t counts[2], at[2] = {0, 0};
  count_splits(files, counts);
  CNN_TRY(dataset_part_new(dataset, CNN_SPLIT_TRAIN, counts[CNN_SPLIT_TRAIN]));
  CNN_TRY(dataset_part_new(dataset, CNN_SPLIT_TEST, counts[CNN_SPLIT_TEST]));
  for (size_t i = 0; i < files->count; i++) {
    const struct file *file = &files->all[i];
    struct dataset_part *part = &dataset->part[file->split];
    int64_t index = at[file->split]++;
    CNN_TRY(decode_file(file->path, dataset->image, part->pixels + index * dataset_image_bytes(dataset)));
    part->labels[index] = file->label;
  }
  return CNN_OK;
}

static cnn_status read_files(cnn_dataset *dataset, struct files *files, const char *path,
                             const cnn_dataset_options *options) {
  bool has_split = false;
  CNN_TRY(list_files(files, path, &has_split));
  if (files->count == 0)
    return CNN_FAIL(CNN_E_DATA,
                    "folder '%s' has no sub-folders: make one for each class and put its images into it",
                    path);
  if (!has_split) CNN_TRY(split_files(files, options));
  CNN_TRY(choose_image(files, options, &dataset->image));
  CNN_TRY(
      dataset_name_classes(dataset, (int)files->classes.count, (const char *const *)files->classes.names));
  return must_stream(dataset, files, options) ? keep_files(dataset, files) : read_images(dataset, files);
}

cnn_status folder_read(cnn_dataset *dataset, const char *path, const cnn_dataset_options *options) {
  struct files files = {0};
  cnn_status status = read_files(dataset, &files, path, options);
  files_free(&files);
  return status;
}
