/* See dataset.h. cnn_dataset_open() tells names, IDX files, CIFAR's and folders apart and leaves the reading
 * to idx.c, cifar.c and folder.c; the rest answers what cnn.h asks of a data set. */
#include "data/dataset.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/rng.h"
#include "core/text.h"
#include "data/cifar.h"
#include "data/fetch.h"
#include "data/idx.h"

static const char forms[] = "a name, IDX files (images,labels), a folder of images or CIFAR's .bin files";

cnn_dataset_options cnn_dataset_defaults(void) {
  return (cnn_dataset_options){.seed = 1, .test_fraction = 0.1}; /* memory 0: half of the machine's */
}

static void free_part(struct dataset_part *part) {
  for (int64_t i = 0; part->paths && i < part->count; i++) mem_free(part->paths[i]);
  mem_free(part->paths);
  mem_pages_free(part->pixels, part->bytes);
  mem_free(part->labels);
}

void cnn_dataset_free(cnn_dataset *dataset) {
  if (!dataset) return;
  for (int i = 0; dataset->class_names && i < dataset->classes; i++) mem_free(dataset->class_names[i]);
  mem_free(dataset->class_names);
  for (int i = 0; i < 2; i++) free_part(&dataset->part[i]);
  mem_free(dataset->name);
  mem_free(dataset);
}

static cnn_status part_new(int64_t image_bytes, int64_t count, struct dataset_part *part) {
  struct dataset_part result = {.count = count};
  if (__builtin_mul_overflow((size_t)count, (size_t)image_bytes, &result.bytes) || result.bytes > PTRDIFF_MAX)
    return CNN_FAIL(CNN_E_MEMORY, "%lld images of %lld bytes do not fit in memory", (long long)count,
                    (long long)image_bytes);
  result.pixels = mem_pages(result.bytes);
  result.labels = mem_zeroed((size_t)count, sizeof *result.labels);
  if (result.pixels && result.labels) {
    *part = result;
    return CNN_OK;
  }
  free_part(&result);
  return status_no_memory(result.bytes, "images");
}

cnn_status dataset_part_new(cnn_dataset *dataset, cnn_split split, int64_t count) {
  return part_new(dataset_image_bytes(dataset), count, &dataset->part[split]);
}

cnn_status dataset_part_streamed(cnn_dataset *dataset, cnn_split split, int64_t count) {
  struct dataset_part part = {.count = count};
  part.paths = mem_zeroed((size_t)count, sizeof *part.paths);
  part.labels = mem_zeroed((size_t)count, sizeof *part.labels);
  dataset->part[split] = part;
  if (part.paths && part.labels) return CNN_OK;
  return status_no_memory((size_t)count * (sizeof *part.paths + sizeof *part.labels), "file names");
}

cnn_status dataset_name_classes(cnn_dataset *dataset, int classes, const char *const *names) {
  char number[16];
  dataset->class_names = mem_zeroed((size_t)classes, sizeof *dataset->class_names);
  if (!dataset->class_names) return status_no_memory((size_t)classes * sizeof(char *), "class names");
  dataset->classes = classes;
  for (int i = 0; i < classes; i++) {
    snprintf(number, sizeof number, "%d", i);
    dataset->class_names[i] = mem_copy_text(names ? names[i] : number);
    if (!dataset->class_names[i]) return status_no_memory(sizeof number, "class names");
  }
  return CNN_OK;
}

/* ------------------------------------------------------------------ the seeded split */

struct draw {
  int32_t label;
  uint32_t number;
  int64_t index;
};

static int compare_draws(const void *a, const void *b) {
  const struct draw *x = a, *y = b;
  if (x->label != y->label) return x->label < y->label ? -1 : 1;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return x->index < y->index ? -1 : x->index > y->index;
}

static int64_t test_share(int64_t images, double fraction) {
  int64_t share = llround((double)images * fraction);
  if (share > images - 1) share = images - 1;
  if (share < 1) share = 1;
  return images < 2 ? 0 : share;
}

