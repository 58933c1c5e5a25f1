/* See cifar.h. */
#include "data/cifar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/text.h"
#include "data/idx.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, MOST_FILES = 16, COARSE = 20, LINE = 64 };

static const char *const ten_names[] = {"airplane", "automobile", "bird", "cat",   "deer", "dog",
                                        "frog",     "horse",      "ship", "truck", NULL};

struct kind {
  const char *title;
  int head, classes;             /* bytes before the pixels: the last one is the label */
  const char *files[MOST_FILES]; /* of a folder; the last one is the test split */
  const char *names;             /* a file with a class name a line */
  const char *const *standard;   /* where that is not there; NULL: numbers */
};

static const struct kind ten = {"CIFAR-10",
                                1,
                                10,
                                {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                 "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"},
                                "batches.meta.txt",
                                ten_names};
static const struct kind hundred = {"CIFAR-100", 2, 100, {"train.bin", "test.bin"}, "fine_label_names.txt",
                                    NULL};

/* One file. */
struct source {
  const char *path;
  int64_t bytes;
};

static int64_t record(const struct kind *kind) { return kind->head + PIXELS; }

static bool is_file(const char *path, int64_t *bytes) {
  struct stat info;
  bool is = stat(path, &info) == 0 && S_ISREG(info.st_mode);
  if (is) *bytes = info.st_size;
  return is;
}

static bool folder_has(const char *folder, const char *name) {
  char path[4096];
  int64_t bytes;
  return snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path && is_file(path, &bytes);
}

static const struct kind *folder_kind(const char *folder) {
  const struct kind *kinds[] = {&ten, &hundred};
  for (int k = 0; k < 2; k++)
    for (int i = 0; kinds[k]->files[i]; i++)
      if (folder_has(folder, kinds[k]->files[i])) return kinds[k];
  return NULL;
}

bool cifar_is_folder(const char *path) { return folder_kind(path) != NULL; }

bool cifar_is_list(const char *source) {
  char first[4096];
  size_t length = strcspn(source, ",");
  if (length >= sizeof first) return false;
  memcpy(first, source, length);
  first[length] = 0;
  for (const char *name = source; name;) {
    length = strcspn(name, ",");
    if (length < 5 || memcmp(name + length - 4, ".bin", 4) != 0) return false;
    name = name[length] ? name + length + 1 : NULL;
  }
  return idx_check_images(first) != CNN_OK;
}

/* ------------------------------------------------------------------ records */

static cnn_status check_label(const struct source *source, int64_t number, const char *which, int label,
                              int classes) {
  if (label < classes) return CNN_OK;
  return CNN_FAIL(CNN_E_DATA,
                  "'%s': record %lld has %s %d, expected 0 to %d: the file is damaged, or of another kind",
                  source->path, (long long)number, which, label, classes - 1);
}

static cnn_status read_records(const struct source *source, const struct kind *kind, FILE *file,
                               uint8_t *pixels, int32_t *labels) {
  uint8_t head[2];
  for (int64_t n = 0; n < source->bytes / record(kind); n++, pixels += PIXELS) {
    errno = 0;
    if (fread(head, 1, (size_t)kind->head, file) != (size_t)kind->head ||
        fread(pixels, 1, PIXELS, file) != PIXELS) {
      if (ferror(file)) return CNN_FAIL(CNN_E_IO, "'%s' cannot be read: %s", source->path, strerror(errno));
      return CNN_FAIL(CNN_E_FORMAT, "'%s' ends within record %lld: it became shorter while it was read",
                      source->path, (long long)n);
    }
    if (kind->head == 2) CNN_TRY(check_label(source, n, "coarse label", head[0], COARSE));
    CNN_TRY(check_label(source, n, "label", head[kind->head - 1], kind->classes));
    labels[n] = head[kind->head - 1];
  }
  return CNN_OK;
}

static cnn_status check_size(const struct source *source, const struct kind *kind) {
  if (source->bytes > 0 && source->bytes % record(kind) == 0) return CNN_OK;
  return CNN_FAIL(
      CNN_E_FORMAT,
      "'%s' has %lld bytes, which is not a number of %s's records of %lld bytes: fetch or copy it "
      "again; the binary version is meant",
      source->path, (long long)source->bytes, kind->title, (long long)record(kind));
}

/* The files one after the other, as one split. */
static cnn_status read_split(cnn_dataset *dataset, cnn_split split, const struct kind *kind,
                             const struct source *sources, int count) {
  int64_t images = 0;
  for (int i = 0; i < count; i++) {
    CNN_TRY(check_size(&sources[i], kind));
    images += sources[i].bytes / record(kind);
  }
  CNN_TRY(dataset_part_new(dataset, split, images));
  struct dataset_part *part = &dataset->part[split];
  for (int64_t i = 0, at = 0; i < count; at += sources[i++].bytes / record(kind)) {
    FILE *file = fopen(sources[i].path, "rbe");
    if (!file) return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s", sources[i].path, strerror(errno));
    cnn_status status = read_records(&sources[i], kind, file, part->pixels + at * PIXELS, part->labels + at);
    fclose(file);
    CNN_TRY(status);
  }
  return CNN_OK;
}

static cnn_status read_sources(cnn_dataset *dataset, const struct kind *kind, const struct source *sources,
                               int count) {
  int trains = count > 1 ? count - 1 : 1;
  dataset->image = (cnn_shape){1, 3, SIDE, SIDE};
  CNN_TRY(read_split(dataset, CNN_SPLIT_TRAIN, kind, sources, trains));
  return count > 1 ? read_split(dataset, CNN_SPLIT_TEST, kind, &sources[trains], 1) : CNN_OK;
}

