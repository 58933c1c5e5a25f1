/* See images.h. */
#include "data/images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "data/dataset.h"

#define MOST_FILE_BYTES ((int64_t)512 << 20)

/* ------------------------------------------------------------------ reading */

static cnn_status read_open_file(int file, const char *path, uint8_t **bytes, size_t *size) {
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode))
    return CNN_FAIL(CNN_E_IO, "'%s' is not a file: give the path of a PNG or JPEG file", path);
  if (info.st_size > MOST_FILE_BYTES)
    return CNN_FAIL(CNN_E_FORMAT, "'%s' has %lld bytes, at most %lld are read as an image", path,
                    (long long)info.st_size, (long long)MOST_FILE_BYTES);
  size_t length = (size_t)info.st_size, done = 0;
  uint8_t *result = mem_alloc(length);
  if (!result) return status_no_memory(length, "an image file");
  while (done < length) {
    ssize_t got = read(file, result + done, length - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      mem_free(result);
      return CNN_FAIL(CNN_E_IO, "'%s' cannot be read: %s", path, strerror(errno));
    }
    if (got == 0) break;
    done += (size_t)got;
  }
  *bytes = result;
  *size = done;
  return CNN_OK;
}

static cnn_status read_file(const char *path, uint8_t **bytes, size_t *size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return CNN_FAIL(CNN_E_IO, "'%s' cannot be opened: %s: give the path of a PNG or JPEG file", path,
                    strerror(errno));
  cnn_status status = read_open_file(file, path, bytes, size);
  close(file);
  return status;
}

static cnn_status decode(const char *path, const uint8_t *file, size_t size, struct image *image) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'}, jpeg[3] = {0xFF, 0xD8, 0xFF};
  char why[IMAGE_WHY] = "";
  const char *kind;
  cnn_status status;
  if (size == 0) return CNN_FAIL(CNN_E_FORMAT, "'%s' is empty, expected a PNG or JPEG image", path);
  if (size >= sizeof png && memcmp(file, png, sizeof png) == 0)
    kind = "PNG", status = png_decode(file, size, image, why);
  else if (size >= sizeof jpeg && memcmp(file, jpeg, sizeof jpeg) == 0)
    kind = "JPEG", status = jpeg_decode(file, size, image, why);
  else
    return CNN_FAIL(
        CNN_E_FORMAT,
        "'%s' is neither PNG nor JPEG: it starts with byte %02x, expected 89 50 4e 47 or ff d8 ff: "
        "convert it to one of them",
        path, file[0]);
  if (status == CNN_E_FORMAT)
    return CNN_FAIL(status, "'%s': %s image cannot be decoded: %s: replace or remove the file", path, kind,
                    why);
  if (status != CNN_OK) status_prefix("'%s': ", path);
  return status;
}

cnn_status image_load(const char *path, struct image *image) {
  uint8_t *file = NULL;
  size_t size = 0;
  CNN_TRY(read_file(path, &file, &size));
  struct image result = {0};
  cnn_status status = decode(path, file, size, &result);
  mem_free(file);
  if (status == CNN_OK) *image = result;
  return status;
}

void image_free(struct image *image) {
  mem_free(image->pixels);
  *image = (struct image){0};
}

cnn_status image_reserve(struct image *image, char *why) {
  if (image->w < 1 || image->h < 1 || image->w > IMAGE_MOST_PIXELS / image->h) {
    snprintf(why, IMAGE_WHY, "it has %lldx%lld pixels, at most %lld are read", (long long)image->w,
             (long long)image->h, (long long)IMAGE_MOST_PIXELS);
    return CNN_E_FORMAT;
  }
  size_t bytes = (size_t)(image->w * image->h * image->c);
  image->pixels = mem_alloc(bytes);
  return image->pixels ? CNN_OK : status_no_memory(bytes, "an image");
}

/* ------------------------------------------------------------------ grey */