cnn_status dataset_split(const int32_t *labels, int64_t count, uint64_t seed, double fraction,
                         uint8_t *is_test) {
  struct rng rng = rng_stream(seed, RNG_SPLIT, 0);
  struct draw *draws = mem_zeroed((size_t)count, sizeof *draws);
  if (!draws) return status_no_memory((size_t)count * sizeof *draws, "splitting images");
  for (int64_t i = 0; i < count; i++) draws[i] = (struct draw){labels[i], rng_bits(&rng, (uint64_t)i), i};
  qsort(draws, (size_t)count, sizeof *draws, compare_draws);
  for (int64_t first = 0, next; first < count; first = next) {
    for (next = first; next < count && draws[next].label == draws[first].label;) next++;
    int64_t share = test_share(next - first, fraction);
    for (int64_t i = first; i < next; i++) is_test[draws[i].index] = i - first < share;
  }
  mem_free(draws);
  return CNN_OK;
}

/* Move the marked images of the training part to a new test part; the others close up in place. */
static cnn_status part_split(cnn_dataset *dataset, const uint8_t *is_test) {
  struct dataset_part *train = &dataset->part[CNN_SPLIT_TRAIN], *test = &dataset->part[CNN_SPLIT_TEST];
  size_t bytes = (size_t)dataset_image_bytes(dataset);
  int64_t tests = 0, to[2] = {0, 0};
  for (int64_t i = 0; i < train->count; i++) tests += is_test[i];
  CNN_TRY(dataset_part_new(dataset, CNN_SPLIT_TEST, tests));
  for (int64_t i = 0; i < train->count; i++) {
    struct dataset_part *part = is_test[i] ? test : train;
    int64_t at = to[is_test[i]]++;
    part->labels[at] = train->labels[i];
    memmove(part->pixels + (size_t)at * bytes, train->pixels + (size_t)i * bytes, bytes);
  }
  train->count = to[0];
  return CNN_OK;
}

static cnn_status split_train(cnn_dataset *dataset, const cnn_dataset_options *options) {
  const struct dataset_part *train = &dataset->part[CNN_SPLIT_TRAIN];
  uint8_t *is_test = mem_zeroed((size_t)train->count, 1);
  if (!is_test) return status_no_memory((size_t)train->count, "splitting images");
  cnn_status status =
      dataset_split(train->labels, train->count, options->seed, options->test_fraction, is_test);
  if (status == CNN_OK) status = part_split(dataset, is_test);
  mem_free(is_test);
  return status;
}

/* ------------------------------------------------------------------ IDX files */

static cnn_status read_idx_part(cnn_dataset *dataset, cnn_split split, const char *images,
                                const char *labels) {
  struct dataset_part *part = &dataset->part[split];
  cnn_shape shape;
  int64_t count;
  CNN_TRY(idx_read_images(images, &part->pixels, &shape));
  part->bytes = (size_t)(shape.n * shape.c * shape.h * shape.w);
  part->count = shape.n;
  CNN_TRY(idx_read_labels(labels, &part->labels, &count));
  if (count != shape.n)
    return CNN_FAIL(CNN_E_DATA,
                    "'%s' has %lld images, '%s' has %lld labels: the two files do not belong together",
                    images, (long long)shape.n, labels, (long long)count);
  cnn_shape *image = &dataset->image;
  if (split == CNN_SPLIT_TEST && (shape.c != image->c || shape.h != image->h || shape.w != image->w))
    return CNN_FAIL(CNN_E_DATA,
                    "'%s' has images of %lldx%lldx%lld, those of the training split are %lldx%lldx%lld: give "
                    "test files of the same size",
                    images, (long long)shape.c, (long long)shape.h, (long long)shape.w, (long long)image->c,
                    (long long)image->h, (long long)image->w);
  *image = (cnn_shape){1, shape.c, shape.h, shape.w};
  return CNN_OK;
}