/* ------------------------------------------------------------------ names of classes */

/* lines: [classes][LINE]. Empty lines are passed over. */
static cnn_status read_lines(const char *path, int classes, char (*lines)[LINE]) {
  char line[LINE + 2];
  int count = 0;
  FILE *file = fopen(path, "re");
  if (!file) return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s", path, strerror(errno));
  while (fgets(line, sizeof line, file)) {
    size_t length = strcspn(line, "\r\n");
    if (length == 0) continue;
    line[length] = 0;
    if (length >= LINE) count = classes;
    if (count < classes) memcpy(lines[count], line, length + 1);
    count++;
  }
  fclose(file);
  if (count == classes) return CNN_OK;
  return CNN_FAIL(CNN_E_DATA, "'%s' does not hold %d names of classes of less than %d letters, one a line",
                  path, classes, LINE);
}

static cnn_status name_classes(cnn_dataset *dataset, const struct kind *kind, const char *folder) {
  if (!folder || !folder_has(folder, kind->names))
    return dataset_name_classes(dataset, kind->classes, kind->standard);
  size_t bytes = (size_t)kind->classes * (LINE + sizeof(char *));
  struct text path = {0};
  text_add(&path, "%s/%s", folder, kind->names);
  const char **names = mem_alloc(bytes);
  char(*lines)[LINE] = (char(*)[LINE])(void *)(names + kind->classes);
  cnn_status status = names && path.data ? read_lines(path.data, kind->classes, lines)
                                         : status_no_memory(bytes, "class names");
  for (int i = 0; status == CNN_OK && i < kind->classes; i++) names[i] = lines[i];
  if (status == CNN_OK) status = dataset_name_classes(dataset, kind->classes, names);
  mem_free(names);
  text_free(&path);
  return status;
}

/* ------------------------------------------------------------------ folders and lists */

static cnn_status add_source(struct source *source, const char *path) {
  *source = (struct source){.path = path};
  if (is_file(path, &source->bytes)) return CNN_OK;
  return CNN_FAIL(CNN_E_IO, "CIFAR's file '%s' is not there, or not a file", path);
}

static cnn_status read_files(cnn_dataset *dataset, const struct kind *kind, const char *folder,
                             char (*paths)[4096]) {
  struct source sources[MOST_FILES];
  int count = 0;
  for (; kind->files[count]; count++) {
    if (snprintf(paths[count], sizeof *paths, "%s/%s", folder, kind->files[count]) >= (int)sizeof *paths)
      return CNN_FAIL(CNN_E_IO, "the name of folder '%s' is too long", folder);
    if (add_source(&sources[count], paths[count]) != CNN_OK)
      return CNN_FAIL(CNN_E_DATA, "folder '%s' has files of %s, but no '%s': unpack the binary version again",
                      folder, kind->title, kind->files[count]);
  }
  CNN_TRY(read_sources(dataset, kind, sources, count));
  return name_classes(dataset, kind, folder);
}

cnn_status cifar_read_folder(cnn_dataset *dataset, const char *path) {
  char(*paths)[4096] = mem_alloc(MOST_FILES * sizeof *paths);
  if (!paths) return status_no_memory(MOST_FILES * sizeof *paths, "file names");
  cnn_status status = read_files(dataset, folder_kind(path), path, paths);
  mem_free(paths);
  return status;
}

/* It is neither CIFAR's nor an IDX file: both are read from .bin files. */
static cnn_status no_kind(const struct source *source) {
  (void)idx_check_images(source->path);
  return CNN_FAIL(
      CNN_E_FORMAT,
      "'%s' has %lld bytes, expected a multiple of CIFAR-10's 3073 or CIFAR-100's 3074, or an IDX "
      "file, but %s",
      source->path, (long long)source->bytes, cnn_why());
}

/* By size; where both fit, CIFAR-10 if that makes every label one of its own. */
static cnn_status find_kind(const struct source *source, const struct kind **kind) {
  bool fits_ten = source->bytes > 0 && source->bytes % record(&ten) == 0;
  bool fits_hundred = source->bytes > 0 && source->bytes % record(&hundred) == 0;
  if (!fits_ten && !fits_hundred) return no_kind(source);
  *kind = fits_ten ? &ten : &hundred;
  if (!fits_ten || !fits_hundred) return CNN_OK;
  FILE *file = fopen(source->path, "rbe");
  if (!file) return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s", source->path, strerror(errno));
  for (int64_t at = 0; at < source->bytes && *kind == &ten; at += record(&ten))
    if (fseek(file, (long)at, SEEK_SET) != 0 || fgetc(file) >= ten.classes) *kind = &hundred;
  fclose(file);
  return CNN_OK;
}

static cnn_status read_list(cnn_dataset *dataset, char *names, bool *has_split) {
  struct source sources[MOST_FILES];
  const struct kind *kind;
  int count = 0;
  for (char *rest = names; rest; count++) {
    if (count == MOST_FILES)
      return CNN_FAIL(CNN_E_ARGUMENT, "more than %d files of CIFAR: give their folder", MOST_FILES);
    CNN_TRY(add_source(&sources[count], strsep(&rest, ",")));
  }
  CNN_TRY(find_kind(&sources[0], &kind));
  CNN_TRY(read_sources(dataset, kind, sources, count));
  *has_split = count > 1;
  return name_classes(dataset, kind, NULL);
}

cnn_status cifar_read_list(cnn_dataset *dataset, const char *source, bool *has_split) {
  char *names = mem_copy_text(source);
  if (!names) return status_no_memory(strlen(source) + 1, "file names");
  cnn_status status = read_list(dataset, names, has_split);
  mem_free(names);
  return status;
}