bool image_is_grey(const struct image *image) {
  if (image->c == 1) return true;
  const uint8_t *p = image->pixels;
  for (int64_t i = 0; i < image->w * image->h; i++, p += 3)
    if (p[0] != p[1] || p[1] != p[2]) return false;
  return true;
}

/* ITU-R BT.601 luma in units of 2^-16; the weights sum to 65536. */
static uint8_t luma(const uint8_t *p) {
  return (uint8_t)((19595U * p[0] + 38470U * p[1] + 7471U * p[2] + 32768U) >> 16);
}

/* ------------------------------------------------------------------ resizing
 *
 * Each axis has, for each output position, a run of input positions with whole-number weights of one
 * sum. Shrinking from `in` to `out`, in units of 1/(in*out) of the axis: output o covers [o*in, o*in+in),
 * input i covers [i*out, i*out+out), the weight is their overlap, the sum is in. Growing, in units of
 * half an output step: the centre of o lies at (2o+1)*in - out from the centre of input 0, input centres
 * 2*out apart; the two nearest share the sum 2*out by distance, and positions beyond an end are the end.
 */
struct run {
  int64_t first;
  int count;
  uint32_t *weights;
};

struct axis {
  int64_t out, sum;
  struct run *runs;
  uint32_t *weights; /* of all runs */
};

static void axis_free(struct axis *axis) {
  mem_free(axis->runs);
  mem_free(axis->weights);
}

static void shrink_run(int64_t in, int64_t out, int64_t o, struct run *run) {
  int64_t begin = o * in, end = begin + in;
  run->first = begin / out;
  run->count = 0;
  for (int64_t i = run->first; i * out < end; i++) {
    int64_t from = i * out > begin ? i * out : begin, to = i * out + out < end ? i * out + out : end;
    run->weights[run->count++] = (uint32_t)(to - from);
  }
}

static void grow_run(int64_t in, int64_t out, int64_t o, struct run *run) {
  int64_t place = (2 * o + 1) * in - out, step = 2 * out;
  if (place < 0) place = 0;
  if (place > (in - 1) * step) place = (in - 1) * step;
  run->first = place / step;
  uint32_t second = (uint32_t)(place % step);
  run->weights[0] = (uint32_t)step - second;
  run->weights[1] = second;
  run->count = second ? 2 : 1;
}

static cnn_status axis_new(int64_t in, int64_t out, struct axis *axis) {
  bool grows = out > in;
  int64_t room = grows ? 2 : (in + out - 1) / out + 1;
  *axis = (struct axis){.out = out, .sum = grows ? 2 * out : in};
  axis->runs = mem_zeroed((size_t)out, sizeof *axis->runs);
  axis->weights = mem_zeroed((size_t)(out * room), sizeof *axis->weights);
  if (!axis->runs || !axis->weights) {
    axis_free(axis);
    return status_no_memory((size_t)(out * room) * sizeof *axis->weights, "resizing an image");
  }
  for (int64_t o = 0; o < out; o++) {
    axis->runs[o].weights = axis->weights + o * room;
    (grows ? grow_run : shrink_run)(in, out, o, &axis->runs[o]);
  }
  return CNN_OK;
}

/* The rows of one output row, each times its weight: w*c sums. */
static void add_rows(const struct image *image, const struct run *run, bool to_grey, uint64_t *sums) {
  int64_t width = to_grey ? image->w : image->w * image->c;
  memset(sums, 0, (size_t)width * sizeof *sums);
  for (int k = 0; k < run->count; k++) {
    const uint8_t *row = image->pixels + (run->first + k) * image->w * image->c;
    uint64_t weight = run->weights[k];
    if (to_grey)
      for (int64_t x = 0; x < width; x++) sums[x] += weight * luma(row + 3 * x);
    else
      for (int64_t x = 0; x < width; x++) sums[x] += weight * row[x];
  }
}