static int32_t largest_label(const cnn_dataset *dataset) {
  int32_t largest = 0;
  for (int split = 0; split < 2; split++)
    for (int64_t i = 0; i < dataset->part[split].count; i++)
      if (dataset->part[split].labels[i] > largest) largest = dataset->part[split].labels[i];
  return largest;
}

/* files: two, or four with a split of their own. */
static cnn_status read_idx(cnn_dataset *dataset, const char *const *files, int count,
                           const cnn_dataset_options *options) {
  CNN_TRY(read_idx_part(dataset, CNN_SPLIT_TRAIN, files[0], files[1]));
  if (count == 4) CNN_TRY(read_idx_part(dataset, CNN_SPLIT_TEST, files[2], files[3]));
  CNN_TRY(dataset_name_classes(dataset, largest_label(dataset) + 1, NULL));
  return count == 2 ? split_train(dataset, options) : CNN_OK;
}

static cnn_status read_idx_list(cnn_dataset *dataset, const char *source,
                                const cnn_dataset_options *options) {
  const char *files[4];
  int count = 1;
  for (const char *p = source; *p; p++) count += *p == ',';
  if (count != 2 && count != 4)
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "'%s' names %d file%s: give images,labels or "
                    "train-images,train-labels,test-images,test-labels",
                    source, count, count == 1 ? "" : "s");
  char *names = mem_copy_text(source);
  if (!names) return status_no_memory(strlen(source) + 1, "file names");
  char *rest = names;
  for (int i = 0; i < count; i++) files[i] = strsep(&rest, ",");
  cnn_status status = read_idx(dataset, files, count, options);
  mem_free(names);
  return status;
}

static cnn_status read_known(cnn_dataset *dataset, const struct data_set *set) {
  char(*paths)[DATA_PATH] = mem_alloc(DATA_FILES * sizeof *paths);
  if (!paths) return status_no_memory(DATA_FILES * sizeof *paths, "file names");
  cnn_status status = data_locate(set, paths);
  if (status == CNN_OK) status = read_idx_part(dataset, CNN_SPLIT_TRAIN, paths[0], paths[1]);
  if (status == CNN_OK) status = read_idx_part(dataset, CNN_SPLIT_TEST, paths[2], paths[3]);
  mem_free(paths);
  CNN_TRY(status);
  int classes = 0;
  while (set->classes[classes]) classes++;
  int32_t largest = largest_label(dataset);
  if (largest >= classes)
    return CNN_FAIL(CNN_E_DATA, "data set '%s' has a label %d, expected 0 to %d: run `cnn data verify %s`",
                    set->name, (int)largest, classes - 1, set->name);
  return dataset_name_classes(dataset, classes, set->classes);
}

/* ------------------------------------------------------------------ cnn.h */

static cnn_status unknown_source(const char *source, int error) {
  if (strchr(source, '/') || error != ENOENT)
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s: give %s", source, strerror(error), forms);
  const char *nearest = text_nearest(source, data_names());
  if (nearest)
    return CNN_FAIL(CNN_E_DATA, "unknown data set '%s': did you mean '%s'? Give %s", source, nearest, forms);
  return CNN_FAIL(CNN_E_DATA,
                  "unknown data set '%s', and no such folder: give %s (names: mnist, fashion-mnist)", source,
                  forms);
}

static cnn_status read_cifar_list(cnn_dataset *dataset, const char *source,
                                  const cnn_dataset_options *options) {
  bool has_split = false;
  CNN_TRY(cifar_read_list(dataset, source, &has_split));
  return has_split ? CNN_OK : split_train(dataset, options);
}

static cnn_status read_folder(cnn_dataset *dataset, const char *path, const cnn_dataset_options *options) {
  return cifar_is_folder(path) ? cifar_read_folder(dataset, path) : folder_read(dataset, path, options);
}

static cnn_status read_source(cnn_dataset *dataset, const char *source, const cnn_dataset_options *options) {
  const struct data_set *set = data_find(source);
  struct stat info;
  if (set) return read_known(dataset, set);
  if (stat(source, &info) == 0 && S_ISDIR(info.st_mode)) return read_folder(dataset, source, options);
  if (cifar_is_list(source)) return read_cifar_list(dataset, source, options);
  if (stat(source, &info) == 0) return read_idx_list(dataset, source, options);
  int error = errno;
  if (strchr(source, ',')) return read_idx_list(dataset, source, options);
  return unknown_source(source, error);
}

static cnn_status check_options(const cnn_dataset_options *options) {
  cnn_shape image = options->image;
  bool none = image.c == 0 && image.h == 0 && image.w == 0;
  if (!none && ((image.c != 1 && image.c != 3) || image.h < 1 || image.w < 1))
    return CNN_FAIL(
        CNN_E_ARGUMENT,
        "data set options: image is %lldx%lldx%lld, expected 1 or 3 channels and a size of at least "
        "1x1, or all 0",
        (long long)image.c, (long long)image.h, (long long)image.w);
  if (options->memory < 0)
    return CNN_FAIL(CNN_E_ARGUMENT, "data set options: memory is %lld, expected at least 0",
                    (long long)options->memory);
  if (!(options->test_fraction > 0 && options->test_fraction < 1))
    return CNN_FAIL(CNN_E_ARGUMENT,
                    "data set options: test_fraction is %g, expected more than 0 and less than 1",
                    options->test_fraction);
  return CNN_OK;
}

cnn_status cnn_dataset_open(const char *source, const cnn_dataset_options *options, cnn_dataset **dataset) {
  cnn_dataset_options standard = cnn_dataset_defaults();
  if (!source || !*source) return CNN_FAIL(CNN_E_ARGUMENT, "no data set is named: give %s", forms);
  if (!options) options = &standard;
  CNN_TRY(check_options(options));
  cnn_dataset *result = mem_zeroed(1, sizeof *result);
  if (!result) return status_no_memory(sizeof *result, "a data set");
  result->name = mem_copy_text(source);
  cnn_status status = result->name ? read_source(result, source, options)
                                   : status_no_memory(strlen(source) + 1, "a data set's name");
  if (status == CNN_OK)
    *dataset = result;
  else
    cnn_dataset_free(result);
  return status;
}

/* Four bytes from each number. The first label is the largest, so that it is met at all. */
static void draw_part(const struct dataset_part *part, int classes, uint64_t seed, uint32_t split) {
  struct rng pixels = rng_stream(seed, RNG_IMAGES, 2 * split),
             labels = rng_stream(seed, RNG_IMAGES, 2 * split + 1);
  for (size_t i = 0; i < part->bytes; i += 4) {
    uint32_t bits = rng_bits(&pixels, i / 4);
    memcpy(part->pixels + i, &bits, part->bytes - i < 4 ? part->bytes - i : 4);
  }
  for (int64_t i = 0; i < part->count; i++)
    part->labels[i] = i ? (int32_t)rng_below(&labels, (uint64_t)i, (uint64_t)classes) : classes - 1;
}

static cnn_status draw_set(cnn_dataset *dataset, cnn_shape train, int64_t test, int classes, uint64_t seed) {
  const int64_t count[2] = {train.n, test};
  dataset->image = (cnn_shape){1, train.c, train.h, train.w};
  dataset->name = mem_copy_text("random");
  if (!dataset->name) return status_no_memory(8, "a data set's name");
  CNN_TRY(dataset_name_classes(dataset, classes, NULL));
  for (int split = 0; split < 2; split++) {
    CNN_TRY(dataset_part_new(dataset, split, count[split]));
    draw_part(&dataset->part[split], classes, seed, (uint32_t)split);
  }
  return CNN_OK;
}