/* Sums of both axes stay below 2^63: 255 * sum(y) * sum(x), each sum at most 2 * 2^26. */
static void fit_rows(const struct image *image, cnn_shape shape, const struct axis *x, const struct axis *y,
                     uint64_t *sums, uint8_t *planes) {
  bool to_grey = image->c == 3 && shape.c == 1;
  int have = to_grey ? 1 : image->c;
  uint64_t total = (uint64_t)x->sum * (uint64_t)y->sum;
  for (int64_t oy = 0; oy < shape.h; oy++) {
    add_rows(image, &y->runs[oy], to_grey, sums);
    for (int64_t c = 0; c < shape.c; c++) {
      uint8_t *out = planes + (c * shape.h + oy) * shape.w;
      int64_t channel = have == 1 ? 0 : c;
      for (int64_t ox = 0; ox < shape.w; ox++) {
        const struct run *run = &x->runs[ox];
        uint64_t sum = total / 2;
        for (int k = 0; k < run->count; k++) sum += run->weights[k] * sums[(run->first + k) * have + channel];
        out[ox] = (uint8_t)(sum / total);
      }
    }
  }
}

/* For an image that has the size: what fit_rows() gives, without its sums. */
static void copy_planes(const struct image *image, cnn_shape shape, uint8_t *planes) {
  bool to_grey = image->c == 3 && shape.c == 1;
  int64_t pixels = shape.h * shape.w;
  for (int64_t c = 0; c < shape.c; c++, planes += pixels) {
    const uint8_t *from = image->pixels + (image->c == 3 ? c : 0);
    for (int64_t i = 0; i < pixels; i++, from += image->c) planes[i] = to_grey ? luma(from) : *from;
  }
}

static cnn_status check_shape(cnn_shape shape) {
  if ((shape.c == 1 || shape.c == 3) && shape.h >= 1 && shape.w >= 1 &&
      shape.w <= IMAGE_MOST_PIXELS / shape.h)
    return CNN_OK;
  return CNN_FAIL(CNN_E_ARGUMENT,
                  "images of %lldx%lldx%lld are asked for, expected 1 or 3 channels and 1 to %lld pixels",
                  (long long)shape.c, (long long)shape.h, (long long)shape.w, (long long)IMAGE_MOST_PIXELS);
}

cnn_status image_fit(const struct image *image, cnn_shape shape, uint8_t *planes) {
  CNN_TRY(check_shape(shape));
  if (image->h == shape.h && image->w == shape.w) {
    copy_planes(image, shape, planes);
    return CNN_OK;
  }
  struct axis x = {0}, y = {0};
  CNN_TRY(axis_new(image->w, shape.w, &x));
  cnn_status status = axis_new(image->h, shape.h, &y);
  if (status != CNN_OK) {
    axis_free(&x);
    return status;
  }
  size_t width = (size_t)(image->w * image->c);
  uint64_t *sums = mem_zeroed(width, sizeof *sums);
  if (sums)
    fit_rows(image, shape, &x, &y, sums, planes);
  else
    status = status_no_memory(width * sizeof *sums, "resizing an image");
  mem_free(sums);
  axis_free(&x);
  axis_free(&y);
  return status;
}

/* ------------------------------------------------------------------ cnn.h */

cnn_status cnn_image_read(const char *path, cnn_shape shape, float *values) {
  struct image image = {0};
  CNN_TRY(check_shape(shape));
  CNN_TRY(image_load(path, &image));
  int64_t count = shape.c * shape.h * shape.w;
  uint8_t *planes = mem_alloc((size_t)count);
  cnn_status status =
      planes ? image_fit(&image, shape, planes) : status_no_memory((size_t)count, "resizing an image");
  if (planes && status == CNN_OK)
    for (int64_t i = 0; i < count; i++) values[i] = dataset_value(planes[i]);
  mem_free(planes);
  image_free(&image);
  return status;
}