cnn_status cnn_dataset_random(cnn_shape train, int64_t test, int classes, uint64_t seed,
                              cnn_dataset **dataset) {
  int64_t count;
  CNN_TRY(cnn_shape_count(train, &count));
  if (test < 1) return CNN_FAIL(CNN_E_ARGUMENT, "test is %lld; it must be at least 1", (long long)test);
  if (classes < 1) return CNN_FAIL(CNN_E_ARGUMENT, "classes is %d; it must be at least 1", classes);
  cnn_dataset *result = mem_zeroed(1, sizeof *result);
  if (!result) return status_no_memory(sizeof *result, "a data set");
  cnn_status status = draw_set(result, train, test, classes, seed);
  if (status == CNN_OK)
    *dataset = result;
  else
    cnn_dataset_free(result);
  return status;
}

const char *cnn_dataset_name(const cnn_dataset *dataset) { return dataset->name; }
cnn_shape cnn_dataset_image(const cnn_dataset *dataset) { return dataset->image; }
int cnn_dataset_classes(const cnn_dataset *dataset) { return dataset->classes; }

const char *cnn_dataset_class(const cnn_dataset *dataset, int index) {
  return index >= 0 && index < dataset->classes ? dataset->class_names[index] : NULL;
}

static bool is_split(cnn_split split) { return split == CNN_SPLIT_TRAIN || split == CNN_SPLIT_TEST; }

int64_t cnn_dataset_count(const cnn_dataset *dataset, cnn_split split) {
  return is_split(split) ? dataset->part[split].count : 0;
}

int64_t cnn_dataset_bytes(const cnn_dataset *dataset) {
  size_t bytes = sizeof *dataset + strlen(dataset->name) + 1;
  for (int i = 0; i < dataset->classes; i++)
    bytes += sizeof *dataset->class_names + strlen(dataset->class_names[i]) + 1;
  for (int i = 0; i < 2; i++) {
    const struct dataset_part *part = &dataset->part[i];
    bytes += part->bytes + (size_t)part->count * sizeof *part->labels;
    for (int64_t n = 0; part->paths && n < part->count; n++)
      bytes += sizeof *part->paths + strlen(part->paths[n]) + 1;
  }
  return (int64_t)bytes;
}

bool cnn_dataset_streams(const cnn_dataset *dataset) { return dataset_streams(dataset); }

static cnn_status read_image(const cnn_dataset *dataset, cnn_split split, int64_t index, float *image) {
  size_t bytes = (size_t)dataset_image_bytes(dataset);
  uint8_t *own = dataset_streams(dataset) ? mem_alloc(bytes) : NULL;
  if (dataset_streams(dataset) && !own) return status_no_memory(bytes, "an image");
  cnn_status status = own ? dataset_load(dataset, split, index, own) : CNN_OK;
  const uint8_t *pixels = own ? own : dataset_pixels(dataset, split, index);
  for (size_t i = 0; i < bytes && status == CNN_OK; i++) image[i] = dataset_value(pixels[i]);
  mem_free(own);
  return status;
}

cnn_status cnn_dataset_read(const cnn_dataset *dataset, cnn_split split, int64_t index, float *image,
                            int32_t *label) {
  int64_t count = cnn_dataset_count(dataset, split);
  if (!is_split(split))
    return CNN_FAIL(CNN_E_ARGUMENT, "split %d: there are train (0) and test (1)", (int)split);
  if (index < 0 || index >= count)
    return CNN_FAIL(CNN_E_ARGUMENT, "image %lld of data set '%s': its %s split has %lld, from 0",
                    (long long)index, dataset->name, split == CNN_SPLIT_TRAIN ? "train" : "test",
                    (long long)count);
  if (image) CNN_TRY(read_image(dataset, split, index, image));
  if (label) *label = dataset_label(dataset, split, index);
  return CNN_OK;
}
